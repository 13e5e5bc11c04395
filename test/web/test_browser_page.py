"""The page in a browser, with a backend that flashes: losses, sync, roles and texts."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from chromium import DEMO, STATE, Standing, Visit, wait_for
from flash_backend import FlashBackend

from avatar_forcing_ros.rig.expressions import EXPRESSIONS, NEUTRAL, Expression
from avatar_forcing_ros.runtime import speech_synthesis

pytestmark = pytest.mark.browser
MAX_APART_MS = 40.0
EVENTS, MAX_EVENTS = 3, 20
ASKED = """window.asked = [];
const ask = MediaDevices.prototype.getUserMedia;
MediaDevices.prototype.getUserMedia = function (wanted) {
  window.asked.push(Object.keys(wanted));
  return ask.call(this, wanted);
};"""
WATCH = """async () => {
  const video = document.querySelector("#avatar");
  Object.assign(window, { flashes: [], clicks: [] });
  const sound = new AudioContext();
  await sound.resume();
  await sound.audioWorklet.addModule("/static/test.js");
  const clicks = new AudioWorkletNode(sound, "clicks");
  sound.createMediaStreamSource(video.srcObject).connect(clicks);
  clicks.port.onmessage = ({ data }) => {
    const { contextTime, performanceTime } = sound.getOutputTimestamp();
    window.clicks.push(performanceTime + 1000 * (data - contextTime));
  };
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  let white = false;
  const onFrame = (_, { expectedDisplayTime }) => {
    canvas.drawImage(video, 0, 0, 1, 1);
    const now = canvas.getImageData(0, 0, 1, 1).data[1] > 150;
    if (now && !white) window.flashes.push(expectedDisplayTime);
    white = now;
    video.requestVideoFrameCallback(onFrame);
  };
  video.requestVideoFrameCallback(onFrame);
}"""


def test_audio_and_image_arrive_together(visit: Visit) -> None:
    visit.talk()
    visit.page.evaluate(WATCH)
    apart: list[float] = []
    # a browser takes some seconds to align the two
    for count in range(EVENTS, MAX_EVENTS):
        visit.until(f"window.flashes.length >= {count} && window.clicks.length >= {count}")
        flashes, clicks = visit.ask("[window.flashes, window.clicks]")
        nearest = [min((c - flash for c in clicks), key=abs) for flash in flashes]
        apart.append(median(nearest[-EVENTS:]))
        if abs(apart[-1]) <= MAX_APART_MS:
            break
    assert abs(apart[-1]) <= MAX_APART_MS, apart


def test_a_server_that_comes_back_is_found(visit: Visit, standing: Standing) -> None:
    visit.talk()

    def restart() -> None:
        standing.stop()
        visit.until("document.body.dataset.phase === 'lost'")
        assert "Connecting again" in visit.page.inner_text("#overlay")
        standing.start()

    visit.lose(restart)
    assert standing.backend.running


def test_images_that_stop_are_fetched_anew(
    visit: Visit, standing: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit.talk()
    (peer,) = standing.server.sessions.peers.values()

    def dry_up() -> None:
        monkeypatch.setattr(peer.video, "put", lambda number, frame: None)
        monkeypatch.setattr(peer.audio, "put", lambda number, frame: None)

    visit.lose(dry_up)
    assert visit.console_errors == []


def test_a_place_that_the_server_gave_up_is_taken_again(visit: Visit, standing: Standing) -> None:
    visit.talk()
    (key,) = standing.server.sessions.peers
    visit.lose(lambda: standing.run(standing.server.sessions.leave(key)))
    (peer,) = standing.server.sessions.peers.values()
    assert peer.role == "speaker"


def test_without_espeak_the_box_explains_and_bad_files_are_reported(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech_synthesis, "PROGRAM", "no-such-program")
    visit.talk()
    visit.until("!document.querySelector('#unspoken').hidden")
    assert "sudo apt install espeak-ng" in visit.page.inner_text("#unspoken")
    assert not visit.page.is_visible("#text")
    bad = {"name": "bad.wav", "mimeType": "audio/wav", "buffer": b"no sound"}
    visit.page.set_input_files("#audio-file", bad)
    visit.until("document.querySelector('#status').className === 'error'")
    assert "readable audio" in visit.page.inner_text("#status")


def test_a_dropped_audio_file_is_spoken(visit: Visit, standing: Standing) -> None:
    visit.talk()
    data = list((DEMO / "user_speech.wav").read_bytes())[:64_000]
    visit.page.evaluate(
        """(data) => {
          const files = new DataTransfer();
          files.items.add(new File([new Uint8Array(data)], "a.wav", { type: "audio/wav" }));
          const more = { dataTransfer: files, bubbles: true, cancelable: true };
          document.body.dispatchEvent(new DragEvent("dragover", more));
          document.querySelector("#drop").dispatchEvent(new DragEvent("drop", more));
        }""",
        data,
    )
    visit.until("document.querySelector('#status').textContent.includes('to say')")
    assert len(standing.backend.spoken) == 1
    assert not visit.page.is_visible("#drop")


def test_a_recorded_clip_is_spoken(visit: Visit, standing: Standing) -> None:
    visit.talk()
    visit.page.keyboard.press("c")
    visit.until("document.querySelector('#clip').ariaPressed === 'true'")
    visit.page.wait_for_timeout(500)  # of sound
    visit.page.keyboard.press("c")
    visit.until("document.querySelector('#status').textContent.includes('to say')")
    assert np.abs(standing.backend.spoken[0].samples).max() > 0


def test_telepresence_asks_for_no_camera_and_spares_the_operator_their_own_voice(
    browser: Any, stand: Callable[..., Standing]
) -> None:
    server = stand(lambda: FlashBackend("telepresence", wants_camera=False))
    here = Visit(browser, "about:blank", viewport={"width": 390, "height": 844}, has_touch=True)
    here.page.add_init_script(ASKED)
    here.page.goto(server.url)
    here.until("document.querySelector('#talk').textContent === 'Be its voice'")
    here.talk()
    here.until("document.querySelector('#status').textContent.includes('Its sound is off here')")
    assert here.ask("window.asked") == [["audio"]]
    assert not any(map(here.page.is_visible, ("#self", "#clip", "#camera", "#portrait")))
    assert here.ask("document.documentElement.scrollWidth") <= 390
    assert here.ask("document.querySelector('#avatar').muted")
    server.backend.has_robot_audio = True
    here.until("!document.querySelector('#avatar').muted")
    assert here.page.inner_text("#mute") == "Sound on"
    here.close()


def test_the_avatar_is_muted_and_stays_so_when_the_connection_is_made_anew(
    visit: Visit, standing: Standing
) -> None:
    visit.talk()
    assert not visit.ask("document.querySelector('#avatar').muted")
    visit.page.keyboard.press("s")
    assert visit.ask("document.querySelector('#avatar').muted")
    assert visit.page.inner_text("#mute") == "Sound off"
    (key,) = standing.server.sessions.peers
    visit.lose(lambda: standing.run(standing.server.sessions.leave(key)))
    assert visit.ask("document.querySelector('#avatar').muted")
    visit.page.click("#mute")
    assert not visit.ask("document.querySelector('#avatar').muted")


def test_a_second_person_watches_asks_to_talk_and_is_handed_the_turn(
    visit: Visit, standing: Standing, browser: Any
) -> None:
    visit.talk()
    other = Visit(browser, standing.url)
    other.until("document.querySelector('#state').textContent === 'In a conversation'")
    other.page.click("#talk")
    other.until("document.querySelector('#status').className === 'error'")
    assert "Somebody else is talking" in other.page.inner_text("#status")
    other.console_errors.clear()  # of that refusal
    other.page.click("#watch")
    other.live()
    assert not other.page.is_visible("#composer")
    other.page.keyboard.press("h")
    other.until("document.querySelector('#request-turn').textContent === 'Do not wait'")
    visit.until("document.querySelector('#status').textContent.includes('would like to talk')")
    visit.page.keyboard.press("h")
    visit.until("document.querySelector('#status').textContent.includes('handed over')")
    visit.live()
    other.until("document.body.dataset.role === 'speaker'")
    other.live()
    assert visit.ask("[document.body.dataset.role, document.querySelector('#self').hidden]") == [
        "viewer",
        True,
    ]
    roles = {peer.key: peer.role for peer in standing.server.sessions.peers.values()}
    assert roles == {
        page.ask("sessionStorage.getItem('key')"): role
        for page, role in ((visit, "viewer"), (other, "speaker"))
    }
    before = standing.backend.user_frames
    other.until(f"{STATE}.then((state) => state.camera_frames > 10)")
    assert standing.backend.user_frames > before
    other.close()
    assert visit.console_errors == other.console_errors == []


def test_the_speaker_chooses_an_expression_and_clicks_where_it_looks(
    visit: Visit, standing: Standing
) -> None:
    assert not visit.page.is_visible("#express")
    visit.talk()
    backend = standing.backend
    visit.until("document.querySelector('#expression').length > 10")
    assert visit.ask("document.querySelector('#expression').value") == "neutral"
    visit.page.select_option("#expression", "surprised")
    visit.until(f"{STATE}.then((state) => state.expression === 'surprised')")
    assert backend.expressions == [Expression("surprised")]
    assert visit.page.inner_text("#express .name") == "Surprised"
    side = visit.page.locator("#avatar").bounding_box()["width"]
    visit.page.click("#avatar", position={"x": 0.75 * side, "y": 0.42 * side})
    visit.page.click("#mute")  # in the tile, and no place to look at
    visit.page.click("#self")
    visit.ask(
        """["ArrowUp", "ArrowLeft"].forEach((key) =>
          document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true })))"""
    )  # at once: the newer one counts
    wait_for(visit, lambda: len(backend.gaze_targets) == 2)
    found = [
        (round(math.degrees(one.yaw_rad)), round(math.degrees(one.pitch_rad)))
        for one in backend.gaze_targets
    ]
    assert found[0] == pytest.approx((20, 0), abs=1)  # its left is at the right of its picture
    assert found[1] == (-25, 0)
    visit.page.click("#leave")
    visit.until("document.body.dataset.phase === 'ready'")
    visit.until("document.querySelector('#expression').value === 'neutral'")
    assert backend.expressions == [Expression("surprised"), Expression(NEUTRAL)]
    assert visit.console_errors == []


def test_an_expression_is_chosen_by_keys_which_are_keys_again_afterwards(
    visit: Visit, standing: Standing
) -> None:
    visit.talk()
    visit.until("document.querySelector('#expression').length > 10")
    visit.page.keyboard.press("e")
    assert visit.ask("document.activeElement.id") == "expression"
    visit.page.keyboard.press("ArrowDown")
    visit.page.keyboard.press("Enter")
    wait_for(visit, lambda: standing.backend.expressions)
    assert standing.backend.expressions == [Expression(EXPRESSIONS[1])]
    assert visit.ask("document.activeElement.id") == ""
    visit.page.keyboard.press("s")
    assert visit.ask("document.querySelector('#avatar').muted")
    assert visit.ask("document.querySelector('#expression').value") == EXPRESSIONS[1]
    visit.ask(  # as another program would
        """fetch("/api/expression", {
          method: "POST", headers: { "X-Avatar-Key": sessionStorage.getItem("key") },
          body: JSON.stringify({ name: "happy" }) })"""
    )
    visit.until("document.querySelector('#expression').value === 'happy'")
    assert visit.page.inner_text("#express .name") == "Happy"
    assert visit.console_errors == []
