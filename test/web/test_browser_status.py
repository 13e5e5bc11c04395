"""What the page says in a browser while things go wrong: losses, restarts, second tabs."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from chromium import Standing, Visit

pytestmark = pytest.mark.browser
STATUS = "document.querySelector('#status').textContent"
RESTED = "first portrait"


def image(grey: int) -> bytes:
    """A picture, as a PNG file."""
    return cv2.imencode(".png", np.full((64, 64, 3), grey, np.uint8))[1].tobytes()


def test_a_lost_recording_is_said_until_it_is_read(visit: Visit, standing: Standing) -> None:
    visit.talk()
    visit.page.keyboard.press("r")
    visit.until("document.querySelector('#record').ariaPressed === 'true'")
    visit.until("document.querySelector('#recorded').textContent >= '0:03'")

    def restart() -> None:
        standing.stop()
        visit.until("document.body.dataset.phase === 'lost'")
        assert visit.page.inner_text("#state") == "Connecting again"
        stopped = visit.page.inner_text("#recorded")
        visit.page.wait_for_timeout(1500)
        assert visit.page.inner_text("#recorded") == stopped
        standing.start()

    visit.lose(restart)
    visit.until(f"{STATUS}.includes('recording was lost')")
    visit.page.wait_for_timeout(4000)  # the greeting of the new connection comes meanwhile
    assert "recording was lost" in visit.page.inner_text("#status")
    visit.page.keyboard.press("s")
    visit.until(f"!{STATUS}.includes('lost')")
    assert "sees and hears you" in visit.page.inner_text("#status")


def test_a_portrait_that_the_restarted_server_does_not_have_is_said(
    visit: Visit, standing: Standing
) -> None:
    visit.talk()
    first = visit.ask("document.querySelector('#face').src")
    picture = {"name": "new.png", "mimeType": "image/png", "buffer": image(180)}
    visit.page.set_input_files("#portrait", picture)
    visit.until(f"{STATUS}.includes('new face')")
    second = visit.ask("document.querySelector('#face').src")
    assert second != first
    visit.page.wait_for_timeout(1200)  # two states, which know it
    assert RESTED not in visit.page.inner_text("#status")

    def restart() -> None:
        standing.stop()
        visit.until("document.body.dataset.phase === 'lost'")
        standing.start()

    visit.lose(restart)
    visit.until(f"{STATUS}.includes('{RESTED}')")
    visit.until(f"document.querySelector('#face').src !== '{second}'")
    visit.page.click("#leave")
    visit.until("document.body.dataset.phase === 'ready'")


@pytest.mark.parametrize("goes_on", ["here", "there"])
def test_a_duplicated_tab_asks_which_one_goes_on(
    visit: Visit, standing: Standing, goes_on: str
) -> None:
    visit.talk()
    with visit.context.expect_page() as opened:
        visit.page.evaluate("window.open(location.href)")  # with a copy of what this tab keeps
    copy: Any = opened.value
    copy.wait_for_selector("#tabs[open]")
    assert len(standing.server.sessions.peers) == 1
    assert visit.ask("document.body.dataset.phase") == "live"
    copy.click(f"#tabs button[value={goes_on}]")
    live, ready = (copy, visit.page) if goes_on == "here" else (visit.page, copy)
    for page, phase in ((live, "live"), (ready, "ready")):
        page.wait_for_selector(f"body[data-phase={phase}]")
    live.wait_for_timeout(2000)  # neither takes the place from the other
    assert [page.evaluate("document.body.dataset.phase") for page in (live, ready)] == [
        "live",
        "ready",
    ]
    (peer,) = standing.server.sessions.peers.values()
    assert peer.role == "speaker"
    assert live.evaluate("sessionStorage.getItem('key')") == peer.key
    if goes_on == "here":
        assert "another tab" in visit.page.inner_text("#status")


def test_a_server_that_is_away_is_said_as_long_as_it_is(visit: Visit, standing: Standing) -> None:
    visit.until("!document.querySelector('#face').hidden")
    standing.stop()
    visit.until(f"{STATUS}.includes('does not answer')")
    visit.page.keyboard.press("x")
    visit.page.wait_for_timeout(2500)
    assert "does not answer" in visit.page.inner_text("#status")
    standing.start()
    visit.until(f"{STATUS} === ''")


def test_a_lost_conversation_can_be_ended_while_it_records(
    visit: Visit, standing: Standing
) -> None:
    visit.talk()
    visit.page.keyboard.press("r")
    visit.until("document.querySelector('#record').ariaPressed === 'true'")
    standing.stop()
    visit.until("document.body.dataset.phase === 'lost'")
    visit.page.click("#leave")
    visit.until("document.body.dataset.phase === 'ready'", 5.0)
    visit.until(f"{STATUS}.includes('recording was lost')")
    standing.start()
