"""A browser's part played by aiortc over loopback: pictures, sound, places."""

from __future__ import annotations

import io
import wave
from fractions import Fraction

import av
import numpy as np
import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from aiortc import AudioStreamTrack, VideoStreamTrack
from web_house import SIZE_PX, Browser, House, SeeingStage, in_house

from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

LOUD = 2_000  # of 32,767


def tone(seconds: float) -> bytes:
    """A WAV file with a tone."""
    at = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes((12_000 * np.sin(2 * np.pi * 300 * at)).astype(np.int16).tobytes())
    return data.getvalue()


async def peak(browser: Browser) -> int:
    """Of the next piece of sound."""
    return int(np.abs((await browser.receive("audio")).to_ndarray()).max())


def test_pictures_and_voice_arrive_and_stop_is_silence() -> None:
    async def talk(house: House) -> None:
        browser = Browser(house)
        assert (await browser.join())[0] == 200
        picture = await browser.receive("video")
        assert (picture.width, picture.height) == (SIZE_PX, SIZE_PX)
        assert abs(picture.to_ndarray(format="rgb24").mean() - 100) < 5
        status, told = await house.post("/api/sound", key=browser.key, data=tone(30))
        assert status == 200
        assert told["waiting_s"] == pytest.approx(30)
        while await peak(browser) < LOUD:
            pass
        assert (await house.post("/api/stop", key=browser.key))[0] == 200
        while await peak(browser) >= LOUD:  # else it would go on for half a minute
            pass
        assert (await house.state())["waiting_avatar_audio_samples"] < 10 * SAMPLE_RATE_HZ
        await browser.peer.close()
        await house.until(lambda state: not state["speaker"])

    in_house(talk)


def test_camera_and_microphone_reach_the_avatar() -> None:
    async def talk(house: House) -> None:
        seen, heard = [], []
        house.avatar.push_user_frame = seen.append  # type: ignore[method-assign]
        house.avatar.push_user_audio = heard.append  # type: ignore[method-assign]
        browser = Browser(house, VideoStreamTrack(), AudioStreamTrack())
        await browser.join()
        await house.until(lambda state: len(seen) >= 3 and len(heard) >= 10)
        assert seen[0].pixels.shape == (480, 640, 3)
        assert seen[0].stamp_ns < seen[1].stamp_ns < seen[2].stamp_ns <= house.avatar.now_ns()
        assert {chunk.rate_hz for chunk in heard} == {SAMPLE_RATE_HZ}
        assert heard[9].stamp_ns > heard[0].stamp_ns
        await browser.peer.close()

    in_house(talk)


def test_one_speaks_some_watch_and_who_comes_again_finds_their_place() -> None:
    async def talk(house: House) -> None:
        first, second, again = Browser(house), Browser(house), Browser(house)
        await first.join()
        status, told = await second.join()
        assert status == 409
        assert "somebody who does" in told["error"]
        viewer = Browser(house)
        assert (await viewer.join("viewer"))[0] == 200
        assert (await viewer.receive("video")).width == SIZE_PX
        status, told = await house.post("/api/stop", key=viewer.key)
        assert status == 403
        assert "viewer" in told["error"]
        assert (await again.join(key=first.key))[0] == 200
        assert again.key != first.key
        assert (await again.receive("video")).width == SIZE_PX
        assert (await house.post("/api/leave", key=again.key))[0] == 200
        state = await house.state()
        assert not state["speaker"]
        assert state["viewers"] == 1
        assert house.avatar.running
        await house.post("/api/leave", key=viewer.key)
        assert not house.avatar.running
        for browser in (first, second, again, viewer):
            await browser.peer.close()

    in_house(talk)


def test_watchers_are_not_without_number() -> None:
    async def talk(house: House) -> None:
        browsers = [Browser(house) for _ in range(4)]
        statuses = [(await browser.join("viewer"))[0] for browser in browsers]
        assert statuses == [200, 200, 200, 503]
        for browser in browsers:
            await browser.peer.close()

    in_house(talk)


def test_another_portrait_is_shown() -> None:
    async def talk(house: House) -> None:
        browser = Browser(house)
        await browser.join()
        png = av.CodecContext.create("png", "w")
        png.width = png.height = 80
        png.pix_fmt, png.time_base = "rgb24", Fraction(1, 25)
        white = av.VideoFrame.from_ndarray(np.full((80, 80, 3), 200, np.uint8), format="rgb24")
        data = b"".join(bytes(packet) for packet in (*png.encode(white), *png.encode(None)))
        status, _ = await house.post("/api/portrait", key=browser.key, data=data)
        assert status == 200
        while (await browser.receive("video")).to_ndarray(format="gray").mean() < 180:
            pass
        async with house.client.get("/api/portrait") as reply:
            assert reply.content_type == "image/jpeg"
            assert (await reply.read())[:2] == b"\xff\xd8"
        await browser.peer.close()

    in_house(talk)


def test_what_the_robot_sees_is_a_second_picture_for_those_who_want_it() -> None:
    async def talk(house: House) -> None:
        speaker = Browser(house, VideoStreamTrack(), view=True)
        viewer, plain = Browser(house, view=True), Browser(house)
        state = await house.state()
        assert (state["view"], state["operator_hears"]) == (True, True)
        for browser, role in ((speaker, "speaker"), (viewer, "viewer"), (plain, "viewer")):
            assert (await browser.join(role))[0] == 200
            assert (await browser.receive("video")).width == SIZE_PX
        for browser in (speaker, viewer):
            assert (await browser.receive("view")).width == 48
        assert "view" not in plain.incoming
        for browser in (speaker, viewer, plain):
            await browser.peer.close()

    in_house(talk, stage=SeeingStage)


def test_a_second_picture_that_is_not_there_is_not_promised() -> None:
    async def talk(house: House) -> None:
        browser = Browser(house, view=True)
        status, told = await browser.join()
        assert status == 400
        assert "places for audio, video, video" in told["error"]
        await browser.peer.close()

    in_house(talk)


@pytest.mark.parametrize(
    "sdp",
    [None, 7, "", "v=0", "v=0\r\nm=audio", "x" * 100_000, "v=0\r\n" + "m=audio 9 X 0\r\n" * 9],
)
def test_a_hostile_offer_takes_no_place(sdp: object) -> None:
    async def talk(house: House) -> None:
        status, told = await house.post("/api/join", json={"sdp": sdp, "role": "speaker"})
        assert status == 400
        assert "expected a WebRTC offer" in told["error"]
        assert not (await house.state())["speaker"]
        assert not house.avatar.running

    in_house(talk)


def test_a_browser_that_never_connects_loses_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avatar_forcing_ros.web.guest.CONNECT_PATIENCE_S", 0.1)

    async def talk(house: House) -> None:
        peer = Browser(house)
        await peer.peer.setLocalDescription(await peer.peer.createOffer())
        asked = {"sdp": peer.peer.localDescription.sdp, "role": "speaker"}
        assert (await house.post("/api/join", json=asked))[0] == 200
        await house.until(lambda state: not state["speaker"])
        await peer.peer.close()

    in_house(talk)
