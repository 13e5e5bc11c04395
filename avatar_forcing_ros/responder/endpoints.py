"""Listener and responder that are servers with OpenAI's HTTP interface.

llama.cpp, Ollama, vLLM and speaches have it, among others.
"""

from __future__ import annotations

import io
import wave
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.responder.programs import pcm, roles
from avatar_forcing_ros.responder.server import MAX_NOTES_BYTES, MAX_REPLY_BYTES, Server
from avatar_forcing_ros.responder.transcript import Message
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

MAX_LINE_BYTES = 64_000
CHAT, TRANSCRIPTIONS = "/chat/completions", "/audio/transcriptions"
DONE = "[DONE]"


class _Endpoint(Server):
    """What is asked by a POST."""

    @asynccontextmanager
    async def _reply(self, **body: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to a POST; ResponderError unless it is one that may be used."""
        with self._reporting():
            async with self._session.post(
                self._url, headers=self._headers, allow_redirects=False, **body
            ) as reply:
                await self._check(reply)
                yield reply

    async def _check(self, reply: aiohttp.ClientResponse) -> None:
        if reply.status // 100 == 3:
            self._refuse_redirect(reply)
        if reply.status != 200:
            notes = await reply.content.read(MAX_NOTES_BYTES)
            self._log(f"status {reply.status}: {notes.decode(errors='replace')}")
            raise self._failed("an answer", f"status {reply.status}")
        if reply.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise self._failed("an answer that is not compressed", "one that is")


class TranscriptionEndpoint(_Endpoint):
    """A Listener: ``POST …/audio/transcriptions``."""

    def __init__(self, url: str, model: str = "", key: str = "") -> None:
        super().__init__("listener", url, TRANSCRIPTIONS, model, key)

    async def hear(self, samples: NDArray[np.float32]) -> str:
        """The words in ``[n]``, 16 kHz; raises ResponderError."""
        form = aiohttp.FormData()
        form.add_field("file", wav(samples), filename="speech.wav", content_type="audio/wav")
        form.add_field("response_format", "json")
        if self._model:
            form.add_field("model", self._model)
        async with self._reply(data=form) as reply:
            data = bytearray()
            async for part in reply.content.iter_any():
                data += part
                if len(data) > MAX_LINE_BYTES:
                    raise self._failed(f"at most {MAX_LINE_BYTES // 1000} kB", "more")
        text = self._json(bytes(data)).get("text")
        if not isinstance(text, str):
            raise self._failed("a text", "none")
        return text


class ChatEndpoint(_Endpoint):
    """A Responder: ``POST …/chat/completions``, streamed."""

    def __init__(self, url: str, model: str = "", key: str = "", prompt: str = "") -> None:
        super().__init__("responder", url, CHAT, model, key)
        self._prompt = prompt

    async def respond(self, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        """The answer in pieces, as they come; raises ResponderError."""
        body: dict[str, Any] = {"messages": roles(messages, self._prompt), "stream": True}
        if self._model:
            body["model"] = self._model
        async with self._reply(json=body) as reply:
            if reply.content_type == "application/json":  # one that does not stream
                yield self._text(self._json(await self._whole(reply)), "message")[0]
                return
            async for data in self._events(reply):
                if data == DONE:
                    return
                text, ended = self._text(self._json(data), "delta")
                if text:
                    yield text
                if ended:
                    return
        raise self._failed("an answer with an end", "a connection that ended before")

    async def _whole(self, reply: aiohttp.ClientResponse) -> bytes:
        return b"".join([part async for part in self._parts(reply)])

    async def _parts(self, reply: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        count = 0
        async for part in reply.content.iter_any():
            count += len(part)
            if count > MAX_REPLY_BYTES:
                raise self._failed(f"at most {MAX_REPLY_BYTES >> 20} MB", "more")
            yield part

    async def _events(self, reply: aiohttp.ClientResponse) -> AsyncIterator[str]:
        """The data of server-sent events, each in one line."""
        buffered = b""
        async for part in self._parts(reply):
            *lines, buffered = (buffered + part).split(b"\n")
            for line in lines:
                name, _, value = line.strip().partition(b":")
                if name == b"data":
                    yield value.decode(errors="replace").strip()
            if len(buffered) > MAX_LINE_BYTES:
                raise self._failed(f"lines of at most {MAX_LINE_BYTES // 1000} kB", "more")

    def _text(self, value: dict[str, Any], part: str) -> tuple[str, bool]:
        """The words of a piece, and whether it is the last."""
        choices = value.get("choices")
        if not choices:  # figures of use, at the end
            return "", False
        try:
            choice = choices[0]
            text = (choice.get(part) or {}).get("content") or ""
            ended = choice.get("finish_reason") is not None
        except (AttributeError, LookupError, TypeError):
            text, ended = None, False
        if not isinstance(text, str):
            raise self._failed("words of an answer", "something else")
        return text, ended


def wav(samples: NDArray[np.float32]) -> bytes:
    """Audio ``[n]`` in -1…1 at 16 kHz as a WAV file of 16 bits."""
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(pcm(samples))
    return data.getvalue()
