"""The mouth at full resolution: two lips, and what shows between them.

The upper lip is warped by the upper field and the lower by the lower one, each up to the lip
line. Inside the displaced inner outline: the cavity, then tongue and lower teeth that travel with
the jaw, then the upper teeth that stay with the skull. A portrait whose lips are parted has its
opening taken out, see `lip_opening`, and brings its own teeth where it shows them well.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from avatar_forcing_ros.rig import face_landmarks as mesh
from avatar_forcing_ros.rig.face_landmarks import FaceFrame
from avatar_forcing_ros.rig.image_ops import remap, sample, smooth_step
from avatar_forcing_ros.rig.lip_line import lips_parted
from avatar_forcing_ros.rig.lip_opening import LipOpening, take_out_opening
from avatar_forcing_ros.rig.mouth_light import mouth_light
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.rig.teeth import drawn_layers, mouth_place

Image = NDArray[np.uint8]
Array = NDArray[np.float32]

_CURVE_POINTS = 41
# in face heights
_AT_REST = 0.014  # lips that moved further show nothing of the portrait's own opening but teeth
_RIM_LIGHT = 0.03  # how deep light reaches behind the lips
_WIDE_GAP = 0.06  # an opening that lights its teeth fully


@dataclass(frozen=True)
class MouthWarp:
    """What the mouth needs of a frame's warp, on the coarse grid ``[G, G, 2]``, pixels.

    `upper`, `lower` inverse maps, `head` forward field of the pose, `linear` ``[2, 2]`` its turn,
    `rims` ``[2, 11, 2]`` where the upper and the lower field put the inner lip rows.
    """

    upper: Array
    lower: Array
    head: Array
    linear: Array
    rims: Array


@dataclass(frozen=True)
class _Hole:
    """The opening in a region: `cover` ``[h, w]`` 0…1, its edges `top`, `base` ``[w]`` px."""

    cover: Array
    top: Array
    base: Array

    def part(self, rows: slice, columns: slice) -> _Hole:
        shift = np.float32(rows.start)
        return _Hole(
            self.cover[rows, columns], self.top[columns] - shift, self.base[columns] - shift
        )


class MouthPainter:
    """Puts the mouth region of a frame together."""

    def __init__(self, portrait: Portrait, frame: FaceFrame) -> None:
        self._rest = portrait.landmarks[:, :2]
        self._size = portrait.size_px
        self._frame = frame
        self._place = mouth_place(portrait, frame)
        self._own: LipOpening | None = None
        if lips_parted(portrait.landmarks, frame):
            self._own = take_out_opening(portrait, frame)
        light = mouth_light(portrait, frame, None if self._own is None else self._own.enamel)
        self._light = light
        self._skull, self._jaw = drawn_layers(portrait, frame, light)
        knots = np.linspace(0.0, 1.0, 11)
        spline = CubicSpline(knots, np.eye(11), bc_type="natural")
        self._smooth = spline(np.linspace(0, 1, _CURVE_POINTS)).astype(np.float32)  # [41, 11]
        self._across = frame.axes[0, :2] / np.linalg.norm(frame.axes[0, :2])
        self._down = frame.axes[1, :2] / np.linalg.norm(frame.axes[1, :2])

    def paint(
        self, out: Image, cover: Image, source: Image, moves: Array, warp: MouthWarp,
        dim: float = 0.0,
    ) -> None:  # fmt: skip
        """Redraw the mouth of `out` ``[S, S, 3]`` in place, where `cover` ``[S, S]`` is 255.

        `source` ``[S, S, 3]`` is the portrait, `moves` ``[478, 2]`` the expression's displacement
        of each landmark in px before the head's pose; `dim` (0…1) takes light from the inside, as
        protruding lips do.
        """
        placed = self._placed(mesh.LIPS, moves, warp)
        x0, y0, x1, y1 = self._region(np.concatenate([placed, *warp.rims]))
        if x1 - x0 < 8 or y1 - y0 < 8:
            return
        corner = np.array([x0, y0], np.float32)
        size = x1 - x0, y1 - y0
        top, base = self._edges(warp.rims - corner, moves, size[0])
        ends = warp.rims[:, [0, -1], 0].mean(0) - x0
        lips = self._lips(source, corner, size, 0.5 * (top + base), ends, warp)
        hole = _Hole(_between(top, base, size[1]), top, base)
        if hole.cover.max() > 0.0:
            self._fill_in(lips, hole, corner, moves, warp, dim)
        self._show_own(lips, corner, moves, warp)
        region = out[y0:y1, x0:x1]
        share = _feather(size, 0.03 * self._frame.width_px)
        share *= cover[y0:y1, x0:x1] * np.float32(1.0 / 255.0)  # nothing beside a turned face
        mixed = region + share[..., None] * (lips - region)
        region[:] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)

    def _placed(self, ids: NDArray[np.intp], moves: Array, warp: MouthWarp) -> Array:
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

    def _edges(self, rims: Array, moves: Array, width: int) -> tuple[Array, Array]:
        """Rows of the opening's upper and lower edge by column ``[w]``.

        As the fields put the lips, but no further apart than the landmarks: fields are smooth, and
        what they leave between lips that are closed is not open.
        """
        upper, lower = (self._smooth @ rim for rim in rims)
        moved = self._rest + moves
        gap = (moved[mesh.INNER_LOWER] - moved[mesh.INNER_UPPER]) @ self._down
        scale = np.linalg.norm(rims[0, -1] - rims[0, 0]) / max(
            float(np.linalg.norm(moved[mesh.INNER_UPPER[-1]] - moved[mesh.INNER_UPPER[0]])), 1.0
        )
        allowed = self._smooth @ (gap.clip(0.0) * scale)
        columns = np.arange(width, dtype=np.float32)
        top, base = (np.interp(columns, _rising(c[:, 0]), c[:, 1]) for c in (upper, lower))
        open_px = np.interp(columns, _rising(upper[:, 0]), allowed)
        middle, half = 0.5 * (top + base), 0.5 * np.minimum(base - top, open_px).clip(0.0)
        left, right = (float(x) for x in rims[:, [0, -1], 0].mean(0))
        half[(columns < left) | (columns > right)] = 0.0
        return (middle - half).astype(np.float32), (middle + half).astype(np.float32)

    def _lips(
        self, source: Image, corner: Array, size: tuple[int, int], middle: Array, ends: Array,
        warp: MouthWarp,
    ) -> Array:  # fmt: skip
        """Both lips ``[h, w, 3]`` float32, joined along `middle` ``[w]`` px, the opening's.

        `ends` ``[2]`` are the columns of the corners; past them the two run softly together.
        """
        scale = len(warp.upper) / self._size
        offset = (corner + 0.5) * scale - 0.5
        zoom = np.array([[scale, 0, offset[0]], [0, scale, offset[1]]], np.float32)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        own = self._own
        images = (source, source) if own is None else (own.upper, own.lower)
        above, below = (
            sample(image, np.asarray(cv2.warpAffine(field, zoom, size, flags=flags), np.float32))
            for image, field in zip(images, (warp.upper, warp.lower), strict=True)
        )
        columns = np.arange(size[0], dtype=np.float32)
        beside = columns - columns.clip(ends[0], ends[1])
        seam = middle + beside * (self._across[1] / self._across[0])  # on past the corners
        softness = 1.5 + 1.2 * np.abs(beside)
        rows = np.arange(size[1], dtype=np.float32)[:, None]
        share = np.clip((rows - seam) / softness + 0.5, 0.0, 1.0)[..., None]
        return np.asarray(above + share * (below.astype(np.float32) - above), np.float32)

    def _fill_in(
        self, lips: Array, hole: _Hole, corner: Array, moves: Array, warp: MouthWarp, dim: float
    ) -> None:
        """Paint the inside into `lips` ``[h, w, 3]`` where there is a `hole`."""
        sigma = max(0.6, 0.8 * self._light.blur_px)
        reach = int(2.0 * sigma + 1.5)
        left, top, width, height = cv2.boundingRect((hole.cover > 0).astype(np.uint8))
        x, y = max(left - reach, 0), max(top - reach, 0)
        part = slice(y, top + height + reach), slice(x, left + width + reach)
        inner = hole.part(*part)
        inside = self._inside(corner + np.array([x, y], np.float32), inner, moves, warp, dim)
        window = (2 * reach + 1, 2 * reach + 1)
        soft = cv2.GaussianBlur(inner.cover, window, sigma)[..., None]
        lips[part] += soft * (inside - lips[part])

    def _inside(
        self, corner: Array, hole: _Hole, moves: Array, warp: MouthWarp, dim: float
    ) -> Array:
        """Cavity, tongue and teeth ``[h, w, 3]`` float32 of a region that starts at `corner`."""
        size = (hole.cover.shape[1], hole.cover.shape[0])
        height = np.float32(self._frame.height_px)
        rows = np.arange(size[1], dtype=np.float32)[:, None]
        under, over = rows - hole.top, hole.base - rows  # [h, w] px from the lips
        light = self._light
        depth = smooth_step(np.minimum(2.0 * under, over) / (_RIM_LIGHT * height))[..., None]
        inside = light.flesh + depth * (light.dark - light.flesh)  # [h, w, 3]
        gap = smooth_step((hole.base - hole.top) / (_WIDE_GAP * height))  # [w]
        lit = (0.34 + 0.66 * gap) * np.float32(1.0 - dim)
        behind_lip = 0.68 + 0.32 * np.clip(under / (0.02 * height), 0.0, 1.0)
        before_lip = 0.8 + 0.2 * np.clip(over / (0.03 * height), 0.0, 1.0)
        skull = self._affine(corner, np.zeros(2, np.float32), warp)
        jaw = self._affine(corner, moves[mesh.CHIN], warp)
        own = None if self._own is None else self._own.teeth
        layers = [(self._jaw, jaw, (lit * before_lip)[..., None])]
        if own is None:
            layers.append((self._skull, skull, (lit * behind_lip)[..., None]))
        else:
            layers.append((own, skull, np.ones((1, 1, 1), np.float32)))
        for texture, matrix, shade in layers:
            layer = cv2.warpAffine(texture, matrix, size, flags=cv2.INTER_LINEAR)
            dark = light.dark
            inside += layer[..., 3:] * (dark + shade * (layer[..., :3] - dark) - inside)
        return np.asarray(inside, np.float32)

    def _show_own(self, lips: Array, corner: Array, moves: Array, warp: MouthWarp) -> None:
        """Lay the portrait's own opening over `lips` while they are near to where they rest."""
        if self._own is None:
            return
        inner = moves[np.concatenate([mesh.INNER_UPPER, mesh.INNER_LOWER])]
        far = np.abs(inner).max(keepdims=True)[0] / (_AT_REST * self._frame.height_px)  # [1]
        share = 1.0 - smooth_step(far)
        if not share.any():
            return
        matrix = self._affine(corner, np.zeros(2, np.float32), warp)
        size = (lips.shape[1], lips.shape[0])
        layer = cv2.warpAffine(self._own.shown, matrix, size, flags=cv2.INTER_LINEAR)
        lips += share * layer[..., 3:] * (layer[..., :3] - lips)

    def _affine(self, corner: Array, shift: Array, warp: MouthWarp) -> Array:
        """Texture pixels -> region pixels ``[2, 3]``: the pose around the mouth, after `shift`."""
        centre, reach = self._place.centre_px, np.float32(0.12 * self._frame.width_px)
        probes = centre + reach * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]], np.float32)
        moved = probes + self._head(probes, warp)  # [5, 2]
        jacobian = np.stack([moved[1] - moved[2], moved[3] - moved[4]], 1) / (2 * reach)
        origin = self._place.origin_px + shift
        start = moved[0] + jacobian @ (origin - centre) - corner
        return np.asarray(np.column_stack([jacobian, start]), np.float32)


def _rising(x: Array) -> Array:
    """`x` made increasing, for interpolation over columns."""
    steps = np.arange(len(x), dtype=np.float32) * 1e-3
    return np.asarray(np.maximum.accumulate(x) + steps, np.float32)


def _between(top: Array, base: Array, height: int) -> Array:
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
