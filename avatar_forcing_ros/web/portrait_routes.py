"""Requests about portraits: the one that is shown, an upload, and those to choose from."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
from aiohttp import web
from numpy.typing import NDArray

from avatar_forcing_ros.web.access import RefusedError
from avatar_forcing_ros.web.backend import AvatarBackend
from avatar_forcing_ros.web.middleware import read_body
from avatar_forcing_ros.web.portrait_gallery import PortraitGallery, webp
from avatar_forcing_ros.web.requests import MAX_UPLOAD_BYTES, key_of, result_of
from avatar_forcing_ros.web.session_manager import SessionManager
from avatar_forcing_ros.web.upload_decoding import UploadDecoder

KEPT = "private, max-age=300"  # thumbnails change with the server's next start


class PortraitRoutes:
    """Handlers of one conversation; one portrait is set at a time."""

    def __init__(
        self,
        backend: AvatarBackend,
        sessions: SessionManager,
        decoder: UploadDecoder,
        gallery: PortraitGallery,
    ) -> None:
        self._backend, self._sessions = backend, sessions
        self._decoder, self._gallery = decoder, gallery
        self._lock = asyncio.Lock()
        self._prepared: asyncio.Task[None] | None = None

    def routes(self) -> list[web.RouteDef]:
        """What is about this conversation's portrait."""
        return [
            web.get("/api/portrait", self._shown),
            web.post("/api/portrait", self._upload),
            web.post("/api/portraits/{name}", self._choose),
        ]

    def add_gallery_to(self, app: web.Application) -> None:
        """Show those to choose from in `app`; their files are read when it starts."""
        app.add_routes(
            [
                web.get("/api/portraits", self._list),
                web.get("/api/portraits/{name}", self._thumbnail),
            ]
        )
        app.cleanup_ctx.append(self._prepare)

    async def _prepare(self, app: web.Application) -> AsyncIterator[None]:
        """Read the gallery's files while the server begins to answer."""
        if self._backend.changes_portrait:
            self._prepared = asyncio.ensure_future(self._gallery.prepare(self._backend.portrait))
        yield
        if self._prepared:
            self._prepared.cancel()
            await asyncio.gather(self._prepared, return_exceptions=True)

    async def _shown(self, request: web.Request) -> web.Response:
        """The face at rest: WebP, transparent around where the avatar is."""
        portrait = self._backend.portrait
        if portrait is None:
            raise RefusedError(
                404, "portrait", expected="an image of the avatar", got="none yet", remedy="wait"
            )
        coded = await asyncio.to_thread(webp, portrait)
        return web.Response(body=coded, content_type="image/webp")

    async def _upload(self, request: web.Request) -> web.Response:
        """Another face, from an image."""
        turn = self._require_speaker(request)
        data = await read_body(request, MAX_UPLOAD_BYTES)
        image = await self._decoder.image(data, key_of(request))
        return await self._show(image, None, turn)

    async def _list(self, request: web.Request) -> web.Response:
        """The portraits to choose from; waits until all have been read."""
        if self._prepared:
            await asyncio.shield(self._prepared)
        return web.json_response({"portraits": self._gallery.list()})

    async def _thumbnail(self, request: web.Request) -> web.Response:
        """One of them, small, as WebP."""
        coded = self._gallery.thumbnail(request.match_info["name"])
        return web.Response(body=coded, content_type="image/webp", headers={"Cache-Control": KEPT})

    async def _choose(self, request: web.Request) -> web.Response:
        """One of them as the avatar's face."""
        turn = self._require_speaker(request)
        name = request.match_info["name"]
        chosen = await self._gallery.image(name, key_of(request))
        if chosen is None:
            async with self._lock:
                self._sessions.require_same_turn(turn)
                await self._sessions.restore_portrait()
            return web.json_response({"portrait": self._sessions.portrait_id})
        return await self._show(*chosen, turn)

    async def _show(self, image: NDArray[np.uint8], file: Path | None, turn: int) -> web.Response:
        """Go on with the face in `image`, of `file`, unless the turn ended meanwhile."""
        sessions = self._sessions
        async with self._lock:
            sessions.require_same_turn(turn)
            try:
                await result_of(await asyncio.to_thread(self._backend.set_portrait, image, file))
            finally:
                if turn != sessions.ended_turns:  # the face of one who left would stay
                    await sessions.restore_portrait()
            sessions.require_same_turn(turn)
            sessions.portrait_id = secrets.token_hex(8)
        return web.json_response({"portrait": sessions.portrait_id})

    def _require_speaker(self, request: web.Request) -> int:
        """The number of the turn, for `require_same_turn`.

        RefusedError for others (403), and where the face belongs to a robot (409).
        """
        self._sessions.require_speaker(key_of(request))
        if not self._backend.changes_portrait:
            raise RefusedError(
                409,
                "portrait",
                expected="'avatar-forcing live'",
                got="a robot's avatar, which keeps its face",
                remedy="set the parameter portrait of avatar_node to a file on its machine",
            )
        return self._sessions.ended_turns
