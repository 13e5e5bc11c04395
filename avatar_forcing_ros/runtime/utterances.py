"""Texts that wait to be said, one after the other, and the thread that has them said.

Speech is handed over faster than it is said: each sentence about two seconds before its turn. How
far a text has come is therefore told by the clock, from the moment at which the avatar began.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import ConversationError
from avatar_forcing_ros.runtime.speech_synthesis import (
    Speech,
    SpeechSynthesizer,
    SpokenSentence,
    Voice,
)
from avatar_forcing_ros.runtime.stoppable_thread import StoppableThread

Outcome = Literal["completed", "stopped", "failed"]
MAX_WAITING = 100  # texts
AHEAD_S = 2.0
MAX_LAG_S = 4.0  # from speech that was handed over to its sound
LISTENED_S = 1.0  # an avatar of which nothing came for so long is not there
LOUD = 0.01  # beyond which audio is no silence, of -1…1
# what was on its way when all was silenced has come by then, and is silenced as well
SETTLE_S = 0.15
ANSWER_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class Progress:
    """How far a text has come: the sentence that is said, and seconds of speech."""

    sentence: int = 0
    text: str = ""
    sentences_said: int = 0
    said_s: float = 0.0
    left_s: float = 0.0
    """Of what has been made so far."""


class Utterance:
    """One text on its way: it waits, is said, is over. Safe from any thread."""

    def __init__(
        self,
        text: str,
        voice: Voice = Voice(),  # noqa: B008 - frozen
        volume: float = 1.0,
        on_turn: Callable[[], object] = lambda: None,
    ) -> None:
        """`on_turn` is called once: when it begins, or is over without ever having begun."""
        self.text, self.voice, self.volume, self._on_turn = text, voice, volume, on_turn
        self.sentences: list[SpokenSentence] = []  # those handed over
        self._starts_s: list[float] = []
        self.end_s = 0.0  # when all that was handed over has been said, but for the lag
        self.lag_s = 0.0  # until the avatar began
        self.outcome: Outcome | None = None
        self.message = ""
        self._lock = threading.Lock()  # around `on_turn`
        self._over = threading.Event()
        self._ended_s: float | None = None

    def wait(self, timeout_s: float) -> bool:
        """Whether it is over, at the latest after `timeout_s`."""
        return self._over.wait(timeout_s)

    def begin(self) -> None:
        """Its turn has come."""
        with self._lock:
            on_turn, self._on_turn = self._on_turn, lambda: None
        on_turn()

    @property
    def begun_s(self) -> float:
        """When the first sentence was handed over."""
        return self._starts_s[0]

    def add(self, sentence: SpokenSentence, now_s: float) -> None:
        """A sentence was handed over, to be said after those before."""
        start_s = max(self.end_s, now_s)
        self._starts_s.append(start_s)
        self.end_s = start_s + len(sentence.samples) / sentence.rate_hz
        self.sentences.append(sentence)

    def end(self, outcome: Outcome, message: str, now_s: float) -> None:
        """It is over."""
        self.outcome, self.message, self._ended_s = outcome, message, now_s
        self._over.set()
        self.begin()

    def progress(self, now_s: float) -> Progress:
        """How far it has come, by the clock."""
        at_s = (now_s if self._ended_s is None else self._ended_s) - self.lag_s
        said_s = left_s = 0.0
        index = said = 0
        for i, (start_s, sentence) in enumerate(
            list(zip(self._starts_s, self.sentences, strict=False))
        ):
            length_s = len(sentence.samples) / sentence.rate_hz
            here_s = min(max(at_s - start_s, 0.0), length_s)
            said_s, left_s = said_s + here_s, left_s + length_s - here_s
            said += here_s == length_s or self.outcome == "completed"
            index = i if here_s > 0 else index
        if self.outcome == "completed":
            said_s, left_s = said_s + left_s, 0.0
        text = self.sentences[index].text if self.sentences else ""
        return Progress(index, text, said, said_s, left_s)


class SpeechWorker(StoppableThread):
    """Has texts said one after the other.

    `publish` hands a sentence over; `silence` has the avatar stop, and its future is done once it
    has; `on_error` is told of texts that cannot be spoken. All are called by any thread.
    """

    def __init__(
        self,
        synthesizer: SpeechSynthesizer,
        publish: Callable[[SpokenSentence], None],
        silence: Callable[[], Future[int]],
        on_error: Callable[[Exception], object],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__("speech")
        self._synthesizer, self._publish, self._silence = synthesizer, publish, silence
        self._on_error, self.now_s = on_error, now_s
        self._waiting: deque[Utterance] = deque()
        self._current: Utterance | None = None
        self._speech: Speech | None = None  # of the current one
        self._cancelled = False  # the current one
        self._heard_s = -LISTENED_S  # when any of the avatar's audio came last
        # until the current one is heard, and then not; silence comes before that
        self._lag_open = self._was_silent = False
        self.counts = dict.fromkeys(("texts", "sentences", "completed", "stopped", "failed"), 0)

    @property
    def waiting(self) -> int:
        """How many texts wait or are being said."""
        return len(self._waiting) + (self._current is not None)

    def add(self, utterance: Utterance, *, interrupt: bool = False) -> None:
        """Have it said after those before it, or instead of them.

        Raises ConversationError where too many wait.
        """
        if interrupt:
            self.cancel()
        with self._wake:
            if len(self._waiting) >= MAX_WAITING or self._stopping:
                raise ConversationError(
                    "speech",
                    expected=f"at most {MAX_WAITING} texts that wait to be said",
                    got="one more",
                    remedy="let the avatar finish, or stop it",
                )
            self.counts["texts"] += 1
            self._waiting.append(utterance)
            self._wake.notify_all()

    def cancel(self, utterance: Utterance | None = None, why: str = "it was stopped") -> int:
        """Say no more of it, or of any; how many texts that were."""
        silences = False
        with self._wake:
            dropped = [each for each in self._waiting if utterance in (None, each)]
            for each in dropped:
                self._waiting.remove(each)
            current = self._current
            if current and not self._cancelled and utterance in (None, current):
                self._cancelled = True
                silences = bool(current.sentences)
                if self._speech:
                    self._speech.cancel()
                dropped.append(current)
                self._wake.notify_all()
            self.counts["stopped"] += len(dropped)
        if silences:
            self._silence()
        for each in dropped:
            each.end("stopped", why, self.now_s())
        return len(dropped)

    def put_audio(self, samples: NDArray[np.float32]) -> None:
        """What the avatar gives out just now, ``[n]`` in -1…1: it says when it began to speak."""
        loud = _first_loud(samples) < len(samples)
        with self._wake:
            self._heard_s = self.now_s()
            if not self._lag_open or self._current is None:
                return
            if loud and self._was_silent:
                self._lag_open = False
                first = self._current.sentences[0]
                lead_s = _first_loud(first.samples) / first.rate_hz
                lag_s = self._heard_s - self._current.begun_s - lead_s
                self._current.lag_s = min(max(0.0, lag_s), MAX_LAG_S)
                self._wake.notify_all()
            self._was_silent |= not loud

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._waiting or self._stopping)
                if self._stopping:
                    break
                self._current = utterance = self._waiting.popleft()
                self._cancelled = self._lag_open = self._was_silent = False
                self._speech = None
            utterance.begin()
            failure = self._say(utterance)
            self._finish(utterance, failure)
            with self._wake:
                self._current = None
        self.cancel(why="the node is ending")

    def _say(self, utterance: Utterance) -> str:
        """Hand it over, sentence by sentence; a sentence about what went wrong, or empty."""
        try:
            speech = self._synthesizer.synthesize(utterance.text, utterance.voice)
            with self._wake:
                self._speech = speech
                if self._cancelled:
                    speech.cancel()
            for sentence in speech:
                self._wait_until(lambda: utterance.end_s - AHEAD_S)
                if not self._hand_over(utterance, sentence):
                    break
        except Exception as error:  # of another program, or of ROS
            self._on_error(error)
            return str(error)
        return ""

    def _hand_over(self, utterance: Utterance, sentence: SpokenSentence) -> bool:
        """False where it is not wanted any more; after `cancel` returns none is handed over."""
        if utterance.volume != 1.0:
            louder = np.clip(sentence.samples * np.float32(utterance.volume), -1.0, 1.0)
            sentence = replace(sentence, samples=louder)
        with self._wake:
            if self._cancelled or self._stopping:
                return False
            self._publish(sentence)
            now_s = self.now_s()
            if not utterance.sentences and now_s - self._heard_s < LISTENED_S:
                self._lag_open, utterance.lag_s = True, MAX_LAG_S  # unless it is heard before
            utterance.add(sentence, now_s)
            self.counts["sentences"] += 1
        return True

    def _finish(self, utterance: Utterance, failure: str) -> None:
        """Wait until it has been said, or until nothing of it can be heard any more."""
        self._wait_until(lambda: utterance.end_s + utterance.lag_s)
        with self._wake:
            if not (self._cancelled or self._stopping):
                self._cancelled = True  # it is too late to
                outcome: Outcome = "failed" if failure else "completed"
                self.counts[outcome] += 1
                utterance.end(outcome, failure or "said", self.now_s())
                return
            if self._stopping or not utterance.sentences:
                return
            self._wake.wait_for(lambda: self._stopping, SETTLE_S)
        silenced = threading.Event()
        self._silence().add_done_callback(lambda _: silenced.set())
        silenced.wait(ANSWER_TIMEOUT_S)

    def _wait_until(self, due_s: Callable[[], float]) -> None:
        """Or until it is cancelled; when it is due may change meanwhile."""
        with self._wake:
            while not (self._cancelled or self._stopping):
                left_s = due_s() - self.now_s()
                if left_s <= 0.0:
                    break
                self._wake.wait(left_s)


def _first_loud(samples: NDArray[np.float32]) -> int:
    """Index of the first sample that is no silence; their number where none is."""
    loud = np.abs(samples) > LOUD
    return int(np.argmax(loud)) if loud.any() else len(samples)
