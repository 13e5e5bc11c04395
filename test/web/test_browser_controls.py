"""The page's controls in a browser: the text box, the figures, the toolbar, who may talk."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from chromium import Standing, Visit, wait_for

pytestmark = pytest.mark.browser
FOCUS = "document.activeElement.id"
COVERED = """(() => {
  const panel = document.querySelector("#panel").getBoundingClientRect();
  return [...document.querySelectorAll(".lower button, .lower label, .lower input")]
    .filter((one) => one.checkVisibility()).map((one) => [one, one.getBoundingClientRect()])
    .filter(([, box]) => box.left < panel.right && box.right > panel.left
      && box.top < panel.bottom && box.bottom > panel.top).map(([one]) => one.id);
})()"""


def test_text_over_the_limit_is_said_and_stays(visit: Visit) -> None:
    visit.talk()
    visit.until("document.body.dataset.text")
    if not visit.page.is_visible("#text"):
        pytest.skip("without espeak-ng there is no text box")
    visit.page.fill("#text", "a" * 899)
    assert not visit.page.is_visible("#text-length")
    visit.page.fill("#text", "a" * 1001)
    assert visit.page.inner_text("#text-length") == "1001 / 1000"
    assert visit.ask("document.querySelector('#text').ariaInvalid") == "true"
    visit.page.keyboard.press("Enter")
    visit.until("document.querySelector('#status').className === 'error'")
    assert "at most 1000 characters at once; these are 1001" in visit.page.inner_text("#status")
    assert len(visit.page.input_value("#text")) == 1001
    visit.page.fill("#text", "a" * 950)
    assert visit.page.inner_text("#text-length") == "950 / 1000"
    assert visit.ask("document.querySelector('#text').ariaInvalid") == "false"


@pytest.mark.parametrize("size", [(390, 844), (720, 560), (1280, 800), (844, 390)])
def test_the_figures_leave_the_controls_free_and_close(
    browser: Any, standing: Standing, size: tuple[int, int]
) -> None:
    here = Visit(browser, standing.url, viewport={"width": size[0], "height": size[1]})
    here.talk()
    here.page.click("#metrics-button")
    here.until("document.querySelectorAll('#metrics dt').length > 5")
    assert here.ask(COVERED) == []
    assert here.ask(FOCUS) == "panel-close"
    here.page.keyboard.press("Escape")
    assert not here.page.is_visible("#panel")
    assert here.ask(FOCUS) == "metrics-button"
    here.page.keyboard.press("f")
    here.page.click("#panel-close")
    assert not here.page.is_visible("#panel")
    here.page.keyboard.press("f")
    here.page.click("#leave")
    here.until("document.body.dataset.phase === 'ready'")
    assert here.ask(COVERED) == []
    assert here.ask(FOCUS) == "talk"
    here.page.keyboard.press("Escape")  # nothing is there to be silenced
    assert not here.page.is_visible("#panel")
    assert here.console_errors == []
    here.close()


def test_the_toolbar_is_one_stop_and_arrows_go_through_it(
    visit: Visit, standing: Standing
) -> None:
    visit.talk()
    visit.page.focus("#audio-file")
    visit.page.keyboard.press("Tab")
    assert visit.ask(FOCUS) == "microphone"
    for key, found in (
        ("ArrowRight", "camera"),
        ("End", "leave"),
        ("ArrowRight", "microphone"),
        ("ArrowLeft", "leave"),
        ("ArrowLeft", "record"),
        ("Home", "microphone"),
    ):
        visit.page.keyboard.press(key)
        assert visit.ask(FOCUS) == found
    visit.page.keyboard.press("ArrowRight")
    visit.page.keyboard.press("Shift+Tab")
    visit.page.keyboard.press("Tab")
    assert visit.ask(FOCUS) == "camera"  # where it was
    assert standing.backend.gaze_targets == []
    visit.page.click("#microphone")
    visit.page.keyboard.press("ArrowLeft")  # who clicks has the arrows for its eyes
    wait_for(visit, lambda: standing.backend.gaze_targets)


def test_a_watcher_withdraws_and_hand_over_is_highlighted(
    visit: Visit, standing: Standing, browser: Any
) -> None:
    accent = visit.ask("getComputedStyle(document.querySelector('#talk')).backgroundColor")
    visit.talk()
    other = Visit(browser, standing.url)
    other.page.click("#watch")
    other.live()
    other.page.click("#request-turn")
    other.until("document.querySelector('#request-turn').textContent === 'Do not wait'")
    visit.until("!document.querySelector('#hand-over').hidden")
    disc = "getComputedStyle(document.querySelector('#hand-over .disc')).backgroundColor"
    assert visit.ask(disc) == accent
    other.page.wait_for_timeout(1200)  # two states, which know it
    other.page.click("#request-turn")
    other.until("document.querySelector('#request-turn').textContent === 'Ask to talk'")
    visit.until("document.querySelector('#hand-over').hidden")
    assert standing.server.sessions.state("")["turn"]["waiting"] == 0
    other.close()
    assert visit.console_errors == other.console_errors == []
