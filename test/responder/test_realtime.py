"""Servers with OpenAI's Realtime interface: what they are sent, and the ways they may fail."""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("aiohttp")

from aiohttp import web
from model_server import (
    ASKED,
    KEY,
    SOUND,
    ModelServer,
    mail_server,
    model_server,
    reply,
    with_server,
)
from realtime_server import (
    ANSWER,
    HEARD,
    LOCALAI,
    OPENAI,
    SPEACHES,
    TRANSCRIBED,
    VLLM,
    Realtime,
    accepted,
)

from avatar_forcing_ros.cli.options import add_speech_options, responder_config
from avatar_forcing_ros.errors import ResponderError
from avatar_forcing_ros.responder.partner import partner_of
from avatar_forcing_ros.responder.programs import pcm
from avatar_forcing_ros.responder.realtime import RealtimeListener, RealtimeResponder

UPDATE, COMMIT = "session.update", "input_audio_buffer.commit"


async def answer(server: ModelServer, **more: Any) -> list[str]:
    responder = RealtimeResponder(server.ws_url, **more)
    try:
        return [piece async for piece in responder.respond(ASKED)]
    finally:
        await responder.close()


async def hear(server: ModelServer, sound: Any = SOUND, **more: Any) -> str:
    listener = RealtimeListener(server.ws_url, **more)
    try:
        return await listener.hear(sound)
    finally:
        await listener.close()


@pytest.mark.parametrize(
    ("greeting", "modalities", "assistant"),
    [
        (OPENAI, "output_modalities", "output_text"),
        (LOCALAI, "output_modalities", "output_text"),
        (SPEACHES, "modalities", "text"),
    ],
    ids=["openai", "localai", "speaches"],
)
def test_an_answer_is_asked_for_and_streamed(
    greeting: Any, modalities: str, assistant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for scheme in ("http", "ws", "all"):
        monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:1")  # where nothing is

    def item(role: str, kind: str, text: str) -> Any:
        said = {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
        return {"type": "conversation.item.create", "item": said}

    async def ask(server: ModelServer) -> None:
        realtime = server.realtime = Realtime(greeting)
        assert await answer(server, model="small", key=KEY, prompt="Be kind.") == ANSWER
        asked = {modalities: ["text"], "instructions": "Be kind."}
        assert realtime.sent == [
            item("user", "input_text", "Hello"),
            item("assistant", assistant, "Hi"),
            item("user", "input_text", "Who are you?"),
            {"type": "response.create", "response": asked},
        ]
        assert server.queries == [{"model": "small"}]
        assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
        assert "Sec-WebSocket-Extensions" not in server.headers[0]  # no compression
        server.ws_url += "/realtime"
        await answer(server)
        assert server.queries[1] == {}
        assert "Authorization" not in server.headers[1]
        assert realtime.sent[-1]["response"] == {modalities: ["text"]}

    with_server(ask)


def test_openai_gets_what_is_said_at_24_khz() -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(25_600) / 16_000).astype(np.float32)

    async def ask(server: ModelServer) -> None:
        realtime = server.realtime = Realtime(OPENAI)
        assert await hear(server, tone, model="tiny", key=KEY) == HEARD
        first, *appended, last = realtime.sent
        about = {
            "format": {"type": "audio/pcm", "rate": 24_000},
            "transcription": {"model": "tiny"},
            "turn_detection": None,
        }
        session = {"type": "transcription", "audio": {"input": about}}
        assert first == {"type": UPDATE, "session": session}
        assert {event["type"] for event in appended} == {"input_audio_buffer.append"}
        assert len(appended) == 2  # 1.6 s
        assert last == {"type": COMMIT}
        expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(38_400) / 24_000)
        assert realtime.sound.shape == expected.shape
        inner = slice(1_000, -1_000)
        assert np.abs(realtime.sound / 32_767 - expected)[inner].max() < 1e-3
        assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
        assert KEY not in str(server.queries)

    with_server(ask)


def test_a_server_that_states_no_rate_gets_16_khz() -> None:
    async def ask(server: ModelServer) -> None:
        realtime = server.realtime = Realtime(LOCALAI)
        assert await hear(server) == HEARD
        about = realtime.sent[0]["session"]["audio"]["input"]
        assert about["format"]["rate"] == 16_000
        assert about["transcription"] == {}
        assert realtime.sound.tobytes() == pcm(SOUND)

    with_server(ask)


