"""Pictures and sound handed on when they are complete, not when the next ones have come.

aiortc's receivers wait: with a picture until a packet of the next one has come, 40 ms later, with
sound for four more packets, 80 ms, and for sixteen from the first one that is lost. A conversation
cannot wait. What a picture's last packet is, that packet says (RFC 7741, RFC 6184: the marker).
Sound is told apart by its stamps further on, where a hole stays a hole; a packet that is overtaken
by the next one is lost.

aiortc has no setting for it: this replaces one private part of one receiver, and leaves a receiver
without that part as it is.
"""

from __future__ import annotations

from aiortc import RTCRtpReceiver
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket

PART = "_RTCRtpReceiver__jitter_buffer"
PACKETS = 512
HALF_RANGE = 1 << 15  # of the 16 bits that count packets


class PictureBuffer(JitterBuffer):
    """Packets in any order to pictures in theirs."""

    def __init__(self) -> None:
        super().__init__(PACKETS, is_video=True)

    def _remove_frame(self, sequence_number: int) -> JitterFrame | None:
        """The oldest picture, if all its packets are there."""
        return self._marked() or super()._remove_frame(sequence_number)

    def _marked(self) -> JitterFrame | None:
        assert self._origin is not None
        packets: list[RtpPacket] = []
        for count in range(self.capacity):
            packet = self._packets[(self._origin + count) % self.capacity]
            if packet is None or (packets and packet.timestamp != packets[0].timestamp):
                return None
            packets.append(packet)
            if packet.marker:
                self.remove(count + 1)
                data = b"".join(part._data for part in packets)  # type: ignore[attr-defined]
                return JitterFrame(data, packet.timestamp)
        return None


class SoundBuffer:
    """Every packet as it comes; `late` counts those that come after a newer one."""

    def __init__(self) -> None:
        self.late = 0
        self._newest: int | None = None

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Whether a whole picture is to be asked for (never), and what is ready."""
        if self._newest is not None:
            ahead = (packet.sequence_number - self._newest) % (2 * HALF_RANGE)
            if not 0 < ahead < HALF_RANGE:
                self.late += 1
                return False, None
        self._newest = packet.sequence_number
        return False, JitterFrame(packet._data, packet.timestamp)  # type: ignore[attr-defined]


def hasten(receiver: RTCRtpReceiver, kind: str) -> None:
    """Have `receiver`, which has not received yet, hand on without waiting."""
    if hasattr(receiver, PART):
        setattr(receiver, PART, PictureBuffer() if kind == "video" else SoundBuffer())
