"""The page in a frame of another site's page, as in the documents; and its link, shared."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from chromium import TIMEOUT_S, Standing, Visit, wait_for
from flash_backend import RED, CutOutBackend, FlashBackend

from avatar_forcing_ros.web.access import Access

pytestmark = pytest.mark.browser
TOKEN = "a-word-of-24-characters!"
DOCUMENT = Path(__file__).parents[2] / "docs" / "EMBEDDING.md"
NEEDED = {"mute", "microphone", "camera", "leave"}
ALPHA = """(() => { const { width, height } = document.querySelector("#cutout");
const image = document.querySelector("#cutout").getContext("2d").getImageData(0, 0, width, height);
return [0, 0.5].map((at) => image.data[4 * (height * at * width + width * at) + 3]); })()"""
BUTTONS = "() => [...document.querySelectorAll('button, input, select')].filter("
BUTTONS += "(one) => one.checkVisibility()).map((one) => one.id)"


class Site:
    """Another site, which shows one page. 127.0.0.1 and localhost are two sites to a browser."""

    def __init__(self) -> None:
        self.page = b""
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(site.page)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def sites(number: int) -> Iterator[list[Site]]:
    with ExitStack() as ends:
        made = [Site() for _ in range(number)]
        for site in made:
            thread = threading.Thread(target=site.server.serve_forever)
            thread.start()
            ends.callback(thread.join)
            ends.callback(site.server.server_close)
            ends.callback(site.server.shutdown)
        yield made


def example(url: str) -> bytes:
    """The page of the documents, with the server at `url` in its frame."""
    text = re.search(r"```html\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert text
    page = text[1].replace("https://avatar.example:8080/", url).replace("=TOKEN", f"={TOKEN}")
    assert page.count("\n") <= 20
    assert f"{url}?embed#token={TOKEN}" in page
    return page.encode()


def test_a_site_that_is_named_shows_the_avatar_in_a_frame_and_another_does_not(
    browser: Any, stand: Callable[..., Standing]
) -> None:
    with sites(2) as (named, other):
        server = stand(FlashBackend, Access(True, TOKEN, frame_ancestors=(named.origin,)))
        named.page = other.page = example(server.url)
        here = Visit(browser, named.origin)
        frame = here.page.frames[1]
        frame.click("#talk", timeout=1000 * TIMEOUT_S)
        wait_for(here, lambda: frame.evaluate("document.body.dataset.phase === 'live'"))
        assert frame.is_visible("#avatar.live")
        assert set(frame.evaluate(BUTTONS)) == NEEDED
        assert not frame.is_visible("header")
        assert frame.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert frame.evaluate("location.hash") == ""
        (peer,) = server.server.sessions.peers.values()
        assert peer.role == "speaker"
        wait_for(here, lambda: server.backend.user_frames > 0)
        assert here.console_errors == []
        here.close()
        there = Visit(browser, other.origin)
        assert there.page.frames[1].query_selector("#talk") is None
        assert any("frame-ancestors" in error for error in there.console_errors)
        there.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_head_with_nothing_behind_it_is_seen_before_the_page_around(
    browser: Any, stand: Callable[..., Standing], scheme: str
) -> None:
    with sites(1) as (named,):
        server = stand(CutOutBackend, Access(True, TOKEN, frame_ancestors=(named.origin,)))
        page = example(server.url).replace(b"<style>", b"<style>html { background: #fc0; }")
        named.page = page.replace(b"height: 24rem", b"height: 20rem")  # as wide
        here = Visit(browser, named.origin, color_scheme=scheme)
        frame = here.page.frames[1]
        box = here.page.query_selector("iframe").bounding_box()
        wait_for(here, lambda: frame.is_visible("#face"))
        assert_cut_out(here, box)
        frame.click("#talk", timeout=1000 * TIMEOUT_S)
        wait_for(here, lambda: frame.is_visible("#cutout"))
        assert not frame.is_visible("#face")
        wait_for(
            here, lambda: frame.evaluate("!document.querySelector('#overlay').checkVisibility()")
        )
        assert_cut_out(here, box)
        alpha = frame.evaluate(ALPHA)
        assert (alpha[0], alpha[-1]) == (0, 255)  # the corner and the middle
        frame.click("#leave")
        wait_for(here, lambda: frame.is_visible("#face"))
        assert not frame.is_visible("#cutout")
        assert here.console_errors == []
        here.close()


def assert_cut_out(visit: Visit, box: dict[str, float]) -> None:
    """The frame at `box` shows what is behind it at its corner, and red in its middle."""
    shot = cv2.imdecode(np.frombuffer(visit.page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    left, top = round(box["x"]), round(box["y"])
    side = round(box["width"])
    outside, inside = shot[top + side // 3, left + 10], shot[top + side // 2, left + side // 2]
    assert np.abs(outside.astype(int) - (0, 0xCC, 0xFF)).max() < 6
    assert np.abs(inside.astype(int) - RED[2::-1]).max() < 25


def test_the_link_is_shared_with_the_token_where_one_says_so(
    browser: Any, stand: Callable[..., Standing]
) -> None:
    pytest.importorskip("segno")
    server = stand(FlashBackend, Access(True, TOKEN))
    here = Visit(browser, f"{server.url}#token={TOKEN}")
    here.page.click("#share-button")
    here.until("document.querySelector('#share').open")
    assert here.page.input_value("#share-link") == server.url
    here.until("document.querySelector('#share-code').naturalWidth > 0")
    plain = here.page.get_attribute("#share-code", "src")
    here.page.check("#share-token")
    here.until("document.querySelector('#share-link').value.includes('#token=')")
    assert here.page.input_value("#share-link") == f"{server.url}#token={TOKEN}".replace(
        "!", "%21"
    )
    assert here.page.get_attribute("#share-code", "src") != plain
    here.page.click("#share-copy")
    here.until("document.querySelector('#share-done').textContent === 'Copied.'")
    assert here.console_errors == []
    here.close()
