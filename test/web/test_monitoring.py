"""Protects what balancers and Prometheus ask the page's server, and who may."""

from __future__ import annotations

import importlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from aiortc.mediastreams import AudioStreamTrack
from fakes import fake_session
from web_fixture import SIZE_PX, Browser, WebFixture, find_face, run_with_server

from avatar_forcing_ros.runtime.avatar import Avatar
from avatar_forcing_ros.runtime.status import AvatarStatus
from avatar_forcing_ros.web.access import Access
from avatar_forcing_ros.web.backend import LiveBackend
from avatar_forcing_ros.web.middleware import REQUEST_BURST
from avatar_forcing_ros.web.monitoring import COUNTS, GAUGES, Totals

TOKEN = "a-word-of-24-characters+"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}
Answer = tuple[int, Any]


async def get(fixture: WebFixture, path: str, headers: dict[str, str] | None = None) -> Answer:
    async with fixture.client.get(path, headers=headers) as reply:
        is_json = reply.content_type == "application/json"
        return reply.status, await (reply.json() if is_json else reply.text())


def figures(text: str) -> dict[str, float]:
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


class Elsewhere(LiveBackend):
    """Its avatar is in a state that the test sets."""

    now: dict[str, Any]

    @property
    def status(self) -> AvatarStatus:
        return replace(super().status, **self.now)


def test_it_is_ready_until_somebody_talks() -> None:
    async def ask(fixture: WebFixture) -> None:
        assert await get(fixture, "/healthz") == (200, {"alive": True})
        assert await get(fixture, "/readyz") == (200, {"ready": True})
        browser = Browser(fixture, AudioStreamTrack())
        assert (await browser.join())[0] == 200
        busy = {"ready": False, "reason": "all conversations are taken"}
        assert await get(fixture, "/readyz") == (503, busy)
        for query, status in (("busy=200", 200), ("busy=404", 404), ("busy=500", 503)):
            assert await get(fixture, f"/readyz?{query}") == (status, busy)
        assert (await get(fixture, "/healthz"))[0] == 200
        await fixture.post("/api/leave", key=browser.key)
        assert (await get(fixture, "/readyz"))[0] == 200
        await browser.connection.close()

    run_with_server(ask)


def test_with_several_conversations_it_is_ready_until_all_are_taken() -> None:
    other = Avatar(fake_session(SIZE_PX, 100), lambda where, text: None)

    async def ask(fixture: WebFixture) -> None:
        browsers = [Browser(fixture, AudioStreamTrack()) for _ in range(2)]
        for browser, status in zip(browsers, (200, 503), strict=True):
            assert (await browser.join())[0] == 200
            assert (await get(fixture, "/readyz"))[0] == status
        await fixture.post("/api/leave", key=browsers[0].key)
        assert (await get(fixture, "/readyz"))[0] == 200
        await fixture.post("/api/leave", key=browsers[1].key)
        for browser in browsers:
            await browser.connection.close()

    run_with_server(ask, more_backends=[LiveBackend(other, find_face)])


@pytest.mark.parametrize(
    ("now", "health", "reason"),
    [
        ({"connected": False, "warning": "no avatar on the graph"}, 200, "no avatar on the graph"),
        ({"connected": False, "ended": True, "warning": "it has ended"}, 503, "it has ended"),
    ],
)
def test_an_avatar_that_is_gone_is_told(now: dict[str, Any], health: int, reason: str) -> None:
    async def ask(fixture: WebFixture) -> None:
        assert await get(fixture, "/healthz") == (health, {"alive": health == 200})
        gone = {"ready": False, "reason": reason}
        assert await get(fixture, "/readyz") == (503, gone)
        assert await get(fixture, "/readyz?busy=200") == (503, gone)

    run_with_server(ask, backend=type("Gone", (Elsewhere,), {"now": now}))


def test_where_there_is_a_token_it_is_wanted() -> None:
    async def ask(fixture: WebFixture) -> None:
        for path in ("/healthz", "/readyz", "/metrics"):
            assert (await get(fixture, path))[0] == 401
            assert (await get(fixture, path, {"Authorization": "Bearer other"}))[0] == 401
        assert (await get(fixture, "/healthz", RIGHT))[0] == 200
        assert (await get(fixture, "/readyz", RIGHT))[0] == 200

    run_with_server(ask, Access(False, TOKEN, open_to_viewers=True))


