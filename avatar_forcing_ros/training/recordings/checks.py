"""What of a recording can be learned from: no flaws in the video, audio that belongs to the face.

Spans without flaws are cut to windows. The audio is checked by the mouth, which opens with its
own speech and not with the other person's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.perception.user_motion import HOLD_S
from avatar_forcing_ros.streaming.speech_front_end import SpeechFrontEnd
from avatar_forcing_ros.timebase import FRAME_PERIOD_S, FRAME_RATE_HZ, SAMPLES_PER_FRAME
from avatar_forcing_ros.training.metrics.behaviour import loudness, mouth_speech_r, near, runs
from avatar_forcing_ros.training.recordings.motion import Span, TrackedVideo
from avatar_forcing_ros.training.settings import MAX_WINDOW_S

HELD_FRAMES = round(HOLD_S * FRAME_RATE_HZ)
FROZEN_FRAMES = round(0.4 * FRAME_RATE_HZ)
JUMP_WIDTHS = 0.35  # of the face, that a head does not move within a frame: some 5 cm
MAX_JUMP_WIDTHS = 1.0  # however long the face was hidden between
GROWTH = 1.3  # of the face within a frame
SPEECH_FRAMES = round(0.5 * FRAME_RATE_HZ)  # of speech that a window must hold
AROUND_FRAMES = FRAME_RATE_HZ // 2  # before and after speech, where mouths rest
MIN_SPEECH_FRAMES = 2 * FRAME_RATE_HZ  # with less nothing can be judged
LEVEL_DB = -20.0  # that speech is brought to, by no more than
MAX_GAIN_DB = 30.0
SWAPPED_BY = 0.3  # in the sum of both people's correlations
FOLLOWS_R = 0.15  # less is a mouth that does not follow its audio
LATE_FRAMES = 3
CROSS_TALK_DB = 6.0
CROSS_TALK_SHARE = 0.6  # of the speech that is as loud in the other's channel

Pair = tuple[float, float]  # of person a, of person b


class Flaw(NamedTuple):
    """Frames ``start … stop`` that cannot be used, and why."""

    start: int
    stop: int
    reason: str


def flaws_of(video: TrackedVideo, who: str) -> Iterator[Flaw]:
    """What is wrong with one person's video: no face, a frozen image, a jump."""
    seen = np.array([face is not None for face in video.faces], bool)
    for start, stop in runs(~seen):
        # a gap at either end has nothing to be held from, or nothing to go on with
        if stop - start > HELD_FRAMES or start == 0 or stop == len(seen):
            yield Flaw(start, stop, f"no face of {who} is visible")
    for start, stop in runs(video.still_frames > 0):
        if stop - start >= FROZEN_FRAMES:
            yield Flaw(start, stop, f"the video of {who} is frozen")
    for frame in _jumps(video):
        yield Flaw(frame, frame + 1, f"the head of {who} jumps (a cut, or another face)")


def _jumps(video: TrackedVideo) -> Iterator[int]:
    """Frames in which the face is where no head could have moved to."""
    before: tuple[int, NDArray[np.float32], float] | None = None
    for frame, face in enumerate(video.faces):
        if face is None:
            continue
        middle = face.landmarks_px[:, :2].mean(axis=0)
        width_px = float(np.ptp(face.landmarks_px[:, :2], axis=0).max())
        if before is not None and frame - before[0] <= HELD_FRAMES + 1:
            limit = min(MAX_JUMP_WIDTHS, JUMP_WIDTHS * (frame - before[0]))
            smaller, larger = sorted((width_px, before[2]))
            moved = float(np.linalg.norm(middle - before[1]))
            if moved > limit * larger or larger > GROWTH * smaller:
                yield frame
        before = frame, middle, width_px


def stretches_of(flaws: Iterable[Flaw], frames: int) -> list[Span]:
    """Spans ``(start, stop)`` of `frames` without any of `flaws`."""
    return runs(good_frames(flaws, frames))


def good_frames(flaws: Iterable[Flaw], frames: int) -> NDArray[np.bool_]:
    """Which of `frames` have none of `flaws`."""
    good = np.ones(frames, bool)
    for flaw in flaws:
        good[flaw.start : flaw.stop] = False
    return good


