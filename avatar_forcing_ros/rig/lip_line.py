"""Where a portrait's lips meet or part: its lip landmarks laid on what the picture shows.

FaceMesh is a few pixels off at the lips, and blind to a gap of a few pixels. Closed lips get one
common line, the visible seam. For parted lips both rims are searched as the border between what
looks like the body of that lip and what does not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig import face_landmarks as mesh
from avatar_forcing_ros.rig.face_landmarks import FaceFrame, face_frame
from avatar_forcing_ros.rig.image_ops import remap
from avatar_forcing_ros.rig.portrait import Portrait

Array = NDArray[np.float32]

# in face heights
_OPEN_GAP = 0.022  # landmarks further apart are believed without a look
_SLIGHT_GAP = 0.0035  # closed lips have nearer landmarks: further apart, the picture decides
_BAND_AND_GAP = 0.0125  # that with the band that looks like neither lip, of parted lips
_BAND = 0.04  # such a band that is thicker than any seam
_PARTED = 0.003  # of refined lips, which touch exactly or are apart
_STEP = 0.002  # of the search across the lips
_SEARCH = 0.022  # how far a rim may lie from its landmarks
_COLUMNS = 41
_FOLLOW = (0.2, 0.55, 1.0)  # how far the lip rows go along with the inner one
# colours differ by 1 where lightness or chroma differ by so much, at a skin lightness of 65
_LIGHTNESS, _CHROMA = 16.0, 12.0


def lip_gap_px(landmarks: Array, frame: FaceFrame) -> Array:
    """Opening ``[11]`` between the inner lips along the face's down axis, pixels."""
    gap = (landmarks[mesh.INNER_LOWER] - landmarks[mesh.INNER_UPPER]) @ frame.axes[1]
    return np.asarray(gap, np.float32)


def lip_body(landmarks: Array, rows: mesh.Indices) -> Array:
    """Two lines ``[2, 11, 2]`` px along the body of the lip with landmark `rows` ``[4, 11]``."""
    outer, inner = landmarks[rows[0], :2], landmarks[rows[-1], :2]
    return np.stack([outer + share * (inner - outer) for share in (0.4, 0.7)])


def lips_parted(landmarks: Array, frame: FaceFrame) -> bool:
    """Whether refined lips have an opening between them."""
    return bool(lip_gap_px(landmarks, frame).max() > _PARTED * frame.height_px)


def refine_lips(portrait: Portrait) -> Portrait:
    """The portrait with its lip landmarks laid where the image shows the lips.

    Closed lips get one common inner line, the visible seam, out to where it ends; parted lips
    their rims, between which lies everything that is no lip.
    """
    p = portrait.landmarks
    frame = face_frame(p)
    strip = _cut_strip(portrait, frame)
    gap = float(lip_gap_px(p, frame).max()) / frame.height_px
    band = strip.band()
    is_open = gap > _OPEN_GAP or band > _BAND
    is_open |= gap > _SLIGHT_GAP and gap + band > _BAND_AND_GAP
    refined = _part(p, frame, strip) if is_open else _close(portrait, frame)
    return replace(portrait, landmarks=refined)


