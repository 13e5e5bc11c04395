"""A server with a tiny avatar, and browsers whose part aiortc plays."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from aiohttp.test_utils import TestClient, TestServer
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from fakes import fake_session, grey_portrait
from numpy.typing import NDArray

from avatar_forcing_ros.errors import FaceNotFoundError
from avatar_forcing_ros.media import AvatarFrame, VideoFrame
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.runtime.avatar import Avatar
from avatar_forcing_ros.web.access import Access
from avatar_forcing_ros.web.backend import LiveBackend
from avatar_forcing_ros.web.library_patches import install_patches
from avatar_forcing_ros.web.requests import KEY_HEADER
from avatar_forcing_ros.web.server import Server
from avatar_forcing_ros.web.serving import CONNECTION_SETTINGS
from avatar_forcing_ros.web.session_manager import SessionManager

SIZE_PX = 64
TIMEOUT_S = 20.0
LOCAL = Access(local=True)


def portrait(grey: int) -> Portrait:
    return grey_portrait(grey, SIZE_PX)


def find_face(image: NDArray[np.uint8]) -> Portrait:
    """A face in every image that is not black."""
    if not image.any():
        raise FaceNotFoundError("portrait", expected="a face", got="none", remedy="take another")
    return portrait(int(image.mean()))


class WebFixture:
    """The server under test and a client of it; `ahead_s` moves the session manager's clock."""

    def __init__(
        self,
        avatar: Avatar,
        backend: LiveBackend,
        client: TestClient[Any, Any],
        sessions: SessionManager,
    ) -> None:
        self.avatar, self.backend = avatar, backend
        self.client, self.sessions = client, sessions
        self.ahead_s = 0.0
        self.origin = str(client.make_url("")).rstrip("/")

    async def post(
        self, path: str, *, key: str = "", origin: str | None = None, **more: Any
    ) -> tuple[int, dict[str, Any]]:
        headers = {KEY_HEADER: key, "Origin": self.origin if origin is None else origin}
        headers |= more.pop("headers", {})
        async with self.client.post(path, headers=headers, **more) as reply:
            return reply.status, await reply.json()

    async def state(self, key: str = "") -> dict[str, Any]:
        async with self.client.get("/api/state", headers={KEY_HEADER: key}) as reply:
            assert reply.status == 200
            return await reply.json()

    async def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until the state is so."""

        async def ask() -> dict[str, Any]:
            while True:
                state = await self.state()
                if holds(state):
                    return state
                await asyncio.sleep(0.1)

        return await asyncio.wait_for(ask(), TIMEOUT_S)


class Browser:
    """One connection: tracks out, the avatar's tracks in."""

    def __init__(self, fixture: WebFixture, *tracks: MediaStreamTrack, view: bool = False) -> None:
        self.fixture = fixture
        self.connection = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self.key = ""
        self.incoming: dict[str, MediaStreamTrack] = {}
        self.connection.on("track", self._take)
        for kind in ("audio", "video"):
            track = next((t for t in tracks if t.kind == kind), None)
            if track:
                self.connection.addTrack(track)
            else:
                self.connection.addTransceiver(kind, direction="recvonly")

        if view:
            self.connection.addTransceiver("video", direction="recvonly")

    def _take(self, track: MediaStreamTrack) -> None:
        """The first video is the avatar's, the second the view."""
        self.incoming["view" if track.kind in self.incoming else track.kind] = track

    async def join(
        self, role: str = "speaker", key: str = "", **more: Any
    ) -> tuple[int, dict[str, Any]]:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        offer = {"sdp": self.connection.localDescription.sdp, "role": role, "key": key}
        status, reply = await self.fixture.post("/api/join", json=offer, **more)
        if status == 200:
            self.key = reply["key"]
            await self.connection.setRemoteDescription(
                RTCSessionDescription(reply["sdp"], "answer")
            )
        return status, reply

    async def receive(self, kind: str) -> Any:
        return await asyncio.wait_for(self.incoming[kind].recv(), TIMEOUT_S)


class ViewBackend(LiveBackend):
    """The same for a robot: with a second video, which is black and small."""

    has_view = has_robot_audio = True

    def start(
        self, on_frame: Callable[[AvatarFrame], None], on_view: Callable[[VideoFrame], None]
    ) -> None:
        def both(frame: AvatarFrame) -> None:
            on_frame(frame)
            on_view(VideoFrame(np.zeros((32, 48, 3), np.uint8), frame.stamp_ns))

        super().start(both, on_view)


@asynccontextmanager
async def web_fixture(
    access: Access = LOCAL, backend: type[LiveBackend] = LiveBackend, **more: Any
) -> AsyncIterator[WebFixture]:
    """`more` is for `Server`."""
    install_patches()
    warnings: list[tuple[str, str]] = []
    avatar = Avatar(fake_session(SIZE_PX, 100), lambda where, text: warnings.append((where, text)))
    clock = time.monotonic
    live = backend(avatar, find_face)
    server = Server(live, access, now_s=lambda: clock() + fixture.ahead_s, **more)
    listening = TestServer(server.app)
    await listening.start_server(**CONNECTION_SETTINGS)
    async with TestClient(listening) as client:
        fixture = WebFixture(avatar, live, client, server.sessions)
        yield fixture
    assert not avatar.running
    assert warnings == []


def run_with_server(
    test: Callable[[WebFixture], Awaitable[None]],
    access: Access = LOCAL,
    backend: type[LiveBackend] = LiveBackend,
    **more: Any,
) -> None:
    """Run `test` with a server; `more` is for `Server`."""

    async def run() -> None:
        async with web_fixture(access, backend, **more) as fixture:
            await test(fixture)

    asyncio.run(run())
