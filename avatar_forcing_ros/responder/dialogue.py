"""Listening and answering: turns of the user become text, an answer, sentences to be said.

Whatever fails is one sentence in `state`, counted, and ends nothing: the next turn is tried anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import AvatarForcingError, ResponderError
from avatar_forcing_ros.media import AudioChunk
from avatar_forcing_ros.responder.answer_text import AnswerText
from avatar_forcing_ros.responder.protocol import Partner
from avatar_forcing_ros.responder.transcript import MAX_TEXT_LENGTH, Transcript
from avatar_forcing_ros.responder.turn_detection import TurnBegan, TurnDetector, TurnEvent
from avatar_forcing_ros.runtime.speech_text import sanitized_text

MAX_HISTORY_LENGTH = 8_000  # characters
MAX_ANSWER_LENGTH = 2_000  # characters: two minutes
MAX_ANSWER_S = 120.0  # for all of it
MAX_WAITING_TURNS = 3  # to be written down
SILENT_MICROPHONE_S = 1.5  # nothing came for so long: a turn that was begun is over
T = TypeVar("T")
logger = logging.getLogger(__name__)


class Speaker(Protocol):
    """What says the answers."""

    @property
    def speaking(self) -> bool:
        """Whether the avatar is heard, or about to be."""

    async def say(self, text: str) -> None:
        """Have a sentence said after those before it; raises AvatarForcingError."""

    def silence(self) -> None:
        """Say nothing of what was to be said."""


class Dialogue:
    """Lives in the event loop; `transcript` is of one speaker's turn, and forgotten with it."""

    def __init__(self, partner: Partner, speaker: Speaker, transcript: Transcript) -> None:
        self._listener, self._responder = partner.listener, partner.responder
        self._config, self._speaker, self._transcript = partner.config, speaker, transcript
        self._detector = TurnDetector(
            partner.config.turn_pause_s, barge_in=partner.config.barge_in
        )
        self._turns: deque[NDArray[np.float32]] = deque()
        self._hearing: asyncio.Task[None] | None = None
        self._answering: asyncio.Task[None] | None = None
        self._silence_timer: asyncio.TimerHandle | None = None
        self._has_begun = False  # to say the answer that is in the making
        self._failure = ""
        self.counts: Counter[str] = Counter()
        """How many turns, answers, interruptions and failures there were."""

    @property
    def responds(self) -> bool:
        """Whether there is anything that answers."""
        return self._responder is not None

    @property
    def state(self) -> str:
        """ "hearing", "thinking", a sentence about what went wrong last, or empty."""
        if self._detector.in_turn:
            return "hearing"
        if self._hearing or (self._answering and not self._has_begun):
            return "thinking"
        return self._failure

    def push_user_audio(self, chunk: AudioChunk) -> None:
        """The user's microphone, 16 kHz."""
        if self._listener is None:
            return
        if self._silence_timer:
            self._silence_timer.cancel()
        self._silence_timer = asyncio.get_running_loop().call_later(
            SILENT_MICROPHONE_S, self._end_turn
        )
        self._follow(self._detector.push(chunk, avatar_speaks=self._speaker.speaking))

    def cancel(self) -> None:
        """Drop the answer that is in the making; what the user said stays."""
        if self._answering:
            self._answering.cancel()
            self._answering = None
        self._failure = ""

    def forget(self) -> None:
        """The speaker's turn is over: nothing that they said is used any more."""
        self.cancel()
        if self._silence_timer:
            self._silence_timer.cancel()
        if self._hearing:
            self._hearing.cancel()
            self._hearing = None
        self._turns.clear()
        self._detector.reset()

    async def close(self) -> None:
        """End all that runs."""
        running = [task for task in (self._hearing, self._answering) if task]
        self.forget()
        await asyncio.gather(*running, return_exceptions=True)
        for one in (self._listener, self._responder):
            if one:
                await one.close()

    def _end_turn(self) -> None:
        self._follow(self._detector.end())

    def _follow(self, events: list[TurnEvent]) -> None:
        for event in events:
            if isinstance(event, TurnBegan):
                self.counts["interruptions"] += event.interrupts
                self.cancel()
                if event.interrupts:
                    self._speaker.silence()
                continue
            self.counts["turns"] += 1
            if len(self._turns) >= MAX_WAITING_TURNS:
                self._turns.popleft()
                self.counts["dropped_turns"] += 1
            self._turns.append(event.samples)
            if not self._hearing:
                self._hearing = asyncio.ensure_future(self._hear())

    async def _guarded(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do it; what goes wrong is noted."""
        try:
            await work()
        except Exception as error:
            self.counts["failures"] += 1
            is_known = isinstance(error, AvatarForcingError)
            logger.warning("responder: %s", error, exc_info=None if is_known else error)
            self._failure = str(error) if is_known else "responder: a fault here; see the log"

    async def _hear(self) -> None:
        """Write the turns that wait down, then have the last one answered."""
        known = self._transcript.newest
        try:
            while self._turns:
                await self._guarded(partial(self._write_down, self._turns.popleft()))
        finally:
            if self._hearing is asyncio.current_task():
                self._hearing = None
        is_new = self._transcript.newest > known
        # what was asked before a cough interrupted its answer is answered after it
        is_asked = self._transcript.last_by == "user" and not self._detector.in_turn
        if self._responder and is_asked and (is_new or not self._failure):
            self._has_begun = False
            self._answering = asyncio.ensure_future(self._guarded(self._answer))

    async def _write_down(self, samples: NDArray[np.float32]) -> None:
        assert self._listener
        text = await _within(
            self._listener.hear(samples), self._config.responder_timeout_s, "listener"
        )
        if any(c.isalnum() for c in text):
            plain = sanitized_text(text[:MAX_TEXT_LENGTH], MAX_TEXT_LENGTH)
            self._transcript.add("user", plain.replace("\n", " "))
        self._failure = ""

    async def _answer(self) -> None:
        """Have the answer said, sentence by sentence as it comes."""
        assert self._responder
        answer = self._responder.respond(self._transcript.messages(MAX_HISTORY_LENGTH))
        text, length, left_s = AnswerText(), 0, MAX_ANSWER_S
        now_s = asyncio.get_running_loop().time
        try:
            while True:
                began_s = now_s()
                timeout_s = min(self._config.responder_timeout_s, left_s)
                piece = await _within(_next(answer), timeout_s, "responder")
                if piece is None:
                    break
                left_s -= now_s() - began_s  # what it waits for the avatar is not counted
                length += len(piece)
                for sentence in text.add(piece[: max(0, MAX_ANSWER_LENGTH - length + len(piece))]):
                    await self._say(sentence)
                if length > MAX_ANSWER_LENGTH:
                    raise _failed(
                        "responder",
                        f"an answer of {MAX_ANSWER_LENGTH} characters at most",
                        "more",
                        "ask for short answers in --responder-prompt",
                    )
            for sentence in text.finish():
                await self._say(sentence)
            if not self._has_begun:
                raise _failed("responder", "words", "none", "say it again")
            self.counts["answers"] += 1
        finally:
            if self._answering is asyncio.current_task():
                self._answering = None
            await answer.aclose()

    async def _say(self, sentence: str) -> None:
        await self._speaker.say(sentence)
        self._has_begun = True
        self._failure = ""


async def _next(pieces: AsyncGenerator[str, None]) -> str | None:
    """The next one; None at the end."""
    return await anext(pieces, None)


async def _within(work: Coroutine[Any, Any, T], timeout_s: float, who: str) -> T:
    """The result of `work`; ResponderError where it takes longer.

    Before Python 3.12 asyncio.wait_for ignores a cancellation that comes as `work` ends.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=max(0.0, timeout_s))
        if task.done():
            return task.result()
    finally:
        task.cancel()
        await asyncio.wait({task})
    raise _failed(
        who,
        f"something within {timeout_s:.3g} s",
        "nothing",
        "see whether it still runs, or raise --responder-timeout-s",
    )


def _failed(who: str, expected: str, got: str, remedy: str) -> ResponderError:
    return ResponderError(who, expected=expected, got=got, remedy=remedy)
