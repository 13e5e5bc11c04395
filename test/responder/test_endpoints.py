"""Servers with OpenAI's interface: what they are asked, and every way in which they may fail."""

from __future__ import annotations

import asyncio
import io
import json
import wave
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("aiohttp")

from aiohttp import web
from model_server import ASKED, KEY, SOUND, ModelServer, event, mail_server, reply, with_server

from avatar_forcing_ros.errors import ResponderError
from avatar_forcing_ros.responder.endpoints import ChatEndpoint, TranscriptionEndpoint


async def answer(server: ModelServer, **more: Any) -> list[str]:
    endpoint = ChatEndpoint(server.url, **more)
    try:
        return [piece async for piece in endpoint.respond(ASKED)]
    finally:
        await endpoint.close()


async def hear(server: ModelServer, **more: Any) -> str:
    endpoint = TranscriptionEndpoint(server.url, **more)
    try:
        return await endpoint.hear(SOUND)
    finally:
        await endpoint.close()


def test_an_answer_is_asked_for_and_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # where nothing is

    async def ask(server: ModelServer) -> None:
        pieces = await answer(server, model="small", key=KEY, prompt="Be kind.")
        assert "".join(pieces) == "Hi there. Who are you?"
        assert server.asked == [
            {
                "model": "small",
                "stream": True,
                "messages": [
                    {"role": "system", "content": "Be kind."},
                    {"role": "user", "content": "Hello"},
                    {"role": "assistant", "content": "Hi"},
                    {"role": "user", "content": "Who are you?"},
                ],
            }
        ]
        assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
        assert server.headers[0]["Accept-Encoding"] == "identity"
        server.url += "/chat/completions"
        await answer(server)
        assert "model" not in server.asked[1]
        assert "Authorization" not in server.headers[1]

    with_server(ask)


def test_what_is_said_is_sent_as_a_wav_file() -> None:
    async def ask(server: ModelServer) -> None:
        server.heard = " Hello. "
        assert await hear(server, model="tiny", key=KEY) == " Hello. "
        assert server.fields == [{"response_format": "json", "model": "tiny"}]
        assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
        with wave.open(io.BytesIO(server.sounds[0])) as file:
            assert file.getparams()[:4] == (1, 2, 16_000, 1_600)

    with_server(ask)


def test_servers_that_do_not_stream_are_understood() -> None:
    async def whole(request: web.Request) -> web.Response:
        choice = {"message": {"content": "All at once."}, "finish_reason": "stop"}
        return web.json_response({"choices": [choice]})

    async def ask(server: ModelServer) -> None:
        server.chat = whole
        assert await answer(server) == ["All at once."]

    with_server(ask)


def stream_of(*lines: str, end: Callable[[web.Request], object] = lambda request: None) -> Any:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for line in lines:
            await response.write(line.encode())
        end(request)
        return response

    return handler


def break_off(request: web.Request) -> None:
    assert request.transport
    request.transport.abort()


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    while True:
        await response.write(event("blah " * 1_000).encode())


async def endless_line(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    while True:
        await response.write(b"data: " + b"x" * 10_000)


OF_ERRORS = json.dumps({"error": {"message": f"no model; your key is {KEY}"}})
BAD_ANSWERS: list[tuple[Any, str]] = [
    (reply(status=500, text=OF_ERRORS), "status 500"),
    (reply(status=401, text=f"bad key {KEY}"), "status 401"),
    (reply(status=204), "status 204"),
    (reply(status=307, headers={"Location": "http://169.254.169.254/"}), "a redirect"),
    (reply(text="{", content_type="application/json"), "something else"),
    (reply(text="[1]", content_type="application/json"), "something else"),
    (reply(text=OF_ERRORS, content_type="application/json"), "an error that it reports"),
    (reply(body=b"x", headers={"Content-Encoding": "gzip"}), "not compressed"),
]
BAD_STREAMS: list[tuple[Any, str]] = [
    (reply(text="Hello!"), "a connection that ended before"),
    (stream_of("data: {\n\n"), "something else"),
    (stream_of(f"data: {OF_ERRORS}\n\n"), "an error that it reports"),
    (stream_of('data: {"choices": 5}\n\n'), "words of an answer"),
    (stream_of('data: {"choices": [{"delta": {"content": 5}}]}\n\n'), "words of an answer"),
    (stream_of(event("Half a")), "ended before"),
    (stream_of(event("Half a"), end=break_off), "broke off"),
    (endless, "at most 1 MB"),
    (endless_line, "lines of at most 64 kB"),
]


@pytest.mark.parametrize(("chat", "got"), BAD_ANSWERS + BAD_STREAMS)
def test_a_bad_answer_is_one_sentence_without_secrets(
    chat: Any, got: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def ask(server: ModelServer) -> None:
        server.chat = chat
        with pytest.raises(ResponderError, match=got) as caught:
            await answer(server, key=KEY)
        sentence = str(caught.value)
        assert sentence.startswith("responder: expected")
        # the page shows it to whoever watches
        assert not [word for word in (KEY, "127.0.0.1", "169.254") if word in sentence]

    with_server(ask)
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("heard", "got"),
    [
        *BAD_ANSWERS,
        (reply(text='{"text": 5}', content_type="application/json"), "got none"),
        (reply(text="a" * 100_000), "at most 64 kB"),
    ],
)
def test_a_bad_transcription_is_one_sentence(heard: Any, got: str) -> None:
    async def ask(server: ModelServer) -> None:
        server.hear = heard
        with pytest.raises(ResponderError, match=got) as caught:
            await hear(server, key=KEY)
        assert str(caught.value).startswith("listener: expected")

    with_server(ask)


def test_nobody_there_and_no_http_are_sentences() -> None:
    async def ask(server: ModelServer) -> None:
        async with mail_server() as port:
            server.url = f"http://127.0.0.1:{port}"
            with pytest.raises(ResponderError, match=r"no HTTP|broke off"):
                await answer(server)
        with pytest.raises(ResponderError, match="no connection"):
            await answer(server)

    with_server(ask)


def test_who_gives_up_closes_the_connection() -> None:
    closed = asyncio.Event()

    async def wait(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(event("One.").encode())
        try:
            while True:
                await asyncio.sleep(0.01)
                await response.write(b": still there\n")
        finally:
            closed.set()

    async def ask(server: ModelServer) -> None:
        server.chat = wait
        endpoint = ChatEndpoint(server.url)
        pieces = endpoint.respond(ASKED)
        assert await anext(pieces) == "One."
        await pieces.aclose()
        await closed.wait()
        await endpoint.close()

    with_server(ask)