def test_vllm_gets_a_model_two_commits_and_16_khz() -> None:
    async def ask(server: ModelServer) -> None:
        realtime = server.realtime = Realtime(VLLM)
        assert await hear(server, model="voxtral") == HEARD
        sound = base64.b64encode(pcm(SOUND)).decode()
        assert realtime.sent == [
            {"type": UPDATE, "model": "voxtral"},
            {"type": COMMIT},
            {"type": "input_audio_buffer.append", "audio": sound},
            {"type": COMMIT, "final": True},
        ]

    with_server(ask)


def test_the_model_is_in_the_address_but_of_openais_transcription() -> None:
    async def ask(server: ModelServer) -> None:
        server.realtime = Realtime()
        await hear(server, model="tiny")
        await hear(server)
        transcription = {"intent": "transcription"}
        assert server.queries == [transcription | {"model": "tiny"}, transcription]
        assert RealtimeListener("wss://api.openai.com/v1", "tiny")._query == transcription

    with_server(ask)


def test_pieces_come_as_they_come() -> None:
    go_on = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        socket = await accepted(request)
        await socket.send_json({"type": "response.output_text.delta", "delta": "One."})
        await go_on.wait()
        await socket.send_json({"type": "response.output_text.delta", "delta": " Two."})
        await socket.send_json({"type": "response.done", "response": {"status": "completed"}})
        await socket.receive()
        return socket

    async def ask(server: ModelServer) -> None:
        server.realtime = slow
        responder = RealtimeResponder(server.ws_url)
        pieces = responder.respond(ASKED)
        assert await anext(pieces) == "One."
        go_on.set()
        assert [piece async for piece in pieces] == [" Two."]
        await responder.close()

    with_server(ask)


@pytest.mark.parametrize("who", ["responder", "listener"])
def test_who_gives_up_closes_the_connection(who: str) -> None:
    asked, closed = asyncio.Event(), asyncio.Event()

    async def wait(request: web.Request) -> web.StreamResponse:
        socket = await accepted(request)
        await socket.send_json({"type": "response.output_text.delta", "delta": "One."})
        async for message in socket:
            if json.loads(message.data)["type"] in (COMMIT, "response.create"):
                asked.set()
        closed.set()
        return socket

    async def ask(server: ModelServer) -> None:
        server.realtime = wait
        if who == "responder":
            responder = RealtimeResponder(server.ws_url)
            pieces = responder.respond(ASKED)
            assert await anext(pieces) == "One."
            await pieces.aclose()
            await closed.wait()
            await responder.close()
            return
        hearing = asyncio.ensure_future(hear(server))
        await asked.wait()
        hearing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hearing
        await closed.wait()

    with_server(ask)


def saying(*messages: str | bytes | dict[str, Any], greets: bool = True) -> Any:
    """A handler that says this, whatever it is sent, and hangs up."""

    async def handler(request: web.Request) -> web.StreamResponse:
        socket = await accepted(request) if greets else web.WebSocketResponse()
        await socket.prepare(request)
        for message in messages:
            if isinstance(message, bytes):
                await socket.send_bytes(message)
            else:
                text = message if isinstance(message, str) else json.dumps(message)
                await socket.send_str(text)
        return socket

    return handler


def done(status: object) -> dict[str, Any]:
    details = {"error": {"message": f"no quota; your key is {KEY}"}}
    return {"type": "response.done", "response": {"status": status, "status_details": details}}


async def breaking_off(request: web.Request) -> web.StreamResponse:
    socket = await accepted(request)
    await socket.send_json({"type": "response.output_text.delta", "delta": "Half a"})
    assert request.transport
    request.transport.abort()
    return socket


async def hanging_up(request: web.Request) -> web.StreamResponse:
    socket = await accepted(request)
    await socket.send_json(ERROR)
    assert request.transport
    request.transport.close()
    return socket


async def wrong_handshake(request: web.Request) -> web.StreamResponse:
    headers = {"Upgrade": "websocket", "Connection": "upgrade", "Sec-WebSocket-Accept": "x"}
    return web.Response(status=101, headers=headers)


