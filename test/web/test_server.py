"""Requests of one speaker are not carried out in the turn of the next; speech has a limit."""

from __future__ import annotations

import asyncio
import io
import threading
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

import cv2
from flash_backend import FlashBackend
from numpy.typing import NDArray
from web_fixture import TIMEOUT_S, Browser, WebFixture, run_with_server

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.runtime.status import AvatarStatus
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ
from avatar_forcing_ros.web import room, server, speech
from avatar_forcing_ros.web.backend import LiveBackend

TRIES = 200  # of 50 ms


class Held:
    """Something slow: `hold` notes that it has begun, and waits."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()

    def hold(self) -> None:
        self.begun.set()
        assert self.go_on.wait(TIMEOUT_S)


async def asked_by_one_who_left(fixture: WebFixture, held: Held, path: str, data: bytes) -> int:
    """The status of a request of somebody who leaves meanwhile; the next one talks then."""
    first, second = Browser(fixture), Browser(fixture)
    await first.join()
    asked = asyncio.ensure_future(fixture.post(path, key=first.key, data=data))
    await asyncio.to_thread(held.begun.wait, TIMEOUT_S)
    await fixture.post("/api/leave", key=first.key)
    assert (await second.join())[0] == 200
    held.go_on.set()
    status, reply = await asked
    assert "turn ended" in reply["error"]
    for browser in (first, second):
        await browser.connection.close()
    return status


def test_a_face_does_not_outlast_the_turn_of_whom_it_belongs_to() -> None:
    held = Held()

    class Slow(LiveBackend):
        def set_portrait(self, image: NDArray[np.uint8], file: Path | None = None) -> Future[None]:
            held.hold()
            return super().set_portrait(image)

    _, png = cv2.imencode(".png", np.full((80, 80, 3), 200, np.uint8))

    async def talk(fixture: WebFixture) -> None:
        assert await asked_by_one_who_left(fixture, held, "/api/portrait", png.tobytes()) == 403
        for _ in range(TRIES):  # nobody waits for the face to come back
            async with fixture.client.get("/api/portrait") as reply:
                image = cv2.imdecode(np.frombuffer(await reply.read(), np.uint8), 0)
            if image.mean() < 150:
                break
            await asyncio.sleep(0.05)
        assert image.mean() == pytest.approx(100, abs=2)

    run_with_server(talk, backend=Slow)


def test_words_are_not_said_in_the_next_ones_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held()

    async def slow(decoder: object, data: bytes, visitor: str) -> NDArray[np.float32]:
        await asyncio.to_thread(held.hold)
        return np.full(16_000, 0.5, np.float32)

    monkeypatch.setattr(server.UploadDecoder, "audio", slow)

    async def talk(fixture: WebFixture) -> None:
        assert await asked_by_one_who_left(fixture, held, "/api/speak_audio", b"words") == 403
        assert (await fixture.state())["waiting_avatar_audio_samples"] == 0

    run_with_server(talk)


def wav(seconds: float) -> bytes:
    data = io.BytesIO()
    soundfile.write(data, np.full(round(seconds * SAMPLE_RATE_HZ), 0.1), SAMPLE_RATE_HZ, "PCM_16",
                    format="WAV")  # fmt: skip
    return data.getvalue()


def test_quick_uploads_do_not_exceed_the_limit_on_waiting_speech() -> None:
    """The avatar's own count is as of its newest frame: it may not include the first upload."""
    upload = wav(50.0)

    async def talk(fixture: WebFixture) -> None:
        browser = Browser(fixture)
        await browser.join()
        replies = [
            await fixture.post("/api/speak_audio", key=browser.key, data=upload) for _ in range(3)
        ]
        assert [status for status, _ in replies] == [200, 200, 422]
        assert replies[1][1]["waiting_s"] == pytest.approx(100, abs=20)
        assert "let the avatar finish" in replies[2][1]["error"]
        assert (await fixture.post("/api/stop_speaking", key=browser.key))[0] == 200
        assert (await fixture.post("/api/speak_audio", key=browser.key, data=upload))[0] == 200
        await browser.connection.close()

    run_with_server(talk)


@pytest.mark.parametrize(
    ("running", "status", "sentence"),
    [
        (False, AvatarStatus(), "expected a conversation that goes on"),
        (True, AvatarStatus(connected=False, warning="no avatar"), "got no avatar; start avatar"),
        (True, AvatarStatus(waiting_avatar_audio_samples=120 * SAMPLE_RATE_HZ), "at most 120 s"),
    ],
)
def test_speech_that_cannot_be_spoken_is_refused(
    running: bool, status: AvatarStatus, sentence: str
) -> None:
    backend: Any = SimpleNamespace(running=running, status=status)
    with pytest.raises(MediaError, match=sentence):
        speech.required_capacity(backend, SAMPLE_RATE_HZ)


def test_the_page_is_told_of_losses_and_of_nothing_that_was_not_measured() -> None:
    backend = FlashBackend()
    backend.status = AvatarStatus(
        seed=7, skipped_blocks=3, failed_blocks=2, playout_delay_ms=200.0
    )
    state = room.backend_state(backend)
    assert (state["skipped_blocks"], state["failed_blocks"], state["seed"]) == (3, 2, 7)
    assert (state["state"], state["playout_delay_ms"]) == ("asleep", None)
    backend.status = replace(backend.status, blocks=9, warning="no frames")
    state = room.backend_state(backend)
    assert (state["state"], state["playout_delay_ms"]) == ("no frames", 200.0)
