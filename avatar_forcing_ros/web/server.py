"""The HTTP API of the page: requests to the room of whoever sends them, and what all share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aiohttp import web

from avatar_forcing_ros.config import ServerConfig
from avatar_forcing_ros.responder.protocol import Partner
from avatar_forcing_ros.runtime.speech_synthesis import ProgramSynthesizer, SpeechSynthesizer
from avatar_forcing_ros.web.access import Access
from avatar_forcing_ros.web.backend import AvatarBackend
from avatar_forcing_ros.web.lobby_backend import LobbyBackend
from avatar_forcing_ros.web.middleware import guard, visitor_of
from avatar_forcing_ros.web.monitoring import Monitoring
from avatar_forcing_ros.web.portrait_gallery import PortraitGallery
from avatar_forcing_ros.web.requests import json_body, key_of
from avatar_forcing_ros.web.room import Room
from avatar_forcing_ros.web.rooms import Rooms
from avatar_forcing_ros.web.session_manager import SessionManager
from avatar_forcing_ros.web.share_route import add_share_route
from avatar_forcing_ros.web.static_files import add_static_files
from avatar_forcing_ros.web.upload_decoding import UploadDecoder

THREADS, THREADS_PER_ROOM = 8, 4  # one room's waiting for its avatar takes none of another's


class Server:
    """Serves one avatar, or several, each to one visitor, to those whom `access` lets in."""

    def __init__(
        self,
        backend: AvatarBackend,
        access: Access,
        max_viewers: int = ServerConfig.max_viewers,
        now_s: Callable[[], float] = time.monotonic,
        synthesizer: SpeechSynthesizer | None = None,
        partner: Partner = Partner(),  # noqa: B008 - frozen
        portraits: Sequence[Path] = (),
        first_portrait: str = "",
        more_backends: Sequence[AvatarBackend] = (),
    ) -> None:
        """`synthesizer` speaks texts, by default espeak-ng; `partner` listens and answers.

        `portraits` are image files to choose from; `first_portrait` names the first one.
        `more_backends` are further avatars, of the same kind and with the same first face: then
        everybody has a conversation of their own, and nobody watches.
        """
        self._access = access
        decoder = UploadDecoder()
        gallery = PortraitGallery(portraits, decoder, first_portrait)
        speaks = synthesizer or ProgramSynthesizer()

        def room(of: AvatarBackend, viewers: int) -> Room:
            return Room(
                of, access, decoder, speaks, partner, gallery, max_viewers=viewers, now_s=now_s
            )

        if more_backends:
            lobby = room(LobbyBackend(backend), 0)
            rooms = [room(each, 0) for each in (backend, *more_backends)]
        else:
            lobby = room(backend, max_viewers)
            rooms = [lobby]
        self.rooms = Rooms(rooms, lobby)
        self.app = web.Application(middlewares=[guard(access, now_s)])
        self.app.add_routes(
            [
                web.get("/api/state", self._state),
                web.post("/api/join", self._join),
                *self.rooms.routes(),
            ]
        )
        lobby.portraits.add_gallery_to(self.app)
        add_share_route(self.app, access)
        served = zip((backend, *more_backends), (room.sessions for room in rooms), strict=True)
        Monitoring(access, list(served)).add_to(self.app)
        add_static_files(self.app)
        self.app.cleanup_ctx.append(self._check_connections)
        self.app.on_shutdown.append(self._close)

    @property
    def sessions(self) -> SessionManager:
        """Those of the first room."""
        return self.rooms.all[0].sessions

    async def _check_connections(self, app: web.Application) -> AsyncIterator[None]:
        """Check the connections as long as the server lives."""
        rooms = self.rooms.all
        if len(rooms) > 1:
            threads = ThreadPoolExecutor(THREADS + THREADS_PER_ROOM * len(rooms), "web")
            asyncio.get_running_loop().set_default_executor(threads)
        checking = [asyncio.ensure_future(each.check_connections()) for each in rooms]
        yield
        for task in checking:
            task.cancel()
        await asyncio.gather(*checking, return_exceptions=True)

    async def _close(self, app: web.Application) -> None:
        await self.rooms.close()

    async def _join(self, request: web.Request) -> web.Response:
        """Offer in, answer and key out."""
        body = await json_body(request)
        authorization = request.headers.get("Authorization")
        if body.get("role") != "viewer":
            self._access.check_token(authorization)
        room, answer, key = await self.rooms.join(
            body.get("sdp"),
            body.get("role"),
            body.get("key"),
            visitor=visitor_of(self._access, request),
            trusted=self._access.has_token(authorization),
        )
        if request.transport is None or request.transport.is_closing():
            await room.sessions.abandon(key)  # reloaded or timed out: nobody knows this key
        return web.json_response({"type": "answer", "sdp": answer, "key": key})

    async def _state(self, request: web.Request) -> web.Response:
        """Everything that the page follows."""
        key = key_of(request)
        return web.json_response(self.rooms.of(key).state(key) | self.rooms.state())
