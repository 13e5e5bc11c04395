"""The picture's own colours, light, grain and sharpness for what is drawn into its mouth.

Nothing here has a colour of its own: enamel and flesh are mixed from the portrait's skin, lips and
eye whites, so that a grey picture stays grey, a dark one dark and a warm one warm.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig import face_landmarks as mesh
from avatar_forcing_ros.rig.face_landmarks import EyeIndices, FaceFrame
from avatar_forcing_ros.rig.image_ops import fill_outline
from avatar_forcing_ros.rig.lip_line import lip_body
from avatar_forcing_ros.rig.portrait import Portrait

Array = NDArray[np.float32]

_SKIN = [205, 425, 199, 200, 50, 280, 187, 411]  # around the mouth and on the cheeks
_BROWS_AND_CHIN = [151, 9, 108, 337, 199, 50, 280]  # where skin lies open for its grain
# of red, green and blue in the luminance
LUMINANCE: Array = np.array([0.299, 0.587, 0.114], np.float32)
_SKIN_REDNESS = 0.28  # (red - blue) / luminance of skin in white light
# of a mouth in white light, red, green and blue over luminance minus those of its skin
_FLESH_TINT = np.array([0.28, -0.11, -0.08], np.float32)
_MAX_GRAIN = 7.0  # grey levels; what is rougher is hair or wrinkles
_FINEST_BLUR_PX, _COARSEST_BLUR_PX = 0.35, 4.0


@dataclass(frozen=True)
class MouthLight:
    """`enamel`, `gum`, `tongue`, `flesh`, `dark` ``[3]`` RGB 0…255, `flesh` at the cavity's rim.

    `grain` ``[n, n]`` grey levels of the picture's own noise; `blur_px` the width (sigma) of its
    sharpest edges.
    """

    enamel: Array
    gum: Array
    tongue: Array
    flesh: Array
    dark: Array
    grain: Array
    blur_px: float


def mouth_light(portrait: Portrait, frame: FaceFrame, teeth: Array | None = None) -> MouthLight:
    """What `portrait` says about the inside of its mouth.

    `teeth` ``[n, 3]`` are pixels of teeth that show, if any do.
    """
    skin = _median_colour(portrait, _SKIN, 0.02 * frame.width_px)
    lip = lip_colour(portrait)
    face = fill_outline(portrait.landmarks[mesh.OVAL, :2], (portrait.size_px,) * 2) > 127
    levels = portrait.image[face].astype(np.float32) @ LUMINANCE  # [n]
    black, white = (float(v) for v in np.percentile(levels, [0.7, 99.0]))
    black = min(black, 0.14 * float(skin @ LUMINANCE))
    enamel = _enamel(portrait, skin, black, white) if teeth is None else _seen_enamel(teeth)
    tint = _flesh_tint(skin, lip)
    room = float(skin @ LUMINANCE) - black

    def flesh(share: float) -> Array:
        return np.asarray((black + share * room) * tint, np.float32).clip(0.0, 255.0)

    deep = black + 0.045 * room
    return MouthLight(
        enamel=enamel,
        gum=flesh(0.58),
        tongue=flesh(0.72),
        flesh=flesh(0.13),
        dark=np.asarray(deep * tint**1.3, np.float32).clip(0.0, 255.0),
        grain=_grain(portrait, frame),
        blur_px=_blur_px(portrait, face),
    )


def lip_colour(portrait: Portrait) -> Array:
    """The middle colour ``[3]`` of the bodies of both lips."""
    lines = [
        lip_body(portrait.landmarks, rows)[:, 3:8] for rows in (mesh.LIP_UPPER, mesh.LIP_LOWER)
    ]
    points = np.concatenate(lines).reshape(-1, 2).round().astype(int)
    x, y = points.clip(0, portrait.size_px - 1).T
    return np.asarray(np.median(portrait.image[y, x].astype(np.float32), axis=0), np.float32)


def _median_colour(portrait: Portrait, places: list[int], reach_px: float) -> Array:
    """The middle of the mean colours ``[3]`` around landmarks."""
    r = max(int(reach_px), 1)
    tones = []
    for x, y in portrait.landmarks[places, :2].round().astype(int):
        patch = portrait.image[max(y - r, 0) : max(y + r, 0), max(x - r, 0) : max(x + r, 0)]
        if patch.size:
            tones.append(patch.reshape(-1, 3).mean(0))
    tone = np.median(tones, axis=0) if tones else portrait.image.reshape(-1, 3).mean(0)
    return np.asarray(tone, np.float32).clip(1.0)


def _enamel(portrait: Portrait, skin: Array, black: float, white: float) -> Array:
    """Teeth that the picture might have ``[3]``: near its eye whites, tinted a little as skin."""
    level = float(skin @ LUMINANCE)
    whites = np.concatenate([_eye_white(portrait, eye) for eye in (mesh.EYE_RIGHT, mesh.EYE_LEFT)])
    seen = float(np.percentile(whites @ LUMINANCE, 80)) if len(whites) > 20 else 1.1 * level
    lowest = black + 0.98 * (level - black)
    highest = max(black + 1.3 * (level - black), 0.75 * white)
    tint = 1.0 + 0.4 * (skin / level - 1.0)
    enamel = tint * np.clip(1.08 * seen, lowest, min(highest, max(0.97 * white, lowest)))
    return np.asarray(enamel, np.float32).clip(0.0, 250.0)


def _eye_white(portrait: Portrait, eye: EyeIndices) -> Array:
    """Pixels ``[n, 3]`` within the lids and beside the iris."""
    p = portrait.landmarks[:, :2]
    outline = np.concatenate([p[[eye.outer]], p[eye.upper], p[[eye.inner]], p[eye.lower][::-1]])
    x0, y0 = np.floor(outline.min(0)).astype(int).clip(0)
    x1, y1 = np.ceil(outline.max(0)).astype(int).clip(0) + 1
    patch = portrait.image[y0:y1, x0:x1]
    if not patch.size:
        return np.zeros((0, 3), np.float32)
    mask = fill_outline(outline - [x0, y0], (patch.shape[1], patch.shape[0])) > 127
    centre = p[eye.iris[0]] - [x0, y0]
    radius = np.linalg.norm(p[eye.iris[1:]] - p[eye.iris[0]], axis=1).mean()
    rows, columns = np.nonzero(mask)
    beside = np.hypot(columns - centre[0], rows - centre[1]) > 1.1 * radius
    return patch[rows[beside], columns[beside]].astype(np.float32)


def _seen_enamel(teeth: Array) -> Array:
    """The enamel ``[3]`` of pixels of teeth ``[n, 3]``: their brighter half."""
    levels = teeth @ LUMINANCE
    return np.asarray(np.median(teeth[levels >= np.median(levels)], axis=0), np.float32)


def _flesh_tint(skin: Array, lip: Array) -> Array:
    """Red, green and blue ``[3]`` over luminance of gums and tongue.

    As much redder than skin and lips as these are red themselves: grey pictures have grey gums.
    """
    base = 0.7 * skin / (skin @ LUMINANCE) + 0.3 * lip / max(float(lip @ LUMINANCE), 1.0)
    redness = float(base[0] - base[1:].mean())
    amount = np.clip(redness / (1.4 * _SKIN_REDNESS), 0.0, 1.0)
    tint = (base + amount * _FLESH_TINT).clip(0.05)
    return np.asarray(tint / (tint @ LUMINANCE), np.float32)


def _grain(portrait: Portrait, frame: FaceFrame) -> Array:
    """The fine structure of the smoothest open skin, grey levels ``[n, n]``, mean 0."""
    r = max(int(0.045 * frame.width_px), 3)
    size = portrait.size_px
    best = np.zeros((2 * r, 2 * r), np.float32)
    least = np.inf
    for x, y in portrait.landmarks[_BROWS_AND_CHIN, :2].round().astype(int):
        if not (r + 4 <= x < size - r - 4 and r + 4 <= y < size - r - 4):
            continue
        patch = portrait.image[y - r - 4 : y + r + 4, x - r - 4 : x + r + 4].astype(np.float32)
        grey = np.asarray(patch @ LUMINANCE, np.float32)
        fine = (grey - cv2.GaussianBlur(grey, (0, 0), 2.0))[4:-4, 4:-4]
        if float(fine.std()) < least:
            least, best = float(fine.std()), np.asarray(fine, np.float32)
    scale = min(1.0, _MAX_GRAIN / max(float(best.std()), 1e-3))
    return np.asarray((best - best.mean()) * scale, np.float32)


def _blur_px(portrait: Portrait, face: NDArray[np.bool_]) -> float:
    """The width of the sharpest edges in the `face` ``[S, S]``, as the sigma of a Gaussian.

    An edge of width s loses s / sqrt(s^2 + t^2) of its slope when it is blurred by t more.
    """
    grey = np.asarray(portrait.image.astype(np.float32) @ LUMINANCE, np.float32)
    more = 1.5
    sharp, soft = (
        np.hypot(cv2.Sobel(g, cv2.CV_32F, 1, 0), cv2.Sobel(g, cv2.CV_32F, 0, 1))[face]
        for g in (grey, np.asarray(cv2.GaussianBlur(grey, (0, 0), more), np.float32))
    )
    if not sharp.size or sharp.max() < 8.0:
        return 1.0
    edges = sharp >= np.percentile(sharp, 99.0)
    ratio = float(np.median(sharp[edges] / np.maximum(soft[edges], 1e-3)))
    sigma = more / np.sqrt(max(ratio**2 - 1.0, 1e-3))
    return float(np.clip(sigma, _FINEST_BLUR_PX, _COARSEST_BLUR_PX))
