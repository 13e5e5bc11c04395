"""A browser's part played by aiortc over loopback: images, audio, places."""

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
from web_fixture import SIZE_PX, Browser, ViewBackend, WebFixture, run_with_server

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
    """Of the next piece of audio."""
    return int(np.abs((await browser.receive("audio")).to_ndarray()).max())


def test_images_and_audio_arrive_and_stop_is_silence() -> None:
    async def talk(fixture: WebFixture) -> None:
        browser = Browser(fixture)
        assert (await browser.join())[0] == 200
        image = await browser.receive("video")
        assert (image.width, image.height) == (SIZE_PX, SIZE_PX)
        assert abs(image.to_ndarray(format="rgb24").mean() - 100) < 5
        status, reply = await fixture.post("/api/speak_audio", key=browser.key, data=tone(30))
        assert status == 200
        assert reply["waiting_s"] == pytest.approx(30)
        while await peak(browser) < LOUD:
            pass
        assert (await fixture.post("/api/stop_speaking", key=browser.key))[0] == 200
        while await peak(browser) >= LOUD:  # else it would go on for half a minute
            pass
        assert (await fixture.state())["waiting_avatar_audio_samples"] < 10 * SAMPLE_RATE_HZ
        await browser.connection.close()
        await fixture.until(lambda state: not state["speaker"])

    run_with_server(talk)


def test_camera_and_microphone_reach_the_avatar() -> None:
    async def talk(fixture: WebFixture) -> None:
        frames, chunks = [], []
        fixture.backend.push_user_frame = frames.append
        fixture.backend.push_user_audio = chunks.append
        browser = Browser(fixture, VideoStreamTrack(), AudioStreamTrack())
        await browser.join()
        await fixture.until(lambda state: len(frames) >= 3 and len(chunks) >= 10)
        assert frames[0].pixels.shape == (480, 640, 3)
        assert (
            frames[0].stamp_ns < frames[1].stamp_ns < frames[2].stamp_ns <= fixture.avatar.now_ns()
        )
        assert {chunk.rate_hz for chunk in chunks} == {SAMPLE_RATE_HZ}
        assert chunks[9].stamp_ns > chunks[0].stamp_ns
        await browser.connection.close()

    run_with_server(talk)


def test_one_speaks_some_watch_and_who_comes_again_finds_their_place() -> None:
    async def talk(fixture: WebFixture) -> None:
        first, second, again = Browser(fixture), Browser(fixture), Browser(fixture)
        await first.join()
        status, reply = await second.join()
        assert status == 409
        assert "somebody who does" in reply["error"]
        viewer = Browser(fixture)
        assert (await viewer.join("viewer"))[0] == 200
        assert (await viewer.receive("video")).width == SIZE_PX
        status, reply = await fixture.post("/api/stop_speaking", key=viewer.key)
        assert status == 403
        assert "viewer" in reply["error"]
        assert (await again.join(key=first.key))[0] == 200
        assert again.key != first.key
        assert (await again.receive("video")).width == SIZE_PX
        assert (await fixture.post("/api/leave", key=again.key))[0] == 200
        state = await fixture.state()
        assert not state["speaker"]
        assert state["viewers"] == 1
        assert fixture.avatar.running
        await fixture.post("/api/leave", key=viewer.key)
        assert not fixture.avatar.running
        for browser in (first, second, again, viewer):
            await browser.connection.close()

    run_with_server(talk)


def test_watchers_are_not_without_number() -> None:
    async def talk(fixture: WebFixture) -> None:
        browsers = [Browser(fixture) for _ in range(4)]
        for browser in browsers[:3]:
            assert (await browser.join("viewer"))[0] == 200
            await browser.receive("video")
        assert (await browsers[3].join("viewer"))[0] == 503
        for browser in browsers:
            await browser.connection.close()

    run_with_server(talk)


def test_another_portrait_is_shown() -> None:
    async def talk(fixture: WebFixture) -> None:
        browser = Browser(fixture)
        await browser.join()
        png = av.CodecContext.create("png", "w")
        png.width = png.height = 80
        png.pix_fmt, png.time_base = "rgb24", Fraction(1, 25)
        white = av.VideoFrame.from_ndarray(np.full((80, 80, 3), 200, np.uint8), format="rgb24")
        data = b"".join(bytes(packet) for packet in (*png.encode(white), *png.encode(None)))
        status, _ = await fixture.post("/api/portrait", key=browser.key, data=data)
        assert status == 200
        while (await browser.receive("video")).to_ndarray(format="gray").mean() < 180:
            pass
        async with fixture.client.get("/api/portrait") as reply:
            assert reply.content_type == "image/webp"
            assert (await reply.read()).startswith(b"RIFF")
        await browser.connection.close()

    run_with_server(talk)


def test_the_robots_camera_is_a_second_video_for_those_who_want_it() -> None:
    async def talk(fixture: WebFixture) -> None:
        speaker = Browser(fixture, VideoStreamTrack(), view=True)
        viewer, plain = Browser(fixture, view=True), Browser(fixture)
        state = await fixture.state()
        assert (state["has_view"], state["has_robot_audio"]) == (True, True)
        for browser, role in ((speaker, "speaker"), (viewer, "viewer"), (plain, "viewer")):
            assert (await browser.join(role))[0] == 200
            assert (await browser.receive("video")).width == SIZE_PX
        for browser in (speaker, viewer):
            assert (await browser.receive("view")).width == 48
        assert "view" not in plain.incoming
        for browser in (speaker, viewer, plain):
            await browser.connection.close()

    run_with_server(talk, backend=ViewBackend)


def test_a_second_video_that_is_not_there_is_not_promised() -> None:
    async def talk(fixture: WebFixture) -> None:
        browser = Browser(fixture, view=True)
        status, reply = await browser.join()
        assert status == 400
        assert "sections for audio, video, video" in reply["error"]
        await browser.connection.close()

    run_with_server(talk)


@pytest.mark.parametrize(
    "sdp",
    [None, 7, "", "v=0", "v=0\r\nm=audio", "x" * 90_000, "v=0\r\n" + "m=audio 9 X 0\r\n" * 9],
)
def test_a_hostile_offer_takes_no_place(sdp: object) -> None:
    async def talk(fixture: WebFixture) -> None:
        status, reply = await fixture.post("/api/join", json={"sdp": sdp, "role": "speaker"})
        assert status == 400
        assert "expected a WebRTC offer" in reply["error"]
        assert not (await fixture.state())["speaker"]
        assert not fixture.avatar.running

    run_with_server(talk)


def test_a_browser_that_never_connects_loses_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avatar_forcing_ros.web.peer.CONNECT_TIMEOUT_S", 0.1)

    async def talk(fixture: WebFixture) -> None:
        peer = Browser(fixture)
        await peer.connection.setLocalDescription(await peer.connection.createOffer())
        asked = {"sdp": peer.connection.localDescription.sdp, "role": "speaker"}
        assert (await fixture.post("/api/join", json=asked))[0] == 200
        await fixture.until(lambda state: not state["speaker"])
        await peer.connection.close()

    run_with_server(talk)
