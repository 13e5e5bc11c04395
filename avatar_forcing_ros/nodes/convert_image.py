"""ROS images ↔ RGB arrays.

Colours are converted by ``cv_bridge`` where it is installed, and by the same calls of OpenCV
where it is not, or does not know the encoding; a test holds both equal. Sizes are checked before,
so that a broken message is reported as one, and an ``rgb8`` image is handed out without a copy.
"""

from __future__ import annotations

import array
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image

from avatar_forcing_ros.node_config import JPEG_QUALITY
from avatar_forcing_ros.nodes.diagnostics import BadMessage
from avatar_forcing_ros.rig.backdrop import before_black

try:
    from cv_bridge import CvBridge, CvBridgeError
except ImportError:  # it comes with ROS distributions alone, built for their Python and numpy
    CvBridge, CvBridgeError = None, cv2.error

Pixels = NDArray[np.uint8]

AVATAR_IMAGE = "avatar/image_raw"
MAX_SIDE_PX = 8192
MAX_PIXELS = 64_000_000

# encodings of 8 bits: bytes a pixel in a row, and OpenCV's conversion to RGB
_EIGHT_BITS: dict[str, tuple[int, int | None]] = {
    "rgb8": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
    "bayer_rggb8": (1, cv2.COLOR_BayerRGGB2RGB),
    "bayer_bggr8": (1, cv2.COLOR_BayerBGGR2RGB),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGBRG2RGB),
    "bayer_grbg8": (1, cv2.COLOR_BayerGRBG2RGB),
}
# the same of encodings in which two (or two by two) pixels share their colour
_YUV = {
    "uyvy": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuyv": (2, cv2.COLOR_YUV2RGB_YUY2),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2RGB_YUY2),
    "nv12": (1, cv2.COLOR_YUV2RGB_NV12),
    "nv21": (1, cv2.COLOR_YUV2RGB_NV21),
}
_PLANAR = {"nv12", "nv21"}  # half as many rows of colour below the rows of grey
_TO_RGB = _EIGHT_BITS | _YUV
BYTES_PER_PIXEL = {name: count for name, (count, _) in _TO_RGB.items()} | {
    f"{name[:-1]}16": 2 * count for name, (count, _) in _EIGHT_BITS.items()
}
# some releases of cv_bridge lack the others
BRIDGED = set(BYTES_PER_PIXEL) - set(_YUV) | {"yuv422"}
# OpenCV's names of arrays whose order of colours is not stated: it is OpenCV's own
_ALIASES = {"8UC1": "mono8", "8UC3": "bgr8", "8UC4": "bgra8", "16UC1": "mono16", "16UC3": "bgr16"}

ENCODINGS: tuple[str, ...] = (*BYTES_PER_PIXEL, *_ALIASES)


def image_transport(topic: str, transport: str) -> tuple[str, Any, Callable[[Any], Pixels]]:
    """Topic, message class and conversion to RGB by `transport`: raw or compressed."""
    if transport == "compressed":
        return f"{topic}/compressed", CompressedImage, compressed_to_rgb
    return topic, Image, avatar_to_rgb if topic == AVATAR_IMAGE else image_to_rgb


def avatar_to_rgb(msg: Any) -> Pixels:
    """As `image_to_rgb`; a head that is transparent around (``rgba8``) is shown before black.

    Alpha of a camera's image says nothing: some drivers leave it 0.
    """
    rgb = image_to_rgb(msg)
    if msg.encoding != "rgba8":
        return rgb
    return before_black(rgb, _rows(msg).reshape(*rgb.shape[:2], 4)[..., 3])


def image_to_rgb(msg: Any) -> Pixels:
    """The image in a sensor_msgs/Image, ``[H, W, 3]`` uint8 RGB, rows without gaps.

    An unpadded ``rgb8`` image shares the message's memory: do not write into it. 16 bits are
    scaled, 65535 becomes 255. Raises BadMessage for an encoding that is not in ENCODINGS and for
    sizes, steps and data that do not fit together.
    """
    rows = _rows(msg)  # [rows, bytes]
    encoding = _ALIASES.get(msg.encoding, msg.encoding)
    if encoding == "rgb8":
        return rows.reshape(len(rows), msg.width, 3)
    try:
        if CvBridge and msg.encoding in BRIDGED:
            return np.asarray(CvBridge().imgmsg_to_cv2(_unpadded(msg, rows), "rgb8"), np.uint8)
        return _converted(rows, encoding, msg.width, bool(msg.is_bigendian))
    except (cv2.error, CvBridgeError) as error:
        raise BadMessage(
            "size",
            f"image of encoding {encoding}",
            expected="a size that this encoding can have",
            got=f"{msg.width} x {msg.height} px",
            remedy="publish larger images or rgb8",
        ) from error


