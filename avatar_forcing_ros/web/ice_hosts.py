"""Which of this machine's addresses are offered to a browser for sound and pictures.

aioice leaves loopback out, and has no setting for it. A browser on the same machine without any
network has nothing else, so a local server offers it first; the machine's other addresses stay,
since some browsers send nothing to loopback.
"""

from __future__ import annotations

import aioice.ice

LOOPBACK = "127.0.0.1"
_usual = aioice.ice.get_host_addresses


def offer_loopback() -> None:
    """Offer loopback beside the usual addresses, from now on, in this process."""
    aioice.ice.get_host_addresses = _with_loopback


def _with_loopback(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    addresses = _usual(use_ipv4, use_ipv6)
    return [LOOPBACK, *addresses] if use_ipv4 else addresses
