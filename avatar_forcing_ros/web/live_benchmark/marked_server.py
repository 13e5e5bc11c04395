"""The server's part: everything as in `live`, but pictures tell which of the user's they answer.

What the tracker makes of a marked picture is remembered by its value, so whatever a block was
conditioned on names the newest picture that it depends on. Every frame of a block carries that
number: the first of them is the first that depends on the picture.
"""

from __future__ import annotations

import asyncio
import signal
from collections import OrderedDict
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from aiohttp import web
from numpy.typing import NDArray

from avatar_forcing_ros.config import AvatarConfig
from avatar_forcing_ros.media import AvatarBlock, VideoFrame
from avatar_forcing_ros.perception.user_motion import UserMotion
from avatar_forcing_ros.pipeline.benchmark import user_faces
from avatar_forcing_ros.pipeline.build import build_session, face_in
from avatar_forcing_ros.pipeline.live import LiveFrame
from avatar_forcing_ros.pipeline.live_avatar import LiveAvatar
from avatar_forcing_ros.pipeline.session import Session
from avatar_forcing_ros.streaming.codec import MotionCodec
from avatar_forcing_ros.web.access import Access
from avatar_forcing_ros.web.live_benchmark import picture_marks
from avatar_forcing_ros.web.live_stage import LiveStage
from avatar_forcing_ros.web.server import Server
from avatar_forcing_ros.web.stage import StageFrame

LOOPBACK = "127.0.0.1"
REMEMBERED = 500  # pictures and blocks


class _Remembered(OrderedDict[Any, int]):
    """The newest numbers by what they belong to."""

    def __setitem__(self, key: Any, number: int) -> None:
        super().__setitem__(key, number)
        while len(self) > REMEMBERED:
            self.popitem(last=False)


class _MarkingCodec:
    """A codec that remembers which picture each motion of the user was seen in."""

    def __init__(self, codec: MotionCodec) -> None:
        self._codec = codec
        self.seen = _Remembered()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codec, name)

    def encode_user(self, frame: VideoFrame) -> UserMotion:
        """The motion in `frame`, remembered."""
        motion = self._codec.encode_user(frame)
        number = picture_marks.read(frame.pixels)
        if number is not None:
            self.seen[motion.values.tobytes()] = number
        return motion


class _MarkedSession(Session):
    """A session that knows the newest picture that each of its blocks depends on."""

    def __init__(self, session: Session) -> None:
        self.answered = _Remembered()
        self.marking = _MarkingCodec(session.codec)
        super().__init__(session.engine, self.marking)

    def next_block(self) -> AvatarBlock:
        """The next block, noted."""
        block = super().next_block()
        rows = (row.tobytes() for row in self.last_user_motion)
        known = [self.marking.seen[row] for row in rows if row in self.marking.seen]
        if known:
            self.answered[block.motion.block_index] = known[-1]
        return block


class _MarkedStage(LiveStage):
    """A stage whose pictures carry those numbers."""

    def __init__(self, avatar: LiveAvatar, session: _MarkedSession, config: AvatarConfig) -> None:
        super().__init__(avatar, lambda p: face_in(p, config, avatar.portrait_size_px))
        self._session = session

    def start(
        self, show: Callable[[StageFrame], None], show_view: Callable[[VideoFrame], None]
    ) -> None:
        """Begin a conversation."""

        def mark(frame: StageFrame) -> None:
            assert isinstance(frame, LiveFrame)
            number = self._session.answered.get(frame.block_index)
            if frame.pixels is not None and number is not None:
                picture_marks.mark(frame.pixels, number)
            show(frame)

        super().start(mark, show_view)


def serve(config: AvatarConfig, to_parent: Connection) -> None:
    """Serve on loopback until told to end; send the port and the user's two faces when ready.

    Runs in a process of its own.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to answer
    session = _MarkedSession(build_session(config))
    faces: tuple[NDArray[np.uint8], ...] = user_faces(session)
    avatar = LiveAvatar(session, lambda text: to_parent.send(("trouble", text)))
    avatar.warm_up()
    asyncio.run(_serve(_MarkedStage(avatar, session, config), faces, to_parent))


async def _serve(
    stage: LiveStage, faces: tuple[NDArray[np.uint8], ...], to_parent: Connection
) -> None:
    runner = web.AppRunner(Server(stage, Access(local=True)).app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, 0).start()
        to_parent.send(("ready", (runner.addresses[0][1], faces)))
        await asyncio.to_thread(to_parent.recv)  # any word, or the end of the parent
    except EOFError:
        pass
    finally:
        await runner.cleanup()
