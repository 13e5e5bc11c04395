"""A server with OpenAI's interface, on this machine, that answers what a test has it answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

CHAT, TRANSCRIPTIONS = "/v1/chat/completions", "/v1/audio/transcriptions"


def event(text: str, ended: bool = False) -> str:
    """One piece of a streamed answer."""
    choice = {"delta": {"content": text}, "finish_reason": "stop" if ended else None}
    return f"data: {json.dumps({'choices': [choice]})}\n\n"


class ModelServer:
    """`heard` is what it hears in any sound, `chat` and `hear` may be replaced by a handler."""

    def __init__(self) -> None:
        self.heard, self.answers = "Hello", ["Hi", " there. ", "Who are", " you?"]
        self.asked: list[dict[str, Any]] = []
        self.sounds: list[bytes] = []
        self.fields: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.chat, self.hear = self.stream, self.transcribe
        self.url = ""

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


@asynccontextmanager
async def model_server() -> AsyncIterator[ModelServer]:
    """One that listens on a port of its own."""
    server = ModelServer()
    app = web.Application(client_max_size=8 << 20)
    app.router.add_post(CHAT, server.on_chat)
    app.router.add_post(TRANSCRIPTIONS, server.on_sound)
    async with TestServer(app) as listening:
        server.url = str(listening.make_url("/v1"))
        yield server
