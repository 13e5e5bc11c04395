"""Listener and responder that are servers with OpenAI's Realtime interface, over WebSocket.

A connection lasts for one turn: the server keeps nothing of it that could differ from what the
page shows. The servers' dialects differ; the greeting (`session.created`) tells which one it is:

- its session has `audio`: OpenAI's present format. LocalAI has it too, but states no sampling
  rate; it takes 16 kHz for what is committed at once;
- its session has no `audio`: OpenAI's older format. speaches has it; turn detection cannot be
  switched off there, so that it may answer but not listen;
- it has no session: vLLM, which listens alone, at 16 kHz.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import numpy as np
import soxr
from numpy.typing import NDArray

from avatar_forcing_ros.responder.programs import pcm, roles
from avatar_forcing_ros.responder.server import MAX_REPLY_BYTES, Server
from avatar_forcing_ros.responder.transcript import Message
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

MAX_MESSAGE_BYTES = 256_000  # the last one repeats the whole answer
CLOSE_TIMEOUT_S = 0.5  # for the server's goodbye; then the connection is cut
APPENDED_BYTES = 48_000  # of sound in one message
OPENAI_HOST, OPENAI_RATE_HZ = "api.openai.com", 24_000
REALTIME = "/realtime"
CREATED, UPDATE = "session.created", "session.update"
APPEND, COMMIT = "input_audio_buffer.append", "input_audio_buffer.commit"
# where the words are in what ends a transcription; the second is vLLM's
TRANSCRIPTS = {
    "conversation.item.input_audio_transcription.completed": "transcript",
    "transcription.done": "text",
}
PIECES = ("response.output_text.delta", "response.text.delta")  # present format, older one
ENDED = "response.done"
UNFINISHED = ("cancelled", "failed", "incomplete")
Event = dict[str, Any]


class _RealtimeServer(Server):
    """Events, which are objects of JSON, to and fro."""

    @contextlib.asynccontextmanager
    async def _connected(
        self, **query: str
    ) -> AsyncIterator[tuple[aiohttp.ClientWebSocketResponse[bool], AsyncIterator[Event]]]:
        """A connection, and what the server says on it; closed at the end of the block."""
        with self._reporting():
            socket = await self._session.ws_connect(
                self._url,
                params=query,
                headers=self._headers,
                compress=0,
                max_msg_size=MAX_MESSAGE_BYTES,
            )
            try:
                yield socket, self._events(socket)
            finally:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(socket.close(), CLOSE_TIMEOUT_S)

    async def _events(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> AsyncIterator[Event]:
        """What the server says; ResponderError at the latest when it says no more."""
        count = 0
        async for message in socket:
            if message.type is aiohttp.WSMsgType.ERROR:
                self._log(str(message.data))
                too_large = socket.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
                bound = f"messages of at most {MAX_MESSAGE_BYTES // 1000} kB"
                raise self._failed(
                    bound if too_large else "messages of a WebSocket",
                    "more" if too_large else "something else",
                )
            if message.type is not aiohttp.WSMsgType.TEXT:
                raise self._failed("messages of text", "one of bytes")
            count += len(message.data.encode())
            if count > MAX_REPLY_BYTES:
                raise self._failed(f"at most {MAX_REPLY_BYTES >> 20} MB", "more")
            yield self._json(message.data)
        self._log(f"closed with code {socket.close_code}")
        raise self._failed("an answer with an end", "a connection that ended before")


class RealtimeListener(_RealtimeServer):
    """A Listener: a session of transcription for each turn."""

    def __init__(self, url: str, model: str = "", key: str = "") -> None:
        super().__init__("listener", url, REALTIME, model, key)
        self._query = {"intent": "transcription"}
        # OpenAI refuses a model in such an address, LocalAI wants one
        if model and urlsplit(url).hostname != OPENAI_HOST:
            self._query["model"] = model

    async def hear(self, samples: NDArray[np.float32]) -> str:
        """The words in ``[n]``, 16 kHz; raises ResponderError."""
        async with self._connected(**self._query) as (socket, events):
            greeting = await _first(events, CREATED)
            await _send(socket, self._turn(greeting.get("session"), samples))
            last = await _first(events, *TRANSCRIPTS)
        text = last.get(TRANSCRIPTS[last["type"]])
        if not isinstance(text, str):
            raise self._failed("a text", "none")
        return text

    def _turn(self, session: object, samples: NDArray[np.float32]) -> Iterator[Event]:
        """What is sent for ``[n]``, 16 kHz; ResponderError where the server takes no such turn."""
        if session is None:  # the first commit has it begin, the second ends the speech
            yield {"type": UPDATE, "model": self._model}
            yield {"type": COMMIT}
            yield from _appended(samples)
            yield {"type": COMMIT, "final": True}
            return
        if not isinstance(session, dict) or not isinstance(session.get("audio"), dict):
            raise self._failed(
                "a server whose detection of turns can be switched off",
                "the interface's older format",
                "give the address of its HTTP interface",
            )
        rate_hz = _rate_hz(session["audio"])
        about = {
            "format": {"type": "audio/pcm", "rate": rate_hz},
            "transcription": {"model": self._model} if self._model else {},
            "turn_detection": None,  # it is over already
        }
        yield {"type": UPDATE, "session": {"type": "transcription", "audio": {"input": about}}}
        if rate_hz != SAMPLE_RATE_HZ:
            samples = soxr.resample(samples, SAMPLE_RATE_HZ, rate_hz)
        yield from _appended(samples)
        yield {"type": COMMIT}


class RealtimeResponder(_RealtimeServer):
    """A Responder: a session of text for each answer, told all that was said before."""

    def __init__(self, url: str, model: str = "", key: str = "", prompt: str = "") -> None:
        super().__init__("responder", url, REALTIME, model, key)
        self._prompt = prompt

    async def respond(self, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        """The answer in pieces, as they come; raises ResponderError."""
        query = {"model": self._model} if self._model else {}
        async with self._connected(**query) as (socket, events):
            session = (await _first(events, CREATED)).get("session")
            is_older = not isinstance(session, dict) or "audio" not in session
            await _send(socket, self._asked(messages, is_older))
            async for event in events:
                if event.get("type") in PIECES:
                    if text := self._piece(event):
                        yield text
                elif event.get("type") == ENDED:
                    self._check_end(event.get("response"))
                    return

    def _asked(self, messages: Sequence[Message], is_older: bool) -> Iterator[Event]:
        kinds = {"user": "input_text", "assistant": "text" if is_older else "output_text"}
        for one in roles(messages, prompt=""):
            content = [{"type": kinds[one["role"]], "text": one["content"]}]
            item = {"type": "message", "role": one["role"], "content": content}
            yield {"type": "conversation.item.create", "item": item}
        response: Event = {"modalities" if is_older else "output_modalities": ["text"]}
        if self._prompt:
            response["instructions"] = self._prompt
        yield {"type": "response.create", "response": response}

    def _piece(self, event: Event) -> str:
        text = event.get("delta")
        if not isinstance(text, str):
            raise self._failed("words of an answer", "something else")
        return text

    def _check_end(self, response: object) -> None:
        """ResponderError unless it says that the answer is complete."""
        about = response if isinstance(response, dict) else {}
        status = about.get("status")
        if status != "completed":
            self._log(f"status {status}: {about.get('status_details')}")
            known = f"one that is {status}" if status in UNFINISHED else "something else"
            raise self._failed("an answer that is complete", known)


async def _send(socket: aiohttp.ClientWebSocketResponse[bool], events: Iterator[Event]) -> None:
    """Whether it came to an end is seen from what the server says, such as why it hung up."""
    with contextlib.suppress(ConnectionError):
        for event in events:
            await socket.send_str(json.dumps(event))


async def _first(events: AsyncIterator[Event], *types: str) -> Event:
    """The first of these types; what comes before it is of no use."""
    while (event := await anext(events)).get("type") not in types:
        pass
    return event


def _appended(samples: NDArray[np.float32]) -> Iterator[Event]:
    """The sound ``[n]`` in messages of no great size."""
    data = pcm(samples)
    for start in range(0, len(data), APPENDED_BYTES):
        part = base64.b64encode(data[start : start + APPENDED_BYTES])
        yield {"type": APPEND, "audio": part.decode()}


def _rate_hz(audio: Event) -> int:
    """The sampling rate for a session's `audio`: OpenAI states its own, LocalAI states none."""
    about = audio.get("input")
    return OPENAI_RATE_HZ if isinstance(about, dict) and about.get("format") else SAMPLE_RATE_HZ
