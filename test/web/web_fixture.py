"""A server with a tiny avatar, and a browser's part played by aiortc."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import numpy as np
from aiohttp.test_utils import TestClient, TestServer
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from numpy.typing import NDArray
from tiny import TINY, tiny_engine

from avatar_forcing_ros.errors import FaceNotFoundError
from avatar_forcing_ros.media import AvatarFrame, VideoFrame
from avatar_forcing_ros.perception.user_motion import UserMotion
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.runtime.avatar import LiveAvatar
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.web.access import Access
from avatar_forcing_ros.web.live_stage import LiveStage
from avatar_forcing_ros.web.room import Room
from avatar_forcing_ros.web.server import KEY_HEADER, Server

SIZE_PX = 64
PATIENCE_S = 20.0
LOCAL = Access(local=True)


def portrait(grey: int) -> Portrait:
    return Portrait(np.full((SIZE_PX, SIZE_PX, 3), grey, np.uint8), np.zeros((478, 3), np.float32))


class GreyFace:
    """A codec whose pictures are as grey as its portrait, and whose user is always seen."""

    image_size_px = SIZE_PX
    fit: ClassVar[dict[str, float]] = {}
    drawable_sizes_px: ClassVar[list[int]] = [SIZE_PX]
    reference = np.zeros(TINY.motion_dim, np.float32)

    def __init__(self) -> None:
        self.portrait = portrait(100)

    def draw_at(self, size_px: int) -> None: ...

    def reset(self) -> None: ...

    def watch(self) -> None: ...

    def close(self) -> None: ...

    def prepare_portrait(self, other: Portrait) -> None:
        self.portrait = other

    def encode_user(self, frame: VideoFrame) -> UserMotion:
        return UserMotion(np.full(TINY.motion_dim, frame.pixels.mean() / 255, np.float32), True)

    def coefficients(self, motion: NDArray[np.float32]) -> NDArray[np.float32]:
        return coefficients.clip(motion)

    def decode(self, motion: NDArray[np.float32]) -> NDArray[np.uint8]:
        return np.repeat(self.portrait.image[None], len(motion), axis=0)


def find_face(picture: NDArray[np.uint8]) -> Portrait:
    """A face in every picture that is not black."""
    if not picture.any():
        raise FaceNotFoundError("portrait", expected="a face", got="none", remedy="take another")
    return portrait(int(picture.mean()))


class House:
    """The server under test and a client of it."""

    def __init__(self, avatar: LiveAvatar, client: TestClient[Any, Any], room: Room) -> None:
        self.avatar, self.client, self.room = avatar, client, room
        self.ahead_s = 0.0  # how much later it is for the room than it is
        room._now_s = lambda: time.monotonic() + self.ahead_s
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

        return await asyncio.wait_for(ask(), PATIENCE_S)


class Browser:
    """One peer: tracks out, the avatar's tracks in."""

    def __init__(self, house: House, *tracks: MediaStreamTrack, view: bool = False) -> None:
        self.house = house
        self.peer = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self.key = ""
        self.incoming: dict[str, MediaStreamTrack] = {}
        self.peer.on("track", self._take)
        for kind in ("audio", "video"):
            track = next((t for t in tracks if t.kind == kind), None)
            if track:
                self.peer.addTrack(track)
            else:
                self.peer.addTransceiver(kind, direction="recvonly")

        if view:
            self.peer.addTransceiver("video", direction="recvonly")

    def _take(self, track: MediaStreamTrack) -> None:
        """The first picture is the avatar's, the second the view."""
        self.incoming["view" if track.kind in self.incoming else track.kind] = track

    async def join(
        self, role: str = "speaker", key: str = "", **more: Any
    ) -> tuple[int, dict[str, Any]]:
        await self.peer.setLocalDescription(await self.peer.createOffer())
        asked = {"sdp": self.peer.localDescription.sdp, "role": role, "key": key}
        status, told = await self.house.post("/api/join", json=asked, **more)
        if status == 200:
            self.key = told["key"]
            await self.peer.setRemoteDescription(RTCSessionDescription(told["sdp"], "answer"))
        return status, told

    async def receive(self, kind: str) -> Any:
        return await asyncio.wait_for(self.incoming[kind].recv(), PATIENCE_S)


class SeeingStage(LiveStage):
    """The same for a robot: with a second picture, which is black and small."""

    has_view = has_robot_sound = True

    def start(
        self, show: Callable[[AvatarFrame], None], show_view: Callable[[VideoFrame], None]
    ) -> None:
        def both(frame: AvatarFrame) -> None:
            show(frame)
            show_view(VideoFrame(np.zeros((32, 48, 3), np.uint8), frame.stamp_ns))

        super().start(both, show_view)


@asynccontextmanager
async def house(
    access: Access = LOCAL, stage: type[LiveStage] = LiveStage
) -> AsyncIterator[House]:
    troubles: list[str] = []
    avatar = LiveAvatar(Session(tiny_engine(), GreyFace()), troubles.append)  # type: ignore[arg-type]
    server = Server(stage(avatar, find_face), access)
    async with TestClient(TestServer(server.app)) as client:
        yield House(avatar, client, server.room)
    assert not avatar.running
    assert troubles == []


def in_house(
    test: Callable[[House], Awaitable[None]],
    access: Access = LOCAL,
    stage: type[LiveStage] = LiveStage,
) -> None:
    """Run `test` with a server."""

    async def run() -> None:
        async with house(access, stage) as here:
            await test(here)

    asyncio.run(run())
