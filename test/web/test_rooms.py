"""Several conversations at once: each visitor has an avatar of their own, and no other's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from aiortc import AudioStreamTrack, VideoStreamTrack
from fakes import fake_session
from web_fixture import SIZE_PX, TIMEOUT_S, Browser, WebFixture, find_face, run_with_server

from avatar_forcing_ros.errors import ConversationError
from avatar_forcing_ros.runtime.avatar import Avatar
from avatar_forcing_ros.web.backend import LiveBackend
from avatar_forcing_ros.web.requests import KEY_HEADER
from avatar_forcing_ros.web.turn_queue import FIRM_S, RESERVE_S


class Blocked(LiveBackend):
    """Begins and ends only when it may."""

    def __init__(self, *more: Any) -> None:
        super().__init__(*more)
        self.may_start, self.may_stop = threading.Event(), threading.Event()
        self.asked_to_start, self.asked_to_stop = threading.Event(), threading.Event()

    def start(self, *callbacks: Any) -> None:
        self.asked_to_start.set()
        assert self.may_start.wait(TIMEOUT_S)
        super().start(*callbacks)

    def stop(self) -> None:
        self.asked_to_stop.set()
        assert self.may_stop.wait(TIMEOUT_S)
        super().stop()


class Dark(LiveBackend):
    """Nothing comes of it but what was begun."""

    def start(self, *callbacks: Any) -> None:
        super().start(lambda frame: None, lambda view: None)


class Broken(LiveBackend):
    """Never begins."""

    def start(self, *callbacks: Any) -> None:
        raise ConversationError("avatar", expected="it to begin", got="nothing", remedy="wait")


def backend(kind: type[LiveBackend] = LiveBackend) -> Any:
    return kind(Avatar(fake_session(SIZE_PX, 100), lambda where, text: None), find_face)


def run(
    test: Callable[[WebFixture], Awaitable[None]],
    *more: LiveBackend,
    first: type[LiveBackend] = LiveBackend,
) -> None:
    """Run `test` with a server that has one avatar and `more`."""

    async def within(fixture: WebFixture) -> None:
        await asyncio.wait_for(test(fixture), 3 * TIMEOUT_S)

    run_with_server(within, backend=first, more_backends=more)


def browser(fixture: WebFixture) -> Browser:
    return Browser(fixture, VideoStreamTrack(), AudioStreamTrack())


def png(grey: int) -> bytes:
    return cv2.imencode(".png", np.full((256, 256, 3), grey, np.uint8))[1].tobytes()


async def shade(of: Browser, wanted: int) -> None:
    """Wait until the avatar is seen in that shade."""

    async def look() -> None:
        seen = -100.0
        while abs(seen - wanted) > 4:
            seen = float((await of.receive("video")).to_ndarray(format="rgb24").mean())

    await asyncio.wait_for(look(), TIMEOUT_S)


async def first_portrait_is_shown(fixture: WebFixture, key: str) -> bool:
    async with fixture.client.get("/api/portrait", headers={KEY_HEADER: key}) as reply:
        jpeg = np.frombuffer(await reply.read(), np.uint8)
    image = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    assert image is not None
    return abs(float(image.mean()) - 100) < 4


async def close(*browsers: Browser) -> None:
    for one in browsers:
        await one.connection.close()


def test_two_talk_at_once_with_faces_of_their_own_and_a_third_is_refused() -> None:
    async def talk(fixture: WebFixture) -> None:
        assert (await fixture.state())["free"] == 2
        one, other, third = (browser(fixture) for _ in range(3))
        assert (await one.join())[0] == 200
        assert (await other.join())[0] == 200
        for who, grey in ((one, 200), (other, 40)):
            status, _ = await fixture.post("/api/portrait", key=who.key, data=png(grey))
            assert status == 200
        await asyncio.gather(shade(one, 200), shade(other, 40))
        stranger = await fixture.state()
        assert (stranger["conversations"], stranger["free"]) == (2, 0)
        assert (stranger["you"], stranger["speaker"], stranger["portrait"]) == (None, False, "")
        assert await first_portrait_is_shown(fixture, "")
        assert not await first_portrait_is_shown(fixture, one.key)
        status, reply = await third.join()
        assert status == 503
        assert "all of them taken; try again later" in reply["error"]
        await fixture.post("/api/leave", key=one.key)
        assert (await fixture.state())["free"] == 1
        again = browser(fixture)
        assert (await again.join())[0] == 200
        await asyncio.gather(shade(again, 100), shade(other, 40))  # nothing stayed of the first
        await close(one, other, third, again)

    run(talk, backend())


def test_a_key_opens_its_own_room_alone() -> None:
    async def talk(fixture: WebFixture) -> None:
        one, other = browser(fixture), browser(fixture)
        await one.join()
        await other.join()
        status, _ = await fixture.post("/api/expression", key=one.key, json={"name": "happy"})
        assert status == 200
        states = [await fixture.state(key) for key in (one.key, other.key, "")]
        assert [state["expression"] for state in states] == ["happy", "neutral", "neutral"]
        assert [state["you"] for state in states] == ["speaker", "speaker", None]
        for path in ("/api/stop_speaking", "/api/record", "/api/portrait", "/api/hand_over"):
            status, reply = await fixture.post(path, key="guessed", json={})
            assert status == 403, reply
        await fixture.post("/api/record", key=one.key, json={"on": True})
        recording = [(await fixture.state(who.key))["recording"]["on"] for who in (one, other)]
        assert recording == [True, False]
        await close(one, other)

    run(talk, backend())


def test_nobody_watches_somebody_elses_conversation() -> None:
    async def talk(fixture: WebFixture) -> None:
        viewer = browser(fixture)
        status, reply = await viewer.join("viewer")
        assert status == 409
        assert "start talking" in reply["error"]
        assert (await fixture.post("/api/request_turn", key=""))[0] == 403
        await close(viewer)

    run(talk, backend())


def test_one_whose_connection_broke_finds_their_own_room_while_others_are_free() -> None:
    async def talk(fixture: WebFixture) -> None:
        lost, other, again, third = (browser(fixture) for _ in range(4))
        await lost.join()
        await fixture.post("/api/portrait", key=lost.key, data=png(200))
        await shade(lost, 200)
        await lost.connection.close()
        await wait_until(lambda: not fixture.sessions.peers)
        fixture.ahead_s += FIRM_S  # anybody could take it now, where no other were free
        assert (await other.join())[0] == 200
        assert (await again.join(key=lost.key))[0] == 200
        await asyncio.gather(shade(again, 200), shade(other, 100))
        await again.connection.close()
        await wait_until(lambda: not fixture.sessions.peers)
        fixture.ahead_s += RESERVE_S + 1
        assert (await third.join())[0] == 200
        await shade(third, 100)
        await close(other, third)

    run(talk, backend())


def test_one_that_blocks_delays_no_other() -> None:
    blocked = backend(Blocked)

    async def talk(fixture: WebFixture) -> None:
        one, other, third = browser(fixture), browser(fixture), browser(fixture)
        await one.join()
        joining = asyncio.ensure_future(other.join())
        await asyncio.to_thread(blocked.asked_to_start.wait, TIMEOUT_S)
        await one.receive("video")
        assert (await fixture.state(one.key))["you"] == "speaker"
        assert (await fixture.state())["free"] == 0
        assert (await third.join())[0] == 503
        assert not joining.done()
        blocked.may_start.set()
        assert (await joining)[0] == 200
        await other.receive("video")
        leaving = asyncio.ensure_future(fixture.post("/api/leave", key=other.key))
        await asyncio.to_thread(blocked.asked_to_stop.wait, TIMEOUT_S)
        await fixture.post("/api/leave", key=one.key)
        assert (await fixture.state())["free"] == 1
        assert (await third.join())[0] == 200
        await third.receive("video")
        assert not leaving.done()
        blocked.may_stop.set()
        assert (await leaving)[0] == 200
        assert (await fixture.state())["free"] == 1
        await close(one, other, third)

    run(talk, blocked)


def test_one_of_which_nothing_comes_delays_no_other() -> None:
    async def talk(fixture: WebFixture) -> None:
        dark, other = browser(fixture), browser(fixture)
        await dark.join()
        await other.join()
        for _ in range(5):
            await other.receive("video")
        shown = [(await fixture.state(who.key))["shown_frames"] for who in (dark, other)]
        assert shown[0] == 0
        assert shown[1] > 0
        await close(dark, other)

    run(talk, backend(), first=Dark)


def test_where_an_avatar_does_not_begin_the_next_is_tried() -> None:
    async def talk(fixture: WebFixture) -> None:
        one, other = browser(fixture), browser(fixture)
        assert (await one.join())[0] == 200
        await one.receive("video")
        status, reply = await other.join()
        assert status == 422
        assert "it to begin" in reply["error"]
        assert (await fixture.state())["free"] == 1  # it is tried again with the next who comes
        await close(one, other)

    run(talk, backend(), first=Broken)


async def wait_until(holds: Callable[[], bool]) -> None:
    async def look() -> None:
        while not holds():
            await asyncio.sleep(0.05)

    await asyncio.wait_for(look(), TIMEOUT_S)