def _unpadded(msg: Any, rows: Pixels) -> Any:
    """`msg` for cv_bridge, which misreads rows that end within a pixel."""
    if msg.step == rows.shape[1]:
        return msg
    return Image(
        height=msg.height,
        width=msg.width,
        encoding=msg.encoding,
        is_bigendian=msg.is_bigendian,
        step=rows.shape[1],
        data=array.array("B", rows.tobytes()),
    )


def _converted(rows: Pixels, encoding: str, width: int, is_bigendian: bool) -> Pixels:
    """RGB ``[H, W, 3]`` of the message's bytes ``[rows, bytes]``, without cv_bridge."""
    values: NDArray[Any] = rows
    if encoding.endswith("16"):
        values = rows.view(">u2" if is_bigendian else "<u2").astype(np.uint16)  # native order
        encoding = f"{encoding.removesuffix('16')}8"
    channels = values.shape[1] // width
    pixels = values.reshape(-1, width, channels) if channels > 1 else values
    code = _TO_RGB[encoding][1]
    if code is not None:
        pixels = cv2.cvtColor(pixels, code)
    if pixels.dtype == np.uint16:
        pixels = cv2.convertScaleAbs(pixels, alpha=255 / 65535)
    return np.asarray(pixels, np.uint8)


def _rows(msg: Any) -> Pixels:
    """The message's bytes ``[rows, bytes]`` without the padding, after all checks."""
    encoding, width, height, step = msg.encoding, msg.width, msg.height, msg.step
    per_pixel = BYTES_PER_PIXEL.get(_ALIASES.get(encoding, encoding))
    if per_pixel is None:
        raise BadMessage(
            "encoding",
            "image",
            expected=f"one of the encodings {', '.join(ENCODINGS)}",
            got=repr(encoding[:40]),
            remedy="set the camera driver's output format, or convert with image_proc",
        )
    _check_size(width, height)
    if (encoding in _YUV and width % 2) or (encoding in _PLANAR and height % 2):
        raise BadMessage(
            "size",
            f"image of encoding {encoding}",
            expected="an even size, since pixels share their colour",
            got=f"{width} x {height} px",
            remedy="set the camera to an even size",
        )
    if step < width * per_pixel:
        raise BadMessage(
            "step",
            f"image of encoding {encoding}",
            expected=f"a step of at least {width * per_pixel} bytes for {width} px",
            got=f"{step}",
            remedy="set step to the length of a row in bytes where the image is published",
        )
    row_count = height * 3 // 2 if encoding in _PLANAR else height
    data = np.frombuffer(msg.data, np.uint8) if len(msg.data) else np.zeros(0, np.uint8)
    if len(data) != row_count * step:
        raise BadMessage(
            "size",
            f"image of encoding {encoding}",
            expected=f"{row_count} rows of {step} bytes, {row_count * step} in all",
            got=f"{len(data)} bytes",
            remedy="set step and data where the image is published so that they agree",
        )
    return np.ascontiguousarray(data.reshape(row_count, step)[:, : width * per_pixel])


def _check_size(width_px: int, height_px: int) -> None:
    fits = 0 < width_px <= MAX_SIDE_PX and 0 < height_px <= MAX_SIDE_PX
    if not fits or width_px * height_px > MAX_PIXELS:
        raise BadMessage(
            "size",
            "image",
            expected=f"sides of 1 to {MAX_SIDE_PX} px and at most {MAX_PIXELS} px in all",
            got=f"{width_px} x {height_px} px",
            remedy="check the camera's configuration",
        )


