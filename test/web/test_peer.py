"""Connections: real offers are answered, candidates filtered, mutated offers refused with 400."""

from __future__ import annotations

import asyncio
import random

import numpy as np
import pytest

pytest.importorskip("aiortc")

from aiortc import RTCConfiguration, RTCPeerConnection

from avatar_forcing_ros.media import AudioChunk, AvatarFrame, VideoFrame
from avatar_forcing_ros.timebase import SAMPLES_PER_FRAME
from avatar_forcing_ros.web.access import RefusedError
from avatar_forcing_ros.web.peer import (
    MAX_CANDIDATES,
    MAX_HIDDEN_CANDIDATES,
    MAX_LINE_LENGTH,
    MAX_LINES,
    MAX_SECTIONS,
    Peer,
    checked_offer,
)
from avatar_forcing_ros.web.tracks import FULL_SCALE

FINGERPRINT = f"a=fingerprint:sha-256 {':'.join(['A0'] * 32)}\r\n"
ICE = f"a=ice-ufrag:abcd\r\na=ice-pwd:{'x' * 22}\r\n"
AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"
HEAD = f"v=0\r\n{FINGERPRINT}{ICE}{AUDIO}"
TWICE = "m=video 9 X 0\r\na=mid:0\r\n"
MUTANTS = 150


class NoBackend:
    """As much of a backend as a peer uses before it is connected."""

    has_view = wants_camera = True

    def now_ns(self) -> int:
        return 0

    def push_user_audio(self, chunk: AudioChunk) -> None: ...

    def push_user_frame(self, frame: VideoFrame) -> None: ...


def candidate(address: str) -> str:
    return f"a=candidate:1 1 udp 2130706431 {address} 50000 typ host\r\n"


def addresses(sdp: str) -> list[str]:
    return [line.split()[4] for line in sdp.splitlines() if line.startswith("a=candidate")]


def test_only_reachable_addresses_stay() -> None:
    wild = ["127.0.0.1", "192.168.1.7", "8.8.8.8", "abc.local", "::1", "example.org"]
    offer = HEAD + "".join(map(candidate, wild)) + "a=candidate:\r\n"
    assert addresses(checked_offer(offer, {"127.0.0.1", "::1"})) == ["127.0.0.1", "::1"]
    elsewhere = checked_offer(HEAD + "".join(map(candidate, wild)), None)
    assert addresses(elsewhere) == wild


def test_who_leaves_an_address_out_does_not_say_that_these_are_all() -> None:
    end = "a=end-of-candidates"
    offer = f"{HEAD}{candidate('127.0.0.1')}{end}\r\n"
    assert end in checked_offer(offer, None)
    assert end in checked_offer(offer, {"127.0.0.1"})
    assert end not in checked_offer(offer, ())


def test_addresses_and_names_are_not_without_number() -> None:
    many = HEAD + candidate("x.local") * 20 + candidate("1.2.3.4") * 90
    kept = addresses(checked_offer(many, None))
    assert kept.count("x.local") == MAX_HIDDEN_CANDIDATES
    assert len(kept) <= MAX_CANDIDATES


@pytest.mark.parametrize(
    "sdp",
    [
        HEAD + "a=x\r\n" * (MAX_LINES + 1),
        HEAD + "a=" + "x" * (MAX_LINE_LENGTH + 1),
        "v=0\r\n" + "m=audio 9 X 0\r\n" * (MAX_SECTIONS + 1),
        "",
        "v=0\r\nm=audio 9 X 0\r\n",
        HEAD + TWICE,
        HEAD + "m=application 9 X 0\r\na=mid:1\r\n",
        "a=group:BUNDLE 7\r\n" + HEAD,
        "a=group:BUNDLE 0 0\r\n" + HEAD,
    ],
)
def test_too_much_is_refused(sdp: str) -> None:
    with pytest.raises(RefusedError, match="WebRTC offer"):
        checked_offer(sdp, None)


@pytest.mark.parametrize(
    ("sdp", "missing"),
    [
        (f"v=0\r\n{ICE}{AUDIO}", "a fingerprint"),
        (f"v=0\r\n{ICE}{AUDIO}{FINGERPRINT}m=video 9 X 0\r\na=mid:1\r\n", "a fingerprint"),
        (HEAD.replace("sha-256", "md5"), "a fingerprint"),
        (HEAD.replace(":A0", ""), "a fingerprint"),
        (HEAD.replace("ice-ufrag", "x"), "an ICE user name"),
        (HEAD.replace("ice-pwd", "x"), "an ICE password"),
    ],
)
def test_an_offer_that_says_not_who_sends_it_is_refused(sdp: str, missing: str) -> None:
    checked_offer(HEAD, None)
    checked_offer(f"v=0\r\n{AUDIO}{FINGERPRINT}{ICE}", None)
    with pytest.raises(RefusedError, match=f"one without {missing}"):
        checked_offer(sdp, None)


