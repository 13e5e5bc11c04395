"""VP8 for a face: constant quality from the first frame on, with no more bits than it needs.

aiortc's own encoder begins at 500 kbit/s, where the first frame is blocky and stays so where
nothing moves, and makes a new codec, thus a key frame at a low quality, whenever the browser's
bandwidth estimate moves by a tenth. This one holds a quality (FFmpeg's ``crf``) below a ceiling;
the ceiling comes down only where the line carries less than what is being sent.
"""

from __future__ import annotations

import av
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.mediastreams import VIDEO_TIME_BASE, convert_timebase
from av.frame import Frame

from avatar_forcing_ros.timebase import FRAME_RATE_HZ

MAX_BIT_S, MIN_BIT_S = 2_500_000, 400_000
CRF = "16"  # of 4 (best) to 63; 41 dB for the shipped portraits at some 700 kbit/s
WARM_UP_FRAMES = 75  # the browser has no estimate of the line before
HOLD_FRAMES = 50  # between two ceilings, since each begins with a key frame
NARROW_FRAMES = 25  # a busy browser reports a narrow line for a moment
NARROW, WIDE = 0.85, 2.0  # of what is sent, and of the ceiling
SMOOTHING = 0.05  # weight of the newest frame in the mean rate


class RateCeiling:
    """How many bits a second the video may take. Pure arithmetic, no codec."""

    def __init__(self) -> None:
        self.bit_s = MAX_BIT_S
        self._sent_bit_s = 0.0
        self._frames = self._narrow_frames = 0

    def update(self, frame_bytes: int, line_bit_s: int | None) -> bool:
        """Note a frame that was sent and the bandwidth estimate; whether the ceiling moved."""
        self._sent_bit_s += SMOOTHING * (8 * frame_bytes * FRAME_RATE_HZ - self._sent_bit_s)
        self._frames += 1
        if line_bit_s is None or self._frames < WARM_UP_FRAMES:
            return False
        wanted = self.bit_s
        narrow = line_bit_s < NARROW * min(self._sent_bit_s, self.bit_s)
        self._narrow_frames = self._narrow_frames + 1 if narrow else 0
        if self._narrow_frames > NARROW_FRAMES:
            wanted = max(MIN_BIT_S, line_bit_s)
        elif line_bit_s > WIDE * self.bit_s:
            wanted = min(MAX_BIT_S, line_bit_s)
        if wanted == self.bit_s:
            return False
        self.bit_s = wanted
        self._frames = WARM_UP_FRAMES - HOLD_FRAMES
        return True


class FaceEncoder(Vp8Encoder):
    """In place of aiortc's encoder, which still makes the packets."""

    def __init__(self) -> None:
        super().__init__()
        self._ceiling = RateCeiling()
        self._line_bit_s: int | None = None
        self._context: av.VideoCodecContext | None = None

    @property
    def target_bitrate(self) -> int:
        """The browser's bandwidth estimate in bits a second."""
        return self._line_bit_s or MAX_BIT_S

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        self._line_bit_s = bitrate

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """A frame as RTP payloads, and its time at 90 kHz."""
        assert isinstance(frame, av.VideoFrame)
        assert frame.pts is not None
        assert frame.time_base is not None
        image = frame.reformat(format="yuv420p")
        size = (image.width, image.height)
        if self._context is None or size != (self._context.width, self._context.height):
            self._context = _codec_context(*size, self._ceiling.bit_s)
        kinds = av.video.frame.PictureType
        image.pict_type = kinds.I if force_keyframe else kinds.NONE
        data = b"".join(bytes(packet) for packet in self._context.encode(image))
        if self._ceiling.update(len(data), self._line_bit_s):
            self._context = None
        payloads = self._packetize(data, self.picture_id)
        self.picture_id = (self.picture_id + 1) % (1 << 15)
        return payloads, convert_timebase(frame.pts, frame.time_base, VIDEO_TIME_BASE)


def _codec_context(width: int, height: int, max_bit_s: int) -> av.VideoCodecContext:
    codec = av.CodecContext.create("libvpx", "w")
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    codec.bit_rate, codec.gop_size, codec.thread_count = max_bit_s, 3_000, 1
    codec.qmin, codec.qmax = 2, 56
    codec.options = {
        "crf": CRF,
        "maxrate": str(max_bit_s),
        "bufsize": str(max_bit_s),  # a second
        "deadline": "realtime",
        "cpu-used": "-4",
        "lag-in-frames": "0",
        "undershoot-pct": "100",
        "overshoot-pct": "15",
    }
    return codec
