"""Which addresses are offered, and whose packets are taken."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("aiortc")

import aioice.ice

from avatar_forcing_ros.web import ice_hosts
from avatar_forcing_ros.web.ice_hosts import GuardedProtocol, at_home, own_addresses


class Receiver:
    def __init__(self) -> None:
        self.data: list[bytes] = []

    def data_received(self, data: bytes, component: int) -> None:
        self.data.append(data)


def heard(senders: list[str], *, home: bool) -> int:
    """Of how many of `senders` a socket takes packets."""

    async def ask() -> int:
        receiver = Receiver()
        if home:
            with at_home():
                protocol = GuardedProtocol(receiver)
        else:
            protocol = GuardedProtocol(receiver)
        protocol.local_candidate = aioice.Candidate.from_sdp("1 1 udp 1 127.0.0.1 9 typ host")
        for sender in senders:
            protocol.datagram_received(b"\x80 no STUN", (sender, 5_000))
        return len(receiver.data)

    return asyncio.run(ask())


def test_a_local_server_hears_this_machine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ice_hosts, "_usual_addresses", lambda ipv4, ipv6: ["192.168.1.7"])
    assert own_addresses() == {"127.0.0.1", "::1", "192.168.1.7"}
    assert heard(["127.0.0.1", "192.168.1.7", "192.168.1.8", "8.8.8.8"], home=True) == 2
    assert heard(["127.0.0.1", "192.168.1.8"], home=False) == 2


def test_loopback_is_offered_at_home_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ice_hosts, "_usual_addresses", lambda ipv4, ipv6: ["192.168.1.7"])
    assert aioice.ice.get_host_addresses(True, True) == ["192.168.1.7"]
    with at_home():
        assert aioice.ice.get_host_addresses(True, True) == ["127.0.0.1", "192.168.1.7"]
        assert aioice.ice.get_host_addresses(False, True) == ["192.168.1.7"]
    assert aioice.ice.get_host_addresses(True, True) == ["192.168.1.7"]


def test_what_aioice_makes_is_guarded() -> None:
    async def gather() -> list[object]:
        connection = aioice.Connection(ice_controlling=False)
        with at_home():
            await connection.gather_candidates()
        kinds: list[object] = [protocol._own for protocol in connection._protocols]
        await connection.close()
        return kinds

    kinds = asyncio.run(gather())
    assert kinds
    assert all(kind == own_addresses() for kind in kinds)
