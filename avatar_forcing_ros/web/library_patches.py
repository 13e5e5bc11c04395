"""Every change that is made to aiortc, aioice, aiohttp and asyncio, which have no settings for it.

`install_patches` is called by whoever opens WebRTC connections; importing this changes nothing.

- **Addresses** (aioice): a connection made within `local_only` is for this machine alone. It
  offers loopback first, for machines without a network, then this machine's other addresses:
  Chromium on Linux sends from those to loopback, Firefox pairs a loopback address with none but
  such. Its sockets drop unread what comes from any other machine; a kernel accepts no packet from
  outside whose sender's address is one of its own.
- **Callers** (aioice): whoever checks a connection is checked back, some seven times, wherever the
  call seems to come from. Here a few addresses are, and no more.
- **Jitter buffers** (aiortc): its own hold a frame until a packet of the next one comes (40 ms)
  and audio until four more packets have come (80 ms), or sixteen after a loss. A conversation
  cannot wait. A frame's last packet carries the marker bit ( RFC 7741 and
  RFC 6184); audio is placed by its stamps later on, where a gap stays a gap.
- **VP8** (aiortc): `video_encoder.FaceEncoder` in place of its own, and decoders that take no
  images of any size, as H.264's.
- **Server** (aiohttp): it does not tell its version. `connection_limit` bounds its connections,
  from the end of their TLS handshake on; who does not come to that end has five seconds (asyncio).
"""

from __future__ import annotations

import asyncio.constants
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import aiohttp.web_response
import aioice.ice
import aioice.stun
import aiortc.codecs
import aiortc.rtcrtpreceiver
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket

from avatar_forcing_ros.web.video_decoder import BoundedH264Decoder, BoundedVp8Decoder
from avatar_forcing_ros.web.video_encoder import FaceEncoder

LOOPBACK = "127.0.0.1"
SERVER_NAME = "avatar-forcing"
TLS_HANDSHAKE_S = 5.0
MAX_CALLERS = 16  # a browser with several networks calls from some of them
VIDEO_PACKETS = 512
HALF_RANGE = 1 << 15  # of the 16 bits that count packets
host_addresses = aioice.ice.get_host_addresses  # the library's own
_StunProtocol = aioice.ice.StunProtocol
_call_back = aioice.ice.Connection.check_incoming
_local_only: ContextVar[bool] = ContextVar("local_only", default=False)


def install_patches(*, video_encoder: bool = True) -> None:
    """Patch the libraries in this process; idempotent."""
    aioice.ice.get_host_addresses = offered_addresses
    aioice.ice.StunProtocol = GuardedProtocol  # type: ignore[misc]
    aioice.ice.Connection.check_incoming = call_back  # type: ignore[method-assign, assignment]
    aiortc.rtcrtpreceiver.JitterBuffer = jitter_buffer  # type: ignore[assignment, attr-defined]
    asyncio.constants.SSL_HANDSHAKE_TIMEOUT = TLS_HANDSHAKE_S
    aiohttp.web_response.SERVER_SOFTWARE = SERVER_NAME  # type: ignore[attr-defined]
    aiortc.codecs.Vp8Decoder = BoundedVp8Decoder  # type: ignore[attr-defined]
    aiortc.codecs.H264Decoder = BoundedH264Decoder  # type: ignore[attr-defined]
    if video_encoder:
        aiortc.codecs.Vp8Encoder = FaceEncoder  # type: ignore[attr-defined]


def own_addresses() -> set[str]:
    """All addresses of this machine by which its programs reach each other."""
    return {LOOPBACK, "::1", *host_addresses(True, True)}


def outer_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    """Those of this machine's addresses at which others can open a page, IPv4 first."""
    found = host_addresses(use_ipv4, use_ipv6)
    return sorted((one for one in found if "%" not in one), key=lambda one: ":" in one)


@contextmanager
def local_only() -> Iterator[None]:
    """Connections that gather their addresses in here are reached from this machine alone."""
    before = _local_only.set(True)
    try:
        yield
    finally:
        _local_only.reset(before)


def offered_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    """In place of aioice's ``get_host_addresses``."""
    addresses = host_addresses(use_ipv4, use_ipv6)
    return [LOOPBACK, *addresses] if use_ipv4 and _local_only.get() else addresses


class GuardedProtocol(_StunProtocol):
    """In place of aioice's socket; one made within `local_only` accepts this machine alone."""

    def __init__(self, receiver: Any) -> None:
        super().__init__(receiver)
        self.accepted = own_addresses() if _local_only.get() else None

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        """Take a packet, if its sender is accepted."""
        if self.accepted is None or addr[0] in self.accepted:
            super().datagram_received(data, addr)


def call_back(
    connection: aioice.ice.Connection,
    message: aioice.stun.Message,
    addr: tuple[str, int],
    protocol: aioice.ice.StunProtocol,
) -> None:
    """In place of aioice's ``Connection.check_incoming``: no more than a few callers."""
    callers = [one for one in connection.remote_candidates if one.type == "prflx"]
    if len(callers) < MAX_CALLERS or addr in [(one.host, one.port) for one in callers]:
        _call_back(connection, message, addr, protocol)


class VideoJitterBuffer(JitterBuffer):
    """Packets in any order to frames in theirs, each as soon as all its packets are there."""

    def _remove_frame(self, sequence_number: int) -> JitterFrame | None:
        """The oldest frame, if it is complete."""
        return self._complete_frame() or super()._remove_frame(sequence_number)

    def _complete_frame(self) -> JitterFrame | None:
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


class AudioJitterBuffer:
    """Every packet as it comes; `late` counts those dropped because a newer one came before."""

    def __init__(self) -> None:
        self.late = 0
        self._newest: int | None = None

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Whether a key frame is to be requested (never), and what is ready."""
        if self._newest is not None:
            ahead = (packet.sequence_number - self._newest) % (2 * HALF_RANGE)
            if not 0 < ahead < HALF_RANGE:
                self.late += 1
                return False, None
        self._newest = packet.sequence_number
        return False, JitterFrame(packet._data, packet.timestamp)  # type: ignore[attr-defined]


def jitter_buffer(
    capacity: int, prefetch: int = 0, is_video: bool = False
) -> VideoJitterBuffer | AudioJitterBuffer:
    """In place of aiortc's ``JitterBuffer``."""
    if is_video:
        return VideoJitterBuffer(max(capacity, VIDEO_PACKETS), is_video=True)
    return AudioJitterBuffer()
