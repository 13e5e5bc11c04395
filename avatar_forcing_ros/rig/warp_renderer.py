"""Motion coefficients -> pixels: one portrait, warped.

Per frame: eyes are edited in the portrait's own pixels; the coefficients' fields are summed on a
coarse grid, the head's rotation under a weak perspective is added where the head's weight says so,
the sum is inverted by fixed-point steps, and one remap draws the image. The mouth is put
together apart, at full resolution: the upper lip by the upper field, the lower lip by the lower
one, and between them what an open mouth shows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.rig import blendshapes, coefficients
from avatar_forcing_ros.rig import face_landmarks as mesh
from avatar_forcing_ros.rig.backdrop import Backdrop
from avatar_forcing_ros.rig.cut_out import cut_out
from avatar_forcing_ros.rig.eyes import EyePainter
from avatar_forcing_ros.rig.glasses import find_glasses
from avatar_forcing_ros.rig.image_ops import remap
from avatar_forcing_ros.rig.layers import split_layers
from avatar_forcing_ros.rig.lip_line import refine_lips
from avatar_forcing_ros.rig.mouth import MouthPainter, MouthWarp
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.rig.warp_fields import GRID, build_fields

Image = NDArray[np.uint8]
Array = NDArray[np.float32]

NEWTON_STEPS = 2
_VIEW_DISTANCE = 6.0  # head widths from the eye to the head: weak perspective
_NO_MAP = np.empty(0, np.float32)
_MAX_STRAIN = 0.8  # a displacement that changes by 1 px per px folds
_PUCKER_SHADE = 0.65  # of the light inside the mouth that rounded lips take away
# eyes of which neither shows an iris, as those of stone or plush, cannot be turned
_NO_IRIS, _SOME_IRIS = 0.45, 0.1
_PUCKER = coefficients.EXPRESSION_NAMES.index("mouth_pucker")
_CLOSE = coefficients.EXPRESSION_NAMES.index("lips_close")


@dataclass(frozen=True)
class HeadPose:
    """A pose as drawn: `rotation` ``[3, 3]``, `shift_px` ``[2]``, `scale` of the size."""

    rotation: Array
    shift_px: Array
    scale: float


class WarpRenderer:
    """Draws one portrait with any coefficients; the same input gives the same bytes.

    Not for use by several threads at once: it reuses its buffers.
    """

    def __init__(self, portrait: Portrait, backdrop: Backdrop | None = None) -> None:
        """`backdrop` is what is behind the person; None: the portrait's own background.

        Raises MediaError where the person cannot be told from the background and has to be.
        """
        mesh.check_landmarks(portrait.landmarks)
        layers = split_layers(portrait)
        self._behind = layers.background if backdrop is None else backdrop.image
        self._layers = (
            layers if backdrop is None else cut_out(layers, straight=backdrop.image is None)
        )
        refined = refine_lips(replace(portrait, image=layers.image))
        self.portrait = refined
        self.frame = mesh.face_frame(refined.landmarks)
        self.basis = blendshapes.displacement_basis(refined.landmarks)  # [17, 478, 3]
        glasses = find_glasses(refined)
        self._fields = build_fields(refined, self.basis, layers.alpha, glasses)
        self._centre = mesh.head_centre(refined.landmarks)
        self._eyes = [
            EyePainter(refined, self.basis, indices, glasses)
            for indices in (mesh.EYE_RIGHT, mesh.EYE_LEFT)
        ]
        contrast = np.mean([eye.contrast for eye in self._eyes])
        for eye in self._eyes:
            eye.set_turn(float(np.clip((contrast - _NO_IRIS) / _SOME_IRIS, 0.0, 1.0)))
        self._mouth = MouthPainter(refined, self.frame)
        self._source = refined.image.copy()
        self._person = self._layers.person(refined.image)  # [S, S, 4]
        line = np.arange(self.size_px, dtype=np.float32)
        self._pixels = np.stack(np.meshgrid(line, line), -1)  # [S, S, 2]
        self._room_px = self._measure_room()
        offset = self._fields.nodes - self._centre[:2]  # [G, G, 2]
        view_px = np.float32(_VIEW_DISTANCE * self.frame.width_px)
        near = (view_px + self._fields.depth) / view_px  # [G, G]
        self._points = np.dstack([offset * near[..., None], self._fields.depth])  # [G, G, 3]
        self._view_px = view_px

    @property
    def size_px(self) -> int:
        """Side length S of the images."""
        return self.portrait.size_px

    def render(self, values: NDArray[np.floating[Any]]) -> Image:
        """The image ``[S, S, 3]`` uint8 RGB for coefficients ``[K]``, clipped to their range.

        Before a transparent backdrop ``[S, S, 4]`` RGBA, its colours not times alpha.
        Head angles are followed up to 0.34 rad, softened beyond and never exceed 0.48 rad; shifts
        beyond the image's margins are approached softly too.
        Raises MediaError for another shape or for NaN.
        """
        checked = _check(values)
        pose = self._pose(checked[coefficients.POSE])
        expression = checked[coefficients.EXPRESSION]
        for eye in self._eyes:
            eye.paint(self._source, expression)
            self._repaint(eye)

        moves = np.tensordot(expression, self.basis, axes=1)  # [478, 3]
        sealing = blendshapes.seal_lips(
            self.portrait.landmarks + moves, self.frame.axes[1], float(expression[_CLOSE])
        )
        head = self._head_field(pose)  # [G, G, 2]
        upper, lower, rims = self._inverse_maps(expression, sealing, head, pose)
        inverse = self._join(upper, lower)
        size = (self.size_px, self.size_px)
        # displacements go on where the nodes end, places do not
        moved = cv2.resize(inverse - self._fields.nodes, size, interpolation=cv2.INTER_LINEAR)
        dense = cv2.add(moved, self._pixels)  # [S, S, 2]
        whole, parts = cv2.convertMaps(dense, _NO_MAP, cv2.CV_16SC2)
        remapped = cv2.remap(
            self._person, whole, parts, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        person = np.asarray(remapped, np.uint8)
        cover = np.ascontiguousarray(person[..., 3])
        behind = self._behind
        out = person if behind is None else _laid_over(person, cover, behind)
        warp = MouthWarp(upper, lower, head, self._linear(pose), rims)
        self._mouth.paint(
            out[..., :3],
            cover,
            self._source,
            (moves + sealing)[:, :2],
            warp,
            _PUCKER_SHADE * float(expression[_PUCKER]),
        )
        return out

    def _repaint(self, eye: EyePainter) -> None:
        """Bring the pixels of `eye` from the source into the layer that is warped."""
        part = eye.part
        if not self._person[part].size:
            return
        if self._layers.alpha[part].min() < 1.0:  # at the outline of a face that is turned away
            self._person[part] = self._layers.person(self._source[part], part)
        else:
            self._person[part][..., :3] = self._source[part]

    def _pose(self, values: Array) -> HeadPose:
        yaw, pitch, roll = (_soften(float(v), 0.34, 0.48) for v in values[:3])
        left, up, nearer = (float(v) for v in values[3:6])
        width = self.frame.width_px
        shift = np.array(
            [
                _saturate(left * width, float(self._room_px[0])),
                _saturate(-up * width, float(self._room_px[1])),
            ],
            np.float32,
        )
        grow = _saturate(nearer, float(self._room_px.min()) / (0.8 * self.frame.height_px))
        return HeadPose(mesh.head_rotation(yaw, pitch, roll), shift, 1.0 + grow)

    def _measure_room(self) -> Array:
        """How far the head may shift along x and y (px) before the fade around it would fold."""
        weight, person = self._fields.weight, self._fields.person
        slopes = [np.gradient(weight[..., c], self.size_px / GRID)[1 - c] for c in (0, 1)]
        steepest = [max(float(np.abs(slope[person]).max()), 1e-3) for slope in slopes]
        return np.array([_MAX_STRAIN / s for s in steepest], np.float32)

    def _head_field(self, pose: HeadPose) -> Array:
        """Displacement px ``[G, G, 2]`` by the head's pose, faded by the head's weight."""
        turned = self._points.reshape(-1, 3) @ (pose.rotation.T * np.float32(pose.scale))
        turned = turned.reshape(GRID, GRID, 3)
        near = self._view_px / (self._view_px + turned[..., 2])
        moved = turned[..., :2] * near[..., None]
        moved += self._centre[:2] + pose.shift_px
        moved -= self._fields.nodes
        moved *= self._fields.weight
        # poses add up: the whole is held back where it would fold the image
        strain = self._strain(moved)
        if strain > _MAX_STRAIN:
            moved *= np.float32(_MAX_STRAIN / strain)
        return np.asarray(moved, np.float32)

    def _strain(self, moved: Array) -> float:
        """How near `moved` ``[G, G, 2]`` is to folding or tearing, 1 and more does; by size."""
        rows = np.diff(moved, axis=0)[:, :-1]  # [G - 1, G - 1, 2] change downwards
        columns = np.diff(moved, axis=1)[:-1]  # and to the right
        there = self._fields.person[:-1, :-1]
        squeeze = max(-float(columns[..., 0][there].min()), -float(rows[..., 1][there].min()), 0.0)
        turn = max(float((columns[..., 1] * rows[..., 0])[there].max()), 0.0) ** 0.5
        # what is drawn out to double its length, as at a border that holds it, is not found again
        stretch = max(float(columns[..., 0][there].max()), float(rows[..., 1][there].max()))
        return max(squeeze, turn, _MAX_STRAIN * stretch) * GRID / self.size_px

    def _linear(self, pose: HeadPose) -> Array:
        """How the pose turns a small move in the face: ``[2, 2]``."""
        return np.asarray(pose.rotation[:2, :2] * pose.scale, np.float32)

    def _inverse_maps(
        self, expression: Array, sealing: Array, head: Array, pose: HeadPose
    ) -> tuple[Array, Array, Array]:
        """Where each node's pixel comes from, ``[G, G, 2]`` px, by the upper and lower field.

        And where these put the inner lip rows, ``[2, 11, 2]`` px.
        """
        fields = self._fields
        rows = (mesh.INNER_UPPER, mesh.INNER_LOWER)
        shape = fields.nodes[fields.window].shape
        faces = []
        for layer, row in zip((fields.upper, fields.lower), rows, strict=True):
            seal = sealing[row[1:-1]] @ self.frame.axes[1]  # [9] px down
            face = np.concatenate([expression, seal]).astype(np.float32) @ layer
            faces.append(face.reshape(shape))
        linear = fields.free_share(faces) * self._linear(pose)
        maps, rims = [], []
        for face, row in zip(faces, rows, strict=True):
            forward = head.copy()
            forward[fields.window] += face @ linear.T
            maps.append(self._invert(forward))
            rim = self.portrait.landmarks[row, :2]
            cells = (rim + 0.5) * np.float32(GRID / self.size_px) - 0.5
            rims.append(rim + remap(forward, cells[None])[0])
        return maps[0], maps[1], np.stack(rims)

    def _invert(self, forward: Array) -> Array:
        """x with x + forward(x) = node, on the grid: ``[G, G, 2]`` px.

        Every node is dropped where it goes, which is right to a cell; from there Newton's steps
        converge even where skin stretches to more than double, as it does beside an opening mouth.
        """
        nodes, scale = self._fields.nodes, np.float32(GRID / self.size_px)
        inverse = _inverse_jacobian(forward, scale)  # [G, G, 4]
        place = nodes - forward
        landing = ((nodes + forward) * scale).astype(np.int32).clip(0, GRID - 2)
        cell = (landing[..., 1] * GRID + landing[..., 0]).ravel()
        for neighbour in (GRID + 1, GRID, 1, 0):  # where several land, the last one stays
            place.reshape(-1, 2)[cell + neighbour] = nodes.reshape(-1, 2)
        for _ in range(NEWTON_STEPS):
            cells = place * scale
            cells += np.float32(0.5) * scale - np.float32(0.5)
            miss, gain = remap(forward, cells), remap(inverse, cells)
            miss += place
            miss -= nodes
            x, y = miss[..., 0], miss[..., 1]
            place[..., 0] -= gain[..., 0] * x + gain[..., 1] * y
            place[..., 1] -= gain[..., 2] * x + gain[..., 3] * y
        return place

    def _join(self, upper: Array, lower: Array) -> Array:
        """One map of the two, `lower` below the lips."""
        cells = (upper + 0.5) * np.float32(GRID / self.size_px) - 0.5
        below = remap(self._fields.below, cells)
        return np.asarray(upper + below[..., None] * (lower - upper), np.float32)


def _laid_over(person: Image, cover: Image, behind: Image) -> Image:
    """`person` ``[S, S, 4]``, its RGB times alpha, which is `cover`, over `behind`."""
    share = cv2.merge([cv2.bitwise_not(cover)] * 3)
    through = cv2.multiply(behind, share, scale=1.0 / 255.0)
    return np.asarray(cv2.add(cv2.cvtColor(person, cv2.COLOR_RGBA2RGB), through), np.uint8)


def _inverse_jacobian(forward: Array, scale: np.float32) -> Array:
    """Inverse of 1 + the slopes of `forward` ``[G, G, 2]``, as rows ``[G, G, 4]``."""
    (xy, xx), (yy_y, yx) = (np.gradient(forward[..., c] * scale) for c in (0, 1))
    xx, yy = np.maximum(xx + 1.0, 0.25), np.maximum(yy_y + 1.0, 0.25)
    determinant = np.maximum(xx * yy - xy * yx, 0.25)
    return np.dstack([yy, -xy, -yx, xx]).astype(np.float32) / determinant[..., None]


def _check(values: NDArray[np.floating[Any]]) -> Array:
    array = np.asarray(values)
    if array.shape != (coefficients.COUNT,):
        raise MediaError(
            "coefficients", expected=f"shape ({coefficients.COUNT},)", got=str(array.shape),
            remedy="build them with rig.coefficients.vector",
        )  # fmt: skip
    if np.isnan(array.astype(np.float32)).any():
        names = [n for n, v in zip(coefficients.NAMES, array, strict=True) if np.isnan(v)]
        raise MediaError(
            "coefficients", expected="numbers", got=f"NaN in {', '.join(names)}",
            remedy="replace unknown coefficients by 0, the neutral face",
        )  # fmt: skip
    return coefficients.clip(array)


def _saturate(value: float, limit: float) -> float:
    """`value`, approaching ±`limit` softly."""
    return limit * float(np.tanh(value / limit))


def _soften(value: float, free: float, limit: float) -> float:
    """`value` up to ±`free`, from there on approaching ±`limit`."""
    size = abs(value)
    if size <= free:
        return value
    return float(np.copysign(free + _saturate(size - free, limit - free), value))
