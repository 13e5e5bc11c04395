"""The page of telepresence in a browser: the robot's camera, and what such a page has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from chromium import Standing, Visit
from flash_backend import FlashBackend

from avatar_forcing_ros.media import AvatarFrame, VideoFrame

pytestmark = pytest.mark.browser
HELP = """[...document.querySelectorAll("#help dt")].filter((one) => one.checkVisibility())
  .map((one) => one.textContent).join(" ")"""
VEILED = "!document.querySelector('#veil').hidden"


class RobotBackend(FlashBackend):
    """A robot's avatar, whose camera sees as long as `sees`; seen itself once it has run."""

    has_view = True

    def __init__(self) -> None:
        super().__init__("telepresence", wants_camera=False)
        self.sees = True

    @property
    def portrait(self) -> NDArray[np.uint8] | None:
        return super().portrait if self.running else None

    def start(
        self, on_frame: Callable[[AvatarFrame], None], on_view: Callable[[VideoFrame], None]
    ) -> None:
        def both(frame: AvatarFrame) -> None:
            on_frame(frame)
            if self.sees:
                shade = 100 + frame.stamp_ns // 40_000_000 % 100
                on_view(VideoFrame(np.full((120, 160, 3), shade, np.uint8), frame.stamp_ns))

        super().start(both, on_view)


def test_a_camera_that_stops_is_veiled_until_it_comes_again(
    browser: Any, stand: Callable[..., Standing]
) -> None:
    server = stand(RobotBackend)
    here = Visit(browser, server.url)
    here.until("!document.querySelector('#unseen').hidden")  # instead of a grey square
    assert not here.page.is_visible("#face")
    here.page.click("#talk")
    here.live()
    here.until(f"document.querySelector('#veil-text').textContent && !({VEILED})")
    server.backend.sees = False
    here.until(VEILED)
    assert "has stopped" in here.page.inner_text("#veil")
    first = here.page.inner_text("#veil-age")
    assert first.startswith("This image is ")
    here.until(f"document.querySelector('#veil-age').textContent !== {first!r}")
    assert here.ask("document.body.dataset.phase") == "live"
    server.backend.sees = True
    here.until(f"!({VEILED})")
    assert not here.page.is_visible("#unseen")
    assert here.console_errors == []
    here.close()


def test_help_and_figures_list_what_the_page_has(
    browser: Any, stand: Callable[..., Standing], visit: Visit
) -> None:
    visit.until("document.body.dataset.text")
    visit.page.click("#help-button")
    assert visit.ask(HELP) == "Enter Esc M Space S V C E ← ↑ → ↓ P R H F T G D"
    here = Visit(browser, stand(RobotBackend).url)
    here.until("document.body.dataset.mode === 'telepresence'")
    here.page.click("#help-button")
    assert here.ask(HELP) == "Enter Esc M Space S E ← ↑ → ↓ R H F G D"
    assert here.ask("document.querySelector('#settings-start').textContent") == "Be its voice"
    assert not any(map(here.page.is_visible, ("#first-portrait", "#history-button")))
    assert "Portraits" not in here.page.inner_text("#help")
    here.page.keyboard.press("Escape")
    here.page.keyboard.press("f")
    here.until("document.querySelector('#metrics').textContent.includes('Face before the avatar')")
    assert "Your face" not in here.page.inner_text("#metrics")
    here.page.keyboard.press("f")
    here.page.click("#watch")
    here.until("document.body.dataset.role === 'viewer'")
    here.page.click("#help-button")
    assert here.ask(HELP) == "S H F G D"
    here.close()
