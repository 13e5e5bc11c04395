"""The server's process: as `avatar-forcing live`, with an avatar whose frames are marked.

Nothing of the networks is imported here: that is for the avatar's process alone.
"""

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
from avatar_forcing_ros.web.backend import LiveBackend
from avatar_forcing_ros.web.library_patches import LOOPBACK, install_patches
from avatar_forcing_ros.web.server import Server

if TYPE_CHECKING:
    from avatar_forcing_ros.runtime.session import Session


def serve(config: AvatarConfig, to_parent: Connection) -> None:
    """Serve on loopback until the parent says so; the port and the process ids when ready.

    Runs in a process of its own. An error of this package goes to the parent.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to answer
    install_patches()
    try:
        avatar = AvatarProcess(
            partial(_session, config), lambda where, text: to_parent.send(("warning", text))
        )
    except AvatarForcingError as error:
        to_parent.send(("failed", error))
        return
    try:
        asyncio.run(_serve(avatar, config, to_parent))
    finally:
        avatar.close()


async def _serve(avatar: AvatarProcess, config: AvatarConfig, to_parent: Connection) -> None:
    backend = LiveBackend(
        avatar, lambda image: portrait_from_image(image, config, avatar.portrait_size_px)
    )
    runner = web.AppRunner(Server(backend, Access(local=True)).app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, 0).start()
        to_parent.send(("ready", (runner.addresses[0][1], [os.getpid(), avatar.pid])))
        await asyncio.to_thread(to_parent.recv)  # any message, or the end of the parent
    except EOFError:
        pass
    finally:
        await runner.cleanup()


def _session(config: AvatarConfig) -> Session:
    from avatar_forcing_ros.benchmarks.web_session import marked_session

    return marked_session(config)
