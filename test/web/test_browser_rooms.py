"""The page where everybody has a conversation of their own: full, waiting, and its turn."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from chromium import Standing, Visit
from flash_backend import FlashBackend

pytestmark = pytest.mark.browser
STATUS = "document.querySelector('#status').textContent"
SOME_STATES_MS = 1500
SHOTS = os.environ.get("AVATAR_FORCING_SHOTS", "")


def test_who_comes_when_all_are_taken_waits_and_gets_the_one_that_is_freed(
    browser: Any, stand: Callable[..., Standing]
) -> None:
    standing = stand(FlashBackend, more_backends=[FlashBackend()])
    one, other = Visit(browser, standing.url), Visit(browser, standing.url)
    for visit in (one, other):
        visit.talk()
    third = Visit(browser, standing.url)
    third.until(f"{STATUS}.startsWith('All conversations are taken. Try')")
    third.page.wait_for_timeout(SOME_STATES_MS)  # it stays
    assert third.page.inner_text("#status").startswith("All conversations are taken. Try")
    assert not third.page.is_visible("#watch")
    third.page.click("#talk")
    third.until(f"{STATUS}.includes('begins by itself')")
    assert third.page.inner_text("#talk") == "Do not wait"
    if SHOTS:
        third.page.screenshot(path=str(Path(SHOTS) / "waiting.png"))
    third.page.click("#talk")
    third.until(f"{STATUS}.includes('Try again')")
    assert third.page.inner_text("#talk") == "Start talking"
    third.page.click("#talk")
    one.page.click("#leave")
    third.live()
    assert third.ask("document.body.dataset.role") == "speaker"
    one.until(f"{STATUS}.includes('Try again')")
    assert other.ask("document.body.dataset.phase") == "live"
    for visit in (one, other, third):
        assert visit.console_errors == []
        visit.close()
