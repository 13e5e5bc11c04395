"""Running the server: where it listens, until when, in which thread."""

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
from avatar_forcing_ros.web.backend import AvatarBackend
from avatar_forcing_ros.web.library_patches import install_patches, limit_connections
from avatar_forcing_ros.web.rate_limit import limit_log_rate
from avatar_forcing_ros.web.server import Server
from avatar_forcing_ros.web.session_manager import MAX_VIEWERS

SHUTDOWN_S = 2.0  # for requests that are being answered
KEEPALIVE_S = 30.0  # how long a connection may be open without a whole request
MAX_CONNECTIONS = 200


@dataclass(frozen=True)
class ServerConfig:
    """Where a server listens, and to whom."""

    access: Access
    host: str
    port: int
    tls: ssl.SSLContext | None = None
    max_viewers: int = MAX_VIEWERS

    @property
    def url(self) -> str:
        """What to open in a browser."""
        name = "localhost" if self.access.local else self.host
        return f"{'https' if self.tls else 'http'}://{name}:{self.port}"


async def serve(
    backend: AvatarBackend, config: ServerConfig, ready: Callable[[], None], stop: asyncio.Event
) -> None:
    """Answer requests until `stop`; OutputError where the address cannot be bound."""
    limit_log_rate()
    install_patches()
    runner = web.AppRunner(
        Server(backend, config.access, config.max_viewers).app,
        access_log=None,
        shutdown_timeout=SHUTDOWN_S,
        keepalive_timeout=KEEPALIVE_S,
    )
    await runner.setup()
    assert runner.server
    limit_connections(runner.server, MAX_CONNECTIONS)
    try:
        try:
            await web.TCPSite(runner, config.host, config.port, ssl_context=config.tls).start()
        except OSError as error:
            raise OutputError(
                f"address {config.host}:{config.port}",
                expected="one to listen on",
                got=error.strerror or str(error),
                remedy="choose another with --port, or the parameter port",
            ) from error
        ready()
        await stop.wait()
    finally:
        await runner.cleanup()


def serve_until_signal(
    backend: AvatarBackend, config: ServerConfig, ready: Callable[[], None]
) -> None:
    """Answer requests until SIGINT or SIGTERM; OutputError where the address cannot be bound."""

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        await serve(backend, config, ready, stop)

    asyncio.run(run())


class ServerThread:
    """A server in a thread of its own, for programs that have another main loop."""

    def __init__(self, backend: AvatarBackend, config: ServerConfig) -> None:
        """Listen; OutputError where the address cannot be bound."""
        self._backend, self._config = backend, config
        self.url = config.url
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
            await serve(self._backend, self._config, self._begun.set, self._stop)

        try:
            asyncio.run(run())
        except BaseException as error:  # raised again in the constructor, or read as `failure`
            self.failure = error
        finally:
            self._begun.set()
