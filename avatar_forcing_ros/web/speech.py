"""What the page has the avatar say: texts and sounds in their order, made beside the event loop.

The first sentence of a text is handed over as soon as it is there, the others go on in the
background. Each becomes a caption when it begins to be heard.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import AvatarForcingError, MediaError
from avatar_forcing_ros.media import AudioChunk
from avatar_forcing_ros.responder.transcript import Transcript
from avatar_forcing_ros.runtime.speech_synthesis import (
    Speech,
    SpeechSynthesizer,
    SpokenSentence,
    Voice,
)
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ
from avatar_forcing_ros.web.backend import AvatarBackend

MAX_TEXT_LENGTH = 1_000  # characters
MAX_WAITING_SPEECH_S = 120
MAX_WAITING_TEXTS = 8
ROOM_CHECK_S = 0.2
TAIL_S = 0.4  # it is heard so much longer, by the browser's buffers and the room
UNMEASURED_DELAY_S = 0.3  # until the avatar says what is handed over
Begin = Callable[[], Speech]
logger = logging.getLogger(__name__)


class SpeechQueue:
    """Lives in the event loop. `turn` counts the turns that have ended: what was asked for in one
    is not said in the next.
    """

    def __init__(
        self,
        backend: AvatarBackend,
        synthesizer: SpeechSynthesizer,
        transcript: Transcript,
        turn: Callable[[], int],
    ) -> None:
        self._backend, self._synthesizer = backend, synthesizer
        self._transcript, self._turn = transcript, turn
        self._order = asyncio.Lock()  # which is fair: first come, first said
        self._tasks: set[asyncio.Task[None]] = set()
        self._captions: set[asyncio.TimerHandle] = set()
        self._end_s = 0.0  # when all that was handed over has been said, but for the delay
        self.failure = ""
        """What went wrong in the background since a text was begun; empty: nothing."""

    async def say(self, text: str, voice: Voice = Voice(), *, patient: bool = False) -> float:  # noqa: B008 - frozen
        """Have `text` said; how many seconds of speech wait once its first sentence is there.

        A `patient` one waits where too much waits already. 0 where it was cancelled before. Raises
        MediaError where that sentence cannot be made or said, MissingDependencyError without the
        program.
        """
        return await self._put(partial(self._synthesizer.synthesize, text, voice), patient)

    async def play(self, samples: NDArray[np.float32]) -> float:
        """Have audio ``[n]`` said, 16 kHz; how many seconds wait then. Raises MediaError."""
        return await self._put(partial(_Sound, samples), patient=False)

    def cancel(self) -> None:
        """Make no more of what was asked for; captions of what was not heard yet are dropped."""
        for task in self._tasks:
            task.cancel()
        for caption in self._captions:
            caption.cancel()
        self._captions.clear()
        self.failure = ""

    def silence(self) -> Future[int] | None:
        """Cancel, and stop the avatar; how many samples were dropped, None where it is silent."""
        spoke = self.speaking
        self.cancel()
        self.note_silence()
        return self._backend.stop_speaking() if spoke and self._backend.running else None

    def note_silence(self) -> None:
        """The avatar was stopped: nothing that was handed over is heard any more."""
        self._end_s = min(self._end_s, self._now_s())

    @property
    def speaking(self) -> bool:
        """Whether anything that was handed over is being heard, or about to be."""
        return self._now_s() < self._end_s + self._delay_s + TAIL_S

    @property
    def _delay_s(self) -> float:
        """From speech that is handed over to its sound."""
        status = self._backend.status
        return status.playout_delay_ms / 1e3 if status.blocks else UNMEASURED_DELAY_S

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()

    async def _put(self, begin: Begin, patient: bool) -> float:
        if len(self._tasks) >= MAX_WAITING_TEXTS:
            raise MediaError(
                "speech",
                expected=f"at most {MAX_WAITING_TEXTS} texts that wait to be said",
                got="one more",
                remedy="let the avatar finish, or stop it",
            )
        begun: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        task = asyncio.ensure_future(self._speak(begin, begun, patient))
        self._tasks.add(task)  # the loop itself keeps no task alive
        task.add_done_callback(self._tasks.discard)
        try:
            return await begun
        except asyncio.CancelledError:
            task.cancel()
            raise

    async def _speak(self, begin: Begin, begun: asyncio.Future[float], patient: bool) -> None:
        """Say one text after those before it; `begun` is resolved, whatever happens."""
        turn = self._turn()
        try:
            async with self._order:
                await self._hand_over(begin, begun, patient, turn)
        except Exception as error:
            if not begun.done():
                begun.set_exception(error)
                return
            is_known = isinstance(error, AvatarForcingError)
            logger.warning("speech: %s", error, exc_info=None if is_known else error)
            self.failure = str(error) if is_known else "speech: a fault in the server; see its log"
        finally:
            if not begun.done():
                begun.set_result(0.0)

    async def _hand_over(
        self, begin: Begin, begun: asyncio.Future[float], patient: bool, turn: int
    ) -> None:
        speech = await asyncio.to_thread(begin)
        try:
            while (sentence := await asyncio.to_thread(next, speech, None)) is not None:
                if begun.done() or patient:
                    await self._room_for(len(sentence.samples))
                if turn != self._turn():
                    return
                waiting_s = self._push(sentence)
                if not begun.done():
                    self.failure = ""
                    begun.set_result(waiting_s)
        finally:
            speech.cancel()

    async def _room_for(self, samples: int) -> None:
        """Wait until so many may be handed over; MediaError where nothing can be said."""
        while waiting_speech_s(self._backend, samples) > MAX_WAITING_SPEECH_S:
            await asyncio.sleep(ROOM_CHECK_S)

    def _push(self, sentence: SpokenSentence) -> float:
        """Hand it over; how many seconds wait then."""
        waiting_s = required_capacity(self._backend, len(sentence.samples))
        chunk = AudioChunk(sentence.samples, SAMPLE_RATE_HZ, self._backend.now_ns())
        self._backend.push_avatar_audio(chunk)
        now_s = self._now_s()
        start_s = max(self._end_s, now_s)
        self._end_s = start_s + len(sentence.samples) / SAMPLE_RATE_HZ
        if sentence.text:
            self._show_at(start_s + self._delay_s, sentence)
        return waiting_s

    def _show_at(self, time_s: float, sentence: SpokenSentence) -> None:
        """Make a caption of it then, unless it is silenced before."""

        def show() -> None:
            self._captions.discard(caption)
            self._transcript.add("avatar", sentence.text, sentence.language)

        caption = asyncio.get_running_loop().call_at(time_s, show)
        self._captions.add(caption)


class _Sound:
    """Audio as speech, without words."""

    def __init__(self, samples: NDArray[np.float32]) -> None:
        self._sentences = iter([SpokenSentence("", samples)])

    def __iter__(self) -> _Sound:
        return self

    def __next__(self) -> SpokenSentence:
        return next(self._sentences)

    def cancel(self) -> None:
        """There is nothing to end."""


def required_capacity(backend: AvatarBackend, samples: int) -> float:
    """How many seconds of speech wait with `samples` more; MediaError where they cannot be spoken.

    The one place where that is checked: backends take whatever is pushed.
    """
    waiting_s = waiting_speech_s(backend, samples)
    if waiting_s > MAX_WAITING_SPEECH_S:
        raise MediaError(
            "speech",
            expected=f"at most {MAX_WAITING_SPEECH_S} s that wait to be said",
            got=f"{waiting_s:.0f} s",
            remedy="let the avatar finish, or stop it",
        )
    return waiting_s


def waiting_speech_s(backend: AvatarBackend, samples: int) -> float:
    """How many seconds of speech wait with `samples` more; MediaError where there is no avatar."""
    status = backend.status
    if not backend.running:
        raise MediaError(
            "speech",
            expected="a conversation that goes on",
            got="none",
            remedy="start one, then speak",
        )
    if not status.connected:
        raise MediaError(
            "speech",
            expected="an avatar to say it",
            got=status.warning,
            remedy="start avatar_node, with the same namespace and ROS_DOMAIN_ID",
        )
    return (status.waiting_avatar_audio_samples + samples) / SAMPLE_RATE_HZ
