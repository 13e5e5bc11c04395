"""The part of the page's API that is about what is said: texts, sounds, voices, captions."""

from __future__ import annotations

import asyncio
from pathlib import PurePath
from typing import Any

from aiohttp import web

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.media import AudioChunk
from avatar_forcing_ros.responder.dialogue import Dialogue
from avatar_forcing_ros.responder.protocol import Partner
from avatar_forcing_ros.responder.transcript import Transcript
from avatar_forcing_ros.runtime.speech_synthesis import SpeechSynthesizer, Voice
from avatar_forcing_ros.runtime.speech_text import sanitized_text
from avatar_forcing_ros.strict import nearest
from avatar_forcing_ros.web.access import RefusedError
from avatar_forcing_ros.web.backend import AvatarBackend
from avatar_forcing_ros.web.middleware import read_body
from avatar_forcing_ros.web.requests import MAX_UPLOAD_BYTES, json_body, key_of, result_of
from avatar_forcing_ros.web.session_manager import SessionManager
from avatar_forcing_ros.web.speech import MAX_TEXT_LENGTH, SpeechQueue, required_capacity
from avatar_forcing_ros.web.upload_decoding import UploadDecoder

MAX_NUMBER_LENGTH = 15  # digits of a caption's number


class SpeechRoutes:
    """Lives in the event loop, as long as the server does."""

    def __init__(
        self,
        backend: AvatarBackend,
        sessions: SessionManager,
        decoder: UploadDecoder,
        synthesizer: SpeechSynthesizer,
        partner: Partner,
    ) -> None:
        self._backend, self._sessions, self._decoder = backend, sessions, decoder
        self._synthesizer = synthesizer
        self._transcript = Transcript()
        self._speech = SpeechQueue(
            backend, synthesizer, self._transcript, lambda: sessions.ended_turns
        )
        self._voice = Voice()  # that a text named last, in this turn; answers have it, too
        self._dialogue = Dialogue(partner, self, self._transcript)

    def routes(self) -> list[web.RouteDef]:
        """To be added to the application."""
        return [
            web.get("/api/voices", self._voices),
            web.get("/api/captions", self._captions),
            web.post("/api/speak_text", self._speak_text),
            web.post("/api/speak_audio", self._speak_audio),
            web.post("/api/stop_speaking", self._stop_speaking),
        ]

    def state(self) -> dict[str, Any]:
        """What the page follows of it."""
        return {
            "can_speak_text": self._synthesizer.is_available(),
            "captions": self._transcript.newest,
            "responds": self._dialogue.responds,
            "responder_state": self._dialogue.state or self._speech.failure,
            "responder_failures": self._dialogue.counts["failures"],
        }

    def push_user_audio(self, chunk: AudioChunk) -> None:
        """The speaker's microphone, for what listens."""
        self._dialogue.push_user_audio(chunk)

    def cancel(self) -> None:
        """Nobody is there: nothing more is made of what was said or is to be said."""
        self._dialogue.forget()
        self._speech.cancel()

    def end_turn(self) -> None:
        """Nothing of what was said in it stays."""
        self._dialogue.forget()
        self.silence()
        self._transcript.clear()
        self._voice = Voice()

    async def close(self) -> None:
        """End what runs."""
        self._speech.cancel()
        await self._dialogue.close()

    async def say(self, text: str) -> None:
        """A sentence of an answer, after those before it; raises AvatarForcingError."""
        await self._speech.say(text, self._voice, patient=True)

    def silence(self) -> None:
        """Say nothing of what was to be said; nobody waits for it."""
        if stopped := self._speech.silence():
            stopped.add_done_callback(lambda done: done.cancelled() or done.exception())

    @property
    def speaking(self) -> bool:
        """Whether the avatar is heard, or about to be."""
        return self._speech.speaking

    async def _speak_text(self, request: web.Request) -> web.Response:
        """Text for the avatar to speak, and the voice to do so with."""
        turn = self._require_speaker(request)
        body = await json_body(request)
        plain = sanitized_text(body.get("text"), MAX_TEXT_LENGTH)
        voice = await self._named_voice(body.get("voice"))
        self._sessions.require_same_turn(turn)
        self._voice = voice or self._voice
        waiting_s = await self._speech.say(plain, self._voice)
        self._sessions.require_same_turn(turn)
        return web.json_response({"waiting_s": round(waiting_s, 2)})

    async def _named_voice(self, name: object) -> Voice | None:
        """None where no `name` is given; MediaError for a voice that there is not."""
        if name is None:
            return None
        known = await asyncio.to_thread(self._synthesizer.voices)
        names = [voice.name for voice in known]
        if not isinstance(name, str) or (name and name not in names):
            shown = repr(name)[:40]
            near = nearest(names, name) if isinstance(name, str) else ""
            raise MediaError(
                "voice",
                expected=f"one of the {len(names)} of /api/voices{near}, or none",
                got=shown,
                remedy="choose another",
            )
        return Voice(name=name)

    async def _speak_audio(self, request: web.Request) -> web.Response:
        """Audio for the avatar to speak, a file of any format."""
        turn = self._require_speaker(request)
        data = await read_body(request, MAX_UPLOAD_BYTES)
        required_capacity(self._backend, 0)  # else it would be decoded in vain
        samples = await self._decoder.audio(data, key_of(request))
        self._sessions.require_same_turn(turn)
        waiting_s = await self._speech.play(samples)
        self._sessions.require_same_turn(turn)
        return web.json_response({"waiting_s": round(waiting_s, 2)})

    async def _stop_speaking(self, request: web.Request) -> web.Response:
        """Silence, within a block; an answer in the making is dropped as well."""
        self._require_speaker(request)
        self._dialogue.cancel()
        self._speech.cancel()
        self._speech.note_silence()
        dropped = await result_of(self._backend.stop_speaking())
        return web.json_response({"dropped_samples": dropped})

    async def _voices(self, request: web.Request) -> web.Response:
        """What speaks, and the voices that a text may name."""
        voices = await asyncio.to_thread(self._synthesizer.voices)
        return web.json_response(
            {
                "program": PurePath(self._synthesizer.program).name,
                "voices": [
                    {"name": one.name, "language": one.language, "label": one.label}
                    for one in voices
                ],
            }
        )

    async def _captions(self, request: web.Request) -> web.Response:
        """What was said, after the caption with the number ``after``."""
        text = request.query.get("after", "0")
        if not (text.isascii() and text.isdigit() and len(text) <= MAX_NUMBER_LENGTH):
            raise RefusedError(
                400,
                "after",
                expected="a caption's number",
                got=repr(text[:40]),
                remedy="send that of the newest one, or 0",
            )
        entries = self._transcript.after(int(text))
        return web.json_response(
            {
                "captions": [
                    {
                        "number": one.number,
                        "who": one.who,
                        "text": one.text,
                        "language": one.language,
                    }
                    for one in entries
                ]
            }
        )

    def _require_speaker(self, request: web.Request) -> int:
        """The number of the turn, for `require_same_turn`; RefusedError (403) for others."""
        self._sessions.require_speaker(key_of(request))
        return self._sessions.ended_turns
