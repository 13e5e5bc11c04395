"""Turns are written down, answered and interrupted; nothing that fails ends anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar_forcing_ros.config import ResponderConfig
from avatar_forcing_ros.errors import ResponderError
from avatar_forcing_ros.media import AudioChunk
from avatar_forcing_ros.responder import dialogue as dialogue_of
from avatar_forcing_ros.responder.dialogue import Dialogue
from avatar_forcing_ros.responder.protocol import Partner
from avatar_forcing_ros.responder.transcript import Message, Transcript
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

TIMEOUT_S = 20.0
AWAY = ResponderError("model", expected="an answer", got="no connection", remedy="start it")


class Speaker:
    """Says nothing aloud; `speaking` is what the test sets."""

    def __init__(self, transcript: Transcript) -> None:
        self.transcript = transcript
        self.said: list[str] = []
        self.silenced = 0
        self.speaking = False

    async def say(self, text: str) -> None:
        await asyncio.sleep(0)
        self.said.append(text)
        self.transcript.add("avatar", text)

    def silence(self) -> None:
        self.silenced += 1
        self.speaking = False


class Model:
    """Hears `heard`, one after the other, and answers `pieces`; "wait" waits for `go_on`.

    What is an exception is raised.
    """

    def __init__(self, *heard: str | Exception) -> None:
        self.heard, self.pieces = list(heard), ["Well. ", "I see."]
        self.asked: list[Sequence[Message]] = []
        self.sounds: list[NDArray[np.float32]] = []
        self.hears = asyncio.Event()
        self.hears.set()
        self.go_on, self.cancelled, self.closed = asyncio.Event(), 0, 0

    async def hear(self, samples: NDArray[np.float32]) -> str:
        self.sounds.append(samples)
        await self.hears.wait()
        heard = self.heard.pop(0)
        if isinstance(heard, Exception):
            raise heard
        return heard

    async def respond(self, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        self.asked.append(messages)
        try:
            for piece in list(self.pieces):
                if isinstance(piece, Exception):
                    raise piece
                if piece == "wait":
                    await self.go_on.wait()
                else:
                    yield piece
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise

    async def close(self) -> None:
        self.closed += 1


class Fixture:
    """A dialogue, and a user whose voice is drawn."""

    def __init__(self, *heard: str | Exception, responds: bool = True, **settings: Any) -> None:
        self.model = Model(*heard)
        self.transcript = Transcript()
        self.speaker = Speaker(self.transcript)
        partner = Partner(
            self.model, self.model if responds else None, ResponderConfig(**settings)
        )
        self.dialogue = Dialogue(partner, self.speaker, self.transcript)
        self.at_ns = 0
        self.push(np.zeros(SAMPLE_RATE_HZ // 2, np.float32))

    def push(self, samples: NDArray[np.float32]) -> None:
        noisy = samples + 1e-4 * np.random.default_rng(0).standard_normal(len(samples))
        chunk = AudioChunk(noisy.astype(np.float32), SAMPLE_RATE_HZ, self.at_ns)
        self.at_ns += round(len(samples) * 1e9 / SAMPLE_RATE_HZ)
        self.dialogue.push_user_audio(chunk)

    def voice(self, duration_s: float = 1.0) -> None:
        """The user speaks."""
        at_s = np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
        buzz = sum(np.sin(2 * np.pi * 150 * k * at_s) / k for k in range(1, 8))
        self.push(np.asarray(0.1 * buzz, np.float32))

    def pause(self) -> None:
        """The user has finished."""
        self.push(np.zeros(SAMPLE_RATE_HZ, np.float32))

    def turn(self) -> None:
        self.voice()
        self.pause()

    @property
    def said(self) -> list[tuple[str, str]]:
        return [(entry.who, entry.text) for entry in self.transcript.after(0)]


async def until(holds: Callable[[], object]) -> None:
    async def wait() -> None:
        while not holds():
            await asyncio.sleep(0.005)

    await asyncio.wait_for(wait(), TIMEOUT_S)


def run(test: Callable[[Fixture], Any], *heard: str | Exception, **settings: Any) -> None:
    async def with_dialogue() -> None:
        fixture = Fixture(*heard, **settings)
        await test(fixture)
        await fixture.dialogue.close()
        assert fixture.model.closed == (2 if settings.get("responds", True) else 1)

    asyncio.run(with_dialogue())


def test_what_the_user_says_is_written_down_and_answered_sentence_by_sentence() -> None:
    async def talk(fixture: Fixture) -> None:
        fixture.model.pieces = ["Well. I s", "wait", "ee."]
        assert (fixture.dialogue.responds, fixture.dialogue.state) == (True, "")
        fixture.voice()
        assert fixture.dialogue.state == "hearing"
        fixture.pause()
        assert fixture.dialogue.state == "thinking"
        await until(lambda: fixture.speaker.said == ["Well."])  # while the rest is made
        assert fixture.dialogue.state == ""
        fixture.model.go_on.set()
        await until(lambda: fixture.speaker.said == ["Well.", "I see."])
        assert len(fixture.model.sounds[0]) > SAMPLE_RATE_HZ
        fixture.turn()
        await until(lambda: len(fixture.speaker.said) == 4)
        assert fixture.model.asked == [
            [Message("user", "Who are you?")],
            [
                Message("user", "Who are you?"),
                Message("avatar", "Well. I see."),
                Message("user", "And now?"),
            ],
        ]
        await until(lambda: fixture.dialogue.counts["answers"] == 2)

    run(talk, " Who are\nyou?\n", "And now?")


def test_the_users_voice_cancels_the_answer_and_silences_the_avatar() -> None:
    async def talk(fixture: Fixture) -> None:
        fixture.model.pieces = ["Well. I", "wait"]
        fixture.turn()
        await until(lambda: fixture.speaker.said)
        fixture.speaker.speaking = True
        fixture.voice()
        assert fixture.speaker.silenced == 1
        await until(lambda: fixture.model.cancelled == 1)
        fixture.model.pieces = ["Sorry."]
        fixture.pause()
        await until(lambda: fixture.speaker.said == ["Well.", "Sorry."])
        assert fixture.dialogue.counts["interruptions"] == 1

    run(talk, "Hello", "Stop")


def test_without_barge_in_the_avatar_finishes() -> None:
    async def talk(fixture: Fixture) -> None:
        fixture.speaker.speaking = True
        fixture.turn()
        assert (fixture.speaker.silenced, fixture.dialogue.state) == (0, "")

    run(talk, barge_in=False)


def test_a_cough_while_it_thinks_does_not_lose_the_question() -> None:
    async def talk(fixture: Fixture) -> None:
        fixture.model.pieces = ["wait"]
        fixture.turn()
        await until(lambda: len(fixture.model.asked) == 1)
        fixture.model.pieces = ["Well."]
        fixture.turn()
        await until(lambda: fixture.speaker.said == ["Well."])
        assert fixture.model.asked == [[Message("user", "Why?")]] * 2
        assert fixture.said == [("user", "Why?"), ("avatar", "Well.")]

    run(talk, "Why?", " ...\n")


def test_what_is_said_in_two_goes_is_answered_once() -> None:
    async def talk(fixture: Fixture) -> None:
        fixture.model.hears.clear()
        fixture.turn()
        fixture.voice()
        fixture.model.hears.set()
        await until(lambda: fixture.said == [("user", "I say")])
        assert (fixture.dialogue.state, fixture.model.asked) == ("hearing", [])
        fixture.pause()
        await until(lambda: fixture.speaker.said)
        assert fixture.model.asked == [[Message("user", "I say two things")]]

    run(talk, "I say", "two things")


def test_turns_that_nobody_writes_down_in_time_are_dropped() -> None:
    async def talk(fixture: Fixture) -> None:
        fixture.model.hears.clear()
        for _ in range(6):
            fixture.turn()
            await asyncio.sleep(0)
        fixture.model.hears.set()
        await until(lambda: fixture.model.asked)
        counts = fixture.dialogue.counts
        assert (counts["turns"], counts["dropped_turns"]) == (6, 2)
        assert len(fixture.model.sounds) == 4

    run(talk, *"abcd")


def test_what_fails_is_said_and_the_next_turn_is_tried_anew() -> None:
    async def talk(fixture: Fixture) -> None:
        fixture.turn()
        await until(lambda: fixture.dialogue.state.startswith("model: expected an answer"))
        fixture.model.pieces = ["Half. ", "A sen", AWAY]  # type: ignore[list-item]
        fixture.turn()
        await until(lambda: fixture.dialogue.counts["failures"] == 2)
        assert "no connection" in fixture.dialogue.state
        assert fixture.speaker.said == ["Half."]
        fixture.model.pieces = ["<think>nothing</think>"]
        fixture.turn()
        await until(lambda: "expected words, got none" in fixture.dialogue.state)
        fixture.model.pieces = [RuntimeError("secret")]  # type: ignore[list-item]
        fixture.turn()
        await until(lambda: "a fault here" in fixture.dialogue.state)
        fixture.model.pieces = ["Well."]
        fixture.turn()
        assert fixture.dialogue.state == "thinking"
        await until(lambda: fixture.speaker.said == ["Half.", "Well."])
        assert fixture.dialogue.state == ""
        assert fixture.dialogue.counts["failures"] == 4

    run(talk, AWAY, *"abcd")


def test_slow_and_endless_answers_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(fixture: Fixture) -> None:
        fixture.model.pieces = ["One. Two", "wait"]
        fixture.turn()
        await until(lambda: "something within 0.2 s, got nothing" in fixture.dialogue.state)
        assert (fixture.speaker.said, fixture.model.cancelled) == (["One."], 1)
        fixture.model.hears.clear()
        fixture.turn()
        await until(lambda: fixture.dialogue.state.startswith("listener"))

    run(slow, "a", responder_timeout_s=0.2)
    monkeypatch.setattr(dialogue_of, "MAX_ANSWER_LENGTH", 100)

    async def endless(fixture: Fixture) -> None:
        fixture.model.pieces = ["Blah blah. "] * 1_000
        fixture.turn()
        await until(lambda: "100 characters at most" in fixture.dialogue.state)
        assert fixture.speaker.said == ["Blah blah."] * 9
        assert fixture.model.cancelled == 1

    run(endless, "a")
    monkeypatch.setattr(dialogue_of, "MAX_ANSWER_S", 0.1)

    async def long(fixture: Fixture) -> None:
        fixture.model.pieces = ["One. Two", "wait"]
        fixture.turn()
        await until(lambda: "got nothing" in fixture.dialogue.state)

    run(long, "a")


def test_stop_and_the_end_of_a_turn_cancel() -> None:
    async def talk(fixture: Fixture) -> None:
        fixture.model.pieces = ["wait"]
        fixture.turn()
        await until(lambda: fixture.model.asked)
        fixture.dialogue.cancel()
        await until(lambda: fixture.model.cancelled == 1)
        assert fixture.dialogue.state == ""
        fixture.model.hears.clear()
        fixture.turn()
        fixture.voice()
        fixture.dialogue.forget()
        fixture.model.hears.set()
        await asyncio.sleep(0.05)
        assert fixture.dialogue.state == ""
        assert len(fixture.model.asked) == 1

    run(talk, "a", "b", "c")


@pytest.mark.parametrize("steps", range(8))
def test_what_comes_in_the_moment_of_the_end_is_not_used(steps: int) -> None:
    """Nothing of a speaker is written down, or said, for the next one."""

    async def talk(fixture: Fixture) -> None:
        async def end(event: asyncio.Event) -> None:
            event.set()
            for _ in range(steps):
                await asyncio.sleep(0)
            fixture.dialogue.forget()
            fixture.transcript.clear()
            fixture.speaker.said.clear()
            await asyncio.sleep(0.02)
            assert (fixture.said, fixture.speaker.said, fixture.dialogue.state) == ([], [], "")

        fixture.model.pieces = ["wait", "One. ", "Two."]
        fixture.turn()
        await until(lambda: fixture.model.asked)
        await end(fixture.model.go_on)
        fixture.model.hears.clear()
        fixture.turn()
        await until(lambda: len(fixture.model.sounds) == 2)
        await end(fixture.model.hears)

    run(talk, "a", "b")


def test_a_microphone_that_stops_ends_the_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialogue_of, "SILENT_MICROPHONE_S", 0.05)

    async def talk(fixture: Fixture) -> None:
        fixture.voice()
        await until(lambda: fixture.speaker.said)

    run(talk, "Hello")


def test_a_listener_alone_writes_down() -> None:
    async def talk(fixture: Fixture) -> None:
        fixture.turn()
        await until(lambda: fixture.said == [("user", "Hello")])
        await until(lambda: fixture.dialogue.state == "")
        assert not fixture.dialogue.responds

    run(talk, "Hello", responds=False)


def test_without_a_listener_nothing_is_kept() -> None:
    async def talk() -> None:
        transcript = Transcript()
        dialogue = Dialogue(Partner(), Speaker(transcript), transcript)
        dialogue.push_user_audio(AudioChunk(np.ones(100_000, np.float32), SAMPLE_RATE_HZ, 0))
        assert (dialogue.state, dialogue.responds) == ("", False)
        await dialogue.close()

    asyncio.run(talk())
