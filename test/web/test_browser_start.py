"""How the page begins in a browser: double clicks, tokens, missing and refused devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from chromium import STATE, Standing, Visit, wait_for
from flash_backend import FlashBackend

from avatar_forcing_ros.web.access import Access

pytestmark = pytest.mark.browser
TOKEN = "a-word-of-24-characters!"
# a device and a browser as `rules` say: "there", "none", "refused", "busy", or a prompt that waits
# for `window.answer()`; both at once fail where one of them does
DEVICES = """(() => {
  const rules = %s;
  const errors = { none: "NotFoundError", refused: "NotAllowedError", busy: "NotReadableError" };
  const ask = MediaDevices.prototype.getUserMedia;
  MediaDevices.prototype.getUserMedia = async function (wanted) {
    for (const kind of Object.keys(wanted)) {
      if (rules[kind] === "prompt") await new Promise((done) => { window.answer = done; });
      const name = errors[rules[kind]];
      if (name) throw new DOMException(name, name);
    }
    return ask.call(this, wanted);
  };
  const query = Permissions.prototype.query;
  Permissions.prototype.query = function (wanted) {
    const rule = rules[{ camera: "video", microphone: "audio" }[wanted.name]];
    if (!rule) return query.call(this, wanted);
    return Promise.resolve({ state: { refused: "denied", prompt: "prompt" }[rule] ?? "granted" });
  };
})()"""


def test_a_double_click_and_an_end_while_it_connects_leave_no_orphaned_seat(
    visit: Visit, standing: Standing
) -> None:
    visit.until("!document.querySelector('#face').hidden")
    visit.page.dblclick("#talk")
    visit.live()
    assert len(standing.server.sessions.peers) == 1
    assert "error" not in visit.ask("document.querySelector('#status').className")
    visit.page.click("#leave")
    visit.until("document.body.dataset.phase === 'ready'")
    visit.page.click("#talk")
    visit.page.click("#leave")  # before it is there
    assert visit.ask("document.body.dataset.phase") == "ready"
    wait_for(visit, lambda: not standing.server.sessions.peers)
    visit.page.click("#talk")
    visit.live()
    assert visit.console_errors == []


@pytest.mark.parametrize(
    ("audio", "video", "sentence"),
    [
        ("none", "there", "It sees you, but does not hear you. No microphone was found"),
        ("there", "none", "It hears you, but does not see you. No camera was found"),
        ("refused", "there", "does not hear you. You have not allowed the microphone."),
        ("there", "busy", "does not see you. The browser could not start the camera."),
        (
            "refused",
            "refused",
            "neither sees nor hears you. You have not allowed the camera and mi",
        ),
        ("none", "none", "It neither sees nor hears you. No camera or microphone was found"),
    ],
)
def test_one_device_is_used_without_the_other_and_the_page_says_why(
    browser: Any, standing: Standing, audio: str, video: str, sentence: str
) -> None:
    here = Visit(browser, "about:blank")
    here.page.add_init_script(DEVICES % {"audio": audio, "video": video})
    here.page.goto(standing.url)
    here.talk()
    assert sentence in here.page.inner_text("#status")
    assert here.page.is_visible("#self") == (video == "there")
    came = "state.camera_frames > 0" if video == "there" else "state.camera_frames === 0"
    if audio == "there":
        came += " && state.microphone_chunks > 0"
    here.until(f"{STATE}.then((state) => {came})")
    if video != "there":
        here.page.click("#camera")
        here.until("document.querySelector('#status').className === 'error'")
        assert sentence.split(". ")[-1][:3] in here.page.inner_text("#status")
    assert here.console_errors == []
    here.close()


def test_while_the_browser_asks_the_page_says_so_and_can_be_left(
    browser: Any, standing: Standing
) -> None:
    here = Visit(browser, "about:blank")
    here.page.add_init_script(DEVICES % {"audio": "there", "video": "prompt"})
    here.page.goto(standing.url)
    here.until("!document.querySelector('#face').hidden")
    here.page.click("#talk")
    here.until("document.querySelector('#overlay-text').textContent.includes('allow the camera')")
    here.page.click("#leave")
    here.until("document.body.dataset.phase === 'ready' && !window.answer()")
    here.page.wait_for_timeout(300)  # what was opened in vain is closed, nothing is joined
    assert here.ask("document.body.dataset.phase") == "ready"
    assert not here.page.is_visible("#overlay")
    here.page.click("#talk")
    here.until("document.querySelector('#overlay-text').textContent.includes('allow the camera')")
    here.ask("window.answer()")
    here.live()
    assert "sees and hears you" in here.page.inner_text("#status")
    assert len(standing.server.sessions.peers) == 1
    here.close()


def test_a_wrong_token_is_refused_and_the_right_one_opens(
    browser: Any, stand: Callable[..., Standing]
) -> None:
    server = stand(FlashBackend, Access(True, TOKEN))
    here = Visit(browser, server.url)
    here.until("document.querySelector('#ask').open")
    here.page.fill("#token", "another-word-of-length")
    here.page.keyboard.press("Enter")
    here.until("document.querySelector('#ask-more').textContent.includes('another word')")
    here.until("document.querySelector('#ask').open")
    here.page.fill("#token", TOKEN)
    here.page.keyboard.press("Enter")
    here.talk()
    assert all("401" in error for error in here.console_errors)
    here.close()


@pytest.mark.parametrize(
    ("token", "written"),
    [
        ("a+word/of+24+characters==", "a+word/of+24+characters=="),
        ("a+word/of+24+characters==", "a%2Bword%2Fof%2B24%2Bcharacters%3D%3D"),
        ("100%-of-24-characters-%zz", "100%-of-24-characters-%zz"),
    ],
)
def test_a_link_opens_the_page_with_any_token(
    browser: Any, stand: Callable[..., Standing], token: str, written: str
) -> None:
    server = stand(FlashBackend, Access(True, token))
    here = Visit(browser, f"{server.url}#token={written}")
    here.until("!document.querySelector('#face').hidden")
    assert not here.ask("document.querySelector('#ask').open")
    assert here.ask("location.hash") == ""
    assert here.console_errors == []
    here.close()
