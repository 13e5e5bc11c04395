"""Who is let in, over HTTP and by the rules alone."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from web_fixture import SIZE_PX, Browser, WebFixture, run_with_server

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.web import middleware
from avatar_forcing_ros.web.access import (
    Access,
    RefusedError,
    access_for,
    framing_origins,
    host_name,
    is_local,
    trusted_networks,
)

TOKEN = "a-word-of-24-characters!"


def test_a_local_server_wants_no_token_and_another_does(tmp_path: Path) -> None:
    assert access_for("127.0.0.1", None) == Access(local=True)
    with pytest.raises(ConfigError, match=r"--token-file.*\n?.*https"):
        access_for("0.0.0.0", None)
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    assert access_for("0.0.0.0", file) == Access(False, TOKEN)


@pytest.mark.parametrize("text", [b"", b"short", b"two words of good length", b"\xff" * 30])
def test_a_weak_token_is_refused(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(text)
    with pytest.raises(ConfigError, match="make one with"):
        access_for("0.0.0.0", file)


def test_a_missing_token_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        access_for("127.0.0.1", tmp_path / "none")


@pytest.mark.parametrize(
    ("host", "local"),
    [("localhost", True), ("127.0.0.2", True), ("::1", True), ("0.0.0.0", False), ("a.b", False)],
)
def test_what_is_local(host: str, local: bool) -> None:
    assert is_local(host) == local


@pytest.mark.parametrize(
    ("header", "name"),
    [("localhost:8080", "localhost"), ("[::1]:80", "::1"), ("[::1", ""), ("", ""), ("A.b", "a.b")],
)
def test_the_name_in_a_host_header(header: str, name: str) -> None:
    assert host_name(header) == name


@pytest.mark.parametrize("host", [None, "", "evil.example", "evil.example:8080", "[", "0.0.0.0"])
def test_a_foreign_name_is_no_local_one(host: str | None) -> None:
    with pytest.raises(RefusedError, match="http://localhost"):
        Access(local=True).check_host(host)


@pytest.mark.parametrize("host", ["localhost:80", "127.0.0.1", "127.0.0.2:80", "[::1]:80"])
def test_names_and_addresses_of_this_machine_are_local(host: str) -> None:
    Access(local=True).check_host(host)


@pytest.mark.parametrize(
    "origin", [None, "null", "", "http://[", "http://evil.example", "http://localhost"]
)
def test_another_origin_is_refused(origin: str | None) -> None:
    with pytest.raises(RefusedError, match="own page"):
        Access(local=True).check_origin(origin, "localhost:8080")
    Access(local=True).check_origin("http://LOCALHOST:8080", "localhost:8080")


@pytest.mark.parametrize(
    ("peer", "forwarded", "visitor"),
    [
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["1.2.3.4"], "1.2.3.4"),
        ("127.0.0.1", ["6.6.6.6, 1.2.3.4", "10.0.0.9"], "1.2.3.4"),  # the first one is a claim
        ("127.0.0.1", ["1.2.3.4:5678"], "1.2.3.4"),
        ("127.0.0.1", ["[2001:db8::1]:80"], "2001:db8::/64"),
        ("127.0.0.1", ["unknown"], "127.0.0.1"),
        ("127.0.0.1", ["10.0.0.8, 10.0.0.9"], "10.0.0.8"),
        ("1.2.3.4", ["5.6.7.8"], "1.2.3.4"),  # not a proxy of ours
        ("2001:db8::1", [], "2001:db8::/64"),
        ("2001:db8::2%eth0", [], "2001:db8::/64"),
        ("::ffff:1.2.3.4", [], "1.2.3.4"),
        ("", [], ""),
    ],
)
def test_who_is_counted(peer: str, forwarded: list[str], visitor: str) -> None:
    access = Access(local=True, trusted_proxies=trusted_networks("127.0.0.1, 10.0.0.0/8"))
    assert access.visitor(peer, forwarded) == visitor


def test_a_proxy_that_is_no_address_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"trusted-proxy.*127\.0\.0\.1"):
        trusted_networks("proxy.example")
    assert trusted_networks("") == ()


@pytest.mark.parametrize(
    "text",
    [
        "shop.example",
        "https://shop.example/",
        "https://shop.example/page",
        "https://*.example",
        "*",
        "'self'",
        "https://a.b; script-src *",
        "https://a.b\nX: y",
        "https://user@shop.example",
        "https://shop.example:0",
        "https://shop.example:99999",
        "https://[::1]:80",
        "https://münchen.example",
        "ftp://shop.example",
        "https://a.example https://b.example",
        "null",
    ],
)
def test_what_frames_the_page_is_named_by_its_origin(text: str) -> None:
    with pytest.raises(ConfigError, match=r"frame-ancestors.*\n?.*https://shop\.example"):
        framing_origins(f"https://good.example, {text}")


def test_origins_that_frame_the_page() -> None:
    assert framing_origins("") == ()
    text = "https://Shop.example, http://localhost:8000,https://shop.example,"
    assert framing_origins(text) == ("https://shop.example", "http://localhost:8000")


def test_the_page_alone_is_shown_in_the_frames_of_named_sites() -> None:
    async def ask(fixture: WebFixture) -> None:
        async def status(path: str, destination: str, method: str = "GET") -> int:
            headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": destination}
            async with fixture.client.request(method, path, headers=headers) as reply:
                policy = reply.headers["Content-Security-Policy"]
                assert policy.endswith("frame-ancestors https://a.example http://b.example:80")
                assert reply.headers["Cross-Origin-Resource-Policy"] == "same-origin"
                assert reply.headers["Permissions-Policy"] == "camera=(self), microphone=(self)"
                return reply.status

        assert await status("/?embed", "iframe") == 200
        assert await status("/", "document") == 200
        for path, destination in (
            ("/", "object"),
            ("/", "image"),
            ("/static/app.js", "script"),
            ("/static/app.js", "iframe"),
            ("/api/portrait", "iframe"),
            ("/api/portrait", "image"),
        ):
            assert await status(path, destination) == 403, (path, destination)
        assert await status("/api/leave", "empty", "POST") == 403

    origins = framing_origins("https://a.example, http://b.example:80")
    run_with_server(ask, Access(True, frame_ancestors=origins))


def test_over_http() -> None:
    async def ask(fixture: WebFixture) -> None:
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Basic {TOKEN}"},
        ):
            status, reply = await fixture.post("/api/leave", headers=headers)
            assert status == 401
            assert "expected the one from the server's token file" in reply["error"]
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert (await fixture.post("/api/leave", headers=right))[0] == 200
        status, reply = await fixture.post(
            "/api/leave", headers=right, origin="http://evil.example"
        )
        assert status == 403
        assert "own page" in reply["error"]
        async with fixture.client.get("/") as reply:  # the page holds nothing secret, and asks
            assert reply.status == 200
            assert "frame-ancestors 'none'" in reply.headers["Content-Security-Policy"]
        async with fixture.client.get("/api/state") as reply:
            assert reply.status == 401
        async with fixture.client.get("/", headers={"Host": "evil.example"}) as reply:
            assert reply.status == 403

    run_with_server(ask, Access(True, TOKEN))


def test_what_another_site_asks_for_is_refused_and_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(middleware, "REQUEST_BURST", 2)
    monkeypatch.setattr(middleware, "REQUESTS_PER_S", 1e-9)

    async def ask(fixture: WebFixture) -> None:
        async def status(path: str, site: str, destination: str) -> int:
            headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": destination}
            async with fixture.client.get(path, headers=headers) as reply:
                assert reply.headers["Cross-Origin-Resource-Policy"] == "same-origin"
                return reply.status

        for _ in range(5):
            assert await status("/api/portrait", "cross-site", "image") == 403
            assert await status("/static/app.js", "cross-site", "script") == 403
            assert await status("/", "cross-site", "iframe") == 403
        assert await status("/", "cross-site", "document") == 200  # a link
        assert await status("/api/portrait", "same-origin", "image") == 200

    run_with_server(ask)


@pytest.mark.parametrize(
    ("proxies", "host", "has_it"),
    [("127.0.0.1", "a.b", True), ("", "a.b", False), ("127.0.0.1", "localhost", False)],
)
def test_who_came_by_https_comes_so_again(proxies: str, host: str, has_it: bool) -> None:
    async def ask(fixture: WebFixture) -> None:
        headers = {"X-Forwarded-Proto": "https", "Host": host}
        async with fixture.client.get("/", headers=headers) as reply:
            assert ("Strict-Transport-Security" in reply.headers) == has_it

    run_with_server(ask, Access(False, TOKEN, trusted_proxies=trusted_networks(proxies)))


def test_open_to_viewers_lets_everybody_watch_and_nobody_talk() -> None:
    async def ask(fixture: WebFixture) -> None:
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert (await fixture.state())["you"] is None
        viewer, stranger, speaker = Browser(fixture), Browser(fixture), Browser(fixture)
        assert (await viewer.join("viewer"))[0] == 200
        assert (await viewer.receive("video")).width == SIZE_PX
        assert (await stranger.join("speaker"))[0] == 401
        assert (await stranger.join("king"))[0] == 401
        for path in (
            "/api/request_turn",
            "/api/speak_text",
            "/api/stop_speaking",
            "/api/hand_over",
            "/api/portrait",
        ):
            assert (await fixture.post(f"/api/{path}", key=viewer.key))[0] == 401, path
        assert (await speaker.join("speaker", headers=right))[0] == 200
        assert (await fixture.post("/api/leave", key=viewer.key))[0] == 200
        for browser in (viewer, stranger, speaker):
            await browser.connection.close()

    run_with_server(ask, Access(True, TOKEN, open_to_viewers=True))
