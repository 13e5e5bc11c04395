"""A person's true motion as a camera's face tracker reports it.

What is wrong with tracked motion, and what a model must therefore bear: noise, gains and a
neutral face that were estimated from a few seconds, a camera that looks at an angle, speech that
leaks into the smile, a smoothing filter's lag, and faces that are lost: held, then led to
neutral.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter, lfilter_zi

from avatar_forcing_ros.rig.coefficients import COUNT, EXPRESSION, INDEX, POSE_COUNT, clip
from avatar_forcing_ros.timebase import FRAME_RATE_HZ
from avatar_forcing_ros.training.synthetic import statistics as stats

_EXPRESSION_COUNT = COUNT - POSE_COUNT


def track(rng: np.random.Generator, motion: NDArray[np.float32]) -> NDArray[np.float32]:
    """`motion` ``[T, K]`` as a tracker sees it, clipped to the rig's ranges, same shape."""
    out = motion.astype(np.float64)
    out = _leak(rng, out)
    out += _offset(rng)
    sigma = np.full(COUNT, rng.uniform(*stats.TRACKER_NOISE_EXPRESSION))
    sigma[:POSE_COUNT] = rng.uniform(*stats.TRACKER_NOISE_POSE)
    out += sigma * rng.normal(size=out.shape)
    out = _smooth(out, rng.uniform(*stats.TRACKER_SMOOTHING))
    return clip(_lose(rng, out))


def _leak(rng: np.random.Generator, motion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gains of each expression and leakage between them, as a linear map."""
    size = (_EXPRESSION_COUNT, _EXPRESSION_COUNT)
    mix = np.diag(rng.uniform(*stats.TRACKER_GAIN, _EXPRESSION_COUNT))
    mix += rng.normal(0.0, stats.TRACKER_LEAK, size) * (1.0 - np.eye(_EXPRESSION_COUNT))
    wide, pucker = INDEX["mouth_wide"] - POSE_COUNT, INDEX["mouth_pucker"] - POSE_COUNT
    smile_leak = rng.uniform(0.0, stats.TRACKER_SMILE_LEAK)
    for name in ("smile_left", "smile_right"):
        mix[wide, INDEX[name] - POSE_COUNT] += smile_leak
        mix[pucker, INDEX[name] - POSE_COUNT] -= smile_leak
    out = motion.copy()
    out[:, EXPRESSION] = motion[:, EXPRESSION] @ mix
    return out


def _offset(rng: np.random.Generator) -> NDArray[np.float64]:
    """Constant errors ``[K]``: the camera's angle and an imperfect neutral face."""
    offset = np.zeros(COUNT)
    offset[:POSE_COUNT] = rng.normal(0.0, stats.TRACKER_POSE_OFFSET)
    offset[EXPRESSION] = rng.normal(0.0, stats.TRACKER_NEUTRAL_ERROR, _EXPRESSION_COUNT)
    return offset


def _smooth(motion: NDArray[np.float64], keep: float) -> NDArray[np.float64]:
    """An exponential filter that keeps `keep` of each new frame."""
    numerator, denominator = [keep], [1.0, keep - 1.0]
    start = lfilter_zi(numerator, denominator)[:, None] * motion[:1]
    smoothed, _ = lfilter(numerator, denominator, motion, axis=0, zi=start)
    return np.asarray(smoothed)


def _lose(rng: np.random.Generator, motion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spans in which the face is lost: held, then led to neutral, and taken up again."""
    out = motion.copy()
    seconds = len(out) / FRAME_RATE_HZ
    for _ in range(rng.poisson(stats.TRACKER_LOST_PER_MIN * seconds / 60.0)):
        first = int(rng.integers(1, max(len(out), 2)))
        last = min(first + int(rng.uniform(*stats.TRACKER_LOST_S) * FRAME_RATE_HZ), len(out))
        lost_s = np.arange(1, last - first + 1) / FRAME_RATE_HZ
        part = np.clip((lost_s - stats.TRACKER_HOLD_S) / stats.TRACKER_DECAY_S, 0.0, 1.0)
        fade = 1.0 - part**2 * (3.0 - 2.0 * part)
        out[first:last] = fade[:, None] * out[first - 1]
        # the tracker's filter comes back over some frames
        count = min(5, len(out) - last)
        back = (np.arange(1, count + 1) / 6.0)[:, None]
        out[last : last + count] = (1.0 - back) * out[last - 1] + back * out[last : last + count]
    return out
