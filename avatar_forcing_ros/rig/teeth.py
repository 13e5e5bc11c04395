"""What lies inside a mouth, drawn once in the portrait's pixels: teeth, gums, tongue.

The sizes are shares of the face, so they fit any portrait; colours, grain and sharpness are the
picture's, see `mouth_light`. Upper teeth hang from the upper lip's line, lower teeth and tongue
lie under the lower lip's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig import face_landmarks as mesh
from avatar_forcing_ros.rig.face_landmarks import FaceFrame
from avatar_forcing_ros.rig.image_ops import smooth_step
from avatar_forcing_ros.rig.mouth_light import MouthLight
from avatar_forcing_ros.rig.portrait import Portrait

Array = NDArray[np.float32]

_OVERSAMPLE = 3


@dataclass(frozen=True)
class MouthPlace:
    """The part of a portrait that mouth layers cover: `size` (w, h) px from `origin_px` ``[2]``.

    `u` ``[h, w]`` along the lips, -1 and 1 at the corners of their opening; `above`, `below`
    ``[h, w]`` how far a pixel lies under the upper and the lower lip's line, in face heights;
    `centre_px` the middle of the lips, `across` ``[2]`` the direction to the person's left,
    `half_px` (right, left) how far the corners lie from it.
    """

    origin_px: Array
    size: tuple[int, int]
    centre_px: Array
    across: Array
    half_px: tuple[float, float]
    u: Array
    above: Array
    below: Array

    def along(self, points_px: Array) -> Array:
        """`u` of `points_px` ``[n, 2]``."""
        return _signed_share((points_px - self.centre_px) @ self.across, self.half_px)


def mouth_place(portrait: Portrait, frame: FaceFrame, oversample: int = 1) -> MouthPlace:
    """Where the layers of the mouth of `portrait` lie; grids have `oversample` nodes a pixel."""
    p = portrait.landmarks[:, :2]
    upper, lower = p[mesh.INNER_UPPER], p[mesh.INNER_LOWER]
    centre = 0.5 * (upper[5] + lower[5])
    across = frame.axes[0, :2] / np.linalg.norm(frame.axes[0, :2])
    # the middle of a turned face is not half-way
    right, left = (float(v) for v in np.abs((upper[[0, -1]] - centre) @ across).clip(1.0))
    room_px = 0.5 * float(np.linalg.norm(upper[5] - lower[5]))
    reach = 1.5 * max(right, left)
    origin = np.floor(centre - [reach, 0.16 * frame.height_px + room_px])
    size = (int(2 * reach), int(0.42 * frame.height_px + 2 * room_px))
    step = 1.0 / oversample
    x = origin[0] + (np.arange(size[0] * oversample) + 0.5) * step - 0.5
    y = origin[1] + (np.arange(size[1] * oversample) + 0.5) * step - 0.5
    dx, dy = np.meshgrid(x - centre[0], y - centre[1])
    along, down = dx * across[0] + dy * across[1], dy * across[0] - dx * across[1]
    above, below = (down - _line(row - centre, across, along) for row in (upper, lower))
    return MouthPlace(
        origin_px=origin.astype(np.float32),
        size=size,
        centre_px=centre.astype(np.float32),
        across=across.astype(np.float32),
        half_px=(right, left),
        u=_signed_share(along, (right, left)),
        above=(above / frame.height_px).astype(np.float32),
        below=(below / frame.height_px).astype(np.float32),
    )


def _signed_share(along: NDArray[Any], half_px: tuple[float, float]) -> Array:
    """`along` px of the half mouth that it lies in."""
    return np.where(along < 0, along / half_px[0], along / half_px[1]).astype(np.float32)


def _line(row: Array, across: Array, along: NDArray[Any]) -> NDArray[Any]:
    """Height px of the lip line `row` ``[11, 2]`` below the mouth's middle, `along` px from it."""
    knots = row[:, 0] * across[0] + row[:, 1] * across[1]
    height = row[:, 1] * across[0] - row[:, 0] * across[1]
    return np.asarray(np.interp(along, np.maximum.accumulate(knots), height))


