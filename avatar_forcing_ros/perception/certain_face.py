"""Whether what a tracker took for a face is one: found again, it must be the same face.

FaceMesh draws a plausible face onto whatever it is given: an animal, a forehead that stands
upside down, a coin. But only on a face does it draw the same one each time. So the face is cut
out upright some times, each cut a little larger, shifted or turned, and found in each anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.perception.face_backend import FaceBackend
from avatar_forcing_ros.perception.face_tracker import Landmarks, Pixels
from avatar_forcing_ros.rig.face_landmarks import roll_in_image

Array = NDArray[np.float64]

# How far landmarks move from cut to cut, in widths of the face: 0.002 to 0.005 on photos,
# paintings, drawn and stone faces, up to 0.006 where those are tiny, noisy or coded badly; 0.0065
# and more, if they are found again at all, on dogs, cats, things and upside down.
SURE = 0.0055  # it is a face, and upright
MAX_WOBBLE = 0.0062  # it is a face, if another way up is not better
_HOPELESS = 0.06
_CUT_PX = 256
_COARSE_PX = 64  # width of a face that is looked at coarsely
# size of the cut in widths of the face, turn in rad, shift in widths of the face
_CUTS = (
    (1.7, 0.0, 0.0, 0.0), (2.0, 0.25, 0.05, -0.05), (1.5, -0.25, -0.05, 0.05),
    (2.3, 0.1, 0.08, 0.08), (1.8, -0.12, -0.08, -0.06),
)  # fmt: skip


@dataclass(frozen=True)
class FoundFace:
    """A face ``[478, 3]`` px and how far its landmarks move from cut to cut, in its widths."""

    landmarks: Landmarks
    wobble: float


def look_again(image: Pixels, face: Landmarks, backend: FaceBackend) -> FoundFace | None:
    """`face` ``[478, 3]`` px, found anew in cuts of `image`; None where it is not there again.

    `backend` tracks one face in a sequence. The landmarks are the mean of those in the cuts. A
    face that noise keeps from being certain is looked at coarsely, too, where noise is averaged.
    """
    fine = _look(image, face, backend, 1.0)
    detail = _COARSE_PX / max(1e-6, _box(face)[1])
    if detail >= 1.0 or (fine and fine.wobble < SURE):
        return fine
    coarse = _look(image, face, backend, detail)
    if coarse is None or (fine and fine.wobble < coarse.wobble):
        return fine
    precise = fine.landmarks if fine else coarse.landmarks
    return FoundFace(precise, coarse.wobble)


def _look(image: Pixels, face: Landmarks, backend: FaceBackend, detail: float) -> FoundFace | None:
    """The face in all cuts of `image`, which is seen at `detail` times its own resolution."""
    seen: list[Landmarks] = []
    centre, width = _box(face)
    turn = roll_in_image(face)
    for size, lean, right, down in _CUTS:
        at = centre + width * np.array([right, down])
        cut, linear, shift = _cut(image, at, width * size, turn + lean, detail)
        again = _found(cut, backend)
        if again is None:
            return None
        again[:, :2] = (again[:, :2] - shift) @ np.linalg.inv(linear).T
        again[:, 2] *= width * size / _CUT_PX
        if not seen:  # the first find may have been poor: all other cuts follow this one
            centre, width = _box(again)
            turn = roll_in_image(again)
        seen.append(again)
        if _wobble(seen) > _HOPELESS:
            return None
    return FoundFace(np.mean(seen, axis=0).astype(np.float32), _wobble(seen))


def _box(face: Landmarks) -> tuple[Array, float]:
    """Centre ``[2]`` of the landmarks and the longer side of their box."""
    return face[:, :2].mean(0).astype(np.float64), float(np.ptp(face[:, :2], axis=0).max())


def _wobble(seen: list[Landmarks]) -> float:
    """Mean distance of the landmarks from their means, in widths of the face."""
    points = np.stack(seen)[..., :2]  # [cut, 478, 2]
    mean = points.mean(0)
    apart = np.linalg.norm(points - mean, axis=-1).mean()
    return float(apart / max(1e-6, np.ptp(mean, axis=0).max()))


def _found(cut: Pixels, backend: FaceBackend) -> Landmarks | None:
    """The face ``[478, 3]`` in pixels of `cut`, seen without regard to the cut before."""
    backend.faces(np.zeros_like(cut))  # it forgets the last cut's face
    found = backend.faces(cut) and backend.faces(cut)  # the second is by where the first was
    return found[0] * np.float32(_CUT_PX) if found else None


def _cut(
    image: Pixels, centre: Array, side_px: float, turn_rad: float, detail: float
) -> tuple[Pixels, Array, Array]:
    """A turned square of `image`, and how pixels of `image` map to it."""
    scale = _CUT_PX / side_px
    part, corner = _around(image, centre, 0.75 * side_px)
    size = np.array(part.shape[1::-1])
    # a warp reads single pixels: what is to become much smaller is averaged before
    coarse = np.maximum(1, np.round(size * min(detail, 1.5 * scale, 1.0))).astype(int)
    if (coarse < size).any():
        small = cv2.resize(part, coarse.tolist(), interpolation=cv2.INTER_AREA)
        part = np.asarray(small, np.uint8)
    step = size / coarse  # pixels of the image in one of the part
    turn = np.array([[np.cos(turn_rad), np.sin(turn_rad)], [-np.sin(turn_rad), np.cos(turn_rad)]])
    linear = turn * scale
    shift = 0.5 * _CUT_PX - linear @ centre
    # pixel centres: (x + 0.5) scales, not x
    warp = np.column_stack([linear * step, shift + linear @ (corner + 0.5 * step - 0.5)])
    method = cv2.INTER_LINEAR if scale * step.max() < 1.0 else cv2.INTER_CUBIC
    pixels = cv2.warpAffine(
        part, warp, (_CUT_PX, _CUT_PX), flags=method, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(pixels, np.uint8), linear, shift


def _around(image: Pixels, centre: Array, reach: float) -> tuple[Pixels, Array]:
    """What of `image` lies within `reach` of `centre`, and its corner; at least a pixel."""
    size = np.array(image.shape[1::-1])
    low = np.clip(np.floor(centre - reach), 0, size - 1).astype(int)
    high = np.clip(np.ceil(centre + reach), low + 1, size).astype(int)
    return image[low[1] : high[1], low[0] : high[0]], low.astype(np.float64)