ERROR = {"type": "error", "error": {"message": f"no such model; your key is {KEY}"}}
PIECE = {"type": "response.output_text.delta", "delta": "Half a"}
LARGE = {"type": "response.created", "response": "a" * 200_000}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
BAD: list[tuple[Handler, str]] = [
    (reply(status=404), r"no WebSocket \(status 404\)"),
    (reply(status=401, text=f"bad key {KEY}"), r"no WebSocket \(status 401\)"),
    (reply(status=307, headers={"Location": "http://169.254.169.254/"}), "a redirect"),
    (reply(text="Hello!"), r"no WebSocket \(status 200\)"),
    (wrong_handshake, "no WebSocket"),
    (saying(ERROR, greets=False), "an error that it reports"),
    (saying({"type": "error", "error": f"a text; {KEY}"}, greets=False), "an error that it"),
    (saying(greets=False), "ended before"),
    (saying(), "ended before"),
    (saying(ERROR), "an error that it reports"),
    (hanging_up, "an error that it reports"),
    (saying("{"), "got something else"),
    (saying("[1]"), "got something else"),
    (saying(b"{}"), "messages of text, got one of bytes"),
    (saying({"type": "response.created", "response": "a" * 300_000}), "at most 256 kB"),
    (saying(*[LARGE] * 6), "at most 1 MB"),
    (breaking_off, "ended before|broke off"),
]
BAD_ANSWERS: list[tuple[Handler, str]] = [
    (saying(PIECE), "ended before"),
    (saying(PIECE, done("failed")), "one that is failed"),
    (saying(done("incomplete")), "one that is incomplete"),
    (saying(done("cancelled")), "one that is cancelled"),
    (saying(done("http://169.254.169.254/")), "something else"),
    (saying({"type": "response.done", "response": 5}), "something else"),
    (saying({"type": "response.output_text.delta", "delta": 5}), "words of an answer"),
]
NOT_HEARD = "conversation.item.input_audio_transcription.failed"
BAD_TRANSCRIPTIONS: list[tuple[Handler, str]] = [
    (saying({"type": TRANSCRIBED, "transcript": 5}), "a text, got none"),
    (saying({"type": NOT_HEARD, "error": {"message": KEY}}), "an error that it reports"),
    (Realtime(SPEACHES), "give the address of its HTTP interface"),
    (saying({"type": "session.created", "session": 5}, greets=False), "older format"),
]


@pytest.mark.parametrize(
    ("ask", "handler", "got"),
    [(answer, *bad) for bad in BAD + BAD_ANSWERS]
    + [(hear, *bad) for bad in BAD + BAD_TRANSCRIPTIONS],
)
def test_what_goes_wrong_is_one_sentence_without_secrets(
    ask: Any, handler: Handler, got: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def run(server: ModelServer) -> None:
        server.realtime = handler
        with pytest.raises(ResponderError, match=got) as caught:
            await ask(server, key=KEY)
        sentence = str(caught.value)
        assert sentence.startswith(("responder: expected", "listener: expected"))
        # the page shows it to whoever watches
        assert not [word for word in (KEY, "127.0.0.1", "169.254") if word in sentence]

    with_server(run)
    assert KEY not in caplog.text


def test_a_redirect_is_not_followed() -> None:
    async def run(server: ModelServer) -> None:
        async with model_server() as other:
            other.realtime = Realtime()
            for status in (301, 302, 303, 307, 308):
                headers = {"Location": f"{other.url}/realtime"}
                server.realtime = reply(status=status, headers=headers)
                with pytest.raises(ResponderError, match=f"a redirect .status {status}"):
                    await answer(server, key=KEY)
            assert other.headers == []

    with_server(run)


def test_nobody_there_and_no_http_are_sentences() -> None:
    async def run(server: ModelServer) -> None:
        async with mail_server() as port:
            server.ws_url = f"ws://127.0.0.1:{port}"
            with pytest.raises(ResponderError, match=r"no HTTP|broke off"):
                await answer(server)
        with pytest.raises(ResponderError, match="no connection"):
            await hear(server)

    with_server(run)


def test_flags_make_a_partner_that_talks_over_websocket(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(KEY)

    async def talk(server: ModelServer) -> None:
        realtime = server.realtime = Realtime()
        parser = argparse.ArgumentParser()
        add_speech_options(parser)
        flags = ["--responder", server.ws_url, "--responder-key-file", str(key)]
        flags += ["--listener", server.ws_url, "--listener-model", "tiny"]
        flags += ["--responder-model", "small", "--responder-prompt", "Be short."]
        parsed = parser.parse_args(flags, argparse.Namespace(config=None))
        partner = partner_of(responder_config(parsed))
        assert partner.listener
        assert partner.responder
        assert await partner.listener.hear(SOUND) == HEARD
        assert [piece async for piece in partner.responder.respond(ASKED)] == ANSWER
        assert realtime.sent[-1]["response"]["instructions"] == "Be short."
        assert [query["model"] for query in server.queries] == ["tiny", "small"]
        # each key goes to its own address alone
        keys = [headers.get("Authorization") for headers in server.headers]
        assert keys == [None, f"Bearer {KEY}"]
        await partner.listener.close()
        await partner.responder.close()

    with_server(talk)