def upper_jaw(place: MouthPlace, light: MouthLight) -> Array:
    """Incisors to molars under their gums, ``[h, w, 4]`` RGB 0…255 and alpha 0…1."""
    u, v = place.u, place.above
    within, side, tooth, inside = _arch(u, 10)
    # canines are pointed, the teeth beside the middle ones a little shorter, molars higher up
    length = np.interp(tooth, [0, 1, 2, 3, 4], [0.0, -0.0032, -0.0005, -0.004, -0.007])
    corners = np.where(tooth == 2, 0.006 * np.abs(within) ** 1.6, 0.004 * np.abs(within) ** 4)
    edge = 0.021 + length - 0.009 * side - corners
    gum_line = -0.05 + 0.007 * within**2 + 0.012 * side
    crown = ((v - gum_line) / (edge - gum_line)).clip(0.0, 1.0)  # 0 at the gum, 1 at the edge
    shade = _tooth_shade(within, side) * (1.0 - 0.16 * (1.0 - crown) ** 2)
    shade *= 1.0 - 0.14 * smooth_step((crown - 0.75) / 0.25)
    colour = np.where((v < gum_line)[..., None], light.gum, light.enamel)
    return np.dstack([colour * shade[..., None], inside & (v < edge)]).astype(np.float32)


def lower_jaw(place: MouthPlace, light: MouthLight) -> Array:
    """The tongue behind the lower teeth, ``[h, w, 4]``."""
    u, v = place.u, place.below
    within, side, _, inside = _arch(u * 1.25, 12)
    edge = 0.006 + 0.014 * side + 0.0025 * np.abs(within) ** 3
    teeth = (inside & (v > edge))[..., None]
    enamel = light.enamel * 0.74 * _tooth_shade(within, side)[..., None]
    reach = (u / 0.66) ** 2 + ((v - 0.03) / 0.058) ** 2
    tongue = np.clip((1.0 - reach) * 2.5, 0.0, 1.0)[..., None]
    groove = 1.0 - 0.14 * np.exp(-((u / 0.08) ** 2))
    rise = 0.7 + 0.3 * smooth_step((v + 0.03) / 0.045)
    flesh = light.tongue * (groove * rise * (1.0 - 0.35 * np.abs(u).clip(0, 1)))[..., None]
    gums = (v > edge + 0.036)[..., None]
    rgb = np.where(teeth, np.where(gums, light.gum * 0.7, enamel), flesh)
    return np.dstack([rgb, np.maximum(teeth, tongue)[..., 0]]).astype(np.float32)


def _arch(
    u: NDArray[Any], teeth: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Where `u` falls on the arch of teeth.

    Place in its tooth (-1…1), |angle| along the arch 0…1, tooth number from the middle, inside.
    """
    angle = np.arcsin(np.clip(u / 0.98, -1.0, 1.0)) / (0.5 * np.pi)  # -1 … 1
    place = angle * teeth / 2.0
    within = 2.0 * (place - np.floor(place)) - 1.0
    return within, np.abs(angle), np.floor(np.abs(place)), np.abs(u) < 0.95


def _tooth_shade(within: NDArray[Any], side: NDArray[Any]) -> NDArray[Any]:
    """Rounded teeth with fine gaps, darker towards the cheeks."""
    rounding = 1.0 - 0.1 * np.abs(within) ** 2.5
    gaps = 1.0 - 0.3 * smooth_step((np.abs(within) - 0.88) / 0.12)
    return np.asarray(rounding * gaps * (1.0 - 0.78 * side**1.5))


def drawn_layers(
    portrait: Portrait, frame: FaceFrame, light: MouthLight
) -> tuple[Array, Array]:  # fmt: skip
    """Upper and lower jaw ``[h, w, 4]`` at the places of ``mouth_place(portrait, frame)``."""
    fine = mouth_place(portrait, frame, _OVERSAMPLE)
    layers = []
    for layer in (upper_jaw(fine, light), lower_jaw(fine, light)):
        layer[..., :3] *= layer[..., 3:]
        small = np.asarray(cv2.resize(layer, fine.size, interpolation=cv2.INTER_AREA), np.float32)
        if light.blur_px > 0.5:
            small = np.asarray(cv2.GaussianBlur(small, (0, 0), light.blur_px), np.float32)
        small[..., :3] /= np.maximum(small[..., 3:], 1e-3)
        small[..., :3] += _tiled(light.grain, fine.size)[..., None]
        layers.append(small.clip(0.0, 255.0))
    return layers[0], layers[1]


def _tiled(grain: Array, size: tuple[int, int]) -> Array:
    """`grain` ``[n, n]`` repeated by reflection over ``[h, w]``; `size` is (w, h)."""
    rows, columns = (_reflected(n, len(grain)) for n in size[::-1])
    return grain[rows[:, None], columns[None, :]]


def _reflected(count: int, period: int) -> NDArray[np.intp]:
    index = np.arange(count) % (2 * period)
    return np.where(index < period, index, 2 * period - 1 - index)
