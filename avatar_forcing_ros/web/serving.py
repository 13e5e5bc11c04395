"""Running the server: where it listens, until when, in which thread."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from avatar_forcing_ros.config import ServerConfig
from avatar_forcing_ros.errors import OutputError
from avatar_forcing_ros.resources import user_path
from avatar_forcing_ros.web.access import (
    Access,
    access_for,
    framing_origins,
    tls_context,
    trusted_networks,
)
from avatar_forcing_ros.web.backend import AvatarBackend
from avatar_forcing_ros.web.connection_limit import ConnectionLimit
from avatar_forcing_ros.web.library_patches import (
    LOOPBACK,
    install_patches,
    outer_addresses,
)
from avatar_forcing_ros.web.middleware import limit_log_rate
from avatar_forcing_ros.web.recorder import remove_files
from avatar_forcing_ros.web.server import Server

SHUTDOWN_S = 0.5  # for requests that are being answered
MAX_END_S = 2.5  # for all that goes on when the process is to end
KEEPALIVE_S = 30.0  # how long a connection may be open without a whole request
MAX_CONNECTIONS, MAX_CONNECTIONS_PER_VISITOR = 200, 50  # a browser opens six
CONNECTIONS_PER_CONVERSATION = 12
CONNECTION_SETTINGS: dict[str, Any] = {"auto_decompress": False}  # of aiohttp; none is read
ANY_ADDRESS = ("0.0.0.0", "::", "")


@dataclass(frozen=True)
class Endpoint:
    """Where a server listens, to whom, and what it offers; `of` makes one of its settings."""

    access: Access
    host: str
    port: int
    tls: ssl.SSLContext | None = None
    max_viewers: int = ServerConfig.max_viewers
    portraits: tuple[Path, ...] = ()
    first_portrait: str = ""

    @classmethod
    def of(cls, config: ServerConfig) -> Endpoint:
        """Raises ConfigError for settings that are unsafe or of no use."""
        token_file, certificate, key = (
            user_path(name) if name else None
            for name in (config.token_file, config.tls_cert, config.tls_key)
        )
        access = access_for(
            config.host,
            token_file,
            open_to_viewers=config.open_to_viewers,
            trusted_proxies=trusted_networks(config.trusted_proxy),
            frame_ancestors=framing_origins(config.frame_ancestors),
            open_health=config.open_health,
        )
        tls = tls_context(certificate, key)
        return cls(access, config.host, config.port, tls, config.max_viewers)

    @property
    def url(self) -> str:
        """What to open in a browser: on another machine, where others can reach it."""
        return self.urls[:2][-1]

    @property
    def urls(self) -> list[str]:
        """All addresses to open: of a server that listens on all of them this machine's first."""
        names = [self.host]
        if self.host in ANY_ADDRESS:
            # asyncio takes :: for all addresses of IPv6 alone
            ipv4, ipv6 = self.host != "::", self.host != "0.0.0.0"
            names = ["localhost" if ipv4 else "::1", *outer_addresses(ipv4, ipv6)]
        elif self.host == LOOPBACK:
            names = ["localhost"]
        names = [f"[{name}]" if ":" in name else name for name in names]
        return [f"{'https' if self.tls else 'http'}://{name}:{self.port}" for name in names]


async def serve(
    backend: AvatarBackend,
    endpoint: Endpoint,
    ready: Callable[[], None],
    stop: asyncio.Event,
    **more: Any,
) -> None:
    """Answer requests until `stop`; OutputError where the address cannot be bound.

    `more` is for `Server`: what speaks, what listens and answers, further avatars.
    """
    limit_log_rate()
    install_patches()
    server = Server(
        backend,
        endpoint.access,
        endpoint.max_viewers,
        portraits=endpoint.portraits,
        first_portrait=endpoint.first_portrait,
        **more,
    )
    runner = web.AppRunner(
        server.app,
        access_log=None,
        shutdown_timeout=SHUTDOWN_S,
        keepalive_timeout=KEEPALIVE_S,
        **CONNECTION_SETTINGS,
    )
    await runner.setup()
    assert runner.server
    access = endpoint.access
    ConnectionLimit(
        runner.server,
        MAX_CONNECTIONS + CONNECTIONS_PER_CONVERSATION * (len(server.rooms.all) - 1),
        MAX_CONNECTIONS_PER_VISITOR,
        lambda address: None if access.trusts(address) else access.visitor(address),
    )
    try:
        try:
            await web.TCPSite(
                runner, endpoint.host, endpoint.port, ssl_context=endpoint.tls
            ).start()
        except OSError as error:
            raise OutputError(
                f"address {endpoint.host}:{endpoint.port}",
                expected="one to listen on",
                got=error.strerror or str(error),
                remedy="choose another with --port, or the parameter port",
            ) from error
        ready()
        await stop.wait()
    finally:
        await runner.cleanup()


def serve_until_signal(
    backend: AvatarBackend, endpoint: Endpoint, ready: Callable[[], None], **more: Any
) -> None:
    """Answer requests until SIGINT or SIGTERM; OutputError where the address cannot be bound.

    `more` is for `Server`: what speaks, what listens and answers.
    The whole process ends within MAX_END_S of the signal, whatever goes on in its threads.
    """

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def end() -> None:
            stop.set()
            limit = threading.Timer(MAX_END_S, end_at_once)
            limit.daemon = True
            limit.start()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, end)
        await serve(backend, endpoint, ready, stop, **more)

    asyncio.run(run())


def end_at_once() -> None:
    """End this process and those that it began; no recording stays behind."""
    for child in multiprocessing.active_children():
        child.kill()
    remove_files()
    os._exit(0)  # as it was asked to


class ServerThread:
    """A server in a thread of its own, for programs that have another main loop."""

    def __init__(self, backend: AvatarBackend, endpoint: Endpoint) -> None:
        """Listen; OutputError where the address cannot be bound."""
        self._backend, self._endpoint = backend, endpoint
        self.url = endpoint.url
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
            await serve(self._backend, self._endpoint, self._begun.set, self._stop)

        try:
            asyncio.run(run())
        except BaseException as error:  # raised again in the constructor, or read as `failure`
            self.failure = error
        finally:
            self._begun.set()
