"""What lies inside a mouth, drawn once in the portrait's pixels: teeth, gums, tongue.

The sizes are shares of the face, so they fit any portrait; the light is the portrait's own, taken
from the skin around the mouth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig import face_landmarks as mesh
from avatar_forcing_ros.rig.face_landmarks import FaceFrame
from avatar_forcing_ros.rig.image_ops import fill_outline, sample
from avatar_forcing_ros.rig.portrait import Portrait

Array = NDArray[np.float32]

_ENAMEL = np.array([236.0, 229.0, 216.0], np.float32)
_GUM = np.array([190.0, 105.0, 105.0], np.float32)
_TONGUE = np.array([186.0, 92.0, 92.0], np.float32)
_FLESH = np.array([112.0, 48.0, 50.0], np.float32)
_DARK = np.array([34.0, 13.0, 16.0], np.float32)
_OVERSAMPLE = 4


@dataclass(frozen=True)
class MouthTextures:
    """Layers ``[h, w, 4]`` float32 (RGB 0…255, alpha 0…1) in portrait pixels from `origin_px`.

    `skull` upper teeth and gums, or for a portrait whose lips are parted `own`, its own pixels
    between them; `jaw` lower teeth and tongue; `flesh`, `dark` ``[3]`` the cavity's colours at its
    rim and in its depth;
    `centre_px` ``[2]`` the middle of the lips.
    """

    skull: Array | None
    jaw: Array
    own: Array | None
    flesh: Array
    dark: Array
    origin_px: Array
    centre_px: Array


def mouth_textures(portrait: Portrait, frame: FaceFrame) -> MouthTextures:
    """Draw the inside of the mouth of `portrait`."""
    p = portrait.landmarks[:, :2]
    upper, lower = p[mesh.INNER_UPPER], p[mesh.INNER_LOWER]
    gap_px = float(np.linalg.norm(lower - upper, axis=1).max())
    is_open = gap_px > 0.022 * frame.height_px
    centre = 0.5 * (upper[5] + lower[5])
    half_px = 0.5 * float(np.linalg.norm(p[mesh.MOUTH_LEFT] - p[mesh.MOUTH_RIGHT]))
    origin = np.floor(centre - [1.5 * half_px, 0.16 * frame.height_px])
    size = (int(3 * half_px), int(0.42 * frame.height_px))
    across = frame.axes[0, :2] / np.linalg.norm(frame.axes[0, :2])

    step = 1.0 / _OVERSAMPLE
    x = origin[0] + (np.arange(size[0] * _OVERSAMPLE) + 0.5) * step - 0.5
    y = origin[1] + (np.arange(size[1] * _OVERSAMPLE) + 0.5) * step - 0.5
    dx, dy = np.meshgrid(x - centre[0], y - centre[1])
    # along the lips in half mouths, down from the lip line in face heights
    u = (dx * across[0] + dy * across[1]) / half_px
    line = np.interp(u, np.linspace(-1, 1, 11), _line_heights(0.5 * (upper + lower), across))
    v = (dy * across[0] - dx * across[1] - 0.6 * line) / frame.height_px
    light = _skin_light(portrait, frame)
    # below an open smile the lower teeth hide behind the lip
    jaw = _lower_jaw(u, v - (0.5 * gap_px / frame.height_px + 0.014 if is_open else 0.0))
    return MouthTextures(
        skull=None if is_open else _finish(_upper_teeth(u, v), size, light),
        jaw=_finish(jaw, size, light),
        own=_own_mouth(portrait, frame, origin, size) if is_open else None,
        flesh=_FLESH * light,
        dark=_DARK * light,
        origin_px=origin.astype(np.float32),
        centre_px=centre.astype(np.float32),
    )


def _line_heights(line: Array, across: Array) -> Array:
    """How far the lip line ``[11, 2]`` lies below its middle, ``[11]`` px."""
    relative = line - line[5]
    return np.asarray(relative[:, 1] * across[0] - relative[:, 0] * across[1], np.float32)


def _skin_light(portrait: Portrait, frame: FaceFrame) -> Array:
    """The portrait's light ``[3]``, about 1: a bright face has bright teeth."""
    places = portrait.landmarks[[50, 280, 205, 425, 199], :2].round().astype(int)
    r = max(int(0.02 * frame.width_px), 1)
    patches = [portrait.image[max(y - r, 0) : y + r, max(x - r, 0) : x + r] for x, y in places]
    tone = np.median([patch.reshape(-1, 3).mean(0) for patch in patches if patch.size], axis=0)
    level = float(np.clip(tone.mean() / 175.0, 0.6, 1.04)) ** 0.5
    return np.full(3, level, np.float32)


