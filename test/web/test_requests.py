"""Requests that cannot be granted get a status and a sentence."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from web_house import Browser, House, in_house

from avatar_forcing_ros.web import guarding, speech
from avatar_forcing_ros.web.uploads import LARGEST_UPLOAD


def png_header(width: int, height: int) -> bytes:
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + size + bytes(40)


PLAY_LIST = (
    b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"
)
REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("/api/sound", {"data": b""}, 422, "readable sound"),
    ("/api/sound", {"data": b"\x00\xff" * 500}, 422, "readable sound"),
    ("/api/sound", {"data": PLAY_LIST}, 422, "readable sound"),
    ("/api/sound", {"data": bytes(LARGEST_UPLOAD + 1)}, 413, "8 MB"),
    ("/api/portrait", {"data": b"GIF89a" + bytes(100)}, 422, "PNG, JPEG or WebP"),
    ("/api/portrait", {"data": png_header(100_000, 100_000)}, 422, "100000 x 100000"),
    ("/api/portrait", {"data": png_header(10, 500)}, 422, "10 x 500"),
    ("/api/portrait", {"data": png_header(500, 500)}, 422, "that are none"),
    ("/api/portrait", {"data": bytes(LARGEST_UPLOAD + 1)}, 413, "8 MB"),
    ("/api/say", {"data": b"{"}, 400, "JSON"),
    ("/api/say", {"data": b"[" * 100_000}, 400, "JSON"),
    ("/api/say", {"json": {}}, 422, "words"),
    ("/api/say", {"json": {"text": " \x00…\n"}}, 422, "words"),
    ("/api/say", {"json": {"text": "a" * 1_001}}, 422, "1001 characters"),
    ("/api/join", {"json": {"role": "king"}}, 400, "speaker or viewer"),
    ("/api/nothing", {}, 404, "Not Found"),
]


def test_bad_requests_are_answered_by_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarding, "CHANGES_AT_ONCE", 100)

    async def ask(house: House) -> None:
        browser = Browser(house)
        await browser.join()
        for path, body, wanted, sentence in REFUSED:
            status, told = await house.post(path, key=browser.key, **body)
            assert (status, path) == (wanted, path)
            assert sentence in told["error"]
        assert (await house.state())["speaker"]
        await browser.peer.close()

    in_house(ask)


@pytest.mark.parametrize("path", ["/api/say", "/api/sound", "/api/stop", "/api/portrait"])
def test_strangers_change_nothing(path: str) -> None:
    async def ask(house: House) -> None:
        status, told = await house.post(path, key="guessed", data=b"")
        assert status == 403
        assert "stranger" in told["error"]

    in_house(ask)


def test_too_many_requests_are_told_to_wait() -> None:
    async def ask(house: House) -> None:
        replies = [await house.post("/api/leave") for _ in range(guarding.CHANGES_AT_ONCE * 2)]
        assert replies[0][0] == 200
        assert replies[-1][0] == 429
        assert "wait" in replies[-1][1]["error"]

    in_house(ask)


def test_without_the_program_the_text_box_explains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "PROGRAM", "no-such-program")

    async def ask(house: House) -> None:
        browser = Browser(house)
        await browser.join()
        assert not (await house.state())["can_speak_text"]
        status, told = await house.post("/api/say", key=browser.key, json={"text": "hello"})
        assert status == 501
        assert "sudo apt install" in told["error"]
        await browser.peer.close()

    in_house(ask)


def test_the_page_and_all_that_it_names_is_there() -> None:
    async def ask(house: House) -> None:
        for path in ("/", "/static/app.js", "/static/call.js", "/static/style.css"):
            async with house.client.get(path) as reply:
                assert reply.status == 200, path
                assert len(await reply.text()) > 500

    in_house(ask)
