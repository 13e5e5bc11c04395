"""What lies over the page's picture, and beside it: captions, volume, full screen, portraits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from chromium import Standing, Visit, wait_for
from flash_backend import FlashBackend

from avatar_forcing_ros.runtime.espeak_voices import VoiceChoice
from avatar_forcing_ros.runtime.speech_synthesis import SpokenSentence, Voice

pytestmark = pytest.mark.browser
CAPTIONS = "[...document.querySelectorAll('#captions span')].map((one) => one.textContent)"
HIDINGS = """window.hidings = 0;
new MutationObserver((all) => {  // hiding what is hidden is told as well, and not counted
  window.hidings += all.filter((one) => one.oldValue === null).length;
}).observe(document.querySelector("#preview"),
  { attributeFilter: ["hidden"], attributeOldValue: true });"""
HISTORY = "document.querySelector('#history-list').textContent"


class Said:
    """A text whose sentences end with a full stop."""

    def __init__(self, text: str) -> None:
        self._parts = iter(text.split(". "))

    def __iter__(self) -> Iterator[SpokenSentence]:
        return self

    def __next__(self) -> SpokenSentence:
        return SpokenSentence(next(self._parts), np.zeros(1_600, np.float32), language="de")

    def cancel(self) -> None: ...


class Speaker:
    """Conforms to SpeechSynthesizer; notes the voices that texts name."""

    program = "speaker"

    def __init__(self) -> None:
        self.voices_asked: list[str] = []

    def is_available(self) -> bool:
        return True

    def voices(self) -> tuple[VoiceChoice, ...]:
        return (VoiceChoice("de", "de", "German"), VoiceChoice("en-us", "en-US", "English"))

    def synthesize(self, text: str, voice: Voice = Voice()) -> Said:  # noqa: B008 - frozen
        self.voices_asked.append(voice.name)
        return Said(text)


def answered(route: Any, **more: Any) -> None:
    """Answer as the server does, but for `more`."""
    reply = route.fetch()
    route.fulfill(response=reply, json=reply.json() | more)


def image(path: Path, grey: int) -> Path:
    cv2.imwrite(str(path), np.full((90, 90, 3), grey, np.uint8))
    return path


def test_captions_are_shown_kept_and_copied_and_texts_have_the_chosen_voice(
    browser: Any, stand: Callable[..., Standing]
) -> None:
    speaker = Speaker()
    server = stand(FlashBackend, synthesizer=speaker)
    here = Visit(browser, server.url, permissions=["clipboard-read", "clipboard-write"])
    here.talk()
    here.page.keyboard.press("d")
    here.until("document.querySelector('#voice').length === 3")
    groups = "[...document.querySelectorAll('#voice optgroup')].map((one) => one.textContent)"
    assert here.ask(groups) == ["English", "German"]  # the browser's own language first
    here.page.select_option("#voice", "de")
    here.page.click("#settings button[value=close]")
    here.page.fill("#text", "Guten Tag. Wie geht es <b>Ihnen</b>?")
    here.page.keyboard.press("Enter")
    here.until(f"({CAPTIONS}).length === 2")
    assert here.ask(CAPTIONS) == ["Guten Tag", "Wie geht es <b>Ihnen</b>?"]
    assert here.ask("document.querySelector('#captions span').lang") == "de"
    assert speaker.voices_asked == ["de"]
    here.page.locator("body").click(position={"x": 5, "y": 300})
    here.page.keyboard.press("t")
    assert here.ask("document.activeElement.id") == "history-close"
    assert "Guten Tag" in here.page.inner_text("#history-list")
    here.page.click("#history-copy")
    here.until("document.querySelector('#history-copied').textContent === 'Copied.'")
    copied = here.ask("navigator.clipboard.readText()")
    assert copied == "Avatar: Guten Tag\nAvatar: Wie geht es <b>Ihnen</b>?"
    here.page.route("**/api/state", lambda route: answered(route, responder_state="thinking"))
    here.until("document.querySelector('#captions .thinking')")
    here.page.unroute("**/api/state")
    here.page.route("**/api/state", lambda route: answered(route, responder_state="It is away."))
    here.until("document.querySelector('#status.error')?.textContent === 'It is away.'")
    here.page.unroute("**/api/state")
    here.until("!document.querySelector('#status.error, #captions .thinking')")
    here.page.keyboard.press("f")  # the figures take its place
    assert here.page.is_visible("#panel")
    assert not here.page.is_visible("#history")
    here.page.keyboard.press("Escape")
    here.page.keyboard.press("d")
    here.page.click(".switch:has(#show-captions)")
    here.page.click("#settings button[value=close]")
    assert here.ask(CAPTIONS) == []

    watcher = Visit(browser, server.url)
    watcher.page.click("#watch")
    watcher.live()
    watcher.until(f"{HISTORY}.includes('Guten Tag')")
    watcher.page.keyboard.press("d")
    assert not any(map(watcher.page.is_visible, ("#choose-audio", "#hold-mode", "#voice")))
    assert watcher.page.is_visible("#show-captions")
    watcher.close()
    here.page.click("#leave")
    here.until("document.body.dataset.phase === 'ready'")
    here.talk()
    assert here.ask(HISTORY) == ""
    assert here.console_errors == watcher.console_errors == []
    here.close()


def test_volume_full_screen_and_a_window_of_its_own(visit: Visit) -> None:
    visit.talk()
    volume = "document.querySelector('#avatar').volume"
    visit.page.fill("#volume", "40")
    assert visit.ask(volume) == pytest.approx(0.4)
    visit.page.fill("#volume", "0")
    assert visit.page.inner_text("#mute") == "Sound off"
    visit.page.fill("#volume", "65")
    assert visit.page.inner_text("#mute") == "Sound on"
    visit.page.locator("body").click(position={"x": 5, "y": 300})
    visit.page.keyboard.press("g")
    visit.until("document.fullscreenElement?.id === 'avatar-tile'")
    fit = "getComputedStyle(document.querySelector('#avatar')).objectFit"
    assert visit.ask(fit) == "contain"  # nothing of the face is cut off
    visit.page.click("#full-screen")
    visit.until("!document.fullscreenElement")
    over = "document.pictureInPictureEnabled"
    assert visit.page.is_visible("#over-others") == visit.ask(over)
    for button in ("#mute", "#full-screen", "#volume"):
        box = visit.page.locator(button).bounding_box()
        assert min(box["width"], box["height"]) >= 44, button
    visit.page.reload()
    visit.live()
    assert visit.ask(volume) == pytest.approx(0.65)
    assert visit.console_errors == []


def test_a_portrait_is_chosen_before_and_during_a_conversation(
    browser: Any, stand: Callable[..., Standing], tmp_path: Path
) -> None:
    files = [image(tmp_path / "a b & c.png", 90), image(tmp_path / "white.png", 250)]
    files.append(image(tmp_path / "black.png", 0))
    server = stand(FlashBackend, portraits=files, first_portrait="Ada")
    here = Visit(browser, server.url)
    here.until("!document.querySelector('#face').hidden")
    here.page.click("#first-portrait")
    here.until("document.querySelectorAll('.thumbnail').length === 4")
    names = "[...document.querySelectorAll('.thumbnail')].map((one) => one.innerText)"
    assert here.ask(names) == ["Ada", "A b & c", "White", "Black"]
    here.page.click('.thumbnail[data-name="a b & c.png"]')
    here.until("!document.querySelector('#preview').hidden")
    assert server.backend.grey != 90  # nobody talks yet
    here.page.evaluate(HIDINGS)
    here.page.click("#talk")
    here.live()
    wait_for(here, lambda: server.backend.grey == 90)
    here.until("document.querySelector('#preview').hidden")
    assert here.ask("window.hidings") == 1  # the first face did not come in between
    here.page.keyboard.press("p")
    chosen = "document.querySelector('.thumbnail[aria-pressed=true]')?.dataset.name"
    here.until(f"{chosen} === 'a b & c.png'")
    here.page.click('.thumbnail[data-name="white.png"]')
    wait_for(here, lambda: server.backend.grey == 250)
    here.until("document.querySelector('#status').textContent === 'Here is the new face.'")
    here.page.keyboard.press("p")
    here.page.click('.thumbnail[data-name="black.png"]')
    here.until("document.querySelector('#status').className === 'error'")
    assert server.backend.grey == 250
    assert all("422" in error for error in here.console_errors)
    here.close()
