"""What recording makes of clean speech and true motion: microphones, and a face tracker.

Tracked motion, which a model must bear, has noise, gains and a neutral face that were estimated
from a few seconds, a camera that looks at an angle, speech that leaks into the smile, a smoothing
filter's lag, and faces that are lost: held, then led to neutral.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, fftconvolve, lfilter, lfilter_zi, sosfilt

from avatar_forcing_ros.rig.coefficients import COUNT, EXPRESSION, INDEX, POSE_COUNT, clip
from avatar_forcing_ros.timebase import FRAME_RATE_HZ, SAMPLE_RATE_HZ
from avatar_forcing_ros.training.synthetic import statistics as stats

Samples = NDArray[np.float32]
_EXPRESSION_COUNT = COUNT - POSE_COUNT


def equalise(rng: np.random.Generator, samples: Samples, strength: float = 1.0) -> Samples:
    """A random spectral tilt and three random peaks or dips: another throat or microphone."""
    sections = [_shelf_filter(rng.normal(0.0, 4.0 * strength), rng.uniform(600.0, 2500.0))]
    for _ in range(3):
        hz = np.exp(rng.uniform(np.log(120.0), np.log(6500.0)))
        sections.append(
            _peaking_filter(rng.normal(0.0, 3.5 * strength), hz, rng.uniform(0.6, 2.0))
        )
    return sosfilt(np.array(sections), samples).astype(np.float32)


def add_breath(rng: np.random.Generator, speech: Samples) -> Samples:
    """Aspiration noise under the speech, louder where the speech is."""
    level = 10 ** (rng.uniform(*stats.BREATH_LEVEL_DB) / 20)
    loud = np.sqrt(uniform_filter1d(speech**2, SAMPLE_RATE_HZ // 100) + 1e-12)
    hiss = np.diff(rng.standard_normal(len(speech), dtype=np.float32), prepend=0.0)
    return (speech + level * loud * hiss).astype(np.float32)


def microphone_audio(rng: np.random.Generator, speech: Samples, echo: Samples) -> Samples:
    """The user's channel: room, band limit, noise, gain; now and then a faint echo."""
    out = reverberate(rng, equalise(rng, add_breath(rng, speech)))
    if rng.random() < 0.12:
        out = out + 10 ** (rng.uniform(-45.0, -28.0) / 20) * echo
    if rng.random() < 0.2:
        low_hz, high_hz = rng.uniform(100.0, 320.0), rng.uniform(3300.0, 6500.0)
        sos = butter(2, (low_hz, high_hz), "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
        out = sosfilt(sos, out)
    out = out + noise(rng, len(out), -23.0 - rng.uniform(10.0, 45.0))
    if rng.random() < 0.35:
        out = out + bursts(rng, len(out), -23.0 - rng.uniform(0.0, 20.0))
    return _limit(rng, out * 10 ** (rng.uniform(-14.0, 8.0) / 20))


def operator_audio(rng: np.random.Generator, speech: Samples) -> Samples:
    """The avatar's channel: clean synthesis in seven of ten cases, else a close microphone."""
    out = equalise(rng, add_breath(rng, speech), 0.8)
    if rng.random() < 0.3:
        out = reverberate(rng, out, (0.1, 0.3), (6.0, 15.0))
        out = out + noise(rng, len(out), -23.0 - rng.uniform(22.0, 45.0))
        if rng.random() < 0.5:
            out = out + bursts(rng, len(out), -23.0 - rng.uniform(8.0, 25.0))
    elif rng.random() < 0.5:
        out = out + noise(rng, len(out), rng.uniform(-90.0, -60.0))
    return _limit(rng, out * 10 ** (rng.uniform(-9.0, 8.0) / 20))


def reverberate(
    rng: np.random.Generator,
    samples: Samples,
    reverberation_s: tuple[float, float] = (0.15, 0.6),
    direct_db: tuple[float, float] = (0.0, 12.0),
) -> Samples:
    """Reverberation by decaying noise; the direct sound stays where it was in time."""
    decay_s = rng.uniform(*reverberation_s)
    count = int(decay_s * SAMPLE_RATE_HZ)
    tail = rng.normal(size=count) * 10 ** (-3.0 * np.arange(count) / count)
    tail[: int(0.004 * SAMPLE_RATE_HZ)] = 0.0
    tail *= 10 ** (-rng.uniform(*direct_db) / 20) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return fftconvolve(samples, tail.astype(np.float32))[: len(samples)].astype(np.float32)


def noise(rng: np.random.Generator, count: int, level_dbfs: float) -> Samples:
    """White to brown noise, sometimes with mains hum, at `level_dbfs` (root mean square)."""
    out = rng.standard_normal(count, dtype=np.float32)
    pole = rng.choice([0.0, 0.7, 0.95, 0.99])
    out = sosfilt([[1.0, 0.0, 0.0, 1.0, -pole, 0.0]], out)
    if rng.random() < 0.2:
        times_s = np.arange(count) / SAMPLE_RATE_HZ
        out = out / out.std() + np.sin(2 * np.pi * rng.choice([50.0, 60.0, 100.0]) * times_s)
    return (out * 10 ** (level_dbfs / 20) / max(float(out.std()), 1e-9)).astype(np.float32)


def bursts(rng: np.random.Generator, count: int, level_dbfs: float) -> Samples:
    """Sounds that are not speech, some a minute: knocks, clicks, beeps, rustling."""
    out = np.zeros(count, np.float32)
    for _ in range(rng.poisson(8.0 * count / SAMPLE_RATE_HZ / 60.0)):
        length = int(rng.uniform(0.02, 0.8) * SAMPLE_RATE_HZ)
        times_s = np.arange(length) / SAMPLE_RATE_HZ
        if rng.random() < 0.35:  # a beep
            burst = np.sin(2 * np.pi * np.exp(rng.uniform(5.5, 8.3)) * times_s)
        else:  # a knock or a rustle: noise of some colour
            pole = rng.uniform(-0.5, 0.98)
            burst = sosfilt([[1.0, 0.0, 0.0, 1.0, -pole, 0.0]], rng.normal(size=length))
            burst /= max(float(np.abs(burst).max()), 1e-9)
        burst *= np.exp(-times_s / rng.uniform(0.01, 0.4)) * np.minimum(times_s / 0.003, 1.0)
        first = int(rng.integers(0, max(count - length, 1)))
        part = out[first : first + length]
        part += (10 ** (level_dbfs / 20) * burst).astype(np.float32)[: len(part)]
    return out


def _limit(rng: np.random.Generator, samples: NDArray[Any]) -> Samples:
    ceiling = 0.99 if rng.random() > 0.05 else 0.4  # some inputs are overdriven
    return np.clip(samples, -ceiling, ceiling).astype(np.float32)


def _peaking_filter(gain_db: float, hz: float, quality: float) -> list[float]:
    # the peaking equaliser of the Audio EQ Cookbook (Bristow-Johnson)
    a = 10 ** (gain_db / 40)
    w = 2 * np.pi * hz / SAMPLE_RATE_HZ
    alpha, c = np.sin(w) / (2 * quality), np.cos(w)
    b = [1 + alpha * a, -2 * c, 1 - alpha * a]
    d = [1 + alpha / a, -2 * c, 1 - alpha / a]
    return [x / d[0] for x in b + d]


def _shelf_filter(gain_db: float, hz: float) -> list[float]:
    # the high shelf of the same cookbook, slope 0.5
    a = 10 ** (gain_db / 40)
    w = 2 * np.pi * hz / SAMPLE_RATE_HZ
    c = np.cos(w)
    alpha = np.sin(w) / 2 * np.sqrt((a + 1 / a) + 2)
    root = 2 * np.sqrt(a) * alpha
    b = [
        a * ((a + 1) + (a - 1) * c + root),
        -2 * a * ((a - 1) + (a + 1) * c),
        a * ((a + 1) + (a - 1) * c - root),
    ]
    d = [(a + 1) - (a - 1) * c + root, 2 * ((a - 1) - (a + 1) * c), (a + 1) - (a - 1) * c - root]
    return [x / d[0] for x in b + d]


def track_face(rng: np.random.Generator, motion: NDArray[np.float32]) -> NDArray[np.float32]:
    """`motion` ``[T, K]`` as a tracker sees it, clipped to the rig's ranges, same shape."""
    out = motion.astype(np.float64)
    out = _leak(rng, out)
    out += _offset(rng)
    sigma = np.full(COUNT, rng.uniform(*stats.TRACKER_NOISE_EXPRESSION))
    sigma[:POSE_COUNT] = rng.uniform(*stats.TRACKER_NOISE_POSE)
    out += sigma * rng.normal(size=out.shape)
    out = _smooth_motion(out, rng.uniform(*stats.TRACKER_SMOOTHING))
    return clip(_lose_face(rng, out))


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


def _smooth_motion(motion: NDArray[np.float64], keep: float) -> NDArray[np.float64]:
    """An exponential filter that keeps `keep` of each new frame."""
    numerator, denominator = [keep], [1.0, keep - 1.0]
    start = lfilter_zi(numerator, denominator)[:, None] * motion[:1]
    smoothed, _ = lfilter(numerator, denominator, motion, axis=0, zi=start)
    return np.asarray(smoothed)


def _lose_face(rng: np.random.Generator, motion: NDArray[np.float64]) -> NDArray[np.float64]:
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
