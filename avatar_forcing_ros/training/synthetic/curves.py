"""Small shapes that motion is made of; times in seconds, one value per time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from avatar_forcing_ros.timebase import FRAME_RATE_HZ

Curve = NDArray[np.float64]


def frame_times(frames: int) -> Curve:
    """Media times at the frames' centres, ``[T]``: where every coefficient is sampled."""
    return (np.arange(frames) + 0.5) / FRAME_RATE_HZ


def ease(times_s: Curve, start_s: float, duration_s: float) -> Curve:
    """From 0 to 1 within `duration_s`, with zero speed at both ends (raised cosine)."""
    u = np.clip((times_s - start_s) / max(duration_s, 1e-6), 0.0, 1.0)
    return 0.5 - 0.5 * np.cos(np.pi * u)


def bump(times_s: Curve, start_s: float, rise_s: float, hold_s: float, fall_s: float) -> Curve:
    """Rise to 1, hold, fall back to 0."""
    fall_start_s = start_s + rise_s + hold_s
    return ease(times_s, start_s, rise_s) - ease(times_s, fall_start_s, fall_s)


def nod(times_s: Curve, start_s: float, cycles: int, rate_hz: float) -> Curve:
    """`cycles` of moving down and back up, each 40 % smaller than the one before; peak 1."""
    phase = (times_s - start_s) * rate_hz
    inside = (phase > 0) & (phase < cycles)
    return np.where(inside, 0.6 ** np.floor(phase) * (0.5 - 0.5 * np.cos(2 * np.pi * phase)), 0.0)


def band_noise(
    rng: np.random.Generator, frames: int, band_hz: tuple[float, float], slope: float = 1.0
) -> Curve:
    """Gaussian noise ``[T]`` of unit variance within `band_hz`, power falling as 1/f^slope."""
    count = max(frames, int(2 * FRAME_RATE_HZ / band_hz[0]))  # some periods of the slowest part
    freq = np.fft.rfftfreq(count, 1.0 / FRAME_RATE_HZ)
    low, high = band_hz
    gain = np.where(freq >= low, np.maximum(freq, low) ** (-slope / 2), 0.0)
    gain /= 1.0 + (freq / high) ** 6  # a soft edge: no ringing, nothing left above 2 * high
    spectrum = gain * (rng.normal(size=len(freq)) + 1j * rng.normal(size=len(freq)))
    noise = np.fft.irfft(spectrum, count)
    return (noise / max(float(noise.std()), 1e-9))[:frames]


def low_pass(values: Curve, cutoff_hz: float, lag_s: float = 0.0) -> Curve:
    """Causally smoothed `values` ``[T, ...]`` along time, later by a further `lag_s`."""
    sos = butter(2, cutoff_hz, fs=FRAME_RATE_HZ, output="sos")
    start = values[:1]
    smooth = sosfilt(sos, values - start, axis=0) + start
    shift = round(lag_s * FRAME_RATE_HZ)
    if shift:
        held = np.repeat(smooth[:1], shift, axis=0)
        smooth = np.concatenate([held, smooth[:-shift]])[: len(values)]
    return smooth


def soft(values: Curve, rise_s: float) -> Curve:
    """`values` ``[T]`` averaged over a bell of twice `rise_s`, symmetric in time."""
    width = max(int(2 * rise_s * FRAME_RATE_HZ), 1)
    window = np.hanning(width + 2)[1:-1]
    return np.convolve(values, window / window.sum(), mode="same")[: len(values)]


def soft_activity(active: NDArray[np.bool_], rise_s: float = 0.25) -> Curve:
    """A 0/1 mask ``[T]`` with soft edges, symmetric in time."""
    return soft(active.astype(float), rise_s)
