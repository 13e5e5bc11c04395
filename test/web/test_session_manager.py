"""Connections and turns over HTTP: asking, handing over, coming again, being lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from aiortc import AudioStreamTrack, VideoStreamTrack
from web_fixture import SIZE_PX, TIMEOUT_S, Browser, WebFixture, portrait, run_with_server

from avatar_forcing_ros.web.peer import SILENCE_TIMEOUT_S
from avatar_forcing_ros.web.turn_queue import RESERVE_S


def test_a_viewer_asks_and_the_speaker_hands_over() -> None:
    async def talk(fixture: WebFixture) -> None:
        chunks = []
        fixture.backend.push_user_audio = chunks.append
        speaker = Browser(fixture, VideoStreamTrack(), AudioStreamTrack())
        viewer, other = Browser(fixture), Browser(fixture)
        await speaker.join()
        status, reply = await fixture.post("/api/hand_over", key=speaker.key)
        assert status == 409
        assert "asked to talk" in reply["error"]
        await viewer.join("viewer")
        assert (await fixture.post("/api/hand_over", key=viewer.key))[0] == 403
        assert (await fixture.post("/api/request_turn", key="guessed"))[0] == 403
        reply = (await fixture.post("/api/request_turn", key=viewer.key))[1]
        assert reply["turn"]["waiting"] == 1
        reply = (await fixture.post("/api/withdraw_request", key=viewer.key))[1]
        assert (reply["turn"]["waiting"], reply["turn"]["asked"]) == (0, False)
        reply = (await fixture.post("/api/request_turn", key=viewer.key))[1]
        assert reply["turn"] == {"held": True, "waiting": 1, "asked": True, "offered": False}
        state = await fixture.state(speaker.key)
        assert (state["you"], state["turn"]["waiting"]) == ("speaker", 1)
        assert (state["mode"], state["has_view"], state["has_robot_audio"]) == (
            "live",
            False,
            False,
        )
        await fixture.until(lambda state: bool(chunks))
        assert (await fixture.post("/api/hand_over", key=speaker.key))[0] == 200
        chunks.clear()
        assert (await fixture.state(viewer.key))["turn"]["offered"]
        assert (await other.join())[0] == 409  # it is offered to somebody
        old = await fixture.state(speaker.key)
        assert (old["you"], old["turn"]["offered"]) == ("viewer", False)
        assert (await speaker.receive("video")).width == SIZE_PX  # still connected
        new = Browser(fixture)
        assert (await new.join("speaker", viewer.key))[0] == 200
        assert (await fixture.state(new.key))["you"] == "speaker"
        assert (await fixture.state(viewer.key))["you"] is None
        assert chunks == []
        for browser in (speaker, viewer, other, new):
            await browser.connection.close()

    run_with_server(talk)


def test_a_lost_speaker_finds_the_turn_and_the_portrait_again_for_a_while() -> None:
    async def talk(fixture: WebFixture) -> None:
        speaker, viewer, again = Browser(fixture), Browser(fixture), Browser(fixture)
        await speaker.join()
        await viewer.join("viewer")
        fixture.avatar.set_portrait(portrait(200)).result(5.0)
        await speaker.receive("video")
        await speaker.connection.close()
        await fixture.until(lambda state: not state["speaker"])
        assert (await fixture.state())["turn"]["held"]
        assert (await again.join("speaker", viewer.key))[0] == 409
        again = Browser(fixture)
        assert (await again.join("speaker", speaker.key))[0] == 200
        assert fixture.avatar.portrait.image[0, 0, 0] == 200
        await again.receive("video")
        await again.connection.close()
        await fixture.until(lambda state: not state["speaker"])
        fixture.ahead_s += RESERVE_S + 1
        await fixture.sessions.check_connections()
        assert not (await fixture.state())["turn"]["held"]
        await fixture.until(lambda state: fixture.avatar.portrait.image[0, 0, 0] == 100)
        await viewer.connection.close()

    run_with_server(talk)


def test_the_first_face_comes_back_when_the_speaker_leaves() -> None:
    async def talk(fixture: WebFixture) -> None:
        speaker = Browser(fixture)
        await speaker.join()
        fixture.avatar.set_portrait(portrait(200)).result(5.0)
        await fixture.post("/api/leave", key=speaker.key)
        assert fixture.avatar.portrait.image[0, 0, 0] == 100
        await speaker.connection.close()

    run_with_server(talk)


def test_a_browser_that_does_not_wait_for_the_answer_leaves_no_place_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def talk(fixture: WebFixture) -> None:
        begun, go_on = threading.Event(), threading.Event()
        start = fixture.backend.start

        def slow_start(*arguments: Any) -> None:
            begun.set()
            assert go_on.wait(TIMEOUT_S)
            start(*arguments)

        monkeypatch.setattr(fixture.backend, "start", slow_start)
        impatient, other = Browser(fixture), Browser(fixture)
        joining = asyncio.ensure_future(impatient.join())
        assert await asyncio.to_thread(begun.wait, TIMEOUT_S)
        joining.cancel()  # the page was reloaded: its requests end
        await asyncio.gather(joining, return_exceptions=True)
        waiting = asyncio.ensure_future(other.join())
        go_on.set()
        await waiting
        # one that came in between is refused; the place is free at once, not after a timeout
        await fixture.until(lambda state: other.key or not state["turn"]["held"])
        assert other.key or (await Browser(fixture).join())[0] == 200
        assert len(fixture.sessions.peers) == 1
        for browser in (impatient, other):
            await browser.connection.close()

    run_with_server(talk)


def test_a_silent_connection_loses_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    async def talk(fixture: WebFixture) -> None:
        speaker, viewer = Browser(fixture), Browser(fixture)
        await speaker.join()
        await viewer.join("viewer")
        await speaker.receive("video")
        await viewer.receive("video")
        for browser in (speaker, viewer):
            peer = fixture.sessions.peers[browser.key]
            monkeypatch.setattr(
                peer, "received_packets", nothing_more(await peer.received_packets())
            )
        await fixture.sessions.check_connections()
        fixture.ahead_s += SILENCE_TIMEOUT_S + 1
        await fixture.state(viewer.key)  # asking is a sign of life, too
        await fixture.sessions.check_connections()
        state = await fixture.state(viewer.key)
        assert (state["speaker"], state["you"]) == (False, "viewer")
        assert not state["turn"]["held"]
        fixture.ahead_s += SILENCE_TIMEOUT_S + 1
        await fixture.sessions.check_connections()
        assert (await fixture.state())["viewers"] == 0
        assert not fixture.avatar.running
        for browser in (speaker, viewer):
            await browser.connection.close()

    run_with_server(talk)


def test_a_speaker_who_vanishes_frees_the_floor_within_five_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def talk(fixture: WebFixture) -> None:
        speaker, viewer, other = Browser(fixture), Browser(fixture), Browser(fixture)
        await speaker.join()
        await viewer.join("viewer")
        await speaker.receive("video")
        await fixture.post("/api/request_turn", key=viewer.key)
        peer = fixture.sessions.peers[speaker.key]
        monkeypatch.setattr(peer, "received_packets", nothing_more(await peer.received_packets()))
        await fixture.sessions.check_connections()
        for _ in range(4):
            assert not (await fixture.state(viewer.key))["turn"]["offered"]
            fixture.ahead_s += 1.0
            await fixture.sessions.check_connections()
        assert (await fixture.state(viewer.key))["turn"]["offered"]
        assert (await other.join())[0] == 409  # it is the one's who waits
        for browser in (speaker, viewer, other):
            await browser.connection.close()

    run_with_server(talk)


def test_whoever_comes_takes_the_turn_of_a_speaker_who_vanished(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def talk(fixture: WebFixture) -> None:
        speaker = Browser(fixture)
        await speaker.join()
        await speaker.receive("video")
        peer = fixture.sessions.peers[speaker.key]
        monkeypatch.setattr(peer, "received_packets", nothing_more(await peer.received_packets()))
        for _ in range(5):
            await fixture.sessions.check_connections()
            fixture.ahead_s += 1.0
        assert (await fixture.state())["speaker"]  # nobody wants it: it may only be slow
        other = Browser(fixture)
        assert (await other.join())[0] == 200
        assert list(fixture.sessions.peers) == [other.key]
        for browser in (speaker, other):
            await browser.connection.close()

    run_with_server(talk)


def nothing_more(packets: int) -> Callable[[], Awaitable[int]]:
    """In place of a connection's count of packets: it stands still."""

    async def count() -> int:
        return packets

    return count


