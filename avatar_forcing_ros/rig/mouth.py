"""The mouth at full resolution: two lips, and what shows between them.

The upper lip is warped by the upper field and the lower by the lower one, each up to the lip
line. Inside the displaced inner outline: the cavity, then tongue and lower teeth that travel with
the jaw, then the upper teeth that stay with the skull. A portrait that smiles with its teeth
brings its own: the pixels inside its lips lie over the drawn upper teeth and stay put.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from avatar_forcing_ros.rig import face_landmarks as mesh
from avatar_forcing_ros.rig.face_landmarks import FaceFrame, face_frame
from avatar_forcing_ros.rig.image_ops import remap, sample
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.rig.teeth import MouthTextures, mouth_textures

Image = NDArray[np.uint8]
Array = NDArray[np.float32]

CLOSED_GAP = 0.022  # face heights; lips nearer than this are taken to touch
_CURVE_POINTS = 41


@dataclass(frozen=True)
class MouthWarp:
    """What the mouth needs of a frame's warp, on the coarse grid ``[G, G, 2]``, pixels.

    `upper`, `lower` inverse maps, `head` forward field of the pose, `linear` ``[2, 2]`` its turn.
    """

    upper: Array
    lower: Array
    head: Array
    linear: Array


def lip_gap_px(landmarks: Array, frame: FaceFrame) -> Array:
    """Opening ``[11]`` between the inner lips along the face's down axis, pixels."""
    gap = (landmarks[mesh.INNER_LOWER] - landmarks[mesh.INNER_UPPER]) @ frame.axes[1]
    return np.asarray(gap, np.float32)


def refine_lips(portrait: Portrait) -> Portrait:
    """The portrait with its lip landmarks laid where the image shows the lips.

    Closed lips get one common inner line, the visible seam, out to where it ends; the rims of open
    lips move a little into the lips, so that no tooth sticks to them.
    """
    p = portrait.landmarks
    frame = face_frame(p)
    down = frame.axes[1, :2] / np.linalg.norm(frame.axes[1, :2])
    refined = p.copy()
    if lip_gap_px(p, frame).max() > CLOSED_GAP * frame.height_px:
        rim = 0.006 * frame.height_px * np.sin(np.linspace(0, np.pi, 11))[:, None] * down
        refined[mesh.INNER_UPPER, :2] -= rim
        refined[mesh.INNER_LOWER, :2] += rim
        return replace(portrait, landmarks=refined)
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
        for row, share in zip(rows[1:], (0.2, 0.55, 1.0), strict=True):
            refined[row[1:-1]] += share * move[1:-1]
    return replace(portrait, landmarks=refined)


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


