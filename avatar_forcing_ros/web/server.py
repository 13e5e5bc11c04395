"""The server: requests to the room and to the avatar, and a page that makes them."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from aiohttp import web
from numpy.typing import NDArray

from avatar_forcing_ros.web import speech
from avatar_forcing_ros.web.access import Access
from avatar_forcing_ros.web.guarding import HEADERS, guard
from avatar_forcing_ros.web.picture_encoder import encode_faces
from avatar_forcing_ros.web.refusal import RefusedError
from avatar_forcing_ros.web.room import MOST_VIEWERS, ROUND_S, Room
from avatar_forcing_ros.web.stage import Stage
from avatar_forcing_ros.web.uploads import LARGEST_UPLOAD, uploaded_picture, uploaded_sound

STATIC = Path(__file__).parent / "static"
KEY_HEADER = "X-Avatar-Key"
PATIENCE_S = 10.0
PART_BYTES = 1 << 20
T = TypeVar("T")
logger = logging.getLogger(__name__)


class Server:
    """Answers for `stage` to those whom `access` lets in."""

    def __init__(self, stage: Stage, access: Access, most_viewers: int = MOST_VIEWERS) -> None:
        encode_faces()
        self._stage, self._access = stage, access
        self.room = Room(stage, most_viewers, local=access.local)
        self._one_face = asyncio.Lock()
        self.app = web.Application(
            client_max_size=LARGEST_UPLOAD, middlewares=[guard(access, time.monotonic)]
        )
        self.app.add_routes(
            [
                web.get("/", self._file("index.html")),
                web.get("/api/state", self._state),
                web.get("/api/portrait", self._portrait),
                web.post("/api/join", self._join),
                web.post("/api/leave", self._leave),
                web.post("/api/ask", self._ask),
                web.post("/api/hand_over", self._hand_over),
                web.post("/api/say", self._say),
                web.post("/api/sound", self._sound),
                web.post("/api/stop", self._stop),
                web.post("/api/portrait", self._new_portrait),
                web.post("/api/record", self._record),
                web.get("/api/recording", self._recording, allow_head=False),
            ]
        )
        for path in sorted(STATIC.iterdir()):
            self.app.router.add_get(f"/static/{path.name}", self._file(path.name))
        self.app.cleanup_ctx.append(self._rounds)
        self.app.on_shutdown.append(self._close)

    async def _rounds(self, app: web.Application) -> AsyncIterator[None]:
        """Look round in the room as long as the server lives."""

        async def look() -> None:
            while True:
                await asyncio.sleep(ROUND_S)
                try:
                    await self.room.look_round()
                except Exception:  # one round that fails must not end the others
                    logger.exception("looking round")

        rounds = asyncio.ensure_future(look())
        yield
        rounds.cancel()
        await asyncio.gather(rounds, return_exceptions=True)

    async def _close(self, app: web.Application) -> None:
        await self.room.close()

    @staticmethod
    def _file(name: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def give(request: web.Request) -> web.StreamResponse:
            return web.FileResponse(STATIC / name)

        return give

    async def _join(self, request: web.Request) -> web.Response:
        """Offer in, answer and key out."""
        asked = await _table(request)
        if asked.get("role") != "viewer":
            self._access.check_token(request.headers.get("Authorization"))
        answer, key = await self.room.join(asked.get("sdp"), asked.get("role"), asked.get("key"))
        return web.json_response({"type": "answer", "sdp": answer, "key": key})

    async def _leave(self, request: web.Request) -> web.Response:
        await self.room.leave(request.headers.get(KEY_HEADER))
        return web.json_response({})

    async def _ask(self, request: web.Request) -> web.Response:
        """A viewer wants to talk."""
        return web.json_response({"floor": self.room.ask(request.headers.get(KEY_HEADER))})

    async def _hand_over(self, request: web.Request) -> web.Response:
        """The speaker lets the next one talk."""
        floor = await self.room.hand_over(request.headers.get(KEY_HEADER))
        return web.json_response({"floor": floor})

    async def _say(self, request: web.Request) -> web.Response:
        """Text that the avatar is to say."""
        self.room.require_speaker(request.headers.get(KEY_HEADER))
        turns = self.room.turns
        text = speech.spoken_text((await _table(request)).get("text"))
        return self._said(await speech.speak(text), turns)

    async def _sound(self, request: web.Request) -> web.Response:
        """Sound that the avatar is to say, a file of any kind."""
        self.room.require_speaker(request.headers.get(KEY_HEADER))
        turns = self.room.turns
        return self._said(await asyncio.to_thread(uploaded_sound, await request.read()), turns)

    def _said(self, samples: NDArray[np.float32], turns: int) -> web.Response:
        """Have it said, unless the turn ended while it was made ready."""
        self.room.require_same_turn(turns)
        return web.json_response({"waiting_s": round(self._stage.say(samples), 2)})

    async def _stop(self, request: web.Request) -> web.Response:
        """Silence, within a block."""
        self.room.require_speaker(request.headers.get(KEY_HEADER))
        dropped = await _done(self._stage.stop_speaking())
        return web.json_response({"dropped_samples": dropped})

    async def _new_portrait(self, request: web.Request) -> web.Response:
        """Another face, from a picture."""
        self.room.require_speaker(request.headers.get(KEY_HEADER))
        turns, data = self.room.turns, await request.read()
        async with self._one_face:
            picture = await asyncio.to_thread(uploaded_picture, data)
            self.room.require_same_turn(turns)
            try:
                size_px = await _done(await asyncio.to_thread(self._stage.change_face, picture))
            finally:
                if turns != self.room.turns:  # the face of one who left would stay
                    await asyncio.to_thread(self._stage.restore_face)
            self.room.require_same_turn(turns)
        return web.json_response({"size_px": size_px})

    async def _record(self, request: web.Request) -> web.Response:
        """Begin or end a recording of what is shown."""
        self.room.require_speaker(request.headers.get(KEY_HEADER))
        recorder = self.room.recorder
        begin = (await _table(request)).get("on") is True
        await asyncio.to_thread(recorder.start if begin else recorder.stop)
        return web.json_response(recorder.told())

    async def _recording(self, request: web.Request) -> web.StreamResponse:
        """The recording, once: it is deleted when it has been sent."""
        self.room.require_speaker(request.headers.get(KEY_HEADER))
        path, name = self.room.recorder.file()
        response = web.StreamResponse(headers=HEADERS)
        response.content_type, response.content_length = "video/mp4", path.stat().st_size
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        await response.prepare(request)
        with path.open("rb") as file:
            while part := await asyncio.to_thread(file.read, PART_BYTES):
                await response.write(part)
        await asyncio.to_thread(self.room.recorder.discard, path)
        return response

    async def _portrait(self, request: web.Request) -> web.Response:
        """The face as it is shown at rest, as JPEG."""
        bgr = np.ascontiguousarray(self._stage.face()[..., ::-1])
        _, coded = await asyncio.to_thread(cv2.imencode, ".jpg", bgr)
        return web.Response(body=coded.tobytes(), content_type="image/jpeg")

    async def _state(self, request: web.Request) -> web.Response:
        """Figures for the panel."""
        told = {
            "mode": self._stage.mode,
            "view": self._stage.has_view,
            "operator_hears": self._stage.has_robot_sound,
            "wants_camera": self._stage.wants_camera,
            "can_speak_text": speech.can_speak(),
        }
        room = self.room.state(request.headers.get(KEY_HEADER))
        return web.json_response(self._stage.told() | told | room)


async def _done(command: Future[T]) -> T:
    """What the avatar answers; RefusedError (503) where it does not."""
    try:
        return await asyncio.wait_for(asyncio.wrap_future(command), PATIENCE_S)
    except asyncio.TimeoutError:
        raise RefusedError(
            503,
            "avatar",
            expected=f"an answer within {PATIENCE_S:g} s",
            got="none",
            remedy="try again; the conversation may just have ended",
        ) from None


async def _table(request: web.Request) -> dict[str, Any]:
    """The request's JSON object; RefusedError (400) where it has none."""
    try:
        told = json.loads(await request.read())
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise RefusedError(
            400, "request", expected="a JSON object", got="none", remedy="load the page again"
        )
    return told
