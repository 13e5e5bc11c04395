"""When the user begins and has ended to speak, by the level of their voice and its pauses.

No clock: stamps decide. So the same audio gives the same turns, however it came.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.media import AudioChunk
from avatar_forcing_ros.streaming.speech_level import SpeechLevel
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, FRAME_PERIOD_S, SAMPLES_PER_FRAME

BEGIN_FRAMES = 3  # voiced ones of the last five: no click
INTERRUPT_FRAMES = 5  # 200 ms: of six, to interrupt the avatar
WINDOW_FRAMES = 6
# of the avatar's own voice, that the browser left in the microphone, so little is loud
INTERRUPT_DB = 20.0  # above the noise
USUAL_DB = 12.0  # below the user's own level at most
PRE_ROLL_FRAMES = 12  # half a second before it was known for speech
MUTED_DB = -85.0
MAX_FIRST_FLOOR_DB = -50.0  # who speaks at once is no noise
MAX_TURN_S = 30.0
MAX_GAP_FRAMES = 250  # more than that between two chunks is another conversation


@dataclass(frozen=True)
class TurnBegan:
    """The user speaks; `interrupts` what the avatar says."""

    interrupts: bool


@dataclass(frozen=True)
class TurnEnded:
    """The user paused: all that they said ``[n]``, 16 kHz, from a little before it."""

    samples: NDArray[np.float32]


TurnEvent = TurnBegan | TurnEnded


class TurnDetector:
    """Every TurnBegan is followed by a TurnEnded: after `pause_s`, after 30 s, or by `end`."""

    def __init__(self, pause_s: float, *, barge_in: bool = True) -> None:
        """`barge_in`: the user may interrupt the avatar; else they are not heard meanwhile."""
        self._pause_frames = max(1, round(pause_s / FRAME_PERIOD_S))
        self._barge_in = barge_in
        self._max_frames = round(MAX_TURN_S / FRAME_PERIOD_S)
        self.reset()

    def reset(self) -> None:
        """Begin anew, for another user."""
        self._level: SpeechLevel | None = None  # from the first frame on
        self._rest: NDArray[np.float32] = np.zeros(0, np.float32)
        self._next_ns: int | None = None
        self._forget_frames()

    @property
    def in_turn(self) -> bool:
        """Whether the user speaks, or paused for less than a turn's end takes."""
        return self._turn is not None

    def push(self, chunk: AudioChunk, *, avatar_speaks: bool) -> list[TurnEvent]:
        """What the user's next audio says, 16 kHz; `avatar_speaks` while it came."""
        events = self._close_gap(chunk.stamp_ns)
        samples = np.nan_to_num(chunk.samples, posinf=0.0, neginf=0.0)
        samples = np.concatenate([self._rest, samples])
        count = len(samples) // SAMPLES_PER_FRAME
        for i in range(count):
            frame = samples[i * SAMPLES_PER_FRAME : (i + 1) * SAMPLES_PER_FRAME]
            events += self._push_frame(frame, avatar_speaks)
        self._rest = samples[count * SAMPLES_PER_FRAME :]
        self._next_ns = chunk.stamp_ns + round(len(chunk.samples) * 1e9 / chunk.rate_hz)
        return events

    def end(self) -> list[TurnEvent]:
        """Nothing more comes: a turn that was begun has ended."""
        turn = self._turn
        self._forget_frames()
        return [TurnEnded(np.concatenate(turn))] if turn else []

    def _forget_frames(self) -> None:
        self._turn: list[NDArray[np.float32]] | None = None
        self._before: deque[NDArray[np.float32]] = deque(maxlen=PRE_ROLL_FRAMES)
        self._voiced: deque[bool] = deque(maxlen=WINDOW_FRAMES)
        self._strong: deque[bool] = deque(maxlen=WINDOW_FRAMES)
        self._silent_frames = 0

    def _close_gap(self, stamp_ns: int) -> list[TurnEvent]:
        """What was not received counts as silence."""
        if self._next_ns is None:
            return []
        frames = round((stamp_ns - self._next_ns) / FRAME_PERIOD_NS)
        if not -MAX_GAP_FRAMES <= frames <= MAX_GAP_FRAMES:
            return self.end()
        if frames <= 0:
            return []
        self._rest = self._rest[:0]
        silence = np.zeros(SAMPLES_PER_FRAME, np.float32)
        events: list[TurnEvent] = []
        for _ in range(min(frames, self._pause_frames + 1) if self._turn else 0):
            events += self._take(silence, voiced=False, strong=False, avatar_speaks=False)
        return events

    def _push_frame(self, frame: NDArray[np.float32], avatar_speaks: bool) -> list[TurnEvent]:
        power = float(np.mean(np.square(frame, dtype=np.float64)))
        now_db = 10.0 * math.log10(power + 1e-12)
        if now_db < MUTED_DB:  # says nothing about the room
            return self._take(frame, voiced=False, strong=False, avatar_speaks=avatar_speaks)
        if self._level is None:
            self._level = SpeechLevel(floor_db=min(now_db, MAX_FIRST_FLOOR_DB))
        before, level = self._level, replace(self._level)
        level.update(frame)
        self._level = level
        known = before.voiced_frames >= SpeechLevel.WARM_UP_FRAMES
        least_db = max(
            before.floor_db + INTERRUPT_DB,
            before.level_db - USUAL_DB if known else SpeechLevel.MIN_SPEECH_DB,
        )
        if avatar_speaks:  # the level is the user's, not that of what is left of the avatar's
            level.level_db, level.voiced_frames = before.level_db, before.voiced_frames
        strong = level.voiced and now_db > least_db
        return self._take(frame, voiced=level.voiced, strong=strong, avatar_speaks=avatar_speaks)

    def _take(
        self, frame: NDArray[np.float32], *, voiced: bool, strong: bool, avatar_speaks: bool
    ) -> list[TurnEvent]:
        self._voiced.append(voiced)
        self._strong.append(strong)
        if self._turn is None:
            self._before.append(frame)
            return self._begin(avatar_speaks)
        self._turn.append(frame)
        speaks = strong if avatar_speaks else voiced  # else its echo would never end
        self._silent_frames = 0 if speaks else self._silent_frames + 1
        if self._silent_frames >= self._pause_frames or len(self._turn) >= self._max_frames:
            return self.end()
        return []

    def _begin(self, avatar_speaks: bool) -> list[TurnEvent]:
        """A turn begins with enough voice; where the avatar speaks, with more and louder."""
        if avatar_speaks:
            begins = self._barge_in and sum(self._strong) >= INTERRUPT_FRAMES
        else:
            begins = sum(list(self._voiced)[-5:]) >= BEGIN_FRAMES
        if not begins:
            return []
        self._turn, self._silent_frames = list(self._before), 0
        return [TurnBegan(avatar_speaks)]
