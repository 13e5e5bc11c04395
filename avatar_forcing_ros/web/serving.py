"""The server's life: from listening to the end of the last conversation."""

from __future__ import annotations

import asyncio
import signal
import ssl
from collections.abc import Callable

from aiohttp import web

from avatar_forcing_ros.web.access import Access
from avatar_forcing_ros.web.server import Server
from avatar_forcing_ros.web.stage import Stage

ENDING_S = 2.0  # for requests that are being answered


def serve_until_stopped(
    stage: Stage,
    access: Access,
    host: str,
    port: int,
    tls: ssl.SSLContext | None,
    ready: Callable[[], None],
) -> None:
    """Answer requests until SIGINT or SIGTERM; OSError where the port cannot be had."""

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        runner = web.AppRunner(
            Server(stage, access).app, access_log=None, shutdown_timeout=ENDING_S
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port, ssl_context=tls).start()
            ready()
            await stop.wait()
        finally:
            await runner.cleanup()

    asyncio.run(serve())
