"""The image that is brought to life, with its 478 landmarks: framing."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.rig import face_landmarks as mesh
from avatar_forcing_ros.rig.face_landmarks import (
    OVAL,
    check_within,
    roll_in_image,
    turn_from_camera,
)
from avatar_forcing_ros.rig.inpaint import fill_smoothly

Image = NDArray[np.uint8]
Array = NDArray[np.float32]

DEFAULT_SIZE_PX = 512
PADDING = 1.15  # of the face box, half of it on each side: room for hair, shoulders and motion
LEAST_PADDING = 0.3  # of the same, where the photo has no more around the face
_LEAST_ROOM = 0.06  # of the side, between the face and the edge of its square
_OUTSIDE_COST = 0.3  # of a square that reaches out of its photo, in squares of relative change
_HAIR = 0.4  # face boxes above the face box, that hair may need
_EDGE_BAND = 0.08  # of the side, from which a photo is continued
_CENTRE_HEIGHT = 0.52  # of the crop: the middle of the face; hair needs more room than it seems
_WHOLE_MARGIN = 0.15  # of the side, around the face of a square that is kept whole
_LEVEL_RAD = np.radians(3.0)  # an eye line that leans less stays as it is
# the far eye of a face turned further is too narrow to blink
_MAX_YAW_RAD, _MAX_PITCH_RAD = np.radians(42.0), np.radians(30.0)
_MAX_OUTSIDE = 0.15  # of the face's area beyond the photo's border


@dataclass(frozen=True)
class Portrait:
    """A square image and its face.

    `image` ``[S, S, 3]`` uint8 RGB; `landmarks` ``[478, 3]`` float32 pixels of `image`, z away
    from the viewer in pixels too; `matte` ``[S, S]`` 0…1 how much of a pixel is person, None where
    nobody knows; `in_photo` ``[S, S]`` which pixels the photo has, None where it has all.
    """

    image: Image
    landmarks: Array
    matte: Array | None = None
    in_photo: NDArray[np.bool_] | None = None

    @property
    def size_px(self) -> int:
        """Side length S."""
        return int(self.image.shape[0])


def frame_portrait(
    image: Image, landmarks: Array, size: int = DEFAULT_SIZE_PX, matte: Image | None = None
) -> Portrait:
    """The square around the face with room for head motion, scaled to `size` pixels.

    `image` ``[H, W, 3]`` uint8 RGB, `landmarks` ``[478, 3]`` px of it, `matte` ``[H, W]`` uint8,
    255 where it shows the person, if that is known. A face that leans is turned
    upright by its eye line. The square is the face box padded by PADDING, or a tighter one that
    lies within the photo; where even that is impossible, what is missing is calmly filled. An
    image that is already such a square is kept whole. Raises MediaError for another kind of
    image, and for a face that is turned away or lies outside of the photo.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise MediaError(
            "portrait", expected="uint8 RGB pixels [H, W, 3]",
            got=f"{image.dtype} {image.shape}", remedy="load it with load_image",
        )  # fmt: skip
    height, width = image.shape[:2]
    points = check_within(mesh.check_landmarks(landmarks), width, height)
    _check_inside(points, width, height)
    roll = roll_in_image(points)
    leans = abs(roll) >= _LEVEL_RAD
    pivot = points[:, :2].mean(0).astype(np.float64)
    if leans:
        points = points.copy()
        points[:, :2] = (points[:, :2] - pivot) @ _turn(roll) + pivot
    _check_frontal(points)
    photo = _Photo(width, height, pivot, roll if leans else 0.0)
    x0, y0, side = _choose_square(photo, points)
    in_photo = photo.within(x0, y0, side, size)
    pixels = _continued(photo.cut(image, x0, y0, side, size), in_photo)
    cut_matte = None
    if matte is not None:
        cut_matte = photo.cut(matte, x0, y0, side, size).astype(np.float32) / 255.0
    # pixel centres: (x + 0.5) scales, not x
    offset = np.array([x0 - 0.5, y0 - 0.5, 0.0], np.float32)
    moved = (points - offset) * np.float32(size / side) - np.array([0.5, 0.5, 0.0], np.float32)
    missing = None if in_photo.all() else in_photo
    return Portrait(pixels, moved.astype(np.float32), cut_matte, missing)


