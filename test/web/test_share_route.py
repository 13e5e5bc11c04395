"""Links to the page: of this server alone, and with the token for those who have it."""

from __future__ import annotations

import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from web_fixture import WebFixture, run_with_server

from avatar_forcing_ros.web import share_route
from avatar_forcing_ros.web.access import Access

TOKEN = "a-word-of-24-characters+"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}


def test_a_link_has_the_token_only_where_its_owner_says_so() -> None:
    async def ask(fixture: WebFixture) -> None:
        status, plain = await fixture.post("/api/share", headers=RIGHT)
        assert (status, plain["link"]) == (200, f"{fixture.origin}/")
        status, full = await fixture.post("/api/share?token=yes", headers=RIGHT)
        assert full["link"] == f"{fixture.origin}/#token=a-word-of-24-characters%2B"
        assert (await fixture.post("/api/share"))[0] == 401
        assert (await fixture.post("/api/share", headers=RIGHT, origin="http://a.b"))[0] == 403

    run_with_server(ask, Access(True, TOKEN))


def test_a_viewer_without_the_token_does_not_learn_it() -> None:
    async def ask(fixture: WebFixture) -> None:
        status, plain = await fixture.post("/api/share")
        assert (status, plain["link"]) == (200, f"{fixture.origin}/")
        for query in ("token=yes", "token=yes&token=no"):
            status, reply = await fixture.post(f"/api/share?{query}")
            assert status == 401
            assert TOKEN not in str(reply)

    run_with_server(ask, Access(True, TOKEN, open_to_viewers=True))


def test_the_qr_code_is_an_image_of_a_link_that_a_camera_can_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("segno")

    async def ask(fixture: WebFixture) -> None:
        assert (await fixture.post("/api/share"))[1]["qr"].startswith("<svg")
        monkeypatch.setattr(share_route, "MAX_LINK_LENGTH", 10)
        assert (await fixture.post("/api/share"))[1]["qr"] == ""

    run_with_server(ask)


def test_a_server_without_a_token_has_one_link() -> None:
    async def ask(fixture: WebFixture) -> None:
        plain = await fixture.post("/api/share")
        assert await fixture.post("/api/share?token=yes") == plain

    run_with_server(ask)
