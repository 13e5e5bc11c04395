"""A server with OpenAI's interface, on this machine, that answers what a test has it answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from aiohttp import web
from aiohttp.test_utils import TestServer

from avatar_forcing_ros.responder.transcript import Message

CHAT, TRANSCRIPTIONS = "/v1/chat/completions", "/v1/audio/transcriptions"
REALTIME = "/v1/realtime"
ASKED = [Message("user", "Hello"), Message("avatar", "Hi"), Message("user", "Who are you?")]
SOUND = np.linspace(-1, 1, 1_600, dtype=np.float32)
KEY = "a-secret-key"


def event(text: str, ended: bool = False) -> str:
    """One piece of a streamed answer."""
    choice = {"delta": {"content": text}, "finish_reason": "stop" if ended else None}
    return f"data: {json.dumps({'choices': [choice]})}\n\n"


class ModelServer:
    """`heard` is what it hears in any sound; `chat`, `hear` and `realtime` may be replaced."""

    def __init__(self) -> None:
        self.heard, self.answers = "Hello", ["Hi", " there. ", "Who are", " you?"]
        self.asked: list[dict[str, Any]] = []
        self.sounds: list[bytes] = []
        self.fields: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.queries: list[dict[str, str]] = []
        self.chat, self.hear = self.stream, self.transcribe
        self.realtime = reply(status=404)
        self.url = self.ws_url = ""

    async def stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b": a comment\n\n")
        for text in self.answers:
            await response.write(event(text).encode())
        await response.write(b'data: {"choices": [], "usage": {}}\n\ndata: [DONE]\n\n')
        return response

    async def transcribe(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"text": self.heard})

    async def on_chat(self, request: web.Request) -> web.StreamResponse:
        self.headers.append(dict(request.headers))
        self.asked.append(await request.json())
        return await self.chat(request)

    async def on_sound(self, request: web.Request) -> web.StreamResponse:
        self.headers.append(dict(request.headers))
        form = await request.post()
        file = form["file"]
        assert isinstance(file, web.FileField)
        self.sounds.append(file.file.read())
        self.fields.append({name: str(value) for name, value in form.items() if name != "file"})
        return await self.hear(request)

    async def on_realtime(self, request: web.Request) -> web.StreamResponse:
        self.headers.append(dict(request.headers))
        self.queries.append(dict(request.query))
        return await self.realtime(request)


def reply(**about: Any) -> Any:
    """A handler that answers so whatever is asked."""

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(**about)

    return handler


@asynccontextmanager
async def model_server() -> AsyncIterator[ModelServer]:
    """One that listens on a port of its own."""
    server = ModelServer()
    app = web.Application(client_max_size=8 << 20)
    app.router.add_post(CHAT, server.on_chat)
    app.router.add_post(TRANSCRIPTIONS, server.on_sound)
    app.router.add_get(REALTIME, server.on_realtime)
    async with TestServer(app) as listening:
        server.url = str(listening.make_url("/v1"))
        server.ws_url = server.url.replace("http", "ws", 1)
        yield server


def with_server(test: Callable[[ModelServer], Awaitable[None]]) -> None:
    """Run the test with a server of its own."""

    async def run() -> None:
        async with model_server() as server:
            await asyncio.wait_for(test(server), 60)

    asyncio.run(run())


@asynccontextmanager
async def mail_server() -> AsyncIterator[int]:
    """The port of a server that speaks something else."""

    async def hang_up(reader: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail server ready\r\n")
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1")
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
