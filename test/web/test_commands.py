"""Expression and gaze from the page: what reaches the avatar, what is refused, when it is over."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from web_fixture import Browser, WebFixture, run_with_server

from avatar_forcing_ros.rig.expressions import EXPRESSIONS, NEUTRAL, Expression
from avatar_forcing_ros.runtime.status import AvatarStatus
from avatar_forcing_ros.streaming.directed_motion import GazeTarget
from avatar_forcing_ros.web import middleware
from avatar_forcing_ros.web.backend import LiveBackend

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("expression", {"json": {"name": "hungry"}}, "got 'hungry'"),
    ("expression", {"json": {"name": ""}}, "neutral, angry"),
    ("expression", {"json": {"name": 7}}, "got 7"),
    ("expression", {"json": {"name": "x" * 5_000}}, "xx…"),
    ("expression", {"json": {"smile": 1}}, "name or valence or arousal, got 'smile'"),
    ("expression", {"json": {}}, "got none"),
    ("expression", {"data": b'{"valence": NaN}'}, "valence: expected a number from -1 to 1"),
    ("expression", {"json": {"valence": 0.5, "arousal": 1.5}}, "arousal: expected a number"),
    ("expression", {"json": {"arousal": "1"}}, "got '1'"),
    ("expression", {"json": {"arousal": None}}, "got none"),
    ("expression", {"data": b"happy"}, "a JSON object"),
    ("look_at", {"json": {}}, "left or up"),
    ("look_at", {"json": [10, 20]}, "a JSON object"),
    ("look_at", {"data": b'{"left": Infinity}'}, "left: expected a number from -90 to 90"),
    ("look_at", {"data": b'{"left": 1, "up": NaN}'}, "up: expected"),
    ("look_at", {"data": b'{"left": 1' + b"0" * 1_000 + b"}"}, "left: expected"),
    ("look_at", {"json": {"left": True}}, "got True"),
    ("look_at", {"json": {"up": -91}}, "got -91"),
]


class CommandBackend(LiveBackend):
    """Notes what it is commanded; `changes` are those of its status."""

    def __init__(self, *more: Any) -> None:
        super().__init__(*more)
        self.expressions: list[Expression] = []
        self.targets: list[GazeTarget] = []
        self.changes: dict[str, Any] = {}

    @property
    def status(self) -> AvatarStatus:
        return replace(super().status, **self.changes)

    def push_expression(self, expression: Expression) -> None:
        self.expressions.append(expression)
        super().push_expression(expression)

    def push_gaze_target(self, target: GazeTarget) -> None:
        self.targets.append(target)
        super().push_gaze_target(target)


def commanded(fixture: WebFixture) -> CommandBackend:
    assert isinstance(fixture.backend, CommandBackend)
    return fixture.backend


async def ask(fixture: WebFixture, path: str, key: str, **body: Any) -> None:
    status, reply = await fixture.post(f"/api/{path}", key=key, json=body)
    assert (status, reply) == (200, {})


def test_the_speaker_commands_expression_and_gaze() -> None:
    async def talk(fixture: WebFixture) -> None:
        backend, browser = commanded(fixture), Browser(fixture)
        await browser.join()
        assert (await fixture.state(browser.key))["expression"] == NEUTRAL
        await ask(fixture, "expression", browser.key, name=" Happy ")
        assert (await fixture.state())["expression"] == "happy"
        await ask(fixture, "expression", browser.key, valence=0.5, arousal=-1)
        assert (await fixture.state())["expression"] == ""
        await ask(fixture, "look_at", browser.key, left=30, up=-15.5)
        await ask(fixture, "look_at", browser.key, up=90)
        assert backend.expressions == [Expression("happy"), Expression("", 0.5, -1.0)]
        assert [
            (math.degrees(one.yaw_rad), math.degrees(one.pitch_rad)) for one in backend.targets
        ] == [pytest.approx((30, 15.5)), pytest.approx((0, -90))]
        await browser.connection.close()

    run_with_server(talk, backend=CommandBackend)


def test_the_names_can_be_asked_for() -> None:
    async def talk(fixture: WebFixture) -> None:
        async with fixture.client.get("/api/expressions") as reply:
            names = (await reply.json())["names"]
        assert tuple(names) == EXPRESSIONS
        assert names[0] == NEUTRAL

    run_with_server(talk)


def test_what_is_no_command_is_answered_by_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "CHANGE_BURST", 100)

    async def talk(fixture: WebFixture) -> None:
        backend, browser = commanded(fixture), Browser(fixture)
        await browser.join()
        for path, body, sentence in REFUSED:
            status, reply = await fixture.post(f"/api/{path}", key=browser.key, **body)
            assert (status, body) == (400, body)
            assert sentence in reply["error"]
            assert len(reply["error"]) < 500
        assert backend.expressions == backend.targets == []
        await browser.connection.close()

    run_with_server(talk, backend=CommandBackend)


@pytest.mark.parametrize("path", ["expression", "look_at"])
def test_others_command_nothing(path: str) -> None:
    async def talk(fixture: WebFixture) -> None:
        backend, viewer = commanded(fixture), Browser(fixture)
        await viewer.join("viewer")
        body = {"name": "happy", "left": 3}
        for key, who in ((viewer.key, "viewer"), ("guessed", "stranger")):
            status, reply = await fixture.post(f"/api/{path}", key=key, json=body)
            assert status == 403
            assert who in reply["error"]
        assert backend.expressions == backend.targets == []
        await viewer.connection.close()

    run_with_server(talk, backend=CommandBackend)


def test_without_an_avatar_on_the_graph_the_sentence_says_so() -> None:
    async def talk(fixture: WebFixture) -> None:
        backend, browser = commanded(fixture), Browser(fixture)
        await browser.join()
        backend.changes = {"connected": False, "warning": "no avatar on the graph"}
        for path, body in (("expression", {"name": "sad"}), ("look_at", {"up": 1})):
            status, reply = await fixture.post(f"/api/{path}", key=browser.key, json=body)
            assert status == 422
            assert "got no avatar on the graph" in reply["error"]
        assert backend.expressions == backend.targets == []
        await browser.connection.close()

    run_with_server(talk, backend=CommandBackend)


def test_an_expression_ends_with_the_turn() -> None:
    async def talk(fixture: WebFixture) -> None:
        backend, speaker, viewer = commanded(fixture), Browser(fixture), Browser(fixture)
        await speaker.join()
        await viewer.join("viewer")
        await ask(fixture, "expression", speaker.key, name="sad")
        await fixture.post("/api/request_turn", key=viewer.key)
        await fixture.post("/api/hand_over", key=speaker.key)
        assert backend.expressions == [Expression("sad"), Expression(NEUTRAL)]
        assert (await fixture.state())["expression"] == NEUTRAL
        new = Browser(fixture)
        await new.join("speaker", viewer.key)
        await ask(fixture, "expression", new.key, name="happy")
        for key in (speaker.key, new.key):  # the last one leaves, and the backend is stopped
            await fixture.post("/api/leave", key=key)
        assert backend.expressions[2:] == [Expression("happy"), Expression(NEUTRAL)]
        for browser in (speaker, viewer, new):
            await browser.connection.close()

    run_with_server(talk, backend=CommandBackend)


def test_an_avatar_that_began_anew_shows_no_expression() -> None:
    async def talk(fixture: WebFixture) -> None:
        backend, browser = commanded(fixture), Browser(fixture)
        await browser.join()
        await ask(fixture, "expression", browser.key, name="sad")
        # still the same conversation, only its status is lost for a while
        for changes in ({"blocks": 90}, {"blocks": 0, "connected": False}, {"blocks": 91}):
            backend.changes = changes
            await fixture.sessions.check_connections()
            assert (await fixture.state())["expression"] == "sad"
        backend.changes = {"blocks": 2}
        await fixture.sessions.check_connections()
        assert (await fixture.state())["expression"] == NEUTRAL
        await browser.connection.close()

    run_with_server(talk, backend=CommandBackend)


def test_the_live_backend_hands_commands_to_its_avatar(monkeypatch: pytest.MonkeyPatch) -> None:
    async def talk(fixture: WebFixture) -> None:
        got: list[Any] = []
        monkeypatch.setattr(fixture.avatar, "push_expression", got.append)
        monkeypatch.setattr(fixture.avatar, "push_gaze_target", got.append)
        browser = Browser(fixture)
        await browser.join()
        await ask(fixture, "expression", browser.key, name="happy")
        await ask(fixture, "look_at", browser.key, left=0)
        assert got == [Expression("happy"), GazeTarget(0.0, 0.0)]
        await browser.connection.close()

    run_with_server(talk)