def compressed_to_rgb(msg: Any) -> Pixels:
    """The image in a sensor_msgs/CompressedImage, ``[H, W, 3]`` uint8 RGB, upright by EXIF.

    JPEG and PNG, distinguished by the bytes; of `format` only the order of colours counts. Raises
    BadMessage for other formats, for images that are cut off or damaged, and, before decoding,
    for absurd sizes.
    """
    if not len(msg.data):
        raise BadMessage(
            "empty",
            "compressed image",
            expected="a JPEG or PNG image",
            got="no bytes",
            remedy="check the camera driver",
        )
    data = np.frombuffer(msg.data, np.uint8)
    _check_header(data.tobytes(), msg.format)
    try:
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error:
        decoded = None
    if decoded is None:
        raise _damaged(msg.format, "bytes that cannot be decoded")
    # image_transport names the order in which the encoder was given the colours; encoder and
    # decoder both think that it is BGR, so what was given as RGB comes out as RGB
    if "compressed rgb" in msg.format.partition(";")[2]:
        return np.asarray(decoded, np.uint8)
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def _check_header(data: bytes, stated_format: str) -> None:
    """Raises BadMessage unless `data` is a whole JPEG or PNG of a sane size."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        found, ending = _png_size(data), b"IEND"
    elif data.startswith(b"\xff\xd8"):
        found, ending = _jpeg_size(data), b"\xff\xd9"
    else:
        raise BadMessage(
            "format",
            "compressed image",
            expected="JPEG or PNG",
            got=f"format {stated_format[:60]!r} that begins with {data[:4].hex(' ')}",
            remedy="set the publisher's format to jpeg or png; depth and video are not read",
        )
    if found is None:
        raise _damaged(stated_format, f"{len(data)} bytes without a size")
    width_px, height_px, at = found
    _check_size(width_px, height_px)
    # OpenCV before 4.11 fills what is missing with grey, and a face is searched for in vain; a
    # preview has an end too, but lies before the size
    if data.rfind(ending, at) < 0:
        raise _damaged(stated_format, f"{len(data)} bytes without an end")


def _damaged(stated_format: str, got: str) -> BadMessage:
    return BadMessage(
        "truncated",
        f"compressed image of format {stated_format[:60]!r}",
        expected="a whole image",
        got=got,
        remedy="check the camera, or the network for lost fragments",
    )


def _png_size(data: bytes) -> tuple[int, int, int] | None:
    """Width and height in px from the first chunk of a PNG, and where this ends."""
    if data[12:16] != b"IHDR" or len(data) < 24:
        return None
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"), 24


def _jpeg_size(data: bytes) -> tuple[int, int, int] | None:
    """Width and height in px from the frame header of a JPEG, and where they end in `data`."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a filler
            at += 1
            continue
        # frame headers are C0 … CF but for tables (C4, CC) and an extension (C8)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height = int.from_bytes(data[at + 5 : at + 7], "big")
            width = int.from_bytes(data[at + 7 : at + 9], "big")
            return width, height, at + 9
        at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
    return None


def pixels_to_image(pixels: Pixels, header: Any) -> Any:
    """A sensor_msgs/Image, ``rgb8`` of ``[H, W, 3]`` uint8 `pixels`, ``rgba8`` of ``[H, W, 4]``.

    They are copied once. Raises ValueError for another shape or type.
    """
    _require_pixels(pixels)
    height, width, channels = pixels.shape
    # an array.array is taken over as it is; rclpy would check bytes or a list element by element
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(pixels).reshape(-1).data)
    return Image(
        header=header,
        height=height,
        width=width,
        encoding="rgba8" if channels == 4 else "rgb8",
        is_bigendian=0,
        step=channels * width,
        data=data,
    )


def pixels_to_compressed(pixels: Pixels, header: Any, quality: int = JPEG_QUALITY) -> Any:
    """A sensor_msgs/CompressedImage, JPEG of `quality` 1…100, of `pixels` ``[H, W, 3]`` RGB.

    JPEG has no alpha: RGBA ``[H, W, 4]`` is shown before black. PNG would keep it, for ten times
    the time and the bytes. `format` is written as image_transport does. Raises ValueError for
    another shape, type or quality.
    """
    _require_pixels(pixels)
    if not 1 <= quality <= 100:
        raise ValueError(f"expected a JPEG quality of 1 to 100, got {quality}")
    if pixels.shape[2] == 4:
        bgr = before_black(
            np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGR), np.uint8), pixels[..., 3]
        )
    else:
        bgr = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), np.uint8)
    _, coded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    data = array.array("B")
    data.frombytes(coded.data)
    return CompressedImage(header=header, format="rgb8; jpeg compressed bgr8", data=data)


def _require_pixels(pixels: Pixels) -> None:
    is_colour = pixels.ndim == 3 and pixels.shape[2] in (3, 4)
    if pixels.dtype != np.uint8 or not is_colour or not pixels.size:
        raise ValueError(
            f"expected uint8 [H, W, 3] or [H, W, 4], got {pixels.dtype} {pixels.shape}"
        )
