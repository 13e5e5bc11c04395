"""The HTTP API of the page: requests to the session manager and to the avatar."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import web
from numpy.typing import NDArray

from avatar_forcing_ros.config import ServerConfig
from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.media import AudioChunk
from avatar_forcing_ros.rig.expressions import EXPRESSIONS
from avatar_forcing_ros.runtime.speech_synthesis import ProgramSynthesizer, SpeechSynthesizer
from avatar_forcing_ros.runtime.speech_text import sanitized_text
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ
from avatar_forcing_ros.web import speech
from avatar_forcing_ros.web.access import Access, RefusedError
from avatar_forcing_ros.web.backend import AvatarBackend
from avatar_forcing_ros.web.commands import read_expression, read_gaze_target, require_avatar
from avatar_forcing_ros.web.middleware import guard, read_body, security_headers
from avatar_forcing_ros.web.portrait_gallery import PortraitGallery
from avatar_forcing_ros.web.portrait_routes import PortraitRoutes
from avatar_forcing_ros.web.requests import key_of, result_of
from avatar_forcing_ros.web.session_manager import CHECK_PERIOD_S, SessionManager
from avatar_forcing_ros.web.share_route import add_share_route
from avatar_forcing_ros.web.static_files import add_static_files
from avatar_forcing_ros.web.upload_decoding import UploadDecoder

MAX_WAITING_SPEECH_S = 120
FILE_PART_BYTES = 1 << 20
MAX_UPLOAD_BYTES = 12 << 20  # a minute of 48 kHz stereo, as WAV, has 11.5 million
MAX_JSON_BYTES = 100_000  # an offer has some 8,000
logger = logging.getLogger(__name__)


class Server:
    """Serves `backend` to those whom `access` lets in."""

    def __init__(
        self,
        backend: AvatarBackend,
        access: Access,
        max_viewers: int = ServerConfig.max_viewers,
        now_s: Callable[[], float] = time.monotonic,
        synthesizer: SpeechSynthesizer | None = None,
        portraits: Sequence[Path] = (),
        first_portrait: str = "",
    ) -> None:
        """`synthesizer` speaks typed text; by default espeak-ng.

        `portraits` are image files to choose from; `first_portrait` names the first one.
        """
        self._backend, self._access = backend, access
        self._synthesizer = synthesizer or ProgramSynthesizer()
        self.sessions = SessionManager(backend, max_viewers, local=access.local, now_s=now_s)
        self._decoder = UploadDecoder()
        self.app = web.Application(middlewares=[guard(access, now_s)])
        self.app.add_routes(
            [
                web.get("/api/state", self._state),
                web.get("/api/expressions", self._expressions),
                web.post("/api/join", self._join),
                web.post("/api/leave", self._leave),
                web.post("/api/request_turn", self._request_turn),
                web.post("/api/withdraw_request", self._withdraw_request),
                web.post("/api/hand_over", self._hand_over),
                web.post("/api/speak_text", self._speak_text),
                web.post("/api/speak_audio", self._speak_audio),
                web.post("/api/stop_speaking", self._stop_speaking),
                web.post("/api/expression", self._express),
                web.post("/api/look_at", self._look_at),
                web.post("/api/record", self._record),
                web.get("/api/recording", self._recording, allow_head=False),
            ]
        )
        gallery = PortraitGallery(portraits, self._decoder, first_portrait)
        PortraitRoutes(backend, self.sessions, self._decoder, gallery).add_to(self.app)
        add_share_route(self.app, access)
        add_static_files(self.app)
        self.app.cleanup_ctx.append(self._check_connections)
        self.app.on_shutdown.append(self._close)

    async def _check_connections(self, app: web.Application) -> AsyncIterator[None]:
        """Check the connections as long as the server lives."""

        async def check() -> None:
            loop = asyncio.get_running_loop()
            while True:
                began_s = loop.time()
                await asyncio.sleep(CHECK_PERIOD_S)
                if loop.time() - began_s > 2 * CHECK_PERIOD_S:
                    continue  # this server stood still: what came meanwhile is counted first
                try:
                    await self.sessions.check_connections()
                except Exception:  # one check that fails must not end the others
                    logger.exception("checking the connections")

        checking = asyncio.ensure_future(check())
        yield
        checking.cancel()
        await asyncio.gather(checking, return_exceptions=True)

    async def _close(self, app: web.Application) -> None:
        await self.sessions.close()

    async def _join(self, request: web.Request) -> web.Response:
        """Offer in, answer and key out."""
        body = await _json_body(request)
        if body.get("role") != "viewer":
            self._access.check_token(request.headers.get("Authorization"))
        answer, key = await self.sessions.join(body.get("sdp"), body.get("role"), body.get("key"))
        if request.transport is None or request.transport.is_closing():
            await self.sessions.abandon(key)  # reloaded, ended or timed out: nobody knows this key
        return web.json_response({"type": "answer", "sdp": answer, "key": key})

    async def _leave(self, request: web.Request) -> web.Response:
        await self.sessions.leave(key_of(request))
        return web.json_response({})

    async def _request_turn(self, request: web.Request) -> web.Response:
        """A viewer wants to talk."""
        return web.json_response({"turn": self.sessions.request_turn(key_of(request))})

    async def _withdraw_request(self, request: web.Request) -> web.Response:
        """A viewer only watches again."""
        return web.json_response({"turn": self.sessions.withdraw_request(key_of(request))})

    async def _hand_over(self, request: web.Request) -> web.Response:
        """The speaker lets the next one talk."""
        return web.json_response({"turn": await self.sessions.hand_over(key_of(request))})

    async def _speak_text(self, request: web.Request) -> web.Response:
        """Text for the avatar to speak."""
        turn = self._require_speaker(request)
        text = (await _json_body(request)).get("text")
        plain = sanitized_text(text, speech.MAX_TEXT_LENGTH)
        return self._push_speech(await speech.synthesize(self._synthesizer, plain), turn)

    async def _speak_audio(self, request: web.Request) -> web.Response:
        """Audio for the avatar to speak, a file of any format."""
        turn = self._require_speaker(request)
        data = await read_body(request, MAX_UPLOAD_BYTES)
        required_capacity(self._backend, 0)  # else it would be decoded in vain
        samples = await self._decoder.audio(data, key_of(request))
        return self._push_speech(samples, turn)

    def _push_speech(self, samples: NDArray[np.float32], turn: int) -> web.Response:
        """Have it spoken, unless the turn ended while it was made ready."""
        self.sessions.require_same_turn(turn)
        waiting_s = required_capacity(self._backend, len(samples))
        chunk = AudioChunk(samples, SAMPLE_RATE_HZ, self._backend.now_ns())
        self._backend.push_avatar_audio(chunk)
        return web.json_response({"waiting_s": round(waiting_s, 2)})

    async def _stop_speaking(self, request: web.Request) -> web.Response:
        """Silence, within a block."""
        self._require_speaker(request)
        dropped = await result_of(self._backend.stop_speaking())
        return web.json_response({"dropped_samples": dropped})

    async def _express(self, request: web.Request) -> web.Response:
        """An expression for the face to show, until another comes or the turn is over."""
        self._require_speaker(request)
        expression = read_expression(await _json_body(request))
        require_avatar(self._backend, "expression")
        self.sessions.push_expression(expression)
        return web.json_response({})

    async def _look_at(self, request: web.Request) -> web.Response:
        """A direction for the avatar to look in, for some seconds."""
        self._require_speaker(request)
        target = read_gaze_target(await _json_body(request))
        require_avatar(self._backend, "look_at")
        self._backend.push_gaze_target(target)
        return web.json_response({})

    async def _expressions(self, request: web.Request) -> web.Response:
        """The names of all expressions, the resting face's first."""
        return web.json_response({"names": EXPRESSIONS})

    async def _record(self, request: web.Request) -> web.Response:
        """Begin or end a recording of what is shown."""
        self._require_speaker(request)
        recorder = self.sessions.recorder
        begin = (await _json_body(request)).get("on") is True
        await asyncio.to_thread(recorder.start if begin else recorder.stop)
        return web.json_response(recorder.state())

    async def _recording(self, request: web.Request) -> web.StreamResponse:
        """The recording, once: it is deleted when it has been sent."""
        self._require_speaker(request)
        path, name = self.sessions.recorder.file()
        headers = security_headers(self._access) | {"Cache-Control": "no-store"}
        response = web.StreamResponse(headers=headers)
        response.content_type, response.content_length = "video/mp4", path.stat().st_size
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        await response.prepare(request)
        with path.open("rb") as file:
            while part := await asyncio.to_thread(file.read, FILE_PART_BYTES):
                await response.write(part)
        await asyncio.to_thread(self.sessions.recorder.discard, path)
        return response

    async def _state(self, request: web.Request) -> web.Response:
        """Everything that the page follows."""
        state = backend_state(self._backend) | self.sessions.state(key_of(request))
        state["can_speak_text"] = self._synthesizer.is_available()
        return web.json_response(state)

    def _require_speaker(self, request: web.Request) -> int:
        """The number of the turn, for `require_same_turn`; RefusedError (403) for others."""
        self.sessions.require_speaker(key_of(request))
        return self.sessions.ended_turns


