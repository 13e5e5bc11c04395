"""One conversation of the page's API: an avatar, who talks with it, and what is said."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from avatar_forcing_ros.config import ServerConfig
from avatar_forcing_ros.media import AudioChunk
from avatar_forcing_ros.responder.protocol import Partner
from avatar_forcing_ros.rig.expressions import EXPRESSIONS
from avatar_forcing_ros.runtime.speech_synthesis import SpeechSynthesizer
from avatar_forcing_ros.web.access import Access
from avatar_forcing_ros.web.backend import AvatarBackend
from avatar_forcing_ros.web.commands import read_expression, read_gaze_target, require_avatar
from avatar_forcing_ros.web.middleware import security_headers
from avatar_forcing_ros.web.portrait_gallery import PortraitGallery
from avatar_forcing_ros.web.portrait_routes import PortraitRoutes
from avatar_forcing_ros.web.requests import json_body, key_of
from avatar_forcing_ros.web.session_manager import CHECK_PERIOD_S, SessionManager
from avatar_forcing_ros.web.speech_routes import SpeechRoutes
from avatar_forcing_ros.web.upload_decoding import UploadDecoder

FILE_PART_BYTES = 1 << 20
logger = logging.getLogger(__name__)


class Room:
    """Lives in the event loop, as long as the server does."""

    def __init__(
        self,
        backend: AvatarBackend,
        access: Access,
        decoder: UploadDecoder,
        synthesizer: SpeechSynthesizer,
        partner: Partner,
        gallery: PortraitGallery,
        *,
        max_viewers: int = ServerConfig.max_viewers,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._backend, self._access = backend, access
        self.sessions = SessionManager(
            backend,
            max_viewers,
            local=access.local,
            now_s=now_s,
            on_user_audio=self._on_user_audio,
            on_turn_end=self._on_turn_end,
            on_stop=self._on_stop,
        )
        self._speech = SpeechRoutes(backend, self.sessions, decoder, synthesizer, partner)
        self.portraits = PortraitRoutes(backend, self.sessions, decoder, gallery)

    def routes(self) -> list[web.RouteDef]:
        """What is about one conversation, in an order that is the same for all rooms."""
        return [
            web.post("/api/leave", self._leave),
            web.post("/api/request_turn", self._request_turn),
            web.post("/api/withdraw_request", self._withdraw_request),
            web.post("/api/hand_over", self._hand_over),
            *self._speech.routes(),
            *self.portraits.routes(),
            web.get("/api/expressions", self._expressions),
            web.post("/api/expression", self._express),
            web.post("/api/look_at", self._look_at),
            web.post("/api/record", self._record),
            web.get("/api/recording", self._recording, allow_head=False),
        ]

    def state(self, key: str) -> dict[str, Any]:
        """Everything that the page follows of it."""
        return backend_state(self._backend) | self.sessions.state(key) | self._speech.state()

    async def check_connections(self) -> None:
        """Check them every second, until this is cancelled."""
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

    async def close(self) -> None:
        """Everybody leaves."""
        self._speech.cancel()
        await self.sessions.close()
        await self._speech.close()

    def _on_user_audio(self, chunk: AudioChunk) -> None:
        self._speech.push_user_audio(chunk)

    def _on_turn_end(self) -> None:
        self._speech.end_turn()

    def _on_stop(self) -> None:
        self._speech.cancel()

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

    async def _express(self, request: web.Request) -> web.Response:
        """An expression for the face to show, until another comes or the turn is over."""
        self._require_speaker(request)
        expression = read_expression(await json_body(request))
        require_avatar(self._backend, "expression")
        self.sessions.push_expression(expression)
        return web.json_response({})

    async def _look_at(self, request: web.Request) -> web.Response:
        """A direction for the avatar to look in, for some seconds."""
        self._require_speaker(request)
        target = read_gaze_target(await json_body(request))
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
        begin = (await json_body(request)).get("on") is True
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
        "has_alpha": backend.has_alpha,
        "wants_camera": backend.wants_camera,
        "changes_portrait": backend.changes_portrait,
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
