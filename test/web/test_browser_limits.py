"""What the server refuses or cannot do, as it looks in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from chromium import Standing, Visit, chromium
from flash_backend import FlashBackend

from avatar_forcing_ros.media_files.reserved_file import ReservedFile
from avatar_forcing_ros.web import middleware

pytestmark = pytest.mark.browser
FACE = "!document.querySelector('#face').hidden"
STATUS = "document.querySelector('#status').textContent"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest.fixture
def stand() -> Iterator[Callable[..., Standing]]:
    """Makes servers, which end with the test."""
    with ExitStack() as ends:

        def start() -> Standing:
            server = Standing(FlashBackend)
            ends.callback(server.stop)
            return server

        yield start


def test_six_people_load_the_page_at_once(
    browser: Any, stand: Callable[..., Standing], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "REQUESTS_PER_S", middleware.REQUESTS_PER_S / 2)
    standing = stand()
    visits = [Visit(browser, standing.url) for _ in range(6)]
    for visit in visits:
        visit.until(FACE)
        visit.page.reload()
    for visit in visits:
        visit.until(FACE)
        assert visit.console_errors == []
        visit.close()


def test_requests_beyond_the_limit_are_made_again(
    browser: Any, stand: Callable[..., Standing], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "REQUEST_BURST", 1)
    monkeypatch.setattr(middleware, "REQUESTS_PER_S", 1.0)
    visit = Visit(browser, stand().url)
    visit.until(FACE)
    assert any("429" in text for text in visit.console_errors)
    visit.close()


def test_a_recording_that_a_full_disk_ended_is_saved_and_says_so(
    browser: Any, stand: Callable[..., Standing], monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = Visit(browser, stand().url)
    visit.talk()
    visit.page.click("#record")
    visit.until("document.querySelector('#recorded').textContent >= '0:03'")
    is_full = property(lambda self: True, lambda self, new: None)
    monkeypatch.setattr(ReservedFile, "full", is_full, raising=False)
    with visit.page.expect_download():
        visit.until(f"{STATUS}.includes('disk is full')")
    visit.close()
