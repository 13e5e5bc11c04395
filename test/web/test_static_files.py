"""The page's files are fetched once, whoever else loads the page from the same address."""

from __future__ import annotations

import json
import re

import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from web_fixture import WebFixture, run_with_server

from avatar_forcing_ros.web import middleware
from avatar_forcing_ros.web.access import Access, trusted_networks
from avatar_forcing_ros.web.static_files import FOLDER

MENTIONED = re.compile(r"/static/[\w./]+")
IMPORTED = re.compile(r'from "\./([\w.]+)"')


async def load_page(fixture: WebFixture) -> dict[str, tuple[str, str]]:
    """Each file of a page load, by its address: its Cache-Control and its text."""
    seen: dict[str, tuple[str, str]] = {}
    waiting = ["/"]
    while waiting:
        path = waiting.pop()
        async with fixture.client.get(path) as reply:
            assert reply.status == 200, path
            text = await reply.text()
            seen[path] = (reply.headers["Cache-Control"], text)
        named = [f"{path.rpartition('/')[0]}/{name}" for name in IMPORTED.findall(text)]
        waiting += {*MENTIONED.findall(text), *named} - {*seen, *waiting, "/static/"}
    return seen


def test_every_file_has_a_version_and_is_kept() -> None:
    async def ask(fixture: WebFixture) -> None:
        seen = await load_page(fixture)
        assert seen.pop("/")[0] == "no-cache"
        assert len(seen) > 15
        assert all(re.fullmatch(r"/static/[0-9a-f]{12}/[\w./]+", path) for path in seen)
        assert {cached for cached, _ in seen.values()} == {"public, max-age=31536000, immutable"}

    run_with_server(ask)


def test_words_have_the_version_of_the_script_that_asks_for_them() -> None:
    async def ask(fixture: WebFixture) -> None:
        seen = await load_page(fixture)
        (script,) = (path for path in seen if path.endswith("/words.js"))
        for language in (FOLDER / "words").glob("*.json"):
            path = f"{script.rpartition('/')[0]}/words/{language.name}"
            async with fixture.client.get(path) as reply:
                assert (reply.status, reply.content_type) == (200, "application/json")
                assert reply.headers["Cache-Control"] == "public, max-age=31536000, immutable"
                assert await reply.json() == json.loads(language.read_text(encoding="utf-8"))

    run_with_server(ask)


def test_a_page_that_has_not_changed_is_not_sent_again() -> None:
    async def ask(fixture: WebFixture) -> None:
        async with fixture.client.get("/") as reply:
            tag = reply.headers["ETag"]
        async with fixture.client.get("/", headers={"If-None-Match": tag}) as reply:
            assert (reply.status, await reply.read()) == (304, b"")
        async with fixture.client.get("/", headers={"If-None-Match": '"other"'}) as reply:
            assert reply.status == 200
        async with fixture.client.get("/static/style.css") as reply:
            assert reply.headers["Cache-Control"] == "no-cache"

    run_with_server(ask)


def test_page_loads_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "REQUEST_BURST", 5)

    async def ask(fixture: WebFixture) -> None:
        for _ in range(3):
            await load_page(fixture)
        assert (await fixture.state())["you"] is None

    run_with_server(ask)


def test_visitors_behind_a_trusted_proxy_have_limits_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(middleware, "CHANGE_BURST", 2)
    monkeypatch.setattr(middleware, "CHANGES_PER_S", 1e-9)

    async def ask(fixture: WebFixture) -> None:
        async def leave(visitor: str) -> int:
            more = {"X-Forwarded-For": visitor}
            return (await fixture.post("/api/leave", headers=more))[0]

        assert [await leave("1.1.1.1") for _ in range(3)] == [200, 200, 429]
        assert await leave("2.2.2.2") == 200

    run_with_server(ask, Access(True, trusted_proxies=trusted_networks("127.0.0.1")))


def test_who_looks_at_a_refusal_gets_a_page_with_a_way_to_try_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(middleware, "REQUEST_BURST", 1)
    monkeypatch.setattr(middleware, "REQUESTS_PER_S", 1e-9)

    async def ask(fixture: WebFixture) -> None:
        await fixture.state()
        async with fixture.client.get("/api/state") as reply:
            assert (reply.status, reply.content_type) == (429, "application/json")
            assert int(reply.headers["Retry-After"]) > 0
        headers = {"Sec-Fetch-Dest": "document"}
        async with fixture.client.get("/api/recording", headers=headers) as reply:
            assert (reply.status, reply.content_type) == (429, "text/html")
            assert reply.headers["Refresh"] == reply.headers["Retry-After"]
            assert "Try again" in await reply.text()
        headers["Host"] = "<b>evil.example"
        async with fixture.client.get("/", headers=headers) as reply:
            assert reply.status == 403
            assert "Refresh" not in reply.headers
            assert "&lt;b&gt;" in await reply.text()

    run_with_server(ask)
