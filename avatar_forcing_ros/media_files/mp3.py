"""MP3 that comes in pieces, as a microphone's driver sends it."""

from __future__ import annotations

import av
import numpy as np
from numpy.typing import NDArray

# kbit/s by the index in a frame's header: MPEG-1 layer III, and MPEG-2 and 2.5 layer III
_BITRATES = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
_RATES_HZ = (44_100, 48_000, 32_000)  # of MPEG-1; half and a quarter of it in 2 and 2.5
_FRAMES_THAT_PROVE = 2


class Mp3Decoder:
    """Decodes a stream whose pieces may begin and end anywhere; its delay is the format's own."""

    def __init__(self) -> None:
        codec = av.CodecContext.create("mp3float", "r")
        assert isinstance(codec, av.AudioCodecContext)
        self._codec = codec
        self.rate_hz = 0
        self.failed_frames = 0

    def decode(self, data: bytes) -> NDArray[np.float32]:
        """The samples ``[n, channels]`` float32 that are whole now; n may be 0.

        `rate_hz` is theirs. Frames that are damaged count in `failed_frames`.
        """
        pieces = []
        for packet in self._codec.parse(data):
            try:
                frames = self._codec.decode(packet)
            except av.error.FFmpegError:
                self.failed_frames += 1
                continue
            for frame in frames:
                self.rate_hz = frame.sample_rate
                samples = frame.to_ndarray()  # [channels, n], planar float
                pieces.append(np.asarray(samples, np.float32).T)
        if not pieces:
            return np.zeros((0, 1), np.float32)
        return np.concatenate(pieces)


def looks_like_mp3(data: bytes) -> bool:
    """Whether `data` holds MP3 frames: a header where the one before it announces the next.

    One frame that fills `data` to its end is enough; audio samples look like that once in
    some hundred thousand messages.
    """
    at = data.find(b"\xff")
    while 0 <= at < len(data) - 3:
        end, count = at, 0
        while (length := _frame_length(data[end : end + 4])) and count < _FRAMES_THAT_PROVE:
            end, count = end + length, count + 1
        if count >= _FRAMES_THAT_PROVE or (count == 1 and at == 0 and end == len(data)):
            return True
        at = data.find(b"\xff", at + 1)
    return data.startswith(b"ID3")


def _frame_length(header: bytes) -> int:
    """The length in bytes of the frame that begins with `header` ``[4]``; 0 for no header."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:  # sync, layer III
        return 0
    version, bitrate, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or not 0 < bitrate < 15 or rate == 3:
        return 0
    is_first = version == 3
    rate_hz = _RATES_HZ[rate] >> (0 if is_first else 1 if version == 2 else 2)
    factor = 144 if is_first else 72
    padding = header[2] >> 1 & 1
    return factor * 1000 * _BITRATES[not is_first][bitrate] // rate_hz + padding
