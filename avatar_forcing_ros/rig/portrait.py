"""The image that is brought to life, with its 478 landmarks: reading, framing, saving."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError, OutputError
from avatar_forcing_ros.rig import face_landmarks as mesh
from avatar_forcing_ros.rig.face_landmarks import OVAL, roll_in_image, turn_from_camera

Image = NDArray[np.uint8]
Array = NDArray[np.float32]

DEFAULT_SIZE_PX = 512
IMAGE_FILE = "an image file (PNG, JPEG, WebP, BMP)"
PADDING = 1.15  # of the face box, half of it on each side: room for hair, shoulders and motion
_CENTRE_HEIGHT = 0.52  # of the crop: the middle of the face; hair needs more room than it seems
_WHOLE_MARGIN = 0.15  # of the side, around the face of a square that is kept whole
_LEVEL_RAD = np.radians(3.0)  # an eye line that leans less stays as it is
_MAX_TURN_RAD = 0.5  # the far eye of a face turned further is too narrow to blink
_MAX_OUTSIDE = 0.15  # of the face's area beyond the photo's border
_BEYOND = 0.5  # of the image's size, that a landmark may lie outside of it
_BEHIND_GREY = 128  # what shows through transparent pixels


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


def load_image(path: str | Path) -> Image:
    """The image at `path`, upright by its EXIF tag, ``[H, W, 3]`` uint8 RGB.

    Transparent pixels are laid over grey; such an image's EXIF tag is not read. Raises
    MediaError if it is missing or no image.
    """
    source = Path(path)
    try:
        data = source.read_bytes()
    except OSError as error:
        raise MediaError(
            str(source), expected=IMAGE_FILE, got=error.strerror or "an unreadable file",
            remedy="check the path",
        ) from None  # fmt: skip
    return decode_image(data, str(source))


def decode_image(data: bytes, what: str) -> Image:
    """The image in the bytes of a file, as `load_image` does; `what` names it in errors."""
    coded = np.frombuffer(data, np.uint8)
    bgr = None
    with contextlib.suppress(cv2.error):  # a size that it refuses to hold
        bgr = _decode(coded) if coded.size else None
    if bgr is None:
        raise MediaError(
            what, expected=IMAGE_FILE, got=f"{coded.size} bytes that are none",
            remedy="convert it to PNG or JPEG",
        )  # fmt: skip
    return np.ascontiguousarray(bgr[..., ::-1], dtype=np.uint8)


def _decode(data: Image) -> Image | None:
    """The coded image `data` ``[N]`` as BGR ``[H, W, 3]``, None where it is none."""
    # JPEG has no alpha; of all others only the whole decoding tells
    raw = None if data[:2].tobytes() == b"\xff\xd8" else cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if raw is not None and raw.ndim == 3 and raw.shape[2] == 4:
        full = {"uint8": 255.0, "uint16": 65535.0}.get(raw.dtype.name, 1.0)
        alpha = raw[..., 3:].astype(np.float32) / full
        if alpha.min() < 1.0:
            colour = raw[..., :3].astype(np.float32) * (255.0 / full)
            blend = _BEHIND_GREY + alpha * (colour - _BEHIND_GREY)
            return np.asarray((blend + 0.5).clip(0.0, 255.0), np.uint8)
    # applies the EXIF orientation and drops alpha
    bgr = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return None if bgr is None else np.asarray(bgr, np.uint8)


def load_landmark_file(path: str | Path) -> tuple[Array, tuple[int, int]]:
    """Landmarks ``[478, 3]`` float32 px and the (width, height) of the image they belong to.

    Raises MediaError if the file is missing, not of the form that ``save_landmark_file`` writes,
    or holds points that are no face or far outside of the image.
    """
    source = Path(path)
    remedy = "write it with `save_landmark_file`, or remove it to have the face found again"
    try:
        document: Any = json.loads(source.read_text(encoding="utf-8"))
        size = int(document["image_width"]), int(document["image_height"])
        points = np.array(document["landmarks_px"], np.float32)
    except OSError as error:
        raise MediaError(
            str(source), expected="a landmark file", got=error.strerror or "an unreadable file",
            remedy="check the path",
        ) from None  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise MediaError(
            str(source),
            expected="JSON with image_width, image_height and landmarks_px [[x, y, z] * 478]",
            got=f"{type(error).__name__} ({str(error)[:80]})", remedy=remedy,
        ) from None  # fmt: skip
    try:
        return _check_within(mesh.check_landmarks(points), *size), size
    except MediaError as error:
        raise MediaError(
            str(source), expected=error.expected, got=error.got, remedy=remedy
        ) from None


def save_landmark_file(
    path: str | Path, landmarks_px: Array, image_width_px: int, image_height_px: int
) -> None:
    """Write `landmarks_px` ``[478, 3]`` beside an image of the given size; OutputError if not."""
    points = mesh.check_landmarks(landmarks_px)
    document = {
        "image_width": int(image_width_px),
        "image_height": int(image_height_px),
        "landmarks_px": [[round(float(v), 3) for v in row] for row in points],
    }
    try:
        Path(path).write_text(json.dumps(document) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(
            str(path), expected="a writable place", got=error.strerror or "an error",
            remedy="choose another folder",
        ) from None  # fmt: skip


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
    points = _check_within(mesh.check_landmarks(landmarks), width, height)
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


def _check_within(points: Array, width: int, height: int) -> Array:
    """`points` as they are; MediaError if one is far outside of an image of that size."""
    size = np.array([width, height], np.float32)
    beyond = np.maximum(-points[:, :2], points[:, :2] - size) / np.maximum(size, 1.0)
    if beyond.max() > _BEYOND:
        x, y = points[int(beyond.max(1).argmax()), :2]
        raise MediaError(
            "face landmarks", expected=f"points within the image of {width} x {height} pixels",
            got=f"one at ({x:.0f}, {y:.0f})", remedy="use the landmarks of this very image",
        )  # fmt: skip
    return points


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
    turn = max(turn_from_camera(points), key=abs)
    if abs(turn) > _MAX_TURN_RAD:
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
