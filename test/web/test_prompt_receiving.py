"""What comes over the network is handed on as soon as it is whole."""

from __future__ import annotations

import asyncio

from aiortc import RTCPeerConnection
from aiortc.rtp import RtpPacket

from avatar_forcing_ros.web.prompt_receiving import PART, PictureBuffer, SoundBuffer, hasten


def packet(number: int, picture: int, *, last: bool = False) -> RtpPacket:
    made = RtpPacket(sequence_number=number % 65_536, timestamp=3_600 * picture, marker=int(last))
    made._data = b"%d," % number  # type: ignore[attr-defined]
    return made


def given(buffer: PictureBuffer | SoundBuffer, *packets: RtpPacket) -> list[bytes]:
    frames = [buffer.add(one)[1] for one in packets]
    return [frame.data for frame in frames if frame]


def test_a_picture_is_given_with_its_last_packet() -> None:
    buffer = PictureBuffer()
    assert given(buffer, packet(65_534, 1), packet(65_535, 1)) == []
    assert given(buffer, packet(65_536, 1, last=True)) == [b"65534,65535,65536,"]
    assert given(buffer, packet(65_537, 2, last=True)) == [b"65537,"]


def test_a_picture_waits_for_the_packet_that_is_missing() -> None:
    buffer = PictureBuffer()
    assert given(buffer, packet(0, 1, last=True)) == [b"0,"]
    assert given(buffer, packet(2, 2, last=True), packet(3, 3, last=True)) == []
    assert given(buffer, packet(1, 2)) == [b"1,2,"]
    assert given(buffer, packet(4, 4, last=True)) == [b"3,"]  # one for each packet that comes


def test_without_marks_the_next_picture_tells_the_end() -> None:
    buffer = PictureBuffer()
    assert given(buffer, packet(0, 1), packet(1, 1)) == []
    assert given(buffer, packet(2, 2)) == [b"0,1,"]


def test_a_long_loss_asks_for_a_whole_picture_and_goes_on() -> None:
    buffer = PictureBuffer()
    given(buffer, packet(0, 1))
    assert buffer.add(packet(5_000, 9, last=True))[0]
    assert given(buffer, packet(5_001, 10, last=True)) != []


def test_sound_is_given_at_once_and_never_twice_or_backwards() -> None:
    buffer = SoundBuffer()
    come = [packet(k, k) for k in (65_534, 65_535, 65_535, 65_537, 65_536, 65_538)]
    assert given(buffer, *come) == [b"65534,", b"65535,", b"65537,", b"65538,"]
    assert buffer.late == 2


def test_receivers_of_the_installed_library_take_it() -> None:
    async def receivers() -> None:
        peer = RTCPeerConnection()
        for kind, expected in (("video", PictureBuffer), ("audio", SoundBuffer)):
            receiver = peer.addTransceiver(kind).receiver
            hasten(receiver, kind)
            assert isinstance(getattr(receiver, PART), expected)

    asyncio.run(receivers())
