"""VP8 of constant quality that gives way to a narrow line."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

pytest.importorskip("aiortc")

from aiortc.codecs import get_encoder
from aiortc.codecs.vpx import vp8_depayload
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from avatar_forcing_ros.web.library_patches import install_patches
from avatar_forcing_ros.web.video_encoder import (
    MAX_BIT_S,
    MIN_BIT_S,
    NARROW_FRAMES,
    WARM_UP_FRAMES,
    FaceEncoder,
    RateCeiling,
)


def images(count: int, side_px: int = 128) -> list[av.VideoFrame]:
    """A soft background before which a bright bar moves."""
    rows = np.linspace(40, 200, side_px)
    found = []
    for i in range(count):
        pixels = np.repeat(np.tile(rows, (side_px, 1))[..., None], 3, axis=2)
        pixels[:, 2 * i : 2 * i + 8] = (250, 180, 40)
        frame = av.VideoFrame.from_ndarray(pixels.astype(np.uint8), format="rgb24")
        frame.pts, frame.time_base = i, Fraction(1, 25)
        found.append(frame)
    return found


def test_it_takes_aiortcs_place_and_is_good_from_the_first_frame() -> None:
    install_patches()
    encoder = get_encoder(RTCRtpCodecParameters(mimeType="video/VP8", clockRate=90_000))
    assert isinstance(encoder, FaceEncoder)
    decoder = av.CodecContext.create("libvpx", "r")
    times, errors = [], []
    for image in images(10):
        payloads, at = encoder.encode(image, force_keyframe=not times)
        (decoded,) = decoder.decode(av.Packet(b"".join(map(vp8_depayload, payloads))))
        error = decoded.to_ndarray(format="rgb24").astype(float) - image.to_ndarray()
        errors.append(np.sqrt(np.mean(error**2)))
        times.append(at)
    assert times == [i * 3_600 for i in range(10)]
    assert max(errors) < 6


def test_the_ceiling_comes_down_where_the_line_carries_less_than_is_sent() -> None:
    ceiling, frame_bytes = RateCeiling(), 6_000  # 1.2 Mbit/s
    for _ in range(WARM_UP_FRAMES - 1):
        assert not ceiling.update(frame_bytes, 300_000)  # a browser that does not know yet
    assert not ceiling.update(frame_bytes, 1_300_000)
    for _ in range(NARROW_FRAMES):
        assert not ceiling.update(frame_bytes, 600_000)
    assert ceiling.update(frame_bytes, 600_000)
    assert ceiling.bit_s == 600_000
    moves = [ceiling.update(4_000, 100_000) for _ in range(100)]
    assert sum(moves) == 1
    assert ceiling.bit_s == MIN_BIT_S
    moves = [ceiling.update(500, 9_000_000) for _ in range(100)]
    assert sum(moves) == 1
    assert ceiling.bit_s == MAX_BIT_S


def test_a_moved_ceiling_begins_with_a_key_frame() -> None:
    encoder = FaceEncoder()
    sizes = []
    for image in images(WARM_UP_FRAMES + NARROW_FRAMES + 2, 256):
        encoder.target_bitrate = 1_000
        payloads, _ = encoder.encode(image)
        sizes.append(sum(map(len, payloads)))
    whole = WARM_UP_FRAMES + NARROW_FRAMES
    assert sizes[whole] > 3 * np.median(sizes[10:whole])
    assert encoder.target_bitrate == 1_000
