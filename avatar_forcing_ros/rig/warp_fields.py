"""Load-time work of the renderer: landmark moves spread over a coarse grid, depth, head weight.

The lips part along a line, which no single continuous field can do. So there are two: the *upper*
field knows nothing of the lower lip and the *lower* field nothing of the upper one; away from the
mouth they are the same, and each is right on its own side of the lip line.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator

from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.rig import face_landmarks as mesh
from avatar_forcing_ros.rig.image_ops import fill_outline, remap, smooth_step
from avatar_forcing_ros.rig.portrait import Portrait

Array = NDArray[np.float32]

GRID = 128  # nodes along each side; 4 px at 512
MAX_DEPTH_SLOPE = 1.4  # keeps a turned face from folding over itself
_HAIR_REACH = 0.35  # head widths beside the head, in which what is person is its hair
_FAR = 0.8  # head widths beside the head, from which on nothing belongs to it
_BORDER_FADE = 0.16  # of the side, in which motion ends where the border cuts the person
# Lip rows lie pixels apart and may move apart by many: fields that met them all would fold.
_SOFT = 0.05  # face widths below which the fields are rounded
_SMOOTHING = 0.5  # of the landmarks' moves: these are met on the average
_MOST_GAIN = 1.2  # what a field may be enlarged by to move the lips as far as their landmarks
_LEAST_AREA = 0.2  # of a grid cell's at rest, that expressions leave it
SEAL_COLUMNS = 9  # the lip columns between the corners


@dataclass(frozen=True)
class WarpFields:
    """What the renderer sums each frame; G = GRID, N = 17 coefficients + 9 seal columns.

    `upper`, `lower` ``[N, h * w * 2]`` displacement px, h and w the size of the window `window` of
    the grid outside of which expressions move nothing; `depth` ``[G, G]`` px behind the head's
    centre; `weight` ``[G, G, 2]`` how far a place moves with the head along x and y; `person`
    ``[G, G]`` where there is something to move; `below` ``[G, G]`` 0 where the upper field holds,
    1 where the lower one does; `nodes` ``[G, G, 2]`` pixel places of the grid; `own`
    ``[2, h - 1, w - 1]`` the window's cells on the upper and the lower field's side.
    """

    nodes: Array
    upper: Array
    lower: Array
    window: tuple[slice, slice]
    depth: Array
    weight: Array
    person: NDArray[np.bool_]
    below: Array
    own: NDArray[np.bool_]

    def free_share(self, moved: list[Array]) -> np.float32:
        """How much of an expression may be drawn so that no place is folded over another, 0…1.

        `moved` are both fields' displacements ``[h, w, 2]`` px; each counts on its own side.
        """
        cell = self.nodes[0, 1, 0] - self.nodes[0, 0, 0]
        least = 1.0
        for field, own in zip(moved, self.own, strict=True):
            x, y = field[..., 0], field[..., 1]
            xx = 1.0 + (x[:-1, 1:] - x[:-1, :-1]) / cell
            yy = 1.0 + (y[1:, :-1] - y[:-1, :-1]) / cell
            xy = (x[1:, :-1] - x[:-1, :-1]) * (y[:-1, 1:] - y[:-1, :-1]) / cell**2
            least = min(least, float(np.min(xx * yy - xy, where=own, initial=1.0)))
        # the area falls nearly in proportion to the move
        return np.float32(min(1.0, (1.0 - _LEAST_AREA) / max(1.0 - least, 1e-6)))


def grid_nodes(size_px: int) -> Array:
    """Pixel coordinates ``[G, G, 2]`` of the grid, aligned with ``cv2.resize``."""
    line = (np.arange(GRID, dtype=np.float32) + 0.5) * (size_px / GRID) - 0.5
    return np.asarray(np.stack(np.meshgrid(line, line), -1), np.float32)


def build_fields(
    portrait: Portrait, basis: Array, alpha: Array, rigid: NDArray[np.bool_] | None = None
) -> WarpFields:
    """Spread `basis` ``[17, 478, 3]`` of `portrait` over the grid; takes some 0.5 s.

    `alpha` ``[S, S]`` tells the person from the background; `rigid` ``[S, S]`` are pixels that no
    expression moves: the frame of glasses.
    """
    p = portrait.landmarks
    frame = mesh.face_frame(p)
    nodes = grid_nodes(portrait.size_px)
    reach = _face_reach(p, frame, nodes)  # [G, G]
    if rigid is not None:
        reach = reach * _beside(rigid, 0.08 * frame.width_px)
    rows, columns = np.nonzero(reach > 0)
    window = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    moves = np.concatenate([_without_eyes(basis), _seal_moves(p, frame)])  # [N, 478, 3]
    spreads = []
    for lower in (False, True):
        known = _known_landmarks(p, frame, lower)
        values = moves[:, known, :2]
        spreads.append(_spread(p[known, :2], values, nodes[window], _SOFT * frame.width_px))
    gain = _lip_gain(p, moves, spreads, nodes[window])  # [N]
    layers = [
        (gain[:, None, None, None] * spread * reach[window][..., None]).reshape(len(moves), -1)
        for spread in spreads
    ]
    person = np.asarray(cv2.resize(alpha, (GRID, GRID), interpolation=cv2.INTER_AREA) > 0.05)
    head = _head_mask(p, frame, nodes)
    return WarpFields(
        nodes=nodes,
        upper=layers[0].astype(np.float32),
        lower=layers[1].astype(np.float32),
        window=window,
        depth=_depth(p, frame, nodes, head, portrait.size_px),
        weight=_head_weight(p, frame, nodes, head, person),
        person=cv2.dilate(person.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0,
        below=_below_lips(p, frame, nodes),
        own=_own_sides(p, frame, nodes[window]),
    )


def _without_eyes(basis: Array) -> Array:
    """Lids and irises are painted by ``eyes``; for the field their surroundings stay put."""
    out = basis.copy()
    for eye in (mesh.EYE_RIGHT, mesh.EYE_LEFT):
        for ids in (eye.upper, eye.lower, eye.iris):
            out[:, ids] = 0.0
    for name in ("blink_left", "blink_right", "gaze_x", "gaze_y"):
        out[coefficients.EXPRESSION_NAMES.index(name)] = 0.0
    return out


def _seal_moves(p: Array, frame: mesh.FaceFrame) -> Array:
    """One pixel down for each inner lip column, both lips: ``[9, 478, 3]``; see seal_lips."""
    out = np.zeros((SEAL_COLUMNS, mesh.LANDMARK_COUNT, 3), np.float32)
    for column in range(SEAL_COLUMNS):
        for rows in (mesh.LIP_UPPER, mesh.LIP_LOWER):
            out[column, rows[:, column + 1]] = frame.axes[1]
    return out


def _known_landmarks(p: Array, frame: mesh.FaceFrame, lower: bool) -> NDArray[np.intp]:
    """The landmarks that the upper (or `lower`) field interpolates."""
    local = frame.local(p)
    corners = local[[mesh.MOUTH_RIGHT, mesh.MOUTH_LEFT]]
    middle = corners.mean(0)
    half = 0.5 * (corners[1, 0] - corners[0, 0])
    ours, theirs = (mesh.LIP_LOWER, mesh.LIP_UPPER) if lower else (mesh.LIP_UPPER, mesh.LIP_LOWER)
    across = np.abs(local[:, 0] - middle[0]) < 1.05 * half
    down = local[:, 1] - middle[1]
    other_side = (down < 0) & (down > -0.5 * half) if lower else (down > 0) & (down < 0.9 * half)
    hidden = np.zeros(mesh.LANDMARK_COUNT, bool)
    hidden[across & other_side] = True
    hidden[mesh.LIPS] = True
    hidden[ours.ravel()] = False
    hidden[np.setdiff1d(theirs.ravel(), ours.ravel())] = True
    for eye in (mesh.EYE_RIGHT, mesh.EYE_LEFT):
        hidden[eye.lower_ring] = True
    hidden[468:] = True
    return np.flatnonzero(~hidden)


def _spread(points: Array, values: Array, nodes: Array, soft_px: float) -> Array:
    """Interpolate `values` ``[N, n, 2]`` given at `points` ``[n, 2]``: ``[N, h, w, 2]``."""
    count = len(values)
    _, keep = np.unique(points.round(1), axis=0, return_index=True)
    flat = values[:, keep].transpose(1, 0, 2).reshape(len(keep), -1)  # [n, N * 2]
    rbf = RBFInterpolator(
        points[keep],
        flat,
        kernel="multiquadric",
        epsilon=1.0 / soft_px,
        degree=0,
        smoothing=_SMOOTHING,
    )
    out = rbf(nodes.reshape(-1, 2))  # [h * w, N * 2]
    return np.asarray(out.reshape(*nodes.shape[:2], count, 2).transpose(2, 0, 1, 3), np.float32)


def _lip_gain(p: Array, moves: Array, spreads: list[Array], nodes: Array) -> Array:
    """What makes each of the smooth fields move the lips as far as their landmarks, ``[N]``."""
    cell = nodes[0, 1, 0] - nodes[0, 0, 0]
    along, length = np.zeros(len(moves)), np.zeros(len(moves))
    for spread, rows in zip(spreads, (mesh.LIP_UPPER, mesh.LIP_LOWER), strict=True):
        ids = rows.ravel()
        cells = ((p[ids, :2] - nodes[0, 0]) / cell).astype(np.float32)[None]  # [1, n, 2]
        given = np.stack([remap(field, cells)[0] for field in spread])  # [N, n, 2]
        along += (given * moves[:, ids, :2]).sum((1, 2))
        length += (given**2).sum((1, 2))
    return np.clip(along / np.maximum(length, 1e-6), 1.0, _MOST_GAIN).astype(np.float32)


def _distance(mask: NDArray[np.bool_], cell_px: float) -> Array:
    """Distance in pixels ``[G, G]`` of each node from the nearest node in `mask`."""
    away = (~mask).astype(np.uint8)
    cells = cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(cells * cell_px, np.float32)


def _polygon(points: Array, nodes: Array) -> NDArray[np.bool_]:
    """Which nodes lie inside of `points` ``[n, 2]`` px."""
    cell = nodes[0, 1, 0] - nodes[0, 0, 0]
    return fill_outline((points - nodes[0, 0]) / cell, (GRID, GRID)) > 127


def _face_reach(p: Array, frame: mesh.FaceFrame, nodes: Array) -> Array:
    """1 in the face, falling to 0 around it: how far expressions are felt, ``[G, G]``."""
    cell = float(nodes[0, 1, 0] - nodes[0, 0, 0])
    distance = _distance(_polygon(p[mesh.OVAL, :2], nodes), cell)
    reach = 1.0 - smooth_step(distance / (0.36 * frame.height_px))
    return reach * smooth_step(_edge_distance() / 8.0)


def _beside(rigid: NDArray[np.bool_], fade_px: float) -> Array:
    """0 at the nodes ``[G, G]`` that touch `rigid` ``[S, S]``, 1 from `fade_px` beside them on."""
    cell = rigid.shape[0] / GRID
    share = cv2.resize(rigid.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)
    touched = cv2.dilate((share > 0.0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return np.clip(_distance(touched, float(cell)) / np.float32(fade_px), 0.0, 1.0)


def _edge_distance() -> NDArray[np.float64]:
    """Nodes ``[G, G]`` from the outermost but one, along the nearer axis."""
    index = np.arange(GRID)
    inwards = np.minimum(index, GRID - 1 - index) - 1
    return np.asarray(np.minimum(inwards[:, None], inwards[None, :]), np.float64)


def _head_mask(p: Array, frame: mesh.FaceFrame, nodes: Array) -> NDArray[np.bool_]:
    """The nodes that are surely head, hair and ears included."""
    local = _local_2d(p, frame, nodes)
    top, chin = frame.local(p[[mesh.FOREHEAD_TOP, mesh.CHIN]])[:, 1]
    middle = 0.5 * (frame.local(p[mesh.OVAL])[:, 0].min() + frame.local(p[mesh.OVAL])[:, 0].max())
    crown = top - 0.28 * frame.height_px
    centre_y, radius_y = 0.5 * (crown + chin), 0.5 * (chin - crown)
    x = (local[..., 0] - middle) / (0.66 * frame.width_px)
    y = (local[..., 1] - centre_y) / radius_y
    return np.asarray((x * x + y * y) < 1.0) | _polygon(p[mesh.OVAL, :2], nodes)


def _local_2d(p: Array, frame: mesh.FaceFrame, nodes: Array) -> Array:
    """Nodes ``[G, G, 2]`` along the face's axes in the image plane, from the eyes' middle."""
    across = frame.axes[0, :2] / np.linalg.norm(frame.axes[0, :2])
    axes = np.array([across, [-across[1], across[0]]], np.float32)
    return np.asarray((nodes - frame.origin_px[:2]) @ axes.T, np.float32)


def _head_weight(
    p: Array, frame: mesh.FaceFrame, nodes: Array, head: NDArray[np.bool_],
    person: NDArray[np.bool_],
) -> Array:  # fmt: skip
    """1 on the head, 0 on the shoulders, smooth between: along x and y, ``[G, G, 2]``.

    Where the border cuts the person they do not move away from it. Beside the person the weight
    goes on as it is at the outline: there is nothing to move.
    """
    local = _local_2d(p, frame, nodes)
    chin, nose = frame.local(p[[mesh.CHIN, mesh.NOSE_BASE]])[:, 1]
    from_head = _distance(head, float(nodes[0, 1, 0] - nodes[0, 0, 0]))
    hair = person & (local[..., 1] < nose) & (from_head < _HAIR_REACH * frame.width_px)
    slope = 0.2 * np.minimum(np.abs(local[..., 0]) / frame.width_px, 1.0)
    still = local[..., 1] > chin + (0.5 - slope) * frame.height_px
    still |= from_head > _FAR * frame.width_px  # somebody else, or something
    rim = cv2.dilate(person.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    inside, outside = _distance(head | hair, 1.0), _distance(still & rim & ~head, 1.0)
    share = outside / np.maximum(inside + outside, 1e-6)
    # mostly linear: the steeper a fade, the smaller the motion that folds it
    weight = 0.5 * share + 0.5 * smooth_step(share)
    weight = cv2.GaussianBlur(weight.astype(np.float32), (0, 0), 2.5)
    index = np.arange(GRID)
    edge = (index < 2) | (index >= GRID - 2)
    held = [_hold(person & edge[None, :]), _hold(person & edge[:, None])]
    return np.asarray(weight[..., None] * np.stack(held, -1), np.float32)


def _hold(cut: NDArray[np.bool_]) -> Array:
    """0 at the nodes of the border where it cuts the person, 1 away from there, ``[G, G]``."""
    if not cut.any():
        return np.ones((GRID, GRID), np.float32)
    return smooth_step((_distance(cut, 1.0) - 1.0) / (_BORDER_FADE * GRID))


def _depth(
    p: Array, frame: mesh.FaceFrame, nodes: Array, head: NDArray[np.bool_], size_px: int
) -> Array:
    """Pixels behind the head's centre (negative in front), no steeper than MAX_DEPTH_SLOPE."""
    relative = p[:468, 2] - mesh.head_centre(p)[2]
    cell = float(size_px / GRID)
    far = nodes[_distance(head, cell) > 0.1 * frame.width_px][::37]
    points = np.concatenate([p[:468, :2], far])
    values = np.concatenate([relative, np.full(len(far), 0.0, np.float32)])
    _, keep = np.unique(points.round(1), axis=0, return_index=True)
    rbf = RBFInterpolator(points[keep], values[keep], kernel="linear", degree=0, smoothing=2.0)
    depth = rbf(nodes.reshape(-1, 2)).reshape(GRID, GRID).astype(np.float32)
    step = np.float32(MAX_DEPTH_SLOPE * cell)
    kernel = np.ones((3, 3), np.uint8)
    for _ in range(GRID // 2):  # pull the sides of the head forward, keep the face as it is
        depth = np.minimum(depth, cv2.erode(depth, kernel) + step)
    return np.asarray(cv2.GaussianBlur(depth, (0, 0), 1.5), np.float32)


def _below_lips(p: Array, frame: mesh.FaceFrame, nodes: Array) -> Array:
    """0 above the lip line and its extension to both sides, 1 below, ``[G, G]``."""
    local = _local_2d(p, frame, nodes)
    line = 0.5 * (frame.local(p[mesh.INNER_UPPER]) + frame.local(p[mesh.INNER_LOWER]))
    height = np.interp(local[..., 0], line[:, 0], line[:, 1])
    return smooth_step((local[..., 1] - height) / (0.08 * frame.height_px) + 0.5)


def _own_sides(p: Array, frame: mesh.FaceFrame, nodes: Array) -> NDArray[np.bool_]:
    """The cells ``[2, h - 1, w - 1]`` between `nodes` over the upper and under the lower rim."""
    centres = 0.25 * (nodes[:-1, :-1] + nodes[1:, :-1] + nodes[:-1, 1:] + nodes[1:, 1:])
    local = _local_2d(p, frame, centres)
    rims = [frame.local(p[row]) for row in (mesh.INNER_UPPER, mesh.INNER_LOWER)]
    over, under = (local[..., 1] - np.interp(local[..., 0], r[:, 0], r[:, 1]) for r in rims)
    return np.stack([over < 0.0, under > 0.0])
