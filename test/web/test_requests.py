"""Requests that cannot be granted get a status and a sentence."""

from __future__ import annotations

import asyncio
import io
import struct
import zlib
from collections.abc import AsyncIterator
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
import pytest
import soundfile

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from web_fixture import Browser, WebFixture, run_with_server

from avatar_forcing_ros.runtime import speech_synthesis
from avatar_forcing_ros.web import middleware
from avatar_forcing_ros.web.requests import MAX_JSON_BYTES, MAX_UPLOAD_BYTES


def png_header(width: int, height: int) -> bytes:
    """A PNG whose pixels do not follow."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n\0\0\0\r" + body + struct.pack(">I", zlib.crc32(body))
        + b"\0\0\0\0IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    )  # fmt: skip


def small_png() -> bytes:
    return bytes(cv2.imencode(".png", np.zeros((500, 10, 3), np.uint8))[1].tobytes())


PLAY_LIST = (
    b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"
)
DEFLATE = {"Content-Encoding": "deflate"}
REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("/api/speak_audio", {"data": b""}, 422, "readable audio"),
    ("/api/speak_audio", {"data": b"\x00\xff" * 500}, 422, "readable audio"),
    ("/api/speak_audio", {"data": PLAY_LIST}, 422, "readable audio"),
    ("/api/speak_audio", {"data": bytes(MAX_UPLOAD_BYTES + 1)}, 413, "12 MB"),
    ("/api/portrait", {"data": b"GIF89a" + bytes(100)}, 422, "an image file (PNG, JPEG"),
    ("/api/portrait", {"data": png_header(100_000, 100_000)}, 422, "10000 million pixels"),
    ("/api/portrait", {"data": png_header(13_000, 13_000)}, 422, "13000 x 13000"),
    ("/api/portrait", {"data": png_header(6_000, 6_000)}, 422, "25 million pixels"),
    ("/api/portrait", {"data": small_png()}, 422, "10 x 500"),
    ("/api/portrait", {"data": png_header(500, 500)}, 422, "cannot be decoded"),
    ("/api/portrait", {"data": bytes(MAX_UPLOAD_BYTES + 1)}, 413, "12 MB"),
    ("/api/speak_text", {"data": b"{"}, 400, "JSON"),
    ("/api/speak_text", {"data": b"[" * 100_000}, 400, "JSON"),
    ("/api/speak_text", {"data": b'{"text": "' + bytes(MAX_JSON_BYTES) + b'"}'}, 413, "100 kB"),
    ("/api/speak_text", {"data": zlib.compress(b"{}"), "headers": DEFLATE}, 415, "not compressed"),
    ("/api/join", {"data": b"no gzip", "headers": {"Content-Encoding": "gzip"}}, 415, "'gzip'"),
    ("/api/portrait", {"data": b"no br", "headers": {"Content-Encoding": "br"}}, 415, "'br'"),
    ("/api/speak_text", {"json": {}}, 422, "words"),
    ("/api/speak_text", {"json": {"text": " \x00…\n"}}, 422, "words"),
    ("/api/speak_text", {"json": {"text": "a" * 1_001}}, 422, "1001 characters"),
    ("/api/join", {"json": {"role": "king"}}, 400, "speaker or viewer"),
    ("/api/nothing", {}, 404, "Not Found"),
]


def test_bad_requests_are_answered_by_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "CHANGE_BURST", 100)

    async def ask(fixture: WebFixture) -> None:
        browser = Browser(fixture)
        await browser.join()
        for path, body, wanted, sentence in REFUSED:
            status, reply = await fixture.post(path, key=browser.key, **body)
            assert (status, path) == (wanted, path)
            assert sentence in reply["error"]
        assert (await fixture.state())["speaker"]
        await browser.connection.close()

    run_with_server(ask)


def test_a_long_request_is_not_read_to_its_end() -> None:
    async def ask(fixture: WebFixture) -> None:
        never = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            yield bytes(MAX_JSON_BYTES + 1)
            await never.wait()

        status, reply = await fixture.post("/api/join", data=endless())
        assert status == 413
        assert "at most 100 kB" in reply["error"]

    run_with_server(ask)


def test_a_minute_of_sound_as_a_cd_has_it_is_taken() -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros((59 * 44_100, 2), np.int16), 44_100, format="WAV")

    async def ask(fixture: WebFixture) -> None:
        browser = Browser(fixture)
        await browser.join()
        status, reply = await fixture.post(
            "/api/speak_audio", key=browser.key, data=file.getvalue()
        )
        assert status == 200
        assert reply["waiting_s"] == pytest.approx(59.0, abs=1.0)
        await browser.connection.close()

    run_with_server(ask)


@pytest.mark.parametrize("path", ["speak_text", "speak_audio", "stop_speaking", "portrait"])
def test_strangers_change_nothing(path: str) -> None:
    async def ask(fixture: WebFixture) -> None:
        status, reply = await fixture.post(f"/api/{path}", key="guessed", data=b"")
        assert status == 403
        assert "stranger" in reply["error"]

    run_with_server(ask)


def test_too_many_requests_are_refused() -> None:
    async def ask(fixture: WebFixture) -> None:
        replies = [await fixture.post("/api/leave") for _ in range(middleware.CHANGE_BURST * 2)]
        assert replies[0][0] == 200
        assert replies[-1][0] == 429
        assert "wait" in replies[-1][1]["error"]

    run_with_server(ask)


def test_without_the_program_the_text_box_explains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_synthesis, "PROGRAM", "no-such-program")

    async def ask(fixture: WebFixture) -> None:
        browser = Browser(fixture)
        await browser.join()
        assert not (await fixture.state())["can_speak_text"]
        status, reply = await fixture.post(
            "/api/speak_text", key=browser.key, json={"text": "hello"}
        )
        assert status == 501
        assert "sudo apt install" in reply["error"]
        await browser.connection.close()

    run_with_server(ask)


def coded(kind: str, depth: type[np.generic] = np.uint8, channels: int = 3) -> bytes:
    shade = np.full((80, 80, channels), np.iinfo(depth).max // 2, depth)  # type: ignore[type-var]
    return cv2.imencode(kind, shade)[1].tobytes()


def animated_webp() -> bytes:
    still = coded(".webp")[12:]
    frame = bytes(6) + (79).to_bytes(3, "little") * 2 + bytes(4) + still
    chunks = b"VP8X" + (10).to_bytes(4, "little") + b"\x02" + bytes(3)
    chunks += (79).to_bytes(3, "little") * 2 + b"ANIM" + (6).to_bytes(4, "little") + bytes(6)
    chunks += (b"ANMF" + len(frame).to_bytes(4, "little") + frame) * 3
    return b"RIFF" + (len(chunks) + 4).to_bytes(4, "little") + b"WEBP" + chunks


def cmyk_jpeg() -> bytes:
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width = encoder.height = 80
    encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, 25)
    packets = [*encoder.encode(av.VideoFrame(80, 80, "yuvj420p")), *encoder.encode(None)]
    data = bytearray(b"".join(bytes(packet) for packet in packets))
    at = data.index(b"\xff\xc0")
    data[at + 9] = 4  # as many components as CMYK has, of which one is not there
    return bytes(data)


def test_unusual_images_are_a_portrait_or_a_sentence() -> None:
    strange = {
        "16-bit": coded(".png", np.uint16),
        "alpha": coded(".png", np.uint16, 4),
        "grey": coded(".png", channels=1),
        "animated": animated_webp(),
        "cmyk": cmyk_jpeg(),
        "cut": coded(".png")[:-30],
        "cut JPEG": coded(".jpg")[:200],
        "grown": coded(".jpg") + bytes(100_000),
    }

    async def ask(fixture: WebFixture) -> None:
        browser = Browser(fixture)
        await browser.join()
        statuses = {}
        for name, data in strange.items():
            status, reply = await fixture.post("/api/portrait", key=browser.key, data=data)
            statuses[name] = status
            assert status == 200 or "expected" in reply["error"]
        assert {statuses[name] for name in ("16-bit", "grey", "grown")} == {200}
        assert {statuses[name] for name in ("cut", "cut JPEG")} == {422}
        assert set(statuses.values()) <= {200, 422}
        await browser.connection.close()

    run_with_server(ask)


def test_a_slow_body_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "BODY_TIMEOUT_S", 0.05)

    async def ask(fixture: WebFixture) -> None:
        never = asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            yield b"R"
            await never.wait()

        browser = Browser(fixture)
        await browser.join()
        status, reply = await fixture.post("/api/speak_audio", key=browser.key, data=slowly())
        await browser.connection.close()
        assert status == 408
        assert "faster line" in reply["error"]

    run_with_server(ask)


def test_the_page_and_all_that_it_names_is_there() -> None:
    async def ask(fixture: WebFixture) -> None:
        for path in ("/", "/static/app.js", "/static/webrtc.js", "/static/style.css"):
            async with fixture.client.get(path) as reply:
                assert reply.status == 200, path
                assert len(await reply.text()) > 500

    run_with_server(ask)
