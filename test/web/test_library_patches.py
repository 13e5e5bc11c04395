"""Patched libraries: addresses offered, packets accepted, media passed on as soon as complete."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress

import pytest

pytest.importorskip("aiortc")

import aioice.ice
from aioice import stun
from aiortc import RTCPeerConnection
from aiortc.rtp import RtpPacket

from avatar_forcing_ros.web import library_patches
from avatar_forcing_ros.web.library_patches import (
    MAX_CALLERS,
    VIDEO_PACKETS,
    AudioJitterBuffer,
    GuardedProtocol,
    VideoJitterBuffer,
    install_patches,
    local_only,
    own_addresses,
)


class Receiver:
    def __init__(self) -> None:
        self.data: list[bytes] = []

    def data_received(self, data: bytes, component: int) -> None:
        self.data.append(data)


def accepted(senders: list[str], *, local: bool) -> int:
    """Of how many of `senders` a socket takes packets."""

    async def ask() -> int:
        receiver = Receiver()
        if local:
            with local_only():
                protocol = GuardedProtocol(receiver)
        else:
            protocol = GuardedProtocol(receiver)
        protocol.local_candidate = aioice.Candidate.from_sdp("1 1 udp 1 127.0.0.1 9 typ host")
        for sender in senders:
            protocol.datagram_received(b"\x80 no STUN", (sender, 5_000))
        return len(receiver.data)

    return asyncio.run(ask())


def test_a_local_connection_hears_this_machine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_patches, "host_addresses", lambda ipv4, ipv6: ["192.168.1.7"])
    assert own_addresses() == {"127.0.0.1", "::1", "192.168.1.7"}
    assert accepted(["127.0.0.1", "192.168.1.7", "192.168.1.8", "8.8.8.8"], local=True) == 2
    assert accepted(["127.0.0.1", "192.168.1.8"], local=False) == 2


def test_loopback_is_offered_for_local_connections_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install_patches()
    monkeypatch.setattr(library_patches, "host_addresses", lambda ipv4, ipv6: ["192.168.1.7"])
    assert aioice.ice.get_host_addresses(True, True) == ["192.168.1.7"]
    with local_only():
        assert aioice.ice.get_host_addresses(True, True) == ["127.0.0.1", "192.168.1.7"]
        assert aioice.ice.get_host_addresses(False, True) == ["192.168.1.7"]
    assert aioice.ice.get_host_addresses(True, True) == ["192.168.1.7"]


def test_sockets_of_the_installed_library_are_guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[GuardedProtocol] = []

    class Noted(GuardedProtocol):
        def __init__(self, receiver: object) -> None:
            super().__init__(receiver)
            made.append(self)

    monkeypatch.setattr(library_patches, "GuardedProtocol", Noted)
    install_patches()

    async def gather() -> None:
        connection = aioice.Connection(ice_controlling=False)
        with local_only():
            await connection.gather_candidates()
        await connection.close()

    asyncio.run(gather())
    assert made
    assert all(protocol.accepted == own_addresses() for protocol in made)
    monkeypatch.undo()
    install_patches()


def test_few_callers_are_called_back() -> None:
    install_patches()
    called: list[tuple[str, int]] = []

    class Called(Receiver):
        local_candidate = aioice.Candidate.from_sdp("1 1 udp 1 127.0.0.1 9 typ host")

        async def request(self, request: object, addr: tuple[str, int], **more: object) -> None:
            called.append(addr)
            await asyncio.sleep(60.0)

    async def call() -> None:
        connection = aioice.Connection(ice_controlling=False)
        connection.remote_username, connection.remote_password = "abcd", "x" * 22
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        message.attributes["PRIORITY"] = 1
        protocol = Called()
        for port in [*range(1, 100), 1]:
            connection.check_incoming(message, ("10.0.0.1", port), protocol)  # type: ignore[arg-type]
        assert connection.remote_candidates[0].port == 1
        await asyncio.sleep(0.0)
        assert len(called) == MAX_CALLERS
        await connection.close()

    asyncio.run(call())


def test_who_does_not_finish_a_handshake_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_patches, "TLS_HANDSHAKE_S", 0.1)
    install_patches()

    async def wait() -> bytes:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0, ssl=tls)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            try:
                return await asyncio.wait_for(reader.read(), 10.0)
            finally:
                writer.close()

    with suppress(ConnectionResetError):
        assert asyncio.run(wait()) == b""
    monkeypatch.undo()
    install_patches()


def packet(number: int, frame: int, *, last: bool = False) -> RtpPacket:
    made = RtpPacket(sequence_number=number % 65_536, timestamp=3_600 * frame, marker=int(last))
    made._data = b"%d," % number  # type: ignore[attr-defined]
    return made


def given(buffer: VideoJitterBuffer | AudioJitterBuffer, *packets: RtpPacket) -> list[bytes]:
    frames = [buffer.add(one)[1] for one in packets]
    return [frame.data for frame in frames if frame]


def test_a_frame_is_passed_on_with_its_last_packet() -> None:
    buffer = VideoJitterBuffer(VIDEO_PACKETS, is_video=True)
    assert given(buffer, packet(65_534, 1), packet(65_535, 1)) == []
    assert given(buffer, packet(65_536, 1, last=True)) == [b"65534,65535,65536,"]
    assert given(buffer, packet(65_537, 2, last=True)) == [b"65537,"]


def test_a_frame_waits_for_a_missing_packet() -> None:
    buffer = VideoJitterBuffer(VIDEO_PACKETS, is_video=True)
    assert given(buffer, packet(0, 1, last=True)) == [b"0,"]
    assert given(buffer, packet(2, 2, last=True), packet(3, 3, last=True)) == []
    assert given(buffer, packet(1, 2)) == [b"1,2,"]
    assert given(buffer, packet(4, 4, last=True)) == [b"3,"]  # one for each packet that comes


def test_without_marker_bits_the_next_frame_shows_the_end() -> None:
    buffer = VideoJitterBuffer(VIDEO_PACKETS, is_video=True)
    assert given(buffer, packet(0, 1), packet(1, 1)) == []
    assert given(buffer, packet(2, 2)) == [b"0,1,"]


def test_a_long_loss_requests_a_key_frame_and_goes_on() -> None:
    buffer = VideoJitterBuffer(VIDEO_PACKETS, is_video=True)
    given(buffer, packet(0, 1))
    assert buffer.add(packet(5_000, 9, last=True))[0]
    assert given(buffer, packet(5_001, 10, last=True)) != []


def test_audio_is_passed_on_at_once_and_never_twice_or_backwards() -> None:
    buffer = AudioJitterBuffer()
    come = [packet(k, k) for k in (65_534, 65_535, 65_535, 65_537, 65_536, 65_538)]
    assert given(buffer, *come) == [b"65534,", b"65535,", b"65537,", b"65538,"]
    assert buffer.late == 2


def test_receivers_of_the_installed_library_use_them() -> None:
    install_patches()

    async def receivers() -> None:
        connection = RTCPeerConnection()
        for kind, expected in (("video", VideoJitterBuffer), ("audio", AudioJitterBuffer)):
            receiver = connection.addTransceiver(kind).receiver
            assert any(isinstance(part, expected) for part in vars(receiver).values())

    asyncio.run(receivers())
