"""The server's process: as `avatar-forcing live`, with an avatar whose frames are marked.

Nothing of the networks is imported here: that is for the avatar's process alone.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from functools import partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from aiohttp import web

from avatar_forcing_ros.config import AvatarConfig
from avatar_forcing_ros.errors import AvatarForcingError
from avatar_forcing_ros.runtime.avatar_process import (
    AvatarProcess,
    avatars_of_one_process,
    close_all,
)
from avatar_forcing_ros.runtime.load import portrait_from_image
from avatar_forcing_ros.runtime.shared_sessions import SharedSessions
from avatar_forcing_ros.web.access import Access
from avatar_forcing_ros.web.backend import LiveBackend
from avatar_forcing_ros.web.library_patches import LOOPBACK, install_patches
from avatar_forcing_ros.web.server import Server

if TYPE_CHECKING:
    from avatar_forcing_ros.runtime.session import Session


def serve(config: AvatarConfig, to_parent: Connection, conversations: int = 1) -> None:
    """Serve so many at a time on loopback until the parent says so.

    The parent is sent the port and the process ids when it is ready, or an error of this package.
    Runs in a process of its own.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to answer
    install_patches()
    try:
        avatars = avatars_of_one_process(
            partial(_session, config) if conversations == 1 else _MarkedSessions(config),
            lambda where, text: to_parent.send(("warning", text)),
            conversations,
        )
    except AvatarForcingError as error:
        to_parent.send(("failed", error))
        return
    try:
        asyncio.run(_serve(avatars, config, to_parent))
    finally:
        close_all(avatars)


async def _serve(
    avatars: Sequence[AvatarProcess], config: AvatarConfig, to_parent: Connection
) -> None:
    size_px = avatars[0].portrait_size_px
    backend, *more = (
        LiveBackend(avatar, lambda image: portrait_from_image(image, config, size_px))
        for avatar in avatars
    )
    server = Server(backend, Access(local=True), more_backends=more)
    runner = web.AppRunner(server.app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, 0).start()
        to_parent.send(("ready", (runner.addresses[0][1], [os.getpid(), avatars[0].pid])))
        await asyncio.to_thread(to_parent.recv)  # any message, or the end of the parent
    except EOFError:
        pass
    finally:
        await runner.cleanup()


def _session(config: AvatarConfig) -> Session:
    from avatar_forcing_ros.benchmarks.web_session import marked_session

    return marked_session(config)


class _MarkedSessions(SharedSessions):
    """The same, of several on one set of weights."""

    def __call__(self) -> Session:
        from avatar_forcing_ros.benchmarks.web_session import MarkedSession

        return MarkedSession(super().__call__())