class MouthPainter:
    """Puts the mouth region of a frame together."""

    def __init__(self, portrait: Portrait, frame: FaceFrame) -> None:
        self._rest = portrait.landmarks[:, :2]
        self._size = portrait.size_px
        self._frame = frame
        self._textures: MouthTextures = mouth_textures(portrait, frame)
        knots = np.linspace(0.0, 1.0, 11)
        spline = CubicSpline(knots, np.eye(11), bc_type="natural")
        self._smooth = spline(np.linspace(0, 1, _CURVE_POINTS)).astype(np.float32)  # [41, 11]
        self._across = frame.axes[0, :2] / np.linalg.norm(frame.axes[0, :2])

    def paint(
        self, out: Image, source: Image, moves: Array, warp: MouthWarp, dim: float = 0.0
    ) -> None:
        """Redraw the mouth of `out` ``[S, S, 3]`` in place.

        `source` ``[S, S, 3]`` is the portrait, `moves` ``[478, 2]`` the expression's displacement
        of each landmark in px before the head's pose; `dim` (0…1) takes light from the inside, as
        protruding lips do.
        """
        placed = self._place(mesh.LIPS, moves, warp)
        x0, y0, x1, y1 = self._region(placed)
        if x1 - x0 < 8 or y1 - y0 < 8:
            return
        corner = np.array([x0, y0], np.float32)
        upper = self._smooth @ (self._place(mesh.INNER_UPPER, moves, warp) - corner)
        lower = self._smooth @ (self._place(mesh.INNER_LOWER, moves, warp) - corner)
        lower = upper + _never_above(lower - upper, self._across)
        size = x1 - x0, y1 - y0

        columns = np.arange(size[0], dtype=np.float32)
        top, base = (np.interp(columns, _rising(c[:, 0]), c[:, 1]) for c in (upper, lower))
        lips = self._lips(source, corner, size, 0.5 * (top + base), upper, warp)
        opening = _between(top, base, size[1])  # [h, w]
        if opening.max() > 0.0:
            self._fill_in(lips, opening, corner, moves, warp, dim)
        region = out[y0:y1, x0:x1]
        edge = _feather(size, 0.03 * self._frame.width_px)[..., None]
        mixed = region + edge * (lips - region)
        region[:] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)

    def _place(self, ids: NDArray[np.intp], moves: Array, warp: MouthWarp) -> Array:
        """Where landmarks `ids` are drawn, ``[n, 2]`` px."""
        rest = self._rest[ids]
        return np.asarray(rest + moves[ids] @ warp.linear.T + self._head(rest, warp), np.float32)

    def _head(self, places: Array, warp: MouthWarp) -> Array:
        """The pose's displacement at `places` ``[n, 2]`` px."""
        cells = (places + 0.5) * np.float32(len(warp.head) / self._size) - 0.5
        return np.asarray(remap(warp.head, cells[None].astype(np.float32))[0], np.float32)

    def _region(self, placed: Array) -> tuple[int, int, int, int]:
        margin = 0.09 * self._frame.width_px
        low = np.floor(placed.min(0) - margin).astype(int).clip(0)
        high = np.ceil(placed.max(0) + margin).astype(int).clip(max=self._size)
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])

    def _lips(
        self, source: Image, corner: Array, size: tuple[int, int], middle: NDArray[np.float64],
        upper: Array, warp: MouthWarp,
    ) -> Array:  # fmt: skip
        """Both lips ``[h, w, 3]`` float32, joined along `middle` ``[w]`` px, the opening's."""
        scale = len(warp.upper) / self._size
        offset = (corner + 0.5) * scale - 0.5
        zoom = np.array([[scale, 0, offset[0]], [0, scale, offset[1]]], np.float32)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        above, below = (
            sample(source, np.asarray(cv2.warpAffine(field, zoom, size, flags=flags), np.float32))
            for field in (warp.upper, warp.lower)
        )
        columns = np.arange(size[0], dtype=np.float32)
        beside = columns - columns.clip(upper[:, 0].min(), upper[:, 0].max())
        seam = middle + beside * (self._across[1] / self._across[0])  # on past the corners
        rows = np.arange(size[1], dtype=np.float32)[:, None]
        share = np.clip((rows - seam) / 1.5 + 0.5, 0.0, 1.0)[..., None]
        return np.asarray(above + share * (below.astype(np.float32) - above), np.float32)

    def _fill_in(
        self, lips: Array, opening: Array, corner: Array, moves: Array, warp: MouthWarp, dim: float
    ) -> None:
        """Paint the inside into `lips` ``[h, w, 3]`` where there is an `opening` ``[h, w]``."""
        left, top, width, height = cv2.boundingRect((opening > 0).astype(np.uint8))
        x, y = max(left - 3, 0), max(top - 3, 0)
        part = slice(y, top + height + 3), slice(x, left + width + 3)
        hole = opening[part]
        inside = self._inside(corner + np.array([x, y], np.float32), hole, moves, warp, dim)
        soft = cv2.GaussianBlur(hole, (3, 3), 0.6)[..., None]
        lips[part] += soft * (inside - lips[part])

    def _inside(
        self, corner: Array, opening: Array, moves: Array, warp: MouthWarp, dim: float
    ) -> Array:
        """Cavity, tongue and teeth ``[h, w, 3]`` float32 of a region that starts at `corner`."""
        size = (opening.shape[1], opening.shape[0])
        textures = self._textures
        skull = self._affine(corner, np.zeros(2, np.float32), warp)
        jaw = self._affine(corner, moves[mesh.CHIN], warp)
        radius = max(round(0.055 * self._frame.width_px), 1)
        deep = opening
        for _ in range(2):  # two boxes look like a bell and cost less
            blurred = cv2.blur(deep, (radius, radius), borderType=cv2.BORDER_CONSTANT)
            deep = np.asarray(blurred, np.float32)
        deep = deep[..., None]
        shade = np.clip(1.9 * deep - 0.75, 0.0, 1.0)
        inside = textures.flesh + shade * (textures.dark - textures.flesh)  # [h, w, 3]
        light = (0.62 + 0.38 * np.clip(2.4 * deep - 0.4, 0.0, 1.0)) * np.float32(1.0 - dim)
        drawn = (textures.jaw, jaw, light), (textures.skull, skull, light)
        for texture, matrix, lit in (*drawn, (textures.own, skull, np.float32(1.0))):
            if texture is not None:
                layer = cv2.warpAffine(texture, matrix, size, flags=cv2.INTER_LINEAR)
                inside += layer[..., 3:] * (layer[..., :3] * lit - inside)
        return np.asarray(inside, np.float32)

    def _affine(self, corner: Array, shift: Array, warp: MouthWarp) -> Array:
        """Texture pixels -> region pixels ``[2, 3]``: the pose around the mouth, after `shift`."""
        centre, reach = self._textures.centre_px, np.float32(0.12 * self._frame.width_px)
        probes = centre + reach * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]], np.float32)
        moved = probes + self._head(probes, warp)  # [5, 2]
        jacobian = np.stack([moved[1] - moved[2], moved[3] - moved[4]], 1) / (2 * reach)
        origin = self._textures.origin_px + shift
        start = moved[0] + jacobian @ (origin - centre) - corner
        return np.asarray(np.column_stack([jacobian, start]), np.float32)


def _never_above(gap: Array, across: Array) -> Array:
    """`gap` ``[n, 2]`` without a part that points up: lips do not cross."""
    down = np.array([-across[1], across[0]], np.float32)
    depth = gap @ down
    return np.asarray(gap + np.outer(np.maximum(depth, 0.0) - depth, down), np.float32)


def _rising(x: Array) -> Array:
    """`x` made increasing, for interpolation over columns."""
    steps = np.arange(len(x), dtype=np.float32) * 1e-3
    return np.asarray(np.maximum.accumulate(x) + steps, np.float32)


def _between(top: NDArray[np.float64], base: NDArray[np.float64], height: int) -> Array:
    """Share of each pixel ``[h, w]`` that lies between the curves `top` and `base` ``[w]``."""
    rows = np.arange(height, dtype=np.float32)[:, None]
    low, high = np.maximum(rows - 0.5, top), np.minimum(rows + 0.5, base)
    return np.asarray(np.clip(high - low, 0.0, 1.0), np.float32)


def _feather(size: tuple[int, int], width_px: float) -> Array:
    """0 at the region's edge, 1 further in, ``[h, w]``."""
    x, y = (
        np.minimum(np.arange(n), n - 1 - np.arange(n)).astype(np.float32) / width_px for n in size
    )
    edge = np.minimum(y[:, None], x[None, :]).clip(0.0, 1.0)
    return np.asarray(edge, np.float32)
