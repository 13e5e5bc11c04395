"""What servers with OpenAI's interfaces share: connections, bounds, and what is said of errors.

What a server says is bounded in time and size; what it says about errors goes to the log, never to
the page.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import aiohttp

from avatar_forcing_ros.errors import ResponderError

MAX_REPLY_BYTES = 1 << 20
MAX_NOTES_BYTES = 2_000  # of what it says about an error, in the log
CONNECT_TIMEOUT_S = 5.0
MAX_CONNECTIONS = 4
REMEDY = "the server's log and this one's say more"
# what is compressed may be of any size
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "avatar_forcing_ros"}
logger = logging.getLogger(__name__)


class Server:
    """One address; the connections to it are made when they are needed first."""

    def __init__(self, who: str, url: str, path: str, model: str, key: str) -> None:
        """`url` with or without `path`; `key` is empty where none is wanted."""
        self._who, self._model = who, model
        base = url.rstrip("/")
        self._url = base if base.endswith(path) else base + path
        self._headers = HEADERS | ({"Authorization": f"Bearer {key}"} if key else {})
        self._key = key
        self._made: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """End the connections."""
        if self._made:
            await self._made.close()

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._made is None:
            tracing = aiohttp.TraceConfig()
            tracing.on_request_redirect.append(self._on_redirect)
            self._made = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
                auto_decompress=False,
                trust_env=False,  # no proxy that the user has not named
                trace_configs=[tracing],
            )
        return self._made

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """Log what fails in the block; raises ResponderError for it."""
        try:
            yield
        except (aiohttp.ClientError, OSError, ValueError) as error:
            self._log(str(error) or type(error).__name__)
            raise self._failed("a server that answers", _kind_of(error)) from error

    async def _on_redirect(
        self,
        session: aiohttp.ClientSession,
        context: Any,
        about: aiohttp.TraceRequestRedirectParams,
    ) -> None:
        about.response.close()
        self._refuse_redirect(about.response)

    def _refuse_redirect(self, reply: aiohttp.ClientResponse) -> NoReturn:
        """It may lead anywhere."""
        self._log(f"a redirect to {reply.headers.get('Location')}")
        raise self._failed("an answer", f"a redirect (status {reply.status})")

    def _json(self, data: bytes | str) -> dict[str, Any]:
        """An object; ResponderError for anything else, and for one that reports an error."""
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise self._failed("JSON as OpenAI's servers answer", "something else")
        if value.get("error"):
            self._log(str(value["error"]))
            raise self._failed("an answer", "an error that it reports")
        return value

    def _log(self, text: str) -> None:
        shown = text.replace(self._key, "…") if self._key else text
        plain = "".join(c if c.isprintable() else " " for c in shown)
        logger.warning("%s %s: %s", self._who, self._url, plain[:MAX_NOTES_BYTES])

    def _failed(self, expected: str, got: str, remedy: str = REMEDY) -> ResponderError:
        return ResponderError(self._who, expected=expected, got=got, remedy=remedy)


def _kind_of(error: Exception) -> str:
    """What went wrong, without an address: the page shows it to whoever may watch."""
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"no WebSocket (status {error.status})"
    if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError)):
        return "no connection"
    if isinstance(error, (aiohttp.ClientPayloadError, ConnectionError)):
        return "a connection that broke off"
    return "something that is no HTTP"
