"""The size of an encoded image, read from its first bytes before memory is spent on it."""

from __future__ import annotations

from avatar_forcing_ros.errors import MediaError

JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers that carry the size (ITU T.81)
JPEG_BARE = {0x01, *range(0xD0, 0xD8)}  # markers without a length


def image_size_px(data: bytes) -> tuple[int, int]:
    """Width and height of the PNG, JPEG or WebP image in `data`; MediaError for all else."""
    size = None
    if data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR":
        size = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    elif data[:2] == b"\xff\xd8":
        size = _jpeg(data)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        size = _webp(data)
    if size is None or 0 in size:
        raise MediaError(
            "image",
            expected="a PNG, JPEG or WebP file",
            got=f"{len(data)} bytes that are none",
            remedy="convert it to PNG or JPEG",
        )
    return size


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in JPEG_BARE:
            at += 2
        elif marker in JPEG_FRAMES:
            height = int.from_bytes(data[at + 5 : at + 7], "big")
            return int.from_bytes(data[at + 7 : at + 9], "big"), height
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    """By the container's first chunk: simple, lossless or extended (RFC 9649)."""
    kind, body = data[12:16], data[20:30]
    if len(body) < 10:
        return None
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        wide, high = int.from_bytes(body[6:8], "little"), int.from_bytes(body[8:10], "little")
        return wide & 0x3FFF, high & 0x3FFF
    if kind == b"VP8L" and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    return None
