"""Protects the reading of images: every encoding against colours by hand, no message crashes."""

from __future__ import annotations

import array
import contextlib
import importlib
import os
import struct
import sys
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from avatar_forcing_ros.nodes import convert_image
from avatar_forcing_ros.nodes.convert_image import (
    ENCODINGS,
    compressed_to_rgb,
    image_to_rgb,
    image_transport,
    pixels_to_compressed,
    pixels_to_image,
)
from avatar_forcing_ros.nodes.diagnostics import BadMessage

DEBIAN_PACKAGES = "/usr/lib/python3/dist-packages"
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def image(encoding: str, width: int, height: int, data: bytes, step: int, big: int = 0) -> Image:
    return Image(
        encoding=encoding, width=width, height=height, step=step, is_bigendian=big, data=data
    )


def photo(width: int = 64, height: int = 48) -> np.ndarray:
    """Smooth colours, which JPEG keeps, and no two channels alike."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.dstack([200 - x, 40 + 2 * y, 90 + 0.5 * x + y]).astype(np.uint8)


@pytest.mark.parametrize(
    ("encoding", "row", "expected"),
    [
        ("rgb8", [255, 0, 0, 1, 2, 3], [RED, (1, 2, 3)]),
        ("bgr8", [0, 0, 255, 1, 2, 3], [RED, (3, 2, 1)]),
        ("rgba8", [255, 0, 0, 7, 1, 2, 3, 0], [RED, (1, 2, 3)]),
        ("bgra8", [0, 0, 255, 7, 1, 2, 3, 0], [RED, (3, 2, 1)]),
        ("mono8", [0, 77], [(0, 0, 0), (77, 77, 77)]),
        # studio range: 16 is black and 235 white, and 126 stands for 128
        ("uyvy", [128, 16, 128, 235], [(0, 0, 0), WHITE]),
        ("yuv422", [128, 126, 128, 235], [(128, 128, 128), WHITE]),
        ("yuyv", [16, 128, 235, 128], [(0, 0, 0), WHITE]),
        ("yuv422_yuy2", [126, 128, 235, 128], [(128, 128, 128), WHITE]),
    ],
)
def test_encodings_by_hand(encoding: str, row: list[int], expected: list) -> None:
    padding = [9, 9, 9]  # rows are padded, and what stands there never shows
    data = bytes((row + padding) * 2)
    rgb = image_to_rgb(image(encoding, 2, 2, data, len(row) + 3))
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous
    assert rgb.tolist() == [[list(pixel) for pixel in expected]] * 2


def near(rgb: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((np.abs(rgb.astype(int) - colour) <= 2).all())


@pytest.mark.parametrize(
    ("colour", "yuv"), [(RED, (82, 90, 240)), (GREEN, (145, 54, 34)), (BLUE, (41, 240, 110))]
)
@pytest.mark.parametrize("encoding", ["uyvy", "yuyv", "nv12", "nv21"])
def test_yuv_colours(encoding: str, colour: tuple[int, int, int], yuv: tuple) -> None:
    """BT.601 numbers of the primaries, known from tables."""
    y, u, v = yuv
    data = {
        "uyvy": bytes([u, y, v, y]) * 8,
        "yuyv": bytes([y, u, y, v]) * 8,
        "nv12": bytes([y]) * 16 + bytes([u, v]) * 4,
        "nv21": bytes([y]) * 16 + bytes([v, u]) * 4,
    }[encoding]
    rgb = image_to_rgb(image(encoding, 4, 4, data, 4 if encoding.startswith("nv") else 8))
    assert rgb.shape == (4, 4, 3)
    assert near(rgb, colour)


@pytest.mark.parametrize("pattern", ["rggb", "grbg", "gbrg", "bggr"])
@pytest.mark.parametrize("colour", [RED, GREEN, BLUE, WHITE])
def test_bayer_of_one_colour(pattern: str, colour: tuple[int, int, int]) -> None:
    """Each letter of the pattern is the colour of a cell of a 2 x 2 square."""
    cell = [colour["rgb".index(letter)] for letter in pattern]
    mosaic = np.tile(np.array(cell, np.uint8).reshape(2, 2), (4, 4))
    rgb = image_to_rgb(image(f"bayer_{pattern}8", 8, 8, mosaic.tobytes(), 8))
    assert rgb[2:-2, 2:-2].reshape(-1, 3).tolist() == [list(colour)] * 16


@pytest.mark.parametrize(("big", "code"), [(0, "<4H"), (1, ">4H")])
def test_mono16_is_scaled_in_both_byte_orders(big: int, code: str) -> None:
    data = struct.pack(code, 0, 0x1234, 32896, 65535)
    rgb = image_to_rgb(image("mono16", 2, 2, data, 4, big))
    assert rgb[..., 0].tolist() == [[0, 18], [128, 255]]
    assert (rgb[..., 0] == rgb[..., 2]).all()


def test_rgb8_is_not_copied() -> None:
    msg = image("rgb8", 4, 2, bytes(24), 12)
    rgb = image_to_rgb(msg)
    msg.data[0] = 200
    assert rgb[0, 0, 0] == 200


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, lambda b: array.array("B", b)])
def test_data_may_be_any_buffer(wrap) -> None:
    pixels = photo(6, 4)
    fields = {"encoding": "rgb8", "width": 6, "height": 4, "step": 18, "is_bigendian": 0}
    for data in (wrap(pixels.tobytes()), pixels.reshape(-1)):
        assert (image_to_rgb(SimpleNamespace(data=data, **fields)) == pixels).all()


@pytest.mark.parametrize(
    ("reason", "msg"),
    [
        ("encoding", image("32FC1", 2, 2, bytes(16), 8)),
        ("encoding", image("", 2, 2, bytes(16), 8)),
        ("size", image("rgb8", 0, 2, b"", 0)),
        ("size", image("rgb8", 2, 0, b"", 6)),
        ("size", image("rgb8", 8193, 1, bytes(8193 * 3), 8193 * 3)),
        ("size", image("mono8", 8192, 8192, b"", 8192)),
        ("step", image("rgb8", 2, 2, bytes(10), 5)),
        ("step", image("rgb8", 2, 2, bytes(12), 0)),
        ("size", image("rgb8", 2, 2, bytes(11), 6)),
        ("size", image("rgb8", 2, 2, bytes(13), 6)),
        ("size", image("rgb8", 2, 2, b"", 6)),
        ("size", image("yuyv", 3, 2, bytes(12), 6)),
        ("size", image("nv12", 4, 3, bytes(16), 4)),
        ("size", image("nv12", 4, 4, bytes(16), 4)),
    ],
)
def test_bad_images_are_reported(reason: str, msg: Image) -> None:
    with pytest.raises(BadMessage, match=r"expected .*, got .*; ") as raised:
        image_to_rgb(msg)
    assert raised.value.reason == reason


@settings(deadline=None, max_examples=300)
@given(
    encoding=st.one_of(st.sampled_from(ENCODINGS), st.text(max_size=8)),
    width=st.one_of(st.integers(0, 9), st.integers(0, 2**32 - 1)),
    height=st.one_of(st.integers(0, 9), st.integers(0, 2**32 - 1)),
    pad=st.integers(-4, 4),
    extra=st.integers(-2, 2),
    wide=st.integers(1, 4),
    big=st.integers(0, 255),
)
def test_any_image_gives_pixels_or_a_bad_message(
    encoding: str, width: int, height: int, pad: int, extra: int, wide: int, big: int
) -> None:
    step = min(max(width * wide + pad, 0), 2**32 - 1)
    rows = height * 3 // 2 if encoding.startswith("nv") else height
    data = bytes(min(max(rows * step + extra, 0), 4096))
    try:
        rgb = image_to_rgb(image(encoding, width, height, data, step, big))
    except BadMessage:
        return
    assert rgb.shape == (height, width, 3)
    assert rgb.dtype == np.uint8


@settings(deadline=None, max_examples=50)
@given(width=st.integers(1, 33), height=st.integers(1, 33), seed=st.integers(0, 99))
def test_rgb_there_and_back_is_the_same(width: int, height: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    msg = pixels_to_image(pixels, Header(frame_id="camera"))
    assert (msg.encoding, msg.step, msg.header.frame_id) == ("rgb8", 3 * width, "camera")
    assert (image_to_rgb(msg) == pixels).all()


def test_pixels_with_gaps_are_published_too() -> None:
    pixels = photo()[::2, ::-1]
    assert (image_to_rgb(pixels_to_image(pixels, Header())) == pixels).all()


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)]
)
def test_pixels_of_another_kind_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 \[H, W, 3\]"):
        pixels_to_image(pixels, Header())
    with pytest.raises(ValueError, match=r"expected uint8 \[H, W, 3\]"):
        pixels_to_compressed(pixels, Header())


def test_alpha_is_published_as_rgba8_and_before_black_as_jpeg() -> None:
    pixels = np.dstack([photo(), np.zeros(photo().shape[:2], np.uint8)])
    pixels[:, : pixels.shape[1] // 2, 3] = 255
    msg = pixels_to_image(pixels, Header())
    assert (msg.encoding, msg.step) == ("rgba8", 4 * msg.width)
    assert bytes(msg.data) == pixels.tobytes()
    assert (image_to_rgb(msg) == pixels[..., :3]).all()
    before_black = pixels[..., :3] * (pixels[..., 3:] > 0)
    shown = compressed_to_rgb(pixels_to_compressed(pixels, Header(), 95)).astype(int)
    assert np.abs(shown - before_black).mean() < 6
    _, _, to_rgb = image_transport("avatar/image_raw", "raw")
    assert (to_rgb(msg) == before_black).all()
    assert (to_rgb(pixels_to_image(photo(), Header())) == photo()).all()
    _, _, to_rgb = image_transport("user/image", "raw")  # a camera's alpha says nothing
    assert (to_rgb(msg) == pixels[..., :3]).all()


def test_quality_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="1 to 100"):
        pixels_to_compressed(photo(), Header(), 0)


def test_jpeg_there_and_back_keeps_colours() -> None:
    pixels = photo()
    msg = pixels_to_compressed(pixels, Header(frame_id="camera"), 95)
    assert msg.format == "rgb8; jpeg compressed bgr8"
    assert msg.header.frame_id == "camera"
    assert np.abs(compressed_to_rgb(msg).astype(int) - pixels).max() <= 12
    smaller = pixels_to_compressed(pixels, Header(), 30)
    assert len(smaller.data) < len(msg.data)


def coded(pixels: np.ndarray, ending: str) -> bytes:
    return cv2.imencode(ending, pixels)[1].tobytes()


@pytest.mark.parametrize("text", ["png", "rgb8; png compressed bgr8", "bgr8; png compressed bgr8"])
def test_png_is_exact_whatever_the_camera_had(text: str) -> None:
    pixels = photo()
    data = coded(np.ascontiguousarray(pixels[..., ::-1]), ".png")
    assert (compressed_to_rgb(CompressedImage(format=text, data=data)) == pixels).all()


def test_exchanged_colours_are_set_right() -> None:
    """A sender that hands RGB to an encoder for BGR writes that it did."""
    pixels = photo()
    msg = CompressedImage(format="bgr8; png compressed rgb8", data=coded(pixels, ".png"))
    assert (compressed_to_rgb(msg) == pixels).all()


@pytest.mark.parametrize("kind", ["grey", "grey 16", "alpha"])
def test_other_png_become_rgb(kind: str) -> None:
    pixels = np.full((4, 6, 3), 90, np.uint8)
    source = {
        "grey": pixels[..., 0],
        "grey 16": pixels[..., 0].astype(np.uint16) * 257,
        "alpha": np.dstack([pixels, pixels[..., 0]]),
    }[kind]
    msg = CompressedImage(format="mono8; png compressed ", data=coded(source, ".png"))
    assert (compressed_to_rgb(msg) == pixels).all()


def test_a_jpeg_with_a_preview_is_measured_by_its_own_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    preview, whole = coded(photo(8, 8), ".jpg"), coded(photo(), ".jpg")
    header = b"\xff\xe1" + (len(preview) + 2).to_bytes(2, "big") + preview
    data = whole[:2] + header + whole[2:]
    assert compressed_to_rgb(CompressedImage(format="jpeg", data=data)).shape == (48, 64, 3)
    # OpenCV before 4.11 fills what is missing; newer ones refuse
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    cut = data[:-40]  # the preview's end is still there
    with pytest.raises(BadMessage, match="whole image"):
        compressed_to_rgb(CompressedImage(format="jpeg", data=cut))


def png_of_size(width: int, height: int) -> bytes:
    data = bytearray(coded(photo(), ".png"))
    data[16:24] = struct.pack(">II", width, height)
    return bytes(data)


def jpeg_of_size(width: int, height: int) -> bytes:
    data = bytearray(coded(photo(), ".jpg"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize(
    ("reason", "data"),
    [
        ("empty", b""),
        ("format", b"GIF89a" + bytes(20)),
        ("size", png_of_size(60_000, 60_000)),
        ("size", png_of_size(0, 5)),
        ("size", jpeg_of_size(65_000, 65_000)),
        ("size", jpeg_of_size(0, 5)),
        ("truncated", b"\xff\xd8"),
        ("truncated", b"\x89PNG\r\n\x1a\n"),
        ("truncated", coded(photo(), ".jpg")[:-40]),
        ("truncated", coded(photo(), ".png")[:-40]),
        ("truncated", png_of_size(64, 49)[:24] + b"IEND"),
    ],
)
def test_bad_compressed_images_are_reported(
    reason: str, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason == "size":  # never decoded, which would take the memory
        monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(BadMessage, match=r"expected .*, got .*; ") as raised:
        compressed_to_rgb(CompressedImage(format="jpeg", data=data))
    assert raised.value.reason == reason


@settings(deadline=None, max_examples=200)
@given(
    start=st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"]),
    body=st.binary(max_size=200),
    text=st.text(max_size=30),
)
def test_any_bytes_give_pixels_or_a_bad_message(start: bytes, body: bytes, text: str) -> None:
    with pytest.raises(BadMessage):
        compressed_to_rgb(CompressedImage(format=text, data=start + body))


@settings(deadline=None, max_examples=200)
@given(
    ending=st.sampled_from([".jpg", ".png"]),
    changes=st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_damaged_images_give_pixels_or_a_bad_message(ending: str, changes: list) -> None:
    data = bytearray(coded(photo(), ending))
    for at, value in changes:
        data[at % len(data)] = value
    try:
        rgb = compressed_to_rgb(CompressedImage(format="jpeg", data=bytes(data)))
    except BadMessage:
        return
    assert rgb.ndim == 3
    assert rgb.dtype == np.uint8


@pytest.fixture(scope="module")
def cv_bridge() -> Any:
    """That of ROS, or of Debian, whose package is the same code for Debian's Python."""
    with contextlib.suppress(ImportError):
        return importlib.import_module("cv_bridge")
    sys.path.append(DEBIAN_PACKAGES)
    try:
        return importlib.import_module("cv_bridge")
    except ImportError:
        assert not os.environ.get("AVATAR_FORCING_REQUIRE_CV_BRIDGE"), "install python3-cv-bridge"
        pytest.skip("no cv_bridge: apt-get install python3-cv-bridge")
    finally:
        sys.path.remove(DEBIAN_PACKAGES)


@pytest.mark.parametrize("big", [0, 1])
@pytest.mark.parametrize("encoding", sorted(convert_image.BRIDGED))
def test_cv_bridge_and_our_own_conversion_are_equal(
    cv_bridge: Any, monkeypatch: pytest.MonkeyPatch, encoding: str, big: int
) -> None:
    per_pixel = convert_image.BYTES_PER_PIXEL[encoding]
    noise = np.random.default_rng(big).integers(0, 256, 6 * 8 * per_pixel, dtype=np.uint8)
    message = image(encoding, 8, 6, noise.tobytes(), 8 * per_pixel, big)
    monkeypatch.setattr(convert_image, "CvBridge", None)
    ours = image_to_rgb(message)
    monkeypatch.setattr(convert_image, "CvBridge", cv_bridge.CvBridge)
    monkeypatch.setattr(convert_image, "CvBridgeError", cv_bridge.CvBridgeError)
    assert np.array_equal(ours, image_to_rgb(message))
