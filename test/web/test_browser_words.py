"""The page in the language of its browser, from right to left, and where its words do not come."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from chromium import Standing, Visit

from avatar_forcing_ros.web.static_files import FOLDER

pytestmark = pytest.mark.browser
PHONE = {"viewport": {"width": 360, "height": 740}}
LANGUAGE = "[document.documentElement.lang, document.documentElement.dir, document.title]"


def german() -> dict[str, str]:
    return json.loads((FOLDER / "words" / "de.json").read_text(encoding="utf-8"))


def test_the_browsers_language_is_the_pages(browser: Any, standing: Standing) -> None:
    words = german()
    here = Visit(browser, standing.url, locale="de-AT", **PHONE)
    here.until("document.querySelector('#status').textContent === ''")  # the server has answered
    assert here.ask(LANGUAGE) == ["de", "ltr", words["page.title"]]
    here.talk()
    assert here.page.inner_text("#record .name") == words["record.name"]
    assert here.page.get_attribute("#record", "title") == f"{words['record.title']} (R)"
    assert here.page.get_attribute("#microphone", "aria-label") == words["mic.mute"]
    assert here.page.get_attribute("#text", "placeholder") == words["say.placeholder"]
    assert here.page.inner_text("#status") == words["greeting.both"]
    here.until("document.querySelector('#expression').length > 10")
    assert words["expression.happy"] in here.page.inner_text("#expression")
    assert here.console_errors == []
    here.close()


def test_from_right_to_left_sides_change_and_directions_do_not(
    browser: Any, standing: Standing
) -> None:
    here = Visit(browser, "about:blank", locale="de", **PHONE)
    turned = german() | {"page.direction": "rtl"}
    here.page.route("**/words/de.json", lambda route: route.fulfill(json=turned))
    here.page.goto(standing.url)
    here.talk()
    assert here.ask("document.documentElement.dir") == "rtl"
    assert here.ask("document.documentElement.scrollWidth") <= 360

    def left(selector: str) -> float:
        return here.page.locator(selector).bounding_box()["x"]

    assert left("#self") < 100 < left("#microphone")
    assert left("#leave") < left("#microphone")
    here.page.focus("#microphone")
    here.page.keyboard.press("ArrowLeft")  # to the one at its left
    assert here.ask("document.activeElement.id") == "camera"
    here.close()


def test_where_words_do_not_come_it_is_english(browser: Any, standing: Standing) -> None:
    here = Visit(browser, "about:blank", locale="ja")
    here.page.route("**/words/ja.json", lambda route: route.abort())
    here.page.goto(standing.url)
    here.until("document.querySelector('#status').textContent === ''")
    assert here.page.is_visible("#talk")
    assert here.page.inner_text("#talk") == "Start talking"
    assert here.ask(LANGUAGE) == ["en", "ltr", "Avatar"]
    french = json.loads((FOLDER / "words" / "fr.json").read_text(encoding="utf-8"))
    here.page.route("**/words/en.json", lambda route: route.abort(), times=1)  # and then it does
    here.page.goto(f"{standing.url}?lang=fr")
    here.until(f"document.title === {french['page.title']!r}")
    here.until("document.querySelector('#status').textContent === ''")
    assert here.page.inner_text("#watch") == french["start.watch"]
    here.close()
