"""A user speaks into the page, and the avatar answers: over WebRTC, with a model of our own."""

from __future__ import annotations

import asyncio
from typing import Any

import av
import numpy as np
import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from aiohttp import web
from aiortc import AudioStreamTrack
from model_server import model_server
from spoken import Synthesizer
from web_fixture import Browser, WebFixture, web_fixture

from avatar_forcing_ros.config import ResponderConfig
from avatar_forcing_ros.responder.partner import partner_of


class Microphone(AudioStreamTrack):
    """A room; `speaks` is whether somebody does."""

    def __init__(self) -> None:
        super().__init__()
        self.speaks = False
        self._random = np.random.default_rng(0)

    async def recv(self) -> av.AudioFrame:
        frame = await super().recv()
        at_s = (frame.pts + np.arange(frame.samples)) / frame.sample_rate
        buzz = sum(np.sin(2 * np.pi * 150 * k * at_s) / k for k in range(1, 8))
        values = 3_000 * self.speaks * buzz + 3 * self._random.standard_normal(frame.samples)
        frame.planes[0].update(values.astype(np.int16).tobytes())
        return frame


async def captions(fixture: WebFixture) -> list[tuple[str, str]]:
    async with fixture.client.get("/api/captions") as reply:
        return [(one["who"], one["text"]) for one in (await reply.json())["captions"]]


async def say_something(fixture: WebFixture, microphone: Microphone) -> None:
    """Speak until the page shows it, then pause."""
    microphone.speaks = True
    await fixture.until(lambda state: state["responder_state"] == "hearing")
    microphone.speaks = False


async def broken(request: web.Request) -> web.Response:
    return web.Response(status=503, text="loading the model")


def test_the_avatar_answers_is_interrupted_and_says_what_fails() -> None:
    synthesizer = Synthesizer(length_s=0.4)  # each word is a sentence to it

    async def talk(fixture: WebFixture, model: Any) -> None:
        microphone = Microphone()
        browser = Browser(fixture, microphone)
        await browser.join()
        assert (await fixture.state())["responds"]
        model.answers = ["Nice.", " Bye."]
        await say_something(fixture, microphone)
        await fixture.until(lambda state: state["captions"] == 3)
        assert await captions(fixture) == [("user", "Hello"), ("avatar", "Nice."),
                                           ("avatar", "Bye.")]  # fmt: skip
        # a long answer is interrupted
        synthesizer.length_s, model.heard = 20.0, "More"
        model.answers = ["Long.", " Longer.", " Longest."]
        await say_something(fixture, microphone)
        await fixture.until(lambda state: state["captions"] == 5)
        assert (await fixture.state())["waiting_avatar_audio_samples"] > 10 * 16_000
        model.heard, model.chat = "Stop", broken
        await say_something(fixture, microphone)
        assert (await fixture.state())["waiting_avatar_audio_samples"] == 0
        state = await fixture.until(lambda state: "status 503" in state["responder_state"])
        assert "loading" not in state["responder_state"]
        assert state["responder_failures"] == 1
        assert (await captions(fixture))[3:] == [
            ("user", "More"),
            ("avatar", "Long."),
            ("user", "Stop"),
        ]
        assert [message["content"] for message in model.asked[-1]["messages"]] == [
            *("Be short.", "Hello", "Nice. Bye.", "More", "Long.", "Stop")
        ]
        # nothing of it is left for the next one
        await fixture.post("/api/leave", key=browser.key)
        assert await captions(fixture) == []
        assert (await fixture.state())["responder_state"] == ""
        await browser.connection.close()

    async def run() -> None:
        async with model_server() as model:
            config = ResponderConfig(
                responder=model.url, listener=model.url, responder_prompt="Be short."
            )
            async with web_fixture(partner=partner_of(config), synthesizer=synthesizer) as fixture:
                await talk(fixture, model)

    asyncio.run(run())
