"""Video of a browser is decoded, unless it is too large, which its first bytes say."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import pytest

pytest.importorskip("aiortc")

from aiortc.codecs import get_decoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from avatar_forcing_ros.web.library_patches import install_patches
from avatar_forcing_ros.web.video_decoder import vp8_size_px

FITS, TOO_LARGE = (1_280, 720), (2_048, 1_088)


def encoded(program: str, size_px: tuple[int, int], count: int = 2) -> list[bytes]:
    """The first frames of a grey video, the first of which is a key frame."""
    encoder: Any = av.CodecContext.create(program, "w")
    encoder.width, encoder.height = size_px
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 25)
    if program == "libx264":
        encoder.options = {"tune": "zerolatency", "preset": "ultrafast"}
    else:
        encoder.options = {"deadline": "realtime", "lag-in-frames": "0"}
    frames = []
    for i in range(count):
        frame = av.VideoFrame(*size_px, "yuv420p")
        frame.pts, frame.time_base = i, Fraction(1, 25)
        frames += [bytes(packet) for packet in encoder.encode(frame)]
    return frames


def decoder_of(kind: str) -> Any:
    install_patches()
    return get_decoder(RTCRtpCodecParameters(mimeType=f"video/{kind}", clockRate=90_000))


@pytest.mark.parametrize(("kind", "program"), [("VP8", "libvpx"), ("H264", "libx264")])
def test_a_large_video_is_not_decoded(kind: str, program: str) -> None:
    decoder = decoder_of(kind)
    shown = []
    for size_px in (FITS, TOO_LARGE, FITS):
        for data in encoded(program, size_px):
            try:
                frames = decoder.decode(JitterFrame(data=data, timestamp=0))
            except av.FFmpegError:  # aiortc asks for a key frame then
                continue
            shown += [(frame.width, frame.height) for frame in frames]
    assert TOO_LARGE not in shown
    assert shown.count(FITS) >= 3


def test_the_size_stands_in_key_frames_alone() -> None:
    key, following = encoded("libvpx", (640, 360))
    assert vp8_size_px(key) == (640, 360)
    assert vp8_size_px(following) is None
    assert vp8_size_px(key[:9]) is None
    assert vp8_size_px(b"") is None
    huge = key[:6] + (16_000).to_bytes(2, "little") * 2 + key[10:]
    assert vp8_size_px(huge) == (16_000, 16_000)
    assert decoder_of("VP8").decode(JitterFrame(data=huge, timestamp=0)) == []
