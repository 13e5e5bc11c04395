"""Servers with OpenAI's Realtime interface, on this machine, in each dialect that they have."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from aiohttp import WSMsgType, web
from numpy.typing import NDArray

HEARD, ANSWER = " Hello. ", ["Hi", " there. ", "Who are", " you?"]
CREATED = "session.created"
INPUT = {"format": {"type": "audio/pcm", "rate": 24_000}, "turn_detection": {"type": "server_vad"}}
# what each says first, as far as it matters
OPENAI = {"type": CREATED, "session": {"type": "realtime", "audio": {"input": INPUT}}}
LOCALAI = {
    "type": CREATED,
    "session": {"audio": {"input": {"turn_detection": {"type": "server_vad"}}}},
}
SPEACHES = {
    "type": CREATED,
    "session": {"modalities": ["audio", "text"], "input_audio_format": "pcm16"},
}
VLLM = {"type": CREATED, "id": "sess-1", "created": 1}
TRANSCRIBED = "conversation.item.input_audio_transcription.completed"


class Realtime:
    """A handler that talks one of the dialects; `sent` is what was sent to it."""

    def __init__(self, greeting: dict[str, Any] = OPENAI) -> None:
        self.greeting, self.sent = greeting, list[dict[str, Any]]()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        socket = await accepted(request, self.greeting)
        async for message in socket:
            assert message.type is WSMsgType.TEXT
            self.sent.append(json.loads(message.data))
            for event in self.replies(self.sent[-1]):
                await socket.send_json(event)
        return socket

    def replies(self, event: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """What it says to the event."""
        match event["type"]:
            case "session.update":
                yield {"type": "session.updated", "session": {}}
            case "input_audio_buffer.commit" if self.greeting is not VLLM:
                yield {"type": "input_audio_buffer.committed", "item_id": "item_1"}
                yield {"type": TRANSCRIBED, "item_id": "item_1", "transcript": HEARD}
            case "input_audio_buffer.commit" if event.get("final"):
                yield {"type": "transcription.delta", "delta": HEARD}
                yield {"type": "transcription.done", "text": HEARD}
            case "response.create":
                older = self.greeting is SPEACHES
                kind = "response.text.delta" if older else "response.output_text.delta"
                yield {"type": "response.created", "response": {"status": "in_progress"}}
                yield from ({"type": kind, "delta": piece} for piece in ANSWER)
                yield {"type": "response.done", "response": {"status": "completed"}}

    @property
    def sound(self) -> NDArray[np.int16]:
        """All that was appended, ``[n]``."""
        parts = [base64.b64decode(event["audio"]) for event in self.sent if "audio" in event]
        return np.frombuffer(b"".join(parts), "<i2")


async def accepted(
    request: web.Request, greeting: dict[str, Any] = OPENAI
) -> web.WebSocketResponse:
    """A connection on which the server has said who it is."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.send_json(greeting)
    return socket
