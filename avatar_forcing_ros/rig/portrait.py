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

Image = NDArray[np.uint8]
Array = NDArray[np.float32]

DEFAULT_SIZE_PX = 512
PADDING = 1.15  # of the face box, half of it on each side: room for hair, shoulders and motion
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
    from the viewer in pixels too.
    """

    image: Image
    landmarks: Array

    @property
    def size_px(self) -> int:
        """Side length S."""
        return int(self.image.shape[0])


def frame_portrait(image: Image, landmarks: Array, size: int = DEFAULT_SIZE_PX) -> Portrait:
    """The square around the face with room for head motion, scaled to `size` pixels.

    `image` ``[H, W, 3]`` uint8 RGB, `landmarks` ``[478, 3]`` px of it. A face that leans is turned
    upright by its eye line. The square is the face box padded by PADDING; where it leaves the
    photo, the edge is continued and blurred. An image that is already such a square is kept
    whole. Raises MediaError for another kind of image, and for a face that is turned away or lies
    outside of the photo.
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
    if leans:
        x0, y0, side = _face_square(points)
        square = _cut_turned(image, x0, y0, side, pivot, roll)
    else:
        x0, y0, side = _crop_square(width, height, points)
        square = _cut(image, x0, y0, side)
    scale = size / side
    method = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC
    pixels = square if side == size else cv2.resize(square, (size, size), interpolation=method)
    # pixel centres: (x + 0.5) scales, not x
    offset = np.array([x0 - 0.5, y0 - 0.5, 0.0], np.float32)
    moved = (points - offset) * np.float32(scale) - np.array([0.5, 0.5, 0.0], np.float32)
    return Portrait(np.ascontiguousarray(pixels, dtype=np.uint8), moved.astype(np.float32))


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


def _crop_square(width: int, height: int, points: Array) -> tuple[int, int, int]:
    """Left, top and side of the crop in pixels of the photo; may reach outside of it."""
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    box = float((high - low).max())
    if width == height and box * 1.8 <= width <= box * 2.8:
        margin = min(float(low.min()), width - float(high.max()))
        if margin >= _WHOLE_MARGIN * width:
            return 0, 0, width
    x0, y0, side = _face_square(points)
    # rather move the square into the photo by a little than invent pixels
    slack = round(0.12 * side)
    return _nudge(x0, side, width, slack), _nudge(y0, side, height, slack), side


def _face_square(points: Array) -> tuple[int, int, int]:
    """Left, top and side of the padded square around the face."""
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    side = max(round(float((high - low).max()) * (1.0 + PADDING)), 8)
    centre = 0.5 * (low + high)
    x0 = round(float(centre[0]) - 0.5 * side)
    y0 = round(float(centre[1]) - _CENTRE_HEIGHT * side)
    return x0, y0, side


def _turn(angle_rad: float) -> NDArray[np.float64]:
    """Matrix ``[2, 2]`` that turns columns (x, y) of an image from x towards y."""
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[c, -s], [s, c]])


def _cut_turned(
    image: Image, x0: int, y0: int, side: int, pivot: NDArray[np.float64], roll: float
) -> Image:
    """The square ``[side, side, 3]`` of the photo turned by -`roll` about `pivot` ``[2]`` px."""
    turn = _turn(roll)  # from upright pixels to those of the photo
    middle = turn @ (np.array([x0, y0]) + 0.5 * (side - 1) - pivot) + pivot
    # a level square that holds the leaning one: its border is continued as for any portrait
    reach = int(np.ceil(0.5 * side * np.abs(turn[0]).sum())) + 2
    left, top = (int(v) for v in np.floor(middle) - reach)
    around = _cut(image, left, top, 2 * reach + 1)
    shift = turn @ (np.array([x0, y0]) - pivot) + pivot - [left, top]
    square = cv2.warpAffine(
        around, np.column_stack([turn, shift]), (side, side),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return np.asarray(square, np.uint8)


def _nudge(start: int, side: int, limit: int, slack: int) -> int:
    if side > limit:
        return start
    inside = min(max(start, 0), limit - side)
    return start + min(max(inside - start, -slack), slack)


def _cut(image: Image, x0: int, y0: int, side: int) -> Image:
    """The square ``[side, side, 3]``; outside the photo its edge, blurrier with distance."""
    height, width = image.shape[:2]
    xs, ys = np.arange(x0, x0 + side), np.arange(y0, y0 + side)
    square = image[ys.clip(0, height - 1)[:, None], xs.clip(0, width - 1)[None, :]]
    outside_x = np.maximum(-xs, xs - (width - 1)).clip(0)
    outside_y = np.maximum(-ys, ys - (height - 1)).clip(0)
    distance = np.maximum(outside_x[None, :], outside_y[:, None]).astype(np.float32)
    if distance.max() <= 0:
        return np.ascontiguousarray(square)
    # streaks of replicated pixels would move with the head; a blur hides them
    blurred = cv2.GaussianBlur(square, (0, 0), max(side / 40.0, 1.0))
    mix = np.clip(distance / max(side / 25.0, 1.0), 0.0, 1.0)[..., None]
    return np.asarray(square * (1 - mix) + blurred * mix + 0.5, np.uint8)
