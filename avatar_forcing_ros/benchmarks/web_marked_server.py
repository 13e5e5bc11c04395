"""The server's part: as `avatar-forcing live`, with an avatar whose pictures are marked."""

from __future__ import annotations

import asyncio
import os
import signal
from functools import partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from aiohttp import web

from avatar_forcing_ros.config import AvatarConfig
from avatar_forcing_ros.errors import AvatarForcingError
from avatar_forcing_ros.runtime.avatar_process import AvatarProcess
from avatar_forcing_ros.runtime.load import portrait_from_image
from avatar_forcing_ros.web.access import Access
from avatar_forcing_ros.web.live_stage import LiveStage
from avatar_forcing_ros.web.server import Server

if TYPE_CHECKING:
    from avatar_forcing_ros.runtime.session import Session

LOOPBACK = "127.0.0.1"


def serve(config: AvatarConfig, to_parent: Connection) -> None:
    """Serve on loopback until told to end; the port and the processes' numbers when ready.

    Runs in a process of its own. An error of this package goes to the parent.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to answer

    def trouble(text: str) -> None:
        to_parent.send(("trouble", text))

    try:
        avatar = AvatarProcess(partial(_session, config), trouble)
    except AvatarForcingError as error:
        to_parent.send(("failed", error))
        return
    try:
        asyncio.run(_serve(avatar, config, to_parent))
    finally:
        avatar.close()


async def _serve(avatar: AvatarProcess, config: AvatarConfig, to_parent: Connection) -> None:
    stage = LiveStage(avatar, lambda p: portrait_from_image(p, config, avatar.portrait_size_px))
    runner = web.AppRunner(Server(stage, Access(local=True)).app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, 0).start()
        to_parent.send(("ready", (runner.addresses[0][1], [os.getpid(), avatar.pid])))
        await asyncio.to_thread(to_parent.recv)  # any word, or the end of the parent
    except EOFError:
        pass
    finally:
        await runner.cleanup()


def _session(config: AvatarConfig) -> Session:
    """Made in the avatar's process; the server's does without the networks' libraries."""
    from avatar_forcing_ros.benchmarks.web_marked_session import marked_session

    return marked_session(config)
