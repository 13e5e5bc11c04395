"""The server's life: from listening to the end of the last conversation."""

from __future__ import annotations

import asyncio
import signal
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from avatar_forcing_ros.errors import OutputError
from avatar_forcing_ros.web.access import Access
from avatar_forcing_ros.web.quiet_log import keep_quiet
from avatar_forcing_ros.web.room import MOST_VIEWERS
from avatar_forcing_ros.web.server import Server
from avatar_forcing_ros.web.stage import Stage

ENDING_S = 2.0  # for requests that are being answered
IDLE_S = 30.0  # how long a connection may be open without a whole request
MOST_CONNECTIONS = 200


@dataclass(frozen=True)
class Door:
    """Where a server listens, and to whom."""

    access: Access
    host: str
    port: int
    tls: ssl.SSLContext | None = None
    most_viewers: int = MOST_VIEWERS

    @property
    def url(self) -> str:
        """What to open in a browser."""
        name = "localhost" if self.access.local else self.host
        return f"{'https' if self.tls else 'http'}://{name}:{self.port}"


async def serve(stage: Stage, door: Door, ready: Callable[[], None], stop: asyncio.Event) -> None:
    """Answer requests until `stop`; OutputError where the address cannot be had."""
    keep_quiet()
    app = Server(stage, door.access, door.most_viewers).app
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=ENDING_S, keepalive_timeout=IDLE_S
    )
    await runner.setup()
    _bound_connections(runner.server)
    try:
        try:
            await web.TCPSite(runner, door.host, door.port, ssl_context=door.tls).start()
        except OSError as error:
            raise OutputError(
                f"address {door.host}:{door.port}",
                expected="one to listen on",
                got=error.strerror or str(error),
                remedy="choose another with --port, or the parameter port",
            ) from error
        ready()
        await stop.wait()
    finally:
        await runner.cleanup()


def _bound_connections(server: web.Server | None) -> None:
    """Where there are connections enough the next ones end at once."""
    assert server
    usual = server.connection_made

    def connection_made(handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        usual(handler, transport)
        if len(server.connections) > MOST_CONNECTIONS:
            transport.abort()

    server.connection_made = connection_made  # type: ignore[method-assign]


def serve_until_stopped(stage: Stage, door: Door, ready: Callable[[], None]) -> None:
    """Answer requests until SIGINT or SIGTERM; OutputError where the address cannot be had."""

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        await serve(stage, door, ready, stop)

    asyncio.run(run())


class ServingThread:
    """A server in a thread of its own, for programs that have another main loop."""

    def __init__(self, stage: Stage, door: Door) -> None:
        """Listen; OutputError where the address cannot be had."""
        self._stage, self._door = stage, door
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._begun = threading.Event()
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="web server", daemon=True)
        self._thread.start()
        self._begun.wait()
        if self.failure:
            raise self.failure

    def stop(self, timeout_s: float = 10.0) -> bool:
        """End all conversations and the thread; False if it was still busy after `timeout_s`."""
        if self._loop and self._stop and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        async def run() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            await serve(self._stage, self._door, self._begun.set, self._stop)

        try:
            asyncio.run(run())
        except BaseException as error:  # raised again by whoever waits for the beginning
            self.failure = error
        finally:
            self._begun.set()
