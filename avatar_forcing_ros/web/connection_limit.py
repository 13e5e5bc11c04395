"""How many connections a server has open, from one visitor and in all: the oldest give way.

A connection costs little, and one that asks for nothing little for long, but a process may have
no more than some thousand files open. Whoever opens many loses their own oldest, and no other's;
those that are being answered come last.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from aiohttp import web

ENDING = 50  # that have been closed, and are about to be gone


class ConnectionLimit:
    """Follows the connections of `server` from the moment on at which it is made."""

    def __init__(
        self,
        server: web.Server,
        max_connections: int,
        max_per_visitor: int,
        visitor_of: Callable[[str], str | None],
    ) -> None:
        """`visitor_of` an address names who is counted; None: not by the limit per visitor."""
        self._max, self._max_per_visitor = max_connections, max_per_visitor
        self._visitor_of = visitor_of
        self._open: dict[web.RequestHandler, str | None] = {}  # the oldest first
        self._server = server
        self._made, self._lost = server.connection_made, server.connection_lost
        server.connection_made = self._on_made  # type: ignore[method-assign]
        server.connection_lost = self._on_lost  # type: ignore[method-assign]

    def _on_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        self._made(handler, transport)
        loop = asyncio.get_running_loop()
        # later on, when aiohttp has begun with it: it does not expect to lose it before
        if len(self._server.connections) > self._max + ENDING:
            loop.call_soon(transport.abort)
            return
        peer = transport.get_extra_info("peername")
        visitor = self._visitor_of(str(peer[0]) if peer else "")
        oldest = self._one_too_many(visitor)
        if oldest is not None:
            del self._open[oldest]
            loop.call_soon(oldest.force_close)
        self._open[handler] = visitor

    def _one_too_many(self, visitor: str | None) -> web.RequestHandler | None:
        """The connection that gives way to another one of `visitor`."""
        counts = Counter(self._open.values())
        if visitor is None or counts[visitor] < self._max_per_visitor:
            if len(self._open) < self._max:
                return None
            [(visitor, _)] = counts.most_common(1)
        theirs = [one for one, whose in self._open.items() if whose == visitor]
        idle = (one for one in theirs if getattr(one, "_current_request", None) is None)
        return next(idle, theirs[0])

    def _on_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        self._open.pop(handler, None)
        self._lost(handler, exc)
