"""VP8 for a face: an even quality from the first picture on, with no more bits than it needs.

aiortc's own encoder begins at 500 kbit/s, where the first picture is blocky and stays so where
nothing moves, and makes a new codec, thus a whole picture at a low quality, whenever the browser's
estimate of the line moves by a tenth. This one holds a quality (FFmpeg's ``crf``) below a ceiling;
the ceiling comes down only where the line carries less than what is being sent.
"""

from __future__ import annotations

import aiortc.codecs
import av
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.mediastreams import VIDEO_TIME_BASE, convert_timebase
from av.frame import Frame

from avatar_forcing_ros.timebase import FRAME_RATE_HZ

MOST_BIT_S, LEAST_BIT_S = 2_500_000, 400_000
QUALITY = "16"  # of 4 (best) to 63; 41 dB for the shipped portraits at some 700 kbit/s
SETTLING_FRAMES = 75  # the browser knows nothing of the line before
OFTEN_FRAMES = 50  # between two ceilings, since each begins with a whole picture
NARROW_FRAMES = (
    25  # that long a line has to be narrow: a busy browser seems to have one for a moment
)
TOO_MUCH, ENOUGH = 0.85, 2.0  # of what is sent, and of the ceiling
SMOOTHING = 0.05  # a frame's share in the mean rate


class Ceiling:
    """How many bits a second the pictures may take. No codec in here."""

    def __init__(self) -> None:
        self.bit_s = MOST_BIT_S
        self._sent_bit_s = 0.0
        self._frames = self._narrow_frames = 0

    def after(self, frame_bytes: int, line_bit_s: int | None) -> bool:
        """Note a frame that was sent, and the line's estimate; whether the ceiling moved."""
        self._sent_bit_s += SMOOTHING * (8 * frame_bytes * FRAME_RATE_HZ - self._sent_bit_s)
        self._frames += 1
        if line_bit_s is None or self._frames < SETTLING_FRAMES:
            return False
        wanted = self.bit_s
        narrow = line_bit_s < TOO_MUCH * min(self._sent_bit_s, self.bit_s)
        self._narrow_frames = self._narrow_frames + 1 if narrow else 0
        if self._narrow_frames > NARROW_FRAMES:
            wanted = max(LEAST_BIT_S, line_bit_s)
        elif line_bit_s > ENOUGH * self.bit_s:
            wanted = min(MOST_BIT_S, line_bit_s)
        if wanted == self.bit_s:
            return False
        self.bit_s = wanted
        self._frames = SETTLING_FRAMES - OFTEN_FRAMES
        return True


class FaceEncoder(Vp8Encoder):
    """Takes aiortc's place; packets are made by aiortc."""

    def __init__(self) -> None:
        super().__init__()
        self._ceiling = Ceiling()
        self._line_bit_s: int | None = None
        self._coder: av.VideoCodecContext | None = None

    @property
    def target_bitrate(self) -> int:
        """What the browser says that the line carries, in bits a second."""
        return self._line_bit_s or MOST_BIT_S

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        self._line_bit_s = bitrate

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """A picture as RTP payloads, and its time at 90 kHz."""
        assert isinstance(frame, av.VideoFrame)
        assert frame.pts is not None
        assert frame.time_base is not None
        picture = frame.reformat(format="yuv420p")
        size = (picture.width, picture.height)
        if self._coder is None or size != (self._coder.width, self._coder.height):
            self._coder = _codec(*size, self._ceiling.bit_s)
        picture.pict_type = (
            av.video.frame.PictureType.I if force_keyframe else av.video.frame.PictureType.NONE
        )
        data = b"".join(bytes(packet) for packet in self._coder.encode(picture))
        if self._ceiling.after(len(data), self._line_bit_s):
            self._coder = None
        payloads = self._packetize(data, self.picture_id)
        self.picture_id = (self.picture_id + 1) % (1 << 15)
        return payloads, convert_timebase(frame.pts, frame.time_base, VIDEO_TIME_BASE)


def _codec(width: int, height: int, most_bit_s: int) -> av.VideoCodecContext:
    codec = av.CodecContext.create("libvpx", "w")
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    codec.bit_rate, codec.gop_size, codec.thread_count = most_bit_s, 3_000, 1
    codec.qmin, codec.qmax = 2, 56
    codec.options = {
        "crf": QUALITY,
        "maxrate": str(most_bit_s),
        "bufsize": str(most_bit_s),  # a second
        "deadline": "realtime",
        "cpu-used": "-4",
        "lag-in-frames": "0",
        "undershoot-pct": "100",
        "overshoot-pct": "15",
    }
    return codec


def encode_faces() -> None:
    """Have aiortc encode its pictures so, from now on, in this process; it has no setting."""
    aiortc.codecs.Vp8Encoder = FaceEncoder  # type: ignore[attr-defined]