def backend_state(backend: AvatarBackend) -> dict[str, Any]:
    """What the page shows of the avatar: its status, and what it can do."""
    status = backend.status
    talk = "speaking" if status.speaking else "listening" if status.user_speaking else "idle"
    measured = status.blocks > 0

    def ms(value: float) -> float | None:
        return round(value, 1) if measured else None

    return {
        "mode": backend.mode,
        "has_view": backend.has_view,
        "has_robot_audio": backend.has_robot_audio,
        "wants_camera": backend.wants_camera,
        "state": status.warning or (talk if backend.running else "asleep"),
        "playout_delay_ms": ms(status.playout_delay_ms),
        "graph_delay_ms": ms(status.graph_delay_ms),
        "compute_ms": ms(status.compute_ms),
        "compute_p99_ms": ms(status.compute_p99_ms),
        "face_visible": status.face_visible,
        "reduced": status.reduced,
        "seed": status.seed,
        "skipped_blocks": status.skipped_blocks,
        "failed_blocks": status.failed_blocks,
        "dropped_user_frames": status.dropped_user_frames,
        "failed_user_frames": status.failed_user_frames,
        "waiting_avatar_audio_samples": status.waiting_avatar_audio_samples,
    }


def required_capacity(backend: AvatarBackend, samples: int) -> float:
    """How many seconds of speech wait with `samples` more; MediaError where they cannot be spoken.

    The one place where that is checked: backends take whatever is pushed.
    """
    status = backend.status
    if not backend.running:
        raise MediaError(
            "speech",
            expected="a conversation that goes on",
            got="none",
            remedy="start one, then speak",
        )
    if not status.connected:
        raise MediaError(
            "speech",
            expected="an avatar to say it",
            got=status.warning,
            remedy="start avatar_node, with the same namespace and ROS_DOMAIN_ID",
        )
    waiting_s = (status.waiting_avatar_audio_samples + samples) / SAMPLE_RATE_HZ
    if waiting_s > MAX_WAITING_SPEECH_S:
        raise MediaError(
            "speech",
            expected=f"at most {MAX_WAITING_SPEECH_S} s that wait to be said",
            got=f"{waiting_s:.0f} s",
            remedy="let the avatar finish, or stop it",
        )
    return waiting_s


async def _json_body(request: web.Request) -> dict[str, Any]:
    """The request's JSON object; RefusedError (400, 413) where it has none, or a large one."""
    try:
        body = json.loads(await read_body(request, MAX_JSON_BYTES))
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise RefusedError(
            400, "request", expected="a JSON object", got="none", remedy="load the page again"
        )
    return body