def mutant(sdp: str, chance: random.Random) -> str:
    """`sdp` with some lines gone, doubled, swapped, cut or with strange numbers in them."""
    lines = sdp.splitlines()
    for _ in range(chance.randint(1, 6)):
        i = chance.randrange(len(lines))
        kind = chance.randrange(6)
        if kind == 0:
            del lines[i]
        elif kind == 1:
            lines[i:i] = [lines[i]] * chance.choice((1, 2, 300))
        elif kind == 2:
            j = chance.randrange(len(lines))
            lines[i], lines[j] = lines[j], lines[i]
        elif kind == 3:
            lines[i] = lines[i][: chance.randrange(len(lines[i]) + 1)]
        else:
            strange = chance.choice(("-1", "0", "99999999999999999999", "ü", "", "\x00", " "))
            digits = [at for at, c in enumerate(lines[i]) if c.isdigit()]
            if digits:
                at = chance.choice(digits)
                lines[i] = lines[i][:at] + strange + lines[i][at + 1 :]
        lines = lines or ["v=0"]
    return "\r\n".join(lines) + "\r\n"


async def real_offer() -> str:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    for kind in ("audio", "video", "video"):
        connection.addTransceiver(kind, direction="sendrecv")
    await connection.setLocalDescription(await connection.createOffer())
    sdp = str(connection.localDescription.sdp)
    await connection.close()
    return sdp


def test_mutated_offers_are_answered_or_refused(caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        real, chance = await real_offer(), random.Random(0)
        unhandled = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: unhandled.append(context)
        )
        answered = refused = 0
        for i in range(MUTANTS):
            peer = Peer("speaker", NoBackend(), lambda _: None, local=True)  # type: ignore[arg-type]
            try:
                await peer.answer(real if i == 0 else mutant(real, chance))
                answered += 1
            except RefusedError:
                refused += 1
            finally:
                await asyncio.wait_for(peer.close(), 10.0)
        assert answered >= 1
        assert refused >= MUTANTS // 10
        assert unhandled == []

    asyncio.run(check())
    assert caplog.records == []


def places(answer: str) -> list[str]:
    """Which way audio and video go, by the sections of an answer."""
    sections = answer.split("\r\nm=")[1:]
    return [way for s in sections for way in ("sendrecv", "sendonly") if f"a={way}" in s]


def test_a_view_is_offered_the_second_place_for_pictures() -> None:
    async def check() -> None:
        peer = Peer("speaker", NoBackend(), lambda _: None, local=True)  # type: ignore[arg-type]
        answer = await peer.answer(await real_offer())
        assert places(answer) == ["sendrecv", "sendrecv", "sendonly"]  # the view takes nothing
        await peer.close()
        backend = NoBackend()
        backend.wants_camera = False
        peer = Peer("speaker", backend, lambda _: None, local=True)  # type: ignore[arg-type]
        answer = await peer.answer(await real_offer())
        assert places(answer) == ["sendrecv", "sendonly", "sendonly"]
        await peer.close()

    asyncio.run(check())


def test_who_hands_over_hears_both_from_then_on() -> None:
    audio, robot_audio = (np.full(SAMPLES_PER_FRAME, level, np.float32) for level in (0.125, 0.25))
    frame = AvatarFrame(0, None, audio, robot_audio=robot_audio)

    async def loudness(peer: Peer, number: int) -> float:
        peer.audio.put(number, frame)
        packets = [(await peer.audio.recv()).to_ndarray() for _ in range(2)]
        return float(np.concatenate(packets).mean()) / FULL_SCALE

    async def check() -> None:
        lost: list[Peer] = []
        viewer = Peer("viewer", NoBackend(), lost.append, local=True)  # type: ignore[arg-type]
        speaker = Peer("speaker", NoBackend(), lost.append, local=True)  # type: ignore[arg-type]
        assert await loudness(viewer, 0) == pytest.approx(0.375, abs=1e-3)
        assert await loudness(speaker, 0) == pytest.approx(0.25, abs=1e-3)
        await speaker.become_viewer()
        assert await loudness(speaker, 1) == pytest.approx(0.375, abs=1e-3)
        assert lost == [speaker]  # it was not connected yet, and has to come again
        for peer in (viewer, speaker):
            await peer.close()

    asyncio.run(check())
