"""How sound and pictures travel where the page is for this machine alone.

A local server would best offer 127.0.0.1 and nothing else, but not every browser could reach it.
Browsers gather no loopback addresses of their own. Chromium on Linux nevertheless sends from its
network addresses to loopback, with and without the permission to use a camera (tried); Firefox
pairs another's loopback address with none but such (nICEr's
``nr_ice_component_can_candidate_addr_pair``), and some systems refuse to send like that. So
loopback comes first, for machines without a network, and this machine's other addresses follow.
What arrives there from any other machine is dropped unread: these sockets are guarded by the
sender's address, which a kernel does not accept from outside where it is one of its own. A
browser's offer, in turn, is stripped of all addresses but ours, so that no packet leaves, and no
name is asked for in the network: the browser, which knows our addresses, comes to us.

aioice has no settings for this. Two of its names are replaced, and behave as ever outside of
`at_home`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import aioice.ice

LOOPBACK = "127.0.0.1"
_usual_addresses = aioice.ice.get_host_addresses
_UsualProtocol = aioice.ice.StunProtocol
_at_home: ContextVar[bool] = ContextVar("at_home", default=False)


def own_addresses() -> set[str]:
    """All addresses of this machine by which its programs reach each other."""
    return {LOOPBACK, "::1", *_usual_addresses(True, True)}


@contextmanager
def at_home() -> Iterator[None]:
    """Connections that gather their addresses in here belong to this machine alone."""
    before = _at_home.set(True)
    try:
        yield
    finally:
        _at_home.reset(before)


def _addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    addresses = _usual_addresses(use_ipv4, use_ipv6)
    return [LOOPBACK, *addresses] if use_ipv4 and _at_home.get() else addresses


class GuardedProtocol(_UsualProtocol):
    """A socket for sound and pictures; one that was made at home hears this machine alone."""

    def __init__(self, receiver: Any) -> None:
        super().__init__(receiver)
        self._own = own_addresses() if _at_home.get() else None

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        """Take a packet, if it may be taken."""
        if self._own is None or addr[0] in self._own:
            super().datagram_received(data, addr)


aioice.ice.get_host_addresses = _addresses
aioice.ice.StunProtocol = GuardedProtocol  # type: ignore[misc]
