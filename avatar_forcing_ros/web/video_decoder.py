"""A browser's video, of a bounded size: told before it is decoded, since that takes the memory.

An image of 16,000 x 16,000 pixels takes 400 MB, and its decoder several times as much, whatever
the few bytes hold that ask for it.
"""

from __future__ import annotations

import logging

from aiortc.codecs.h264 import H264Decoder
from aiortc.codecs.vpx import Vp8Decoder
from aiortc.jitterbuffer import JitterFrame
from av.frame import Frame

MAX_CAMERA_PIXELS = 1920 * 1088
_START_CODE = b"\x9d\x01\x2a"
logger = logging.getLogger(__name__)


def vp8_size_px(data: bytes) -> tuple[int, int] | None:
    """Width and height that a VP8 frame states; None for one that is as large as those before.

    RFC 6386, 9.1: three bytes, of which the lowest bit is 0 for a key frame, then a start code,
    and twice 14 bits and a scale.
    """
    if len(data) < 10 or data[0] & 1 or data[3:6] != _START_CODE:
        return None
    width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    return width, height


class BoundedVp8Decoder(Vp8Decoder):
    """In place of aiortc's decoder."""

    def decode(self, encoded_frame: JitterFrame) -> list[Frame]:
        """The images of a frame; none of one that is too large."""
        size_px = vp8_size_px(encoded_frame.data)
        if size_px and size_px[0] * size_px[1] > MAX_CAMERA_PIXELS:
            logger.warning("a video of %d x %d pixels is not decoded", *size_px)
            return []
        return super().decode(encoded_frame)


class BoundedH264Decoder(H264Decoder):
    """In place of aiortc's decoder; FFmpeg itself looks at the size first."""

    def __init__(self) -> None:
        super().__init__()
        self.codec.options = {"max_pixels": str(MAX_CAMERA_PIXELS)}