def _check_inside(points: Array, width: int, height: int) -> None:
    """MediaError if too much of the face is beyond the border of its photo."""
    hull = cv2.convexHull(points[OVAL, :2])
    photo = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    seen, _ = cv2.intersectConvexConvex(hull, photo)
    outside = 1.0 - seen / max(float(cv2.contourArea(hull)), 1e-6)
    if outside > _MAX_OUTSIDE:
        raise MediaError(
            "portrait", expected="a face that lies within the image",
            got=f"one of which {100 * outside:.0f} % are cut off",
            remedy="choose an image of the whole head",
        )  # fmt: skip


def _check_frontal(points: Array) -> None:
    """MediaError if the upright face `points` looks too far past the camera."""
    yaw, pitch = turn_from_camera(points)
    turn = pitch if abs(pitch) > _MAX_PITCH_RAD else yaw
    if abs(yaw) > _MAX_YAW_RAD or abs(pitch) > _MAX_PITCH_RAD:
        raise MediaError(
            "portrait", expected="a face that looks at the camera",
            got=f"one turned by {abs(np.degrees(turn)):.0f} degrees",
            remedy="choose an image from the front",
        )  # fmt: skip


class _Photo:
    """A photo seen upright: turned by -`roll_rad` about `pivot` ``[2]`` px, where its face is."""

    def __init__(
        self, width: int, height: int, pivot: NDArray[np.float64], roll_rad: float
    ) -> None:
        self.pivot, self.turn = pivot, _turn(roll_rad)
        self.leans = roll_rad != 0.0
        self.size = np.array([width, height], np.float64)

    def places(self, upright: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pixels of the photo at `upright` ``[..., 2]``."""
        return np.asarray((upright - self.pivot) @ self.turn.T + self.pivot)

    def holds(self, upright: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of `upright` ``[..., 2]`` lie in the photo, its outermost pixels included."""
        places = self.places(upright) if self.leans else upright
        return np.asarray(((places > -1.0) & (places < self.size)).all(-1))

    def within(self, x0: int, y0: int, side: int, size: int) -> NDArray[np.bool_]:
        """Which pixels ``[size, size]`` of the upright square at `x0`, `y0` the photo has."""
        line = (np.arange(size) + 0.5) * (side / size) - 0.5
        return self.holds(np.stack(np.meshgrid(x0 + line, y0 + line), -1))

    def cut(self, image: Image, x0: int, y0: int, side: int, size: int) -> Image:
        """The upright square of `image` ``[H, W, ...]`` as ``[size, size, ...]``.

        Outside of the photo its edge goes on.
        """
        if self.leans:
            shift = self.places(np.array([x0, y0], np.float64))
            square = cv2.warpAffine(
                image, np.column_stack([self.turn, shift]), (side, side),
                flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
            )  # fmt: skip
        else:
            ys = np.arange(y0, y0 + side).clip(0, image.shape[0] - 1)
            xs = np.arange(x0, x0 + side).clip(0, image.shape[1] - 1)
            square = np.ascontiguousarray(image[ys[:, None], xs[None, :]])
        if side != size:
            method = cv2.INTER_AREA if size < side else cv2.INTER_CUBIC
            square = cv2.resize(square, (size, size), interpolation=method)
        return np.asarray(square, np.uint8)


def _continued(square: Image, in_photo: NDArray[np.bool_]) -> Image:
    """`square` ``[S, S, 3]`` with a calm continuation of the photo's edge where there is none."""
    if in_photo.all():
        return np.ascontiguousarray(square)
    inwards = cv2.distanceTransform(in_photo.astype(np.uint8), cv2.DIST_L2, 5)
    edge = in_photo & (inwards < _EDGE_BAND * len(square))
    filled = fill_smoothly(square.astype(np.float32), edge.astype(np.float32))
    out = np.where(in_photo[..., None], square, np.clip(filled + 0.5, 0, 255))
    return np.asarray(out, np.uint8)


def _choose_square(photo: _Photo, points: Array) -> tuple[int, int, int]:
    """Left, top and side of the square to cut, upright pixels.

    The padded square around the face, moved and made smaller so far that it lies within the photo;
    where that would leave the face no room, it reaches out of it as little as possible.
    """
    low, high = (v.astype(np.float64) for v in (points[:, :2].min(0), points[:, :2].max(0)))
    box = float((high - low).max())
    width, height = photo.size
    if not photo.leans and width == height and box * 1.8 <= width <= box * 2.8:
        margin = min(float(low.min()), width - float(high.max()))
        if margin >= _WHOLE_MARGIN * width:
            return 0, 0, int(width)
    usual = max(box * (1.0 + PADDING), 8.0)
    sides = usual * np.linspace(1.0, (1.0 + LEAST_PADDING) / (1.0 + PADDING), 16)
    if not photo.leans:  # all of the photo's height or width
        sides = np.sort(np.append(sides, np.clip(photo.size, sides[-1], usual)))[::-1]
    steps = np.linspace(-0.32, 0.32, 17)
    shifts = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)  # of the side, [n, 2]
    middle = 0.5 * (low + high) + [0.0, (0.5 - _CENTRE_HEIGHT) * usual]
    half = 0.5 * sides[:, None, None]  # [k, 1, 1]
    centres = middle + 2.0 * half * shifts  # [k, n, 2]
    if not photo.leans:  # rather at the photo's edge than a little outside
        moved = np.clip(centres, half, np.maximum(photo.size - half, half))
        centres = np.where(np.abs(moved - centres) < 0.04 * half, moved, centres)
    cost = 4.0 * (((centres - middle) / (2.0 * half)) ** 2).sum(-1)
    cost = cost + (1.0 - sides[:, None] / usual) ** 2
    line = np.linspace(-0.5, 0.5, 11) * (1.0 - 1e-6)
    grid = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)  # of the side
    outside = 1.0 - photo.holds(centres[:, :, None] + 2.0 * half[..., None] * grid).mean(-1)
    cost = cost + np.where(outside > 0.0, _OUTSIDE_COST + 2.0 * outside, 0.0)  # [k, n]
    room = np.minimum(low - centres + half, centres + half - high).min(-1) / sides[:, None]
    cost = cost + np.where(room < _LEAST_ROOM, 1.0 + (_LEAST_ROOM - room), 0.0)
    cut = (centres - half)[..., 1] - _top_of_hair(photo, middle[0], low[1], box)
    cost = cost + 4.0 * np.maximum(cut, 0.0) / sides[:, None]
    i, j = np.unravel_index(int(cost.argmin()), cost.shape)
    side = max(round(float(sides[i])), 8)
    x0, y0 = (round(float(v - 0.5 * side)) for v in centres[i, j])
    if not photo.leans and outside[i, j] == 0.0:  # roundings
        x0, y0 = min(max(x0, 0), int(width) - side), min(max(y0, 0), int(height) - side)
    return x0, y0, side


def _top_of_hair(photo: _Photo, x: float, forehead_y: float, box: float) -> float:
    """How far up the photo shows what may be hair over the forehead, upright y."""
    ys = forehead_y - np.linspace(0.0, _HAIR, 20) * box
    shown = photo.holds(np.column_stack([np.full_like(ys, x), ys]))
    return float(ys[shown].min()) if shown.any() else forehead_y


def _turn(angle_rad: float) -> NDArray[np.float64]:
    """Matrix ``[2, 2]`` that turns columns (x, y) of an image from x towards y."""
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[c, -s], [s, c]])