def _arch(u: NDArray[Any], teeth: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Tooth coordinate of `u`: place in its tooth (-1…1), |angle| along the arch, inside flag."""
    angle = np.arcsin(np.clip(u / 0.98, -1.0, 1.0)) / (0.5 * np.pi)  # -1 … 1
    place = angle * teeth / 2.0
    within = 2.0 * (place - np.floor(place)) - 1.0
    return within, np.abs(angle), np.abs(u) < 0.96


def _upper_teeth(u: NDArray[Any], v: NDArray[Any]) -> Array:
    """Incisors to molars under a gum line, ``[h, w, 4]``."""
    within, side, inside = _arch(u, 10)
    edge = 0.017 - 0.016 * u * u - 0.0035 * np.abs(within) ** 4  # lower end, rounded corners
    cover = inside & (v < edge)
    gum_line = -0.048 + 0.006 * within**2 + 0.012 * side
    colour = np.where((v < gum_line)[..., None], _GUM, _ENAMEL)
    crease = 1.0 - 0.1 * np.clip((np.abs(within) - 0.84) / 0.16, 0, 1)
    round_off = 1.0 - 0.62 * side**1.7
    biting_edge = 1.0 - 0.1 * np.clip(1 - (edge - v) / 0.006, 0, 1)
    shade = crease * round_off * biting_edge
    return np.dstack([colour * shade[..., None], cover]).astype(np.float32)


def _lower_jaw(u: NDArray[Any], v: NDArray[Any]) -> Array:
    """Tongue behind the lower teeth, ``[h, w, 4]``."""
    within, side, inside = _arch(u * 1.08, 12)
    edge = 0.004 + 0.012 * u * u + 0.002 * np.abs(within) ** 4
    teeth = (inside & (v > edge))[..., None]
    crease = 1.0 - 0.1 * np.clip((np.abs(within) - 0.8) / 0.2, 0, 1)
    enamel = _ENAMEL * 0.86 * (crease * (1.0 - 0.7 * side**1.5))[..., None]
    colour = np.where((v > edge + 0.04)[..., None], _GUM * 0.8, enamel)
    reach = (u / 0.62) ** 2 + ((v - 0.022) / 0.05) ** 2
    tongue = np.clip((1.0 - reach) * 6.0, 0, 1)[..., None]
    groove = 1.0 - 0.14 * np.exp(-((u / 0.06) ** 2))
    rise = 0.62 + 0.38 * np.clip((v + 0.028) / 0.03, 0, 1)
    flesh = _TONGUE * (groove * rise)[..., None]
    rgb = np.where(teeth, colour, flesh)
    return np.dstack([rgb, np.maximum(teeth, tongue)[..., 0]]).astype(np.float32)


def _finish(layer: Array, size: tuple[int, int], light: Array) -> Array:
    """`layer` at portrait resolution with clean edges, lit."""
    layer = layer.copy()
    layer[..., :3] *= layer[..., 3:]
    small = np.asarray(cv2.resize(layer, size, interpolation=cv2.INTER_AREA), np.float32)
    small[..., :3] *= light / np.maximum(small[..., 3:], 1e-3)
    return small


def _own_mouth(
    portrait: Portrait, frame: FaceFrame, origin: Array, size: tuple[int, int]
) -> Array:
    """The portrait's pixels between its parted lips, continued under the upper: ``[h, w, 4]``."""
    p = portrait.landmarks[:, :2]
    upper, lower = p[mesh.INNER_UPPER] - origin, p[mesh.INNER_LOWER] - origin
    hidden_px = 0.045 * frame.height_px
    outline = np.concatenate([upper - [0, hidden_px], lower[::-1]])
    mask = fill_outline(outline, size)
    x, y = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
    rim = np.interp(x[0], upper[:, 0], upper[:, 1]).astype(np.float32)
    seen = np.maximum(y, rim)  # under the lip the teeth go on as they begin
    places = np.dstack([x + origin[0], seen + origin[1]]).astype(np.float32)
    pixels = sample(portrait.image, places)
    alpha = cv2.GaussianBlur(mask, (0, 0), 0.8).astype(np.float32) / 255.0
    return np.dstack([pixels.astype(np.float32), alpha])
