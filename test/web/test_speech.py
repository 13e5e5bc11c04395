"""Texts become speech beside the event loop, in their order, and captions when they are heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from flash_backend import FlashBackend
from spoken import Synthesizer
from web_fixture import TIMEOUT_S, Browser, WebFixture, run_with_server

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.responder.transcript import Transcript
from avatar_forcing_ros.runtime.status import AvatarStatus
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ
from avatar_forcing_ros.web import speech
from avatar_forcing_ros.web.access import Access
from avatar_forcing_ros.web.speech import SpeechQueue


class Fixture:
    """A queue before a backend that notes what comes."""

    def __init__(self, length_s: float = 0.1) -> None:
        self.backend: Any = FlashBackend()
        self.backend.start(lambda frame: None, lambda frame: None)
        self.synthesizer, self.transcript = Synthesizer(length_s), Transcript()
        self.turn = 0
        self.queue = SpeechQueue(
            self.backend, self.synthesizer, self.transcript, lambda: self.turn
        )

    @property
    def captions(self) -> list[str]:
        return [entry.text for entry in self.transcript.after(0)]


async def until(holds: Callable[[], object]) -> None:
    async def wait() -> None:
        while not holds():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), TIMEOUT_S)


def run(test: Any, length_s: float = 0.1) -> None:
    async def with_fixture() -> None:
        fixture = Fixture(length_s)
        try:
            await test(fixture)
        finally:
            fixture.queue.cancel()
            fixture.backend.stop()

    asyncio.run(with_fixture())


def test_the_first_sentence_is_spoken_while_the_next_is_made() -> None:
    async def speak(fixture: Fixture) -> None:
        await asyncio.wait_for(fixture.queue.say("One wait two"), TIMEOUT_S)
        assert len(fixture.backend.spoken) == 1
        await asyncio.to_thread(fixture.synthesizer.begun.wait, TIMEOUT_S)
        assert fixture.queue.speaking
        fixture.synthesizer.go_on.set()
        await until(lambda: len(fixture.backend.spoken) == 3)
        await until(lambda: fixture.captions == ["One", "wait", "two"])
        assert fixture.transcript.after(0)[0].language == "en"

    run(speak)


def test_what_was_asked_for_first_is_said_first() -> None:
    async def speak(fixture: Fixture) -> None:
        first = asyncio.ensure_future(fixture.queue.say("wait two"))
        await asyncio.to_thread(fixture.synthesizer.begun.wait, TIMEOUT_S)
        sound = asyncio.ensure_future(fixture.queue.play(np.zeros(5, np.float32)))
        second = asyncio.ensure_future(fixture.queue.say("three"))
        await asyncio.sleep(0)
        assert fixture.backend.spoken == []
        fixture.synthesizer.go_on.set()
        await asyncio.wait_for(asyncio.gather(first, sound, second), TIMEOUT_S)
        assert [len(chunk.samples) for chunk in fixture.backend.spoken] == [1600, 1600, 5, 1600]
        await until(lambda: fixture.captions == ["wait", "two", "three"])

    run(speak)


def test_what_is_silenced_before_it_was_heard_has_no_caption() -> None:
    async def speak(fixture: Fixture) -> None:
        await fixture.queue.say("One two wait")
        await until(lambda: fixture.captions == ["One"])
        await asyncio.to_thread(fixture.synthesizer.begun.wait, TIMEOUT_S)
        stopped = fixture.queue.silence()
        assert stopped is not None
        await until(fixture.synthesizer.cancelled.is_set)
        assert len(fixture.backend.spoken) == 2
        assert await fixture.queue.say("Three") > 0
        await until(lambda: fixture.captions == ["One", "Three"])

    run(speak, length_s=2.0)


def test_a_request_that_waits_is_answered_when_all_is_cancelled() -> None:
    async def speak(fixture: Fixture) -> None:
        waiting = [asyncio.ensure_future(fixture.queue.say("wait")) for _ in range(2)]
        await asyncio.to_thread(fixture.synthesizer.begun.wait, TIMEOUT_S)
        fixture.queue.cancel()
        assert await asyncio.wait_for(asyncio.gather(*waiting), TIMEOUT_S) == [0.0, 0.0]
        assert fixture.backend.spoken == []

    run(speak)


def test_a_first_sentence_that_fails_is_an_error_and_a_later_one_a_failure_to_be_seen() -> None:
    async def speak(fixture: Fixture) -> None:
        with pytest.raises(MediaError, match="one that speaks"):
            await fixture.queue.say("bad")
        assert fixture.queue.failure == ""
        await fixture.queue.say("One bad two")
        await until(lambda: "one that speaks" in fixture.queue.failure)
        assert len(fixture.backend.spoken) == 1
        await fixture.queue.say("Two")
        assert fixture.queue.failure == ""

    run(speak)


def test_texts_that_wait_are_bounded() -> None:
    async def speak(fixture: Fixture) -> None:
        waiting = [asyncio.ensure_future(fixture.queue.say("wait")) for _ in range(8)]
        await asyncio.to_thread(fixture.synthesizer.begun.wait, TIMEOUT_S)
        with pytest.raises(MediaError, match="at most 8 texts"):
            await fixture.queue.say("one more")
        fixture.queue.cancel()
        await asyncio.gather(*waiting)

    run(speak)


def test_a_full_avatar_refuses_a_text_and_lets_the_rest_of_one_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(speech, "ROOM_CHECK_S", 0.01)
    full = AvatarStatus(blocks=1, waiting_avatar_audio_samples=120 * SAMPLE_RATE_HZ)

    async def speak(fixture: Fixture) -> None:
        free = fixture.backend.status
        await fixture.queue.say("One wait two")
        fixture.backend.status = full
        with pytest.raises(MediaError, match="at most 120 s"):
            speech.required_capacity(fixture.backend, 1)
        fixture.synthesizer.go_on.set()
        patient = asyncio.ensure_future(fixture.queue.say("three", patient=True))
        await asyncio.sleep(0.05)
        assert len(fixture.backend.spoken) == 1
        fixture.backend.status = free
        await asyncio.wait_for(patient, TIMEOUT_S)
        assert len(fixture.backend.spoken) == 4
        fixture.backend.status = full
        with pytest.raises(MediaError, match="at most 120 s"):
            await fixture.queue.say("four")

    run(speak)


def test_nothing_is_said_in_the_next_ones_turn() -> None:
    async def speak(fixture: Fixture) -> None:
        await fixture.queue.say("One wait two")
        await asyncio.to_thread(fixture.synthesizer.begun.wait, TIMEOUT_S)
        fixture.turn += 1
        fixture.synthesizer.go_on.set()
        await until(fixture.synthesizer.cancelled.is_set)
        assert len(fixture.backend.spoken) == 1

    run(speak)


async def get(fixture: WebFixture, path: str, **more: Any) -> tuple[int, dict[str, Any]]:
    async with fixture.client.get(path, **more) as reply:
        return reply.status, await reply.json()


def test_the_page_gets_voices_and_captions() -> None:
    synthesizer = Synthesizer()

    async def talk(fixture: WebFixture) -> None:
        assert await get(fixture, "/api/voices") == (
            200,
            {
                "program": "speaker",
                "voices": [
                    {"name": "en-us", "language": "en-US", "label": "English (America)"},
                    {"name": "de", "language": "de", "label": "x"},
                ],
            },
        )
        state = await fixture.state()
        assert (state["captions"], state["responds"], state["responder_state"]) == (0, False, "")
        browser = Browser(fixture)
        await browser.join()
        said = {"text": "Hello there", "voice": "de"}
        assert (await fixture.post("/api/speak_text", key=browser.key, json=said))[0] == 200
        await fixture.until(lambda state: state["captions"] == 2)
        _, reply = await get(fixture, "/api/captions?after=1")
        assert reply["captions"] == [
            {"number": 2, "who": "avatar", "text": "there", "language": "en"}
        ]
        assert len((await get(fixture, "/api/captions"))[1]["captions"]) == 2
        for bad in ("-1", "x", "9" * 30, "٣", "1.5"):
            assert (await get(fixture, "/api/captions", params={"after": bad}))[0] == 400, bad
        bad_voice = {"text": "Hello", "voice": "klingon"}
        status, reply = await fixture.post("/api/speak_text", key=browser.key, json=bad_voice)
        assert (status, "2 of /api/voices" in reply["error"]) == (422, True)
        # the voice stays, a turn that has ended leaves nothing
        await fixture.post("/api/speak_text", key=browser.key, json={"text": "More"})
        assert [voice.name for _, voice in synthesizer.asked] == ["de", "de"]
        await fixture.post("/api/leave", key=browser.key)
        assert (await fixture.state())["captions"] == 0
        assert (await get(fixture, "/api/captions"))[1] == {"captions": []}
        again = Browser(fixture)
        await again.join()
        await fixture.post("/api/speak_text", key=again.key, json={"text": "New"})
        assert synthesizer.asked[-1][1].name == ""
        await fixture.until(lambda state: state["captions"] > 2)
        for one in (browser, again):
            await one.connection.close()

    run_with_server(talk, synthesizer=synthesizer)


def test_stop_ends_a_text_in_the_making() -> None:
    synthesizer = Synthesizer()

    async def talk(fixture: WebFixture) -> None:
        browser = Browser(fixture)
        await browser.join()
        said = {"text": "One wait two"}
        assert (await fixture.post("/api/speak_text", key=browser.key, json=said))[0] == 200
        await asyncio.to_thread(synthesizer.begun.wait, TIMEOUT_S)
        assert (await fixture.post("/api/stop_speaking", key=browser.key))[0] == 200
        await until(synthesizer.cancelled.is_set)
        assert (await fixture.state())["waiting_avatar_audio_samples"] == 0
        await browser.connection.close()

    run_with_server(talk, synthesizer=synthesizer)


def test_the_end_of_a_turn_silences_what_waits() -> None:
    synthesizer = Synthesizer(length_s=30.0)

    async def talk(fixture: WebFixture) -> None:
        speaker, viewer = Browser(fixture), Browser(fixture)
        await speaker.join()
        await viewer.join("viewer")
        said = {"text": "One wait two"}
        assert (await fixture.post("/api/speak_text", key=speaker.key, json=said))[0] == 200
        await asyncio.to_thread(synthesizer.begun.wait, TIMEOUT_S)
        assert (await fixture.post("/api/request_turn", key=viewer.key))[0] == 200
        assert (await fixture.post("/api/hand_over", key=speaker.key))[0] == 200
        await until(synthesizer.cancelled.is_set)
        assert (await fixture.state())["waiting_avatar_audio_samples"] == 0
        for one in (speaker, viewer):
            await one.connection.close()

    run_with_server(talk, synthesizer=synthesizer)


def test_who_may_not_see_the_state_may_not_read_what_was_said() -> None:
    secret, token = "a-long-enough-token", {"Authorization": "Bearer a-long-enough-token"}

    async def ask(fixture: WebFixture) -> None:
        for path in ("/api/captions", "/api/voices"):
            assert (await get(fixture, path))[0] == 401
            assert (await get(fixture, path, headers=token))[0] == 200

    run_with_server(ask, Access(local=True, token=secret))

    async def watch(fixture: WebFixture) -> None:
        assert (await get(fixture, "/api/captions"))[0] == 200
        assert (await get(fixture, "/api/voices"))[0] == 401

    run_with_server(watch, Access(local=True, token=secret, open_to_viewers=True))