def test_a_bad_offer_of_somebody_who_is_there_changes_nothing() -> None:
    async def talk(fixture: WebFixture) -> None:
        speaker = Browser(fixture)
        await speaker.join()
        asked = {"sdp": "v=0\r\nm=audio 9 X 0\r\n", "role": "speaker", "key": speaker.key}
        assert (await fixture.post("/api/join", json=asked))[0] == 400
        assert (await fixture.state(speaker.key))["you"] == "speaker"
        assert (await speaker.receive("video")).width == SIZE_PX
        await speaker.connection.close()

    run_with_server(talk)


def test_a_speaker_who_comes_again_to_watch_gives_the_turn_up() -> None:
    async def talk(fixture: WebFixture) -> None:
        speaker, again = Browser(fixture), Browser(fixture)
        await speaker.join()
        assert (await again.join("viewer", speaker.key))[0] == 200
        state = await fixture.state(again.key)
        assert (state["you"], state["turn"]["held"]) == ("viewer", False)
        for browser in (speaker, again):
            await browser.connection.close()

    run_with_server(talk)


def test_who_hands_over_before_they_are_connected_has_to_come_again() -> None:
    async def talk(fixture: WebFixture) -> None:
        speaker, viewer = Browser(fixture), Browser(fixture)
        await speaker.connection.setLocalDescription(await speaker.connection.createOffer())
        asked = {"sdp": speaker.connection.localDescription.sdp, "role": "speaker"}
        _, reply = await fixture.post("/api/join", json=asked)
        await viewer.join("viewer")
        await fixture.post("/api/request_turn", key=viewer.key)
        assert (await fixture.post("/api/hand_over", key=reply["key"]))[0] == 200
        await fixture.until(lambda state: state["viewers"] == 1)
        assert (await fixture.state(reply["key"]))["you"] is None
        assert (await fixture.state(viewer.key))["turn"]["offered"]
        for browser in (speaker, viewer):
            await browser.connection.close()

    run_with_server(talk)