def cut_windows(
    stretches: Iterable[Span], voiced: NDArray[np.bool_], min_frames: int
) -> tuple[list[Span], list[Flaw]]:
    """Windows of at least `min_frames` in `stretches`, and what is left out.

    Long stretches become equal parts of no more than MAX_WINDOW_S; `voiced` ``[T]`` says in which
    frames either person speaks.
    """
    kept: list[Span] = []
    left: list[Flaw] = []
    for start, stop in stretches:
        if stop - start < min_frames:
            shortest = f"{min_frames / FRAME_RATE_HZ:g} s"
            left.append(Flaw(start, stop, f"good, but shorter than {shortest}"))
            continue
        parts = -(-(stop - start) // round(MAX_WINDOW_S * FRAME_RATE_HZ))
        edges = np.linspace(start, stop, parts + 1).round().astype(int).tolist()
        for first, last in pairwise(edges):
            if np.count_nonzero(voiced[first:last]) < SPEECH_FRAMES:
                left.append(Flaw(first, last, "nobody speaks"))
            else:
                kept.append((first, last))
    return kept, left


def voiced_frames(audio: NDArray[np.float32]) -> NDArray[np.bool_]:
    """In which frames of `audio` ``[640 T]`` there is speech: ``[T]``."""
    front_end = SpeechFrontEnd()
    out = np.zeros(len(audio) // SAMPLES_PER_FRAME, bool)
    for k, frame in enumerate(audio.reshape(-1, SAMPLES_PER_FRAME)):
        heard, front_end = front_end.hear(frame)
        out[k] = heard.voiced
    return out


@dataclass(frozen=True)
class SpeakerCheck:
    """Pearson's r of mouth opening and loudness, and what follows from it.

    `rejected` says why the recording cannot be used, empty if it can; `notes` what to look at.
    """

    own: Pair
    other: Pair
    rejected: str
    notes: tuple[str, ...]


def check_speakers(
    values: tuple[NDArray[np.float32], NDArray[np.float32]],
    audio: tuple[NDArray[np.float32], NDArray[np.float32]],
    voiced: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    seen: NDArray[np.bool_],
) -> SpeakerCheck:
    """Check coefficients ``[T, K]``, audio ``[640 T]`` and where it holds speech ``[T]``.

    `seen` ``[T]`` says where both faces are visible. Only there, around speech, is compared.
    """
    chosen = near(voiced[0] | voiced[1], AROUND_FRAMES) & seen
    counts = [int(np.count_nonzero(v & chosen)) for v in voiced]
    if max(counts) < MIN_SPEECH_FRAMES:
        note = "too little speech with both faces visible to check whose it is"
        return SpeakerCheck((0.0, 0.0), (0.0, 0.0), "", (note,))
    levelled = [_levelled(s, v) for s, v in zip(audio, voiced, strict=True)]
    moves = [v[chosen] for v in values]
    speech = [s.reshape(-1, SAMPLES_PER_FRAME)[chosen].reshape(-1) for s in levelled]
    own = [mouth_speech_r(moves[k], speech[k]) for k in (0, 1)]
    other = [mouth_speech_r(moves[k], speech[1 - k])[0] for k in (0, 1)]
    own_r, other_r = (own[0][0], own[1][0]), (other[0], other[1])
    rejected = ""
    if sum(other_r) > sum(own_r) + SWAPPED_BY:
        rejected = (
            f"the audio is swapped: the mouths follow the other's audio (r = {other_r[0]:.2f} "
            f"and {other_r[1]:.2f}) and not their own ({own_r[0]:.2f} and {own_r[1]:.2f}); "
            "exchange the two audio tracks and run again"
        )
    notes = [
        note
        for who, (r, lag), count in zip("ab", own, counts, strict=True)
        if count >= MIN_SPEECH_FRAMES and not rejected
        for note in _mouth_notes(who, r, lag)
    ]
    cross_talk = _cross_talk_share(levelled, (voiced[0] | voiced[1]) & seen)
    if cross_talk > CROSS_TALK_SHARE:
        notes.append(
            f"cross-talk: {cross_talk:.0%} of the speech is about as loud in the other's audio; "
            "record each person with their own close microphone"
        )
    return SpeakerCheck(own_r, other_r, rejected, tuple(notes))


def _mouth_notes(who: str, r: float, lag: int) -> list[str]:
    if r < FOLLOWS_R:
        return [f"the mouth of {who} hardly follows its audio (r = {r:.2f}); is it dubbed?"]
    if abs(lag) > LATE_FRAMES:
        late_ms = lag * FRAME_PERIOD_S * 1000
        side = "before" if lag > 0 else "after"
        return [f"the audio of {who} comes {abs(late_ms):.0f} ms {side} the mouth moves"]
    return []


def _levelled(audio: NDArray[np.float32], voiced: NDArray[np.bool_]) -> NDArray[np.float32]:
    """`audio` with its speech near LEVEL_DB; without speech as it is."""
    if np.count_nonzero(voiced) < MIN_SPEECH_FRAMES // 4:
        return audio
    gain_db = LEVEL_DB - float(np.median(loudness(audio)[voiced]))
    gain_db = float(np.clip(gain_db, -MAX_GAIN_DB, MAX_GAIN_DB))
    return np.asarray(audio * np.float32(10.0 ** (gain_db / 20.0)))


def _cross_talk_share(audio: list[NDArray[np.float32]], spoken: NDArray[np.bool_]) -> float:
    """The share of the frames `spoken` ``[T]`` in which both are about as loud."""
    apart = np.abs(loudness(audio[0]) - loudness(audio[1]))[spoken]
    return float(np.mean(apart < CROSS_TALK_DB)) if len(apart) else 0.0
