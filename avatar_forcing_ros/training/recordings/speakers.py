"""Does each sound belong to its face: the mouth opens with its own voice, not with the other's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.timebase import FRAME_PERIOD_S, FRAME_RATE_HZ, SAMPLES_PER_FRAME
from avatar_forcing_ros.training.metrics.behaviour import loudness, mouth_speech_r

AROUND_FRAMES = FRAME_RATE_HZ // 2  # before and after voice, where mouths rest
LEAST_VOICE_FRAMES = 2 * FRAME_RATE_HZ  # with less nothing can be said
LEVEL_DB = -20.0  # that each voice is brought to, by no more than
MOST_GAIN_DB = 30.0
SWAPPED_BY = 0.3  # in the sum of both people's correlations
FOLLOWS_R = 0.15  # less is a mouth that does not follow its voice
LATE_FRAMES = 3
ALIKE_DB = 6.0
ALIKE_SHARE = 0.6  # of the voice that is as loud in the other's channel

Pair = tuple[float, float]  # of person a, of person b


@dataclass(frozen=True)
class Judgement:
    """Pearson's r of mouth opening and loudness, and what follows from it.

    `rejected` says why the recording cannot be used, empty if it can; `notes` what to look at.
    """

    own: Pair
    other: Pair
    rejected: str
    notes: tuple[str, ...]


def judge(
    values: tuple[NDArray[np.float32], NDArray[np.float32]],
    sound: tuple[NDArray[np.float32], NDArray[np.float32]],
    voiced: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    seen: NDArray[np.bool_],
) -> Judgement:
    """Judge coefficients ``[T, K]``, sounds ``[640 T]`` and where they hold voice ``[T]``.

    `seen` ``[T]`` says where both faces are visible. Only there, around voice, is compared.
    """
    around = np.ones(2 * AROUND_FRAMES + 1)
    near = np.convolve(voiced[0] | voiced[1], around, "full")[AROUND_FRAMES:-AROUND_FRAMES] > 0
    chosen = near & seen
    counts = [int(np.count_nonzero(v & chosen)) for v in voiced]
    if max(counts) < LEAST_VOICE_FRAMES:
        note = "too little voice with both faces visible to tell whose it is"
        return Judgement((0.0, 0.0), (0.0, 0.0), "", (note,))
    levelled = [_levelled(s, v) for s, v in zip(sound, voiced, strict=True)]
    moves = [v[chosen] for v in values]
    heard = [s.reshape(-1, SAMPLES_PER_FRAME)[chosen].reshape(-1) for s in levelled]
    own = [mouth_speech_r(moves[k], heard[k]) for k in (0, 1)]
    other = [mouth_speech_r(moves[k], heard[1 - k])[0] for k in (0, 1)]
    own_r, other_r = (own[0][0], own[1][0]), (other[0], other[1])
    rejected = ""
    if sum(other_r) > sum(own_r) + SWAPPED_BY:
        rejected = (
            f"the sounds are swapped: the mouths follow the other's sound (r = {other_r[0]:.2f} "
            f"and {other_r[1]:.2f}) and not their own ({own_r[0]:.2f} and {own_r[1]:.2f}); "
            "exchange the two sounds and run again"
        )
    notes = [
        note
        for who, (r, lag), count in zip("ab", own, counts, strict=True)
        if count >= LEAST_VOICE_FRAMES and not rejected
        for note in _mouth_notes(who, r, lag)
    ]
    alike = _alike_share(levelled, (voiced[0] | voiced[1]) & seen)
    if alike > ALIKE_SHARE:
        notes.append(
            f"cross-talk: {alike:.0%} of the voice is about as loud in the other's sound; record "
            "each person with their own close microphone"
        )
    return Judgement(own_r, other_r, rejected, tuple(notes))


def _mouth_notes(who: str, r: float, lag: int) -> list[str]:
    if r < FOLLOWS_R:
        return [f"the mouth of {who} hardly follows its sound (r = {r:.2f}); is it dubbed?"]
    if abs(lag) > LATE_FRAMES:
        late_ms = lag * FRAME_PERIOD_S * 1000
        side = "before" if lag > 0 else "after"
        return [f"the sound of {who} comes {abs(late_ms):.0f} ms {side} the mouth moves"]
    return []


def _levelled(sound: NDArray[np.float32], voiced: NDArray[np.bool_]) -> NDArray[np.float32]:
    """`sound` with its voice near LEVEL_DB; without voice as it is."""
    if np.count_nonzero(voiced) < LEAST_VOICE_FRAMES // 4:
        return sound
    gain_db = LEVEL_DB - float(np.median(loudness(sound)[voiced]))
    gain_db = float(np.clip(gain_db, -MOST_GAIN_DB, MOST_GAIN_DB))
    return np.asarray(sound * np.float32(10.0 ** (gain_db / 20.0)))


def _alike_share(sounds: list[NDArray[np.float32]], spoken: NDArray[np.bool_]) -> float:
    """The share of the frames `spoken` ``[T]`` in which both sounds are about as loud."""
    apart = np.abs(loudness(sounds[0]) - loudness(sounds[1]))[spoken]
    return float(np.mean(apart < ALIKE_DB)) if len(apart) else 0.0
