"""Texts are said one after the other, told how far they have come, and silenced at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import numpy as np
import pytest

from avatar_forcing_ros.errors import ConversationError, MediaError
from avatar_forcing_ros.runtime import utterances
from avatar_forcing_ros.runtime.speech_synthesis import SpokenSentence, Voice
from avatar_forcing_ros.runtime.utterances import MAX_WAITING, SpeechWorker, Utterance

PATIENCE_S = 60.0


class Words:
    """Each word is a sentence of `word_s`; "bad" fails, "slow" comes once it is cancelled."""

    def __init__(self, text: str, word_s: float) -> None:
        self._words, self._word_s = iter(text.split()), word_s
        self.begun, self.cancelled = threading.Event(), threading.Event()

    def __iter__(self) -> Iterator[SpokenSentence]:
        return self

    def __next__(self) -> SpokenSentence:
        word = next(self._words)
        if word == "bad":
            raise MediaError("word", expected="a good one", got=word, remedy="say another")
        if word == "slow":
            self.begun.set()
            assert self.cancelled.wait(PATIENCE_S)
            raise StopIteration
        return SpokenSentence(word, np.full(round(16_000 * self._word_s), 0.25, np.float32))

    def cancel(self) -> None:
        self.cancelled.set()


class Fixture:
    """A worker, and all that it does to the avatar, in order."""

    def __init__(self, word_s: float = 0.02) -> None:
        self.word_s = word_s
        self.done: list[str] = []
        self.samples: list[np.ndarray] = []
        self.errors: list[Exception] = []
        self.speeches: list[Words] = []
        self.worker = SpeechWorker(self, self._publish, self._silence, self.errors.append)
        self.worker.start()

    def is_available(self) -> bool:
        return True

    def synthesize(self, text: str, voice: Voice | None = None) -> Words:
        self.speeches.append(Words(text, self.word_s))
        return self.speeches[-1]

    def _publish(self, sentence: SpokenSentence) -> None:
        self.done.append(sentence.text)
        self.samples.append(sentence.samples)

    def _silence(self) -> Future[int]:
        self.done.append("(silence)")
        answered: Future[int] = Future()
        answered.set_result(0)
        return answered

    def say(self, text: str, *, interrupt: bool = False, volume: float = 1.0) -> Utterance:
        utterance = Utterance(text, volume=volume)
        self.worker.add(utterance, interrupt=interrupt)
        return utterance


@pytest.fixture
def made() -> Iterator[Callable[..., Fixture]]:
    all_of_them: list[Fixture] = []

    def make(**options: float) -> Fixture:
        all_of_them.append(Fixture(**options))
        return all_of_them[-1]

    yield make
    for fixture in all_of_them:
        fixture.worker.cancel()
        assert fixture.worker.stop(PATIENCE_S)


def until(done: Callable[[], object]) -> None:
    for _ in range(int(PATIENCE_S / 0.01)):
        if done():
            return
        threading.Event().wait(0.01)
    raise AssertionError("waited in vain")


def test_texts_are_said_in_order_and_told_as_completed(made: Callable[..., Fixture]) -> None:
    fixture = made()
    first, second = fixture.say("one two"), fixture.say("three", volume=8.0)
    assert second.wait(PATIENCE_S)
    assert fixture.done == ["one", "two", "three"]
    assert (first.outcome, second.outcome) == ("completed", "completed")
    assert first.progress(0.0).sentences_said == 2
    assert first.progress(0.0).said_s == pytest.approx(0.04)
    assert first.progress(0.0).left_s == 0.0
    assert [float(samples.max()) for samples in fixture.samples] == [0.25, 0.25, 1.0]
    assert fixture.worker.counts["completed"] == 2


def test_no_more_is_handed_over_once_it_was_cancelled(made: Callable[..., Fixture]) -> None:
    fixture = made(word_s=100.0)
    first, second = fixture.say("one two three"), fixture.say("four")
    until(lambda: fixture.done)
    assert fixture.worker.cancel(first) == 1
    assert fixture.done == ["one", "(silence)"]  # at once
    assert (first.outcome, second.outcome) == ("stopped", None)
    until(lambda: len(fixture.done) == 4)  # what was on its way is silenced, too
    assert fixture.done == ["one", "(silence)", "(silence)", "four"]
    progress = first.progress(1e9)
    assert (progress.text, progress.sentences_said) == ("one", 0)
    assert progress.said_s + progress.left_s == pytest.approx(100.0)
    assert fixture.worker.cancel(first) == 0  # it is over


def test_a_program_that_is_busy_is_cancelled(made: Callable[..., Fixture]) -> None:
    fixture = made()
    slow = fixture.say("slow")
    until(lambda: fixture.speeches and fixture.speeches[0].begun.is_set())
    assert fixture.worker.cancel(why="enough") == 1
    assert (slow.outcome, slow.message) == ("stopped", "enough")
    assert fixture.say("next").wait(PATIENCE_S)
    assert fixture.done == ["next"]  # nothing had been heard: nothing is silenced


def test_a_text_that_waits_may_be_cancelled_alone(made: Callable[..., Fixture]) -> None:
    fixture = made(word_s=100.0)
    turns: list[str] = []
    first = fixture.say("one")
    second = Utterance("two", on_turn=lambda: turns.append("two"))
    fixture.worker.add(second)
    until(lambda: fixture.done)
    assert fixture.worker.cancel(second) == 1
    assert (second.outcome, turns) == ("stopped", ["two"])
    assert first.outcome is None
    assert fixture.done == ["one"]


def test_a_text_may_interrupt_those_before(made: Callable[..., Fixture]) -> None:
    fixture = made(word_s=100.0)
    first, second = fixture.say("one"), fixture.say("two")
    until(lambda: fixture.done)
    fixture.say("three", interrupt=True)
    until(lambda: "three" in fixture.done)
    assert fixture.done == ["one", "(silence)", "(silence)", "three"]
    assert (first.outcome, second.outcome) == ("stopped", "stopped")


def test_a_text_that_fails_is_told_and_the_next_one_is_said(made: Callable[..., Fixture]) -> None:
    fixture = made()
    failing, good = fixture.say("one bad two"), fixture.say("three")
    assert good.wait(PATIENCE_S)
    assert fixture.done == ["one", "three"]
    assert failing.outcome == "failed"
    assert "expected a good one, got bad" in failing.message
    assert len(fixture.errors) == 1
    assert fixture.worker.counts["failed"] == 1


def test_too_many_texts_are_refused(made: Callable[..., Fixture]) -> None:
    fixture = made(word_s=100.0)
    fixture.say("one")
    until(lambda: fixture.done)
    for _ in range(MAX_WAITING):
        fixture.say("more")
    with pytest.raises(ConversationError, match="at most 100 texts"):
        fixture.say("too much")
    assert fixture.worker.cancel() == MAX_WAITING + 1
    assert fixture.worker.counts["stopped"] == MAX_WAITING + 1


def test_progress_follows_the_clock_from_when_the_avatar_began() -> None:
    utterance = Utterance("one two")
    for word in ("one", "two"):
        utterance.add(SpokenSentence(word, np.zeros(16_000, np.float32)), 10.0)
    assert utterance.end_s == 12.0
    found = utterance.progress(11.5)
    assert (found.sentence, found.text, found.sentences_said) == (1, "two", 1)
    assert (found.said_s, found.left_s) == (1.5, 0.5)
    utterance.lag_s = 1.0
    assert utterance.progress(11.5).said_s == 0.5
    assert utterance.progress(0.0).said_s == 0.0


SILENCE, SOUND = np.zeros(640, np.float32), np.full(640, 0.1, np.float32)


def test_what_is_said_is_counted_from_when_the_avatar_is_heard(
    made: Callable[..., Fixture], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(utterances, "MAX_LAG_S", PATIENCE_S)
    fixture = made()
    fixture.worker.put_audio(SILENCE)  # there is an avatar
    said = fixture.say("one")
    until(lambda: said.sentences)
    fixture.worker.put_audio(SOUND)  # what was said before
    assert not said.wait(0.3)  # much longer than it lasts
    assert said.progress(fixture.worker.now_s()).said_s == 0.0
    fixture.worker.put_audio(SILENCE)
    fixture.worker.put_audio(SOUND)
    assert said.wait(PATIENCE_S)
    assert said.outcome == "completed"
    assert 0.2 < said.lag_s < PATIENCE_S