@dataclass(frozen=True)
class _Strip:
    """The mouth straightened along the landmarks' lip line: n steps down, `_COLUMNS` across.

    `unlike_upper`, `unlike_lower` ``[n, columns]`` how little a place looks like the body of that
    lip, 0…1; `offset` ``[n]`` where it lies below the middle line, and `half_gap` ``[columns]``
    half the landmarks' opening, in face heights.
    """

    unlike_upper: Array
    unlike_lower: Array
    offset: Array
    half_gap: Array

    def band(self) -> float:
        """Median height of what looks like neither lip at the middle line, in face heights."""
        neither = np.minimum(self.unlike_upper, self.unlike_lower) > 0.8  # [n, columns]
        heights = []
        for column in range(_COLUMNS // 4, _COLUMNS - _COLUMNS // 4):
            runs = np.flatnonzero(np.diff(np.pad(neither[:, column].astype(int), 1)))
            at_middle = [
                end - start
                for start, end in zip(runs[::2], runs[1::2], strict=True)
                if self.offset[start] < 0.012 and self.offset[end - 1] > -0.012
            ]
            heights.append(max(at_middle, default=0))
        return float(np.median(heights)) * _STEP

    def rim(self, unlike: Array, sign: float) -> Array:
        """Where the lip ends, ``[columns]`` offsets; `sign` is 1 where the lip lies above."""
        flipped = unlike if sign > 0 else unlike[::-1]
        offset = self.offset if sign > 0 else -self.offset[::-1]
        wanted = -self.half_gap  # above the middle
        inside, outside = _mean_before(flipped, 8), _mean_before(flipped[::-1], 3)[::-1]
        off = (offset[:, None] - wanted) / _SEARCH  # [n, columns]
        cost = inside + (1.0 - outside) + 0.35 * off**2
        cost[np.abs(off) > 1.0] = 10.0
        return np.asarray(offset[_cheapest_path(cost)] * sign, np.float32)


def _cut_strip(portrait: Portrait, frame: FaceFrame) -> _Strip:
    p = portrait.landmarks
    down = frame.axes[1, :2] / np.linalg.norm(frame.axes[1, :2])
    upper, lower = (_finer(p[row, :2]) for row in (mesh.INNER_UPPER, mesh.INNER_LOWER))
    half_gap = 0.5 * ((lower - upper) @ down).clip(0.0) / frame.height_px  # [columns]
    reach = float(half_gap.max()) + 0.05
    offset = np.arange(-reach, reach, _STEP, dtype=np.float32)
    steps = offset[:, None, None] * frame.height_px * down  # [n, 1, 2]
    lab = _lab(portrait, frame)
    places = 0.5 * (upper + lower) + steps
    colours = remap(lab, places.astype(np.float32))  # [n, columns, 3]
    soft = np.asarray(cv2.GaussianBlur(lab, (0, 0), 0.006 * frame.height_px), np.float32)
    unlike = []
    for rows in (mesh.LIP_UPPER, mesh.LIP_LOWER):
        body = np.stack([_finer(row) for row in lip_body(p, rows)])  # [2, columns, 2]
        lip = remap(soft, body.astype(np.float32)).mean(0)  # [columns, 3]
        lip = np.asarray(cv2.blur(lip[None], (9, 1))[0], np.float32)
        difference = (colours - lip) / np.array([_LIGHTNESS, _CHROMA, _CHROMA], np.float32)
        unlike.append(np.linalg.norm(difference, axis=-1).clip(0.0, 1.0).astype(np.float32))
    return _Strip(unlike[0], unlike[1], offset, half_gap.astype(np.float32))


def _lab(portrait: Portrait, frame: FaceFrame) -> Array:
    """Lightness and chroma ``[S, S, 3]`` with the skin at the same lightness in any picture."""
    p = portrait.landmarks[[205, 425, 199, 50, 280], :2]
    x, y = p.round().astype(int).clip(0, portrait.size_px - 1).T
    level = float(np.median(portrait.image[y, x].mean(-1)))
    bright = portrait.image.astype(np.float32) * np.float32(min(158.0 / max(level, 8.0), 8.0))
    return np.asarray(cv2.cvtColor(bright.clip(0.0, 255.0) / 255.0, cv2.COLOR_RGB2LAB), np.float32)


def _finer(points: Array) -> Array:
    """The lip row ``[11, 2]`` at `_COLUMNS` places."""
    at = np.linspace(0.0, 10.0, _COLUMNS)
    columns = [np.interp(at, np.arange(11), points[:, c]) for c in (0, 1)]
    return np.stack(columns, -1).astype(np.float32)


def _mean_before(values: Array, count: int) -> Array:
    """Mean of the `count` rows before each row of `values` ``[n, columns]``."""
    total = np.cumsum(np.pad(values, ((count, 0), (0, 0)), mode="edge"), axis=0)
    total = np.pad(total, ((1, 0), (0, 0)))
    return np.asarray((total[count:-1] - total[: -count - 1]) / count, np.float32)


def _cheapest_path(cost: Array) -> NDArray[np.intp]:
    """A smooth line through `cost` ``[n, columns]``: its row in each column, ``[columns]``."""
    n, columns = cost.shape
    jumps = np.arange(-3, 4)
    total = cost[:, 0]
    before = np.zeros((columns, n), np.intp)
    for column in range(1, columns):
        source = (np.arange(n)[:, None] + jumps).clip(0, n - 1)  # [n, 7]
        candidates = total[source] + 0.03 * jumps**2
        best = candidates.argmin(1)
        before[column] = source[np.arange(n), best]
        total = candidates[np.arange(n), best] + cost[:, column]
    path = np.empty(columns, np.intp)
    path[-1] = total.argmin()
    for column in range(columns - 1, 0, -1):
        path[column - 1] = before[column, path[column]]
    return path


def _part(p: Array, frame: FaceFrame, strip: _Strip) -> Array:
    """`p` ``[478, 3]`` with the inner lips on the rims of the opening that `strip` shows."""
    refined = p.copy()
    down = frame.axes[1] / np.linalg.norm(frame.axes[1, :2])
    rims = [strip.rim(strip.unlike_upper, 1.0), strip.rim(strip.unlike_lower, -1.0)]
    middle, half = 0.5 * (rims[0] + rims[1]), 0.5 * (rims[1] - rims[0]).clip(0.0)
    bow = np.sin(np.linspace(0.0, np.pi, _COLUMNS)) ** 0.5  # corners stay
    at_landmarks = np.linspace(0, _COLUMNS - 1, 11).round().astype(int)
    for rows, rim, side in (
        (mesh.LIP_UPPER, middle - half, -1),
        (mesh.LIP_LOWER, middle + half, 1),
    ):
        shift = (rim - side * strip.half_gap) * bow
        shift = np.asarray(cv2.blur(shift[None], (5, 1))[0], np.float32)[at_landmarks]
        for row, share in zip(rows[1:], _FOLLOW, strict=True):
            step = share * frame.height_px * shift[1:-1, None] * down
            refined[row[1:-1], :2] += step[:, :2]
    return refined


def _close(portrait: Portrait, frame: FaceFrame) -> Array:
    """Landmarks ``[478, 3]`` with both inner lips on the visible seam."""
    down = frame.axes[1, :2] / np.linalg.norm(frame.axes[1, :2])
    refined = portrait.landmarks.copy()
    grey = np.asarray(portrait.image.mean(-1), np.float32)
    grey = np.asarray(cv2.GaussianBlur(grey, (0, 0), 0.8), np.float32)
    _stretch_to_corners(refined, grey, down, frame)
    line = 0.5 * (refined[mesh.INNER_UPPER] + refined[mesh.INNER_LOWER])  # [11, 3]
    offset, _ = _seam(grey, line[:, :2], down, 0.025 * frame.height_px)
    smooth = np.convolve(np.pad(offset, 1, mode="edge"), [0.15, 0.7, 0.15], mode="valid")
    smooth[[0, -1]] = 0.0
    line[:, :2] += smooth[:, None] * down
    for rows in (mesh.LIP_UPPER, mesh.LIP_LOWER):
        move = line - refined[rows[-1]]
        for row, share in zip(rows[1:], _FOLLOW, strict=True):
            refined[row[1:-1]] += share * move[1:-1]
    return refined


def _seam(grey: Array, line: Array, down: Array, reach_px: float) -> tuple[Array, Array]:
    """The dark line between closed lips near `line` ``[n, 2]``.

    Returns how far below `line` it runs, ``[n]`` px, and how much darker than its surroundings it
    is, ``[n]`` grey levels.
    """
    steps = np.linspace(-reach_px, reach_px, 25, dtype=np.float32)
    places = (line[:, None] + steps[None, :, None] * down).astype(np.float32)  # [n, 25, 2]
    profile = remap(grey, places)
    cost = profile + 25.0 * (steps / reach_px) ** 2
    contrast = np.minimum(profile[:, 0], profile[:, -1]) - profile.min(1)
    return steps[cost.argmin(1)], contrast


def _stretch_to_corners(p: Array, grey: Array, down: Array, frame: FaceFrame) -> None:
    """Widen the lip landmarks `p` in place to the ends of the visible seam."""
    inner = p[[mesh.INNER_UPPER[0], mesh.INNER_UPPER[-1]], :2]
    middle = inner.mean(0)
    for corner in inner:
        outwards = (corner - middle) / np.linalg.norm(corner - middle)
        reach = np.linspace(0.0, 0.07 * frame.width_px, 15, dtype=np.float32)
        line = corner + reach[:, None] * outwards
        offset, contrast = _seam(grey, line, down, 0.025 * frame.height_px)
        ended = np.flatnonzero(contrast < 0.45 * contrast[0])
        last = int(ended[0]) - 1 if len(ended) else len(reach) - 1
        if last < 1:
            continue
        wanted = line[last] + offset[last] * down - corner  # [2]
        along = (p[mesh.LIPS, :2] - middle) @ outwards / np.linalg.norm(corner - middle)
        p[mesh.LIPS, :2] += along.clip(0.0, 1.0)[:, None] ** 2 * wanted