def test_open_health_tells_strangers_yes_or_no_alone() -> None:
    now = {"connected": False, "warning": "no avatar on the graph"}

    async def ask(fixture: WebFixture) -> None:
        assert await get(fixture, "/healthz") == (200, {"alive": True})
        assert await get(fixture, "/readyz") == (503, {"ready": False})
        status, told = await get(fixture, "/readyz", RIGHT)
        assert (status, told["reason"]) == (503, "no avatar on the graph")
        assert (await get(fixture, "/metrics"))[0] == 401

    backend = type("Gone", (Elsewhere,), {"now": now})
    run_with_server(ask, Access(False, TOKEN, open_health=True), backend)


def test_who_asks_too_often_is_refused() -> None:
    async def ask(fixture: WebFixture) -> None:
        answers = [(await get(fixture, "/healthz"))[0] for _ in range(2 * REQUEST_BURST)]
        assert answers[0] == 200
        assert 429 in answers

    run_with_server(ask)


def test_figures_are_prometheus_text() -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    now = {"blocks": 10, "late_blocks": 2, "dropped_user_frames": 3, "playout_delay_ms": 120.0}

    async def ask(fixture: WebFixture) -> None:
        assert (await get(fixture, "/nowhere"))[0] == 404
        browser = Browser(fixture, AudioStreamTrack())
        assert (await browser.join())[0] == 200
        code, text = await get(fixture, "/metrics")
        assert code == 200
        names = {family.name for family in parser.text_string_to_metric_families(text)}
        assert {"avatar_blocks", "avatar_block_compute_seconds", "process_cpu_seconds"} <= names
        told = figures(text)
        assert told["avatar_conversations"] == told["avatar_places"] == 1
        assert told["avatar_ready"] == told["avatar_viewers"] == 0
        assert told['avatar_blocks_total{place="0"}'] == 10
        assert told['avatar_late_blocks_total{place="0"}'] == 2
        assert told['avatar_dropped_inputs_total{input="user_frames",place="0"}'] == 3
        assert told['avatar_playout_delay_seconds{place="0"}'] == 0.12
        assert told['avatar_refused_requests_total{status="404"}'] == 1
        assert told["process_resident_memory_bytes"] > 1e6
        assert told["avatar_children_cpu_seconds_total"] >= 0
        await fixture.post("/api/leave", key=browser.key)
        await browser.connection.close()
        told = figures((await get(fixture, "/metrics"))[1])
        assert (told["avatar_conversations"], told["avatar_ended_conversations_total"]) == (0, 1)
        assert not re.search(r"192\.|127\.", text)  # no addresses of visitors

    run_with_server(ask, backend=type("Busy", (Elsewhere,), {"now": now}))


def test_without_the_package_the_page_goes_on_and_the_figures_say_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import_module = importlib.import_module

    def without(name: str, *arguments: Any) -> Any:
        if name == "prometheus_client":
            raise ModuleNotFoundError("no such module", name=name)
        return import_module(name, *arguments)

    async def ask(fixture: WebFixture) -> None:
        monkeypatch.setattr(importlib, "import_module", without)
        status, told = await get(fixture, "/metrics")
        assert status == 501
        assert "pip install 'avatar_forcing_ros[web]'" in told["error"]
        assert (await get(fixture, "/healthz"))[0] == 200

    run_with_server(ask)


def test_counts_go_on_where_an_avatar_begins_at_zero_again() -> None:
    totals = Totals()
    for blocks, failed, connected in (
        (5, 0, True),
        (9, 1, True),
        (2, 1, True),  # a new conversation, whose failures are counted on
        (0, 0, False),  # out of reach for a while
        (4, 1, True),
        (0, 0, True),
    ):
        totals.observe(AvatarStatus(blocks=blocks, failed_blocks=failed, connected=connected))
    assert (totals["blocks"], totals["failed_blocks"]) == (13, 1)


def test_every_figure_stands_in_the_documents() -> None:
    page = (Path(__file__).parents[2] / "docs/SCALE.md").read_text(encoding="utf-8")
    names = {f"{name}_total" for name, *_ in COUNTS.values()}
    names |= {name for name, *_ in GAUGES.values()}
    told = set(re.findall(r"`(avatar_\w+)`", page))
    assert names <= told
