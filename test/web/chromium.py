"""A browser without a window, with a drawn person before its camera, and servers for it."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import cv2
import pytest
import soundfile
from aiohttp import web

from avatar_forcing_ros.web.access import Access
from avatar_forcing_ros.web.backend import AvatarBackend
from avatar_forcing_ros.web.library_patches import install_patches
from avatar_forcing_ros.web.server import Server

DEMO = Path(__file__).parents[2] / "models" / "demo"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT_S = 40.0
CAMERA_FRAMES = 100
SPEECH_BEGINS = 180_000  # samples
VIEW = {"width": 720, "height": 560}  # small, since it is drawn without a GPU
LOCAL = Access(local=True)


def program() -> str:
    """Where the browser is; without one the tests are skipped, or fail where they must run."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    try:
        import playwright  # noqa: F401
    except ImportError:
        found, missing = None, "playwright (pip install playwright)"
    else:
        missing = "Chromium (apt install chromium)"
    if found is None:
        end = pytest.fail if os.environ.get("AVATAR_FORCING_REQUIRE_BROWSER") else pytest.skip
        end(f"the page is tested in a browser, which needs {missing}")
    assert found
    return found


def camera_file(folder: Path) -> Path:
    """The person of the demonstration as Chromium's camera wants it: JPEG images in a row."""
    path = folder / "person.mjpeg"
    with av.open(str(DEMO / "person.mp4")) as video, path.open("wb") as file:
        for i, frame in enumerate(video.decode(video=0)):
            if i == CAMERA_FRAMES:
                break
            bgr = frame.to_ndarray(format="bgr24", width=320, height=320)
            file.write(cv2.imencode(".jpg", bgr)[1].tobytes())
    return path


def microphone_file(folder: Path) -> Path:
    """The person's speech, from where they speak; Chromium begins it anew at its end."""
    path = folder / "person.wav"
    samples, rate_hz = soundfile.read(DEMO / "user_speech.wav", start=SPEECH_BEGINS)
    soundfile.write(path, samples, rate_hz)
    return path


@contextmanager
def chromium(folder: Path) -> Iterator[Any]:
    """A started browser, as Playwright's ``Browser``."""
    executable = program()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable,
            args=[
                "--no-sandbox",
                "--allow-loopback-in-peer-connection",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-video-capture={camera_file(folder)}",
                f"--use-file-for-fake-audio-capture={microphone_file(folder)}",
            ],
        )
        yield browser
        browser.close()


STATE = "fetch('/api/state').then((reply) => reply.json())"
# what tells a flash's time of display and a click's time at the loudspeaker, as they come
LISTENER = """class Clicks extends AudioWorkletProcessor {
  process([[samples]]) {
    samples?.forEach((sample, i) => {
      if (Math.abs(sample) < 0.2) return;
      const atS = currentTime + i / sampleRate;
      if (!(atS - this.lastS < 0.3)) this.port.postMessage(atS);
      this.lastS = atS;
    });
    return true;
  }
}
registerProcessor("clicks", Clicks);"""
# what the page goes through, each once
PHASES = """window.phases = [document.body.dataset.phase];
new MutationObserver(() => {
  const { phase } = document.body.dataset;
  if (phase !== window.phases.at(-1)) window.phases.push(phase);
}).observe(document.body, { attributeFilter: ["data-phase"] });"""


class Visit:
    """A page in a browser, and what its console reported as errors."""

    def __init__(self, browser: Any, url: str, **more: Any) -> None:
        self.context = browser.new_context(
            **{"viewport": VIEW, "reduced_motion": "reduce", **more}
        )
        self.page = self.context.new_page()
        self.console_errors: list[str] = []
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.console_errors.append(str(error)))
        self.page.goto(url)

    def _on_console(self, message: Any) -> None:
        if message.type == "error":
            self.console_errors.append(message.text)

    def ask(self, script: str) -> Any:
        """What the page makes of `script`."""
        return self.page.evaluate(script)

    def until(self, script: str, patience_s: float = TIMEOUT_S) -> Any:
        """Wait until the page makes something true of `script`; that."""
        end_s = time.monotonic() + patience_s
        while not (answer := self.page.evaluate(script)):
            if time.monotonic() > end_s:
                status = self.page.inner_text("#status")
                pytest.fail(f"never came true: {script}; the page says {status!r}")
            self.page.wait_for_timeout(50)
        return answer

    def talk(self) -> None:
        """Press the button and wait for the avatar."""
        self.until("!document.querySelector('#face').hidden")
        self.page.click("#talk")
        self.live()

    def live(self) -> None:
        """Wait until the avatar is there."""
        self.until("document.body.dataset.phase === 'live'")

    def lose(self, break_off: Callable[[], Any]) -> None:
        """Have the connection broken, and wait until the page has found its place again."""
        old = self.ask("sessionStorage.getItem('key')")
        self.page.evaluate(PHASES)
        break_off()
        self.until("window.phases.at(-1) === 'live' && window.phases.length > 1")
        assert self.ask("window.phases") == ["live", "lost", "live"]
        assert self.ask("sessionStorage.getItem('key')") not in ("", old)
        assert self.ask("document.body.dataset.role") == "speaker"

    def close(self) -> None:
        """Leave."""
        self.page.close()
        self.context.close()


class Standing:
    """A server in a thread of its own, which can be stopped, and started at the same address."""

    def __init__(
        self,
        make_backend: Callable[[], AvatarBackend],
        access: Access = LOCAL,
        script: str = "",
        **more: Any,
    ) -> None:
        """`script` is at /static/test.js, since the page takes none from elsewhere.

        `more` is for `Server`.
        """
        self._make_backend, self._access, self._script = make_backend, access, script
        self._more = more
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/"

    def start(self) -> None:
        """Listen."""
        ready, self._over = threading.Event(), asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_until_complete, args=(self._serve(ready),)
        )
        self._thread.start()
        assert ready.wait(TIMEOUT_S)

    async def _serve(self, ready: threading.Event) -> None:
        install_patches()
        self.backend = self._make_backend()
        self.server = Server(self.backend, self._access, **self._more)
        self.server.app.router.add_get("/static/test.js", self._give_script)
        runner = web.AppRunner(self.server.app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = runner.addresses[0][1]
        ready.set()
        await self._over.wait()
        await runner.cleanup()

    async def _give_script(self, request: web.Request) -> web.Response:
        return web.Response(text=self._script, content_type="text/javascript")

    def run(self, asked: Coroutine[Any, Any, Any]) -> Any:
        """Have the server do something of its own."""
        return asyncio.run_coroutine_threadsafe(asked, self._loop).result(TIMEOUT_S)

    def stop(self) -> None:
        """End all conversations, and listen no more."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._loop.close()


def wait_for(visit: Visit, holds: Callable[[], object]) -> None:
    """Wait until something holds of the server, while the page goes on."""
    end_s = time.monotonic() + TIMEOUT_S
    while not holds():
        assert time.monotonic() < end_s, "it did not come to that"
        visit.page.wait_for_timeout(50)
