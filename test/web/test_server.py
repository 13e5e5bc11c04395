"""What somebody asked for is not done in the turn of somebody else."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

import cv2
from numpy.typing import NDArray
from web_house import PATIENCE_S, Browser, House, find_face, in_house

from avatar_forcing_ros.web import server
from avatar_forcing_ros.web.live_stage import LiveStage


class Held:
    """Something slow: `hold` says that it has begun, and waits."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()

    def hold(self) -> None:
        self.begun.set()
        assert self.go_on.wait(PATIENCE_S)


async def asked_by_one_who_left(house: House, held: Held, path: str, data: bytes) -> int:
    """The status of a request of somebody who leaves meanwhile; the next one talks then."""
    first, second = Browser(house), Browser(house)
    await first.join()
    asked = asyncio.ensure_future(house.post(path, key=first.key, data=data))
    await asyncio.to_thread(held.begun.wait, PATIENCE_S)
    await house.post("/api/leave", key=first.key)
    assert (await second.join())[0] == 200
    held.go_on.set()
    status, told = await asked
    assert "turn ended" in told["error"]
    for browser in (first, second):
        await browser.peer.close()
    return status


def test_a_face_does_not_outlast_the_turn_of_whom_it_belongs_to() -> None:
    held = Held()

    class Slow(LiveStage):
        def change_face(self, picture: NDArray[np.uint8]) -> Future[int]:
            held.hold()
            return super().change_face(picture)

    _, png = cv2.imencode(".png", np.full((80, 80, 3), 200, np.uint8))

    async def talk(house: House) -> None:
        assert await asked_by_one_who_left(house, held, "/api/portrait", png.tobytes()) == 403
        async with house.client.get("/api/portrait") as reply:
            picture = cv2.imdecode(np.frombuffer(await reply.read(), np.uint8), 0)
        assert picture.mean() == pytest.approx(100, abs=2)

    in_house(talk, stage=Slow)


def test_words_are_not_said_in_the_next_ones_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held()

    def slow(data: bytes) -> NDArray[np.float32]:
        held.hold()
        return np.full(16_000, 0.5, np.float32)

    monkeypatch.setattr(server, "uploaded_sound", slow)

    async def talk(house: House) -> None:
        assert await asked_by_one_who_left(house, held, "/api/sound", b"words") == 403
        assert (await house.state())["waiting_voice_samples"] == 0

    in_house(talk)


def test_a_face_that_nobody_waits_for_any_more_is_no_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done: Future[None] = Future()
    avatar: Any = SimpleNamespace(portrait=None, set_portrait=lambda portrait: done)
    changed = LiveStage(avatar, find_face).change_face(np.full((8, 8, 3), 9, np.uint8))
    changed.cancel()
    with caplog.at_level(logging.DEBUG):
        done.set_result(None)
    assert caplog.records == []
