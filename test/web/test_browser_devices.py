"""The page's devices: tried before a conversation, changed in it, remembered; push to talk."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from chromium import STATE, Standing, Visit, wait_for

pytestmark = pytest.mark.browser
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True}
# a page's own microphones and cameras: which of them are open
OPENED = """window.opened = [];
const ask = MediaDevices.prototype.getUserMedia;
MediaDevices.prototype.getUserMedia = async function (wanted) {
  const stream = await ask.call(this, wanted);
  window.opened.push(...stream.getTracks());
  return stream;
};
window.live = () => window.opened.filter((one) => one.readyState === "live");
window.named = (kind) => window.live().find((one) => one.kind === kind)?.getSettings().deviceId;"""
OPTIONS = "[...document.querySelector('#choose-%s').options].map((one) => one.value)"
LEVEL = "document.querySelector('#settings-level').style.getPropertyValue('--level')"
PRESSED = "document.querySelector('#microphone').ariaPressed"


@pytest.fixture
def here(browser: Any, standing: Standing) -> Any:
    visit = Visit(browser, "about:blank", **PHONE)
    visit.page.add_init_script(OPENED)
    visit.page.goto(standing.url)
    visit.until("!document.querySelector('#face').hidden")
    yield visit
    visit.close()


def test_devices_are_tried_before_a_conversation_changed_in_it_and_remembered(
    here: Visit, standing: Standing
) -> None:
    here.page.click("#first-settings")
    here.until("document.querySelector('#settings-preview').videoWidth > 0")
    here.until(f"{LEVEL} > 0")
    transform = "getComputedStyle(document.querySelector('#settings-preview')).transform"
    assert here.ask(transform).startswith("matrix(-1")
    here.page.click("#settings button[value=close]")
    here.until("window.live().length === 0")  # nothing is watched or heard before it begins

    here.page.keyboard.press("d")
    here.until(f"({OPTIONS % 'audio'}).length > 1 && window.live().length >= 2")
    second = here.ask(OPTIONS % "audio")[1]
    here.page.select_option("#choose-audio", second)
    here.until(f"window.named('audio') === '{second}'")
    loud = here.ask(OPTIONS % "output")[-1]
    here.page.select_option("#choose-output", loud)
    here.until(f"document.querySelector('#avatar').sinkId === '{loud}'")
    assert here.ask("document.documentElement.scrollWidth") <= 360
    here.page.click("#settings-start")
    here.live()
    here.until(f"{STATE}.then((state) => state.camera_frames && state.microphone_chunks)")

    here.page.keyboard.press("m")  # a muted one that is changed stays muted
    here.page.keyboard.press("d")
    first = here.ask(OPTIONS % "audio")[0]
    here.page.select_option("#choose-audio", first)
    here.until(f"window.named('audio') === '{first}'")
    assert not here.ask("window.live().find((one) => one.kind === 'audio').enabled")
    here.page.click("#settings button[value=close]")
    assert here.ask(PRESSED) == "true"
    came = here.ask(f"{STATE}.then((state) => state.microphone_chunks)")
    here.until(f"{STATE}.then((state) => state.microphone_chunks > {came})")

    here.page.keyboard.press("d")
    here.page.select_option("#choose-audio", second)
    here.until(f"window.named('audio') === '{second}'")
    here.page.reload()
    here.live()
    here.until(f"window.named('audio') === '{second}'")
    assert here.ask("document.querySelector('#avatar').sinkId") == loud
    here.page.evaluate("localStorage.setItem('device.audio', 'gone')")
    here.page.reload()
    here.live()
    here.until("window.named('audio')")  # another
    assert here.console_errors == []


def test_push_to_talk_opens_the_microphone_while_space_or_its_button_is_held(
    here: Visit, standing: Standing
) -> None:
    here.talk()
    here.page.keyboard.press("m")
    assert here.ask(PRESSED) == "true"  # muted
    here.page.keyboard.down(" ")
    assert here.ask(PRESSED) == "false"  # Space opens a muted one
    here.page.keyboard.up(" ")
    assert here.ask(PRESSED) == "true"

    here.page.keyboard.press("d")
    here.page.click(".switch:has(#hold-mode)")
    here.page.click("#settings button[value=close]")
    sends = "window.live().find((one) => one.kind === 'audio').enabled"
    assert here.page.inner_text("#microphone .name") == "Hold"
    assert not here.ask(sends)
    box = here.page.locator("#microphone").bounding_box()
    assert min(box["width"], box["height"]) >= 44
    here.page.mouse.move(box["x"] + 20, box["y"] + 20)
    here.page.mouse.down()
    assert here.ask(sends)
    assert here.page.inner_text("#microphone .name") == "Talking"
    here.page.mouse.up()
    assert not here.ask(sends)
    here.page.keyboard.down(" ")  # the button that was clicked has the focus still
    here.page.keyboard.down(" ")  # repeated
    assert here.ask(sends)
    here.ask("window.dispatchEvent(new Event('blur'))")
    assert not here.ask(sends)
    here.page.keyboard.up(" ")
    assert not here.ask(sends)
    if here.page.is_visible("#text"):
        here.page.click("#text")
        here.page.keyboard.press(" ")
        assert here.page.input_value("#text") == " "
    here.page.wait_for_timeout(500)
    here.page.evaluate("document.querySelector('#microphone').click()")  # who cannot hold it
    assert here.ask(sends)
    (key,) = standing.server.sessions.peers
    here.lose(lambda: standing.run(standing.server.sessions.leave(key)))
    assert here.page.inner_text("#microphone .name") in ("Hold", "Talking")
    wait_for(here, lambda: len(standing.server.sessions.peers) == 1)
    assert here.console_errors == []
