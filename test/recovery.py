"""How well perception gets back what the renderer put in: known coefficients, rendered, tracked.

The images come from a function, so that this works with every renderer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.perception.face_tracker import FaceTracker
from avatar_forcing_ros.perception.user_motion import UserMotionEstimator
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.rig.coefficients import COUNT, INDEX, NAMES, POSE
from avatar_forcing_ros.timebase import FRAME_RATE_HZ, frame_stamp_ns

Array = NDArray[np.float64]
Render = Callable[[NDArray[np.float32]], NDArray[np.uint8]]  # [K] -> [H, W, 3] RGB

MEANS = {
    "smile": ("smile_left", "smile_right"),
    "blink": ("blink_left", "blink_right"),
    "brow_up": ("brow_up_left", "brow_up_right"),
}

SPEECH = (
    *("jaw_open", "lips_close", "mouth_wide", "mouth_pucker"),
    *("frown", "upper_lip_raise", "lower_lip_down"),
)


@dataclass(frozen=True)
class Recovery:
    """How one coefficient came back: Pearson's r, and given = slope * put + offset.

    `lag_frames` is the delay at which r is largest, looked for from 0 to 3.
    """

    name: str
    r: float
    slope: float
    offset: float
    lag_frames: int


def smooth_coefficients(frames: int, seed: int) -> NDArray[np.float32]:
    """Lively motion ``[frames, K]`` within the rig's ranges, from rest, for measurements.

    The head sways; expressions come and go, at rest more than half of the time, those of the
    mouth in phrases; blinks are short and take both eyes, as faces do.
    """
    rng = np.random.default_rng(seed)
    slow = _smoothed(rng.standard_normal((frames, COUNT)), 0.28)
    quick = _smoothed(rng.standard_normal((frames, COUNT)), 0.12)
    phrases = _smoothed(rng.standard_normal((frames, 1)), 0.6) > -0.4  # [frames, 1]
    speech = [INDEX[name] for name in SPEECH]
    values = np.maximum(0.0, slow - 0.2)
    values[:, speech] = np.maximum(0.0, quick[:, speech])
    values[:, INDEX["jaw_open"]] = np.abs(quick[:, INDEX["jaw_open"]])  # syllables
    values[:, speech] *= _smoothed(1.0 * phrases, 0.08)
    events = 1.0 * (np.arange(frames) % 22 == rng.integers(12, 22))  # blinks, more than usual
    blink = _smoothed(events[:, None], 0.07)
    both = np.maximum(0.0, slow[:, INDEX["smile_left"]] - 0.2)
    values[:, INDEX["smile_right"]] = both + 0.3 * values[:, INDEX["smile_right"]]  # [frames]
    values[:, [INDEX[name] for name in MEANS["blink"]]] = blink
    for name in ("gaze_x", "gaze_y"):
        values[:, INDEX[name]] = slow[:, INDEX[name]]
    values *= 0.8 / np.abs(values).max(0).clip(1e-6)
    values[:, [INDEX[name] for name in MEANS["blink"]]] *= 1.25
    values[:, POSE] = 0.35 * coefficients.HIGH[POSE] * slow[:, POSE]
    values *= np.minimum(1.0, np.arange(frames) / (0.4 * FRAME_RATE_HZ))[:, None]
    return coefficients.clip(values)


def track_rendered(
    render: Render, values: NDArray[np.float32], tracker: FaceTracker, *, smooth: bool = True
) -> NDArray[np.float32]:
    """Tracked coefficients ``[T, K]`` of `values` ``[T, K]`` as `render` shows them."""
    estimator = UserMotionEstimator(smooth=smooth)
    tracked = []
    for frame, value in enumerate(values):
        stamp_ns = frame_stamp_ns(frame)
        observation = tracker.track(VideoFrame(render(value), stamp_ns))
        tracked.append(estimator.update(observation, stamp_ns).values)
    return np.stack(tracked)


def coefficient_recovery(
    put: NDArray[np.floating[Any]], given: NDArray[np.floating[Any]]
) -> dict[str, Recovery]:
    """How `given` ``[T, K]`` follows `put` ``[T, K]``, by coefficient and by MEANS of pairs."""
    columns = {name: [INDEX[name]] for name in NAMES}
    columns |= {mean: [INDEX[name] for name in pair] for mean, pair in MEANS.items()}
    return {
        name: _compare(name, put[:, index].mean(1), given[:, index].mean(1))
        for name, index in columns.items()
    }


def recovery_table(rows: dict[str, Recovery]) -> str:
    """A printable table."""
    lines = [f"{'coefficient':<18}{'r':>7}{'slope':>7}{'offset':>8}{'lag':>5}"]
    lines += [
        f"{row.name:<18}{row.r:>7.3f}{row.slope:>7.2f}{row.offset:>8.3f}{row.lag_frames:>5}"
        for row in rows.values()
    ]
    return "\n".join(lines)


def _compare(
    name: str, put: NDArray[np.floating[Any]], given: NDArray[np.floating[Any]]
) -> Recovery:
    if np.std(put) < 1e-9 or np.std(given) < 1e-9:
        return Recovery(name, 0.0, 0.0, float(np.mean(given)), 0)
    r = [float(np.corrcoef(put[: len(put) - lag], given[lag:])[0, 1]) for lag in range(4)]
    slope, offset = np.polyfit(put, given, 1)
    return Recovery(name, r[0], float(slope), float(offset), int(np.argmax(r)))


def _smoothed(noise: Array, sigma_s: float) -> Array:
    """Noise ``[T, N]`` through a bell of `sigma_s`, with unit variance."""
    sigma = sigma_s * FRAME_RATE_HZ
    reach = int(4 * sigma)
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    bell /= np.linalg.norm(bell)
    padded = np.pad(noise, ((reach, reach), (0, 0)), mode="wrap")
    return np.stack([np.convolve(column, bell, "valid") for column in padded.T], axis=1)
