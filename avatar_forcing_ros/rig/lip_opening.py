"""The opening of a portrait's parted lips: taken out of the picture, its good teeth kept.

Both lips are continued over it by their own texture, so that no tooth and no shadow sticks to a
lip that moves. What the opening showed lies apart: the whole for a mouth at rest, and the upper
teeth, if enough of them is seen, for one that moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig import face_landmarks as mesh
from avatar_forcing_ros.rig.face_landmarks import FaceFrame
from avatar_forcing_ros.rig.image_ops import remap, sample, smooth_step
from avatar_forcing_ros.rig.lip_line import lip_body
from avatar_forcing_ros.rig.mouth_light import LUMINANCE, lip_colour
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.rig.teeth import MouthPlace, mouth_place

Image = NDArray[np.uint8]
Array = NDArray[np.float32]

# in face heights
_RIM = 0.014  # of a lip beside the opening, replaced too: light of teeth and shadow reach there
_HIDDEN = 0.05  # of the teeth, continued under the upper lip
_GOOD_TEETH = 0.026  # teeth of which less is seen are drawn instead
_RIM_SHADE = 0.38  # of the light that a lip's rim has less than its body


@dataclass(frozen=True)
class LipOpening:
    """`upper`, `lower` ``[S, S, 3]`` the portrait with that lip continued over the opening.

    `shown` ``[h, w, 4]`` the opening's own pixels and alpha, with the replaced rims, `teeth`
    ``[h, w, 4]`` its upper teeth, continued under the lip, or None; both at ``mouth_place``.
    `enamel` ``[n, 3]`` pixels of teeth, or None where too few are seen.
    """

    upper: Image
    lower: Image
    shown: Array
    teeth: Array | None
    enamel: Array | None


def take_out_opening(portrait: Portrait, frame: FaceFrame) -> LipOpening:
    """Take the opening between the parted lips of `portrait` out of it."""
    place = mouth_place(portrait, frame)
    x, y = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in place.size))
    pixels = np.dstack([x, y]) + place.origin_px  # [h, w, 2]
    down = frame.axes[1, :2] / np.linalg.norm(frame.axes[1, :2])
    within = np.sqrt((1.0 - place.u**2).clip(0.0))  # 0 at the corners
    rims, lips = [], []
    for rows, depth in ((mesh.LIP_UPPER, place.above), (mesh.LIP_LOWER, -place.below)):
        thick, body = _lip_columns(portrait, frame, rows, place)  # [w], [w, 3]
        rim = np.minimum(_RIM, 0.35 * thick) * within
        rims.append(rim)
        room = np.maximum(0.55 * thick - rim, 1.0 / frame.height_px)  # of texture, [h, w]
        beyond = (depth + rim).clip(0.0)
        sign = 1.0 if rows is mesh.LIP_UPPER else -1.0
        back = sign * frame.height_px * (beyond + np.minimum(beyond, room))
        places = (pixels - back[..., None] * down).astype(np.float32)
        continued = sample(portrait.image, places).astype(np.float32)
        # where the lip is thin or the texture used up, its mean colour
        calm = smooth_step(1.25 * beyond / room)
        continued += calm[..., None] * (body - continued)
        shade = _RIM_SHADE + 0.35 * smooth_step((np.abs(place.u) - 0.5) / 0.5)  # dark corners
        continued *= (1.0 - shade * smooth_step(beyond / (rim + 0.012 * within + 1e-3)))[..., None]
        lips.append(_pasted(portrait.image, continued, place, (beyond > 0) & (within > 0)))
    pixel = 1.0 / frame.height_px
    alpha = smooth_step((place.above + rims[0]) / (1.5 * pixel) + 1.2)
    alpha *= smooth_step((rims[1] - place.below) / (1.5 * pixel) + 1.2) * (within > 0)
    own = sample(portrait.image, pixels.astype(np.float32)).astype(np.float32)
    seen = (place.above > 0) & (place.below < 0)
    pale = _enamel_like(portrait, place, own, seen)
    bottom = _teeth_bottom(place, pale)
    return LipOpening(
        upper=lips[0],
        lower=lips[1],
        shown=np.dstack([own, alpha]).astype(np.float32),
        teeth=None if bottom is None else _teeth_layer(own, place, bottom, frame, down),
        enamel=own[pale] if pale.sum() > 30 else None,
    )


def _lip_columns(
    portrait: Portrait, frame: FaceFrame, rows: mesh.Indices, place: MouthPlace
) -> tuple[Array, Array]:
    """Height ``[w]`` in face heights and mean colour ``[w, 3]`` of a lip by column of `place`."""
    p = portrait.landmarks
    height = np.abs((p[rows[-1]] - p[rows[0]]) @ frame.axes[1]) / frame.height_px  # [11]
    soft = cv2.GaussianBlur(portrait.image, (0, 0), max(0.008 * frame.height_px, 0.5))
    middle = lip_body(p, rows).mean(0)[None].astype(np.float32)  # [1, 11, 2]
    colour = sample(np.asarray(soft, np.uint8), middle)[0].astype(np.float32)  # [11, 3]
    colour[:2], colour[-2:] = colour[2], colour[-3]  # the corners are thin and lie in the shade
    colour = np.asarray(cv2.blur(colour[None], (3, 1))[0], np.float32)
    along = np.maximum.accumulate(place.along(p[rows[-1], :2]))
    u = place.u[len(place.u) // 2]
    columns = [np.interp(u, along, v) for v in (height, *colour.T)]
    thick = np.maximum(columns[0], 1.5 / frame.height_px)
    return thick.astype(np.float32), np.stack(columns[1:], -1).astype(np.float32)


def _pasted(image: Image, pixels: Array, place: MouthPlace, where: NDArray[np.bool_]) -> Image:
    """`image` with `pixels` ``[h, w, 3]`` of `place` laid over it `where` ``[h, w]``."""
    out = image.copy()
    size = len(image)
    x0, y0 = place.origin_px.astype(int)
    width, height = place.size
    left, top = max(-x0, 0), max(-y0, 0)
    right, base = min(width, size - x0), min(height, size - y0)
    part = np.s_[top:base, left:right]
    target = out[y0 + top : y0 + base, x0 + left : x0 + right]
    target[where[part]] = (pixels[part][where[part]] + 0.5).clip(0, 255).astype(np.uint8)
    return out


def _enamel_like(
    portrait: Portrait, place: MouthPlace, own: Array, seen: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which pixels ``[h, w]`` of the opening `seen` are bright and pale as no lip is."""
    lip = lip_colour(portrait)
    level = own @ LUMINANCE
    if not seen.any():
        return seen
    bright = float(np.percentile(level[seen], 92))
    lip_level = max(float(lip @ LUMINANCE), 1.0)
    chroma = np.ptp(own, axis=-1) / np.maximum(level, 1.0)
    lip_chroma = float(np.ptp(lip)) / lip_level
    shining = seen & (level > 0.9 * bright)
    pale = float(np.median(chroma[shining]))
    coloured = lip_chroma > 0.2
    if bright < (0.8 if coloured and pale < 0.6 * lip_chroma else 1.12) * lip_level:
        return np.zeros_like(seen)
    found = seen & (level > 0.55 * bright)
    if coloured:
        found &= chroma < max(0.5 * (pale + lip_chroma), pale + 0.06)
    kernel = np.ones((3, 3), np.uint8)
    opened = cv2.morphologyEx(found.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    return np.asarray(opened, np.uint8) > 0


def _teeth_bottom(place: MouthPlace, pale: NDArray[np.bool_]) -> Array | None:
    """Lower end of the upper teeth by column ``[w]``, face heights below the upper lip's line.

    None where too little of them is seen.
    """
    columns = np.flatnonzero(pale.any(0))
    u = place.u[len(pale) // 2]
    if not columns.size:
        return None
    bottom = np.zeros(pale.shape[1], np.float32)
    for column in columns:
        rows = np.flatnonzero(pale[:, column])
        gaps = np.flatnonzero(np.diff(rows) > 3)  # below a dark gap: the lower teeth
        last = rows[gaps[0]] if gaps.size else rows[-1]
        bottom[column] = place.above[last, column]
    middle = np.abs(u) < 0.4
    if float(np.median(bottom[middle])) < _GOOD_TEETH:
        return None
    width = max(int(0.06 * middle.sum()) * 2 + 1, 5)
    filled = cv2.morphologyEx(bottom[None], cv2.MORPH_CLOSE, np.ones((1, width), np.uint8))[0]
    # teeth further back lie in the shade: they are kept too, up to the lower lip
    known = np.flatnonzero(filled > 0)
    ends = [max(u[known[0]] - 0.3, -0.96), *u[known], min(u[known[-1]] + 0.3, 0.96)]
    filled = np.interp(u, ends, [0.0, *filled[known], 0.0])
    room = place.above[np.abs(place.below).argmin(0), np.arange(len(u))] - 0.004
    filled = np.minimum(filled, room.clip(0.0)).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(filled[None], (0, 0), 1.2)[0], np.float32)


def _teeth_layer(
    own: Array, place: MouthPlace, bottom: Array, frame: FaceFrame, down: Array
) -> Array:
    """The own teeth ``[h, w, 4]`` down to `bottom`; under the lip they go on as they begin."""
    start = np.minimum(2.0 / frame.height_px, 0.3 * bottom)  # the lip's shadow is not repeated
    back = (start - place.above).clip(0.0) * frame.height_px  # px
    y, x = np.mgrid[0 : own.shape[0], 0 : own.shape[1]].astype(np.float32)
    places = np.dstack([x + back * down[0], y + back * down[1]]).astype(np.float32)
    pixels = remap(own, places)
    pixel = 1.0 / frame.height_px
    alpha = smooth_step((bottom - place.above) / (2.0 * pixel) + 0.5) * (place.above > -_HIDDEN)
    alpha *= smooth_step(bottom / (4.0 * pixel))
    return np.dstack([pixels, alpha]).astype(np.float32)
