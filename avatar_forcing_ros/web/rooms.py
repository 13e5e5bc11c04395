"""Which room a request belongs to, and which is free for one who comes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web

from avatar_forcing_ros.web.access import RefusedError
from avatar_forcing_ros.web.requests import key_of
from avatar_forcing_ros.web.room import Room

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
logger = logging.getLogger(__name__)


class Rooms:
    """Lives in the event loop. Whoever comes to talk has a room to themselves while they stay.

    A single room is everybody's, as its `SessionManager` has it: one talks, others watch. Whoever
    has no room is in the `lobby`, in which nothing ever happens; of a single room it is that one.
    """

    def __init__(self, rooms: Sequence[Room], lobby: Room) -> None:
        self.all = tuple(rooms)
        self._lobby = lobby
        self._line = list(rooms)  # the one that was taken last is the last to be taken again
        self._giving_up: set[asyncio.Task[None]] = set()

    @property
    def several(self) -> bool:
        """Whether everybody has a room of their own."""
        return len(self.all) > 1

    def of(self, key: str) -> Room:
        """The room in which `key` has a place, else the lobby."""
        return self._known(key) or self._lobby

    def routes(self) -> list[web.RouteDef]:
        """The API of one room, each request answered by the room of its key."""
        defined = self._lobby.routes()
        handlers = {room: [one.handler for one in room.routes()] for room in self.all}
        handlers.setdefault(self._lobby, [one.handler for one in defined])

        def answered(number: int) -> Handler:
            async def answer(request: web.Request) -> web.StreamResponse:
                handler: Any = handlers[self.of(key_of(request))][number]
                response: web.StreamResponse = await handler(request)
                return response

            return answer

        return [
            web.RouteDef(one.method, one.path, answered(number), one.kwargs)
            for number, one in enumerate(defined)
        ]

    def state(self) -> dict[str, Any]:
        """How many conversations there can be; of several also how many more now."""
        count = {"conversations": len(self.all)}
        if self.several:
            count["free"] = sum(room.sessions.is_free for room in self.all)
        return count

    async def join(
        self, sdp: object, role: object, key: object, *, visitor: str, trusted: bool
    ) -> tuple[Room, str, str]:
        """Connect a browser in its room, or a free one; the room, and as `SessionManager.join`.

        Where an avatar does not begin the next free room is tried. RefusedError also where all
        are taken (503), and for those who would watch somebody else's conversation (409).
        """
        own = self._known(key) if self.several else self._lobby
        if self.several and role == "viewer":
            raise RefusedError(
                409,
                "role",
                expected="to talk: everybody has a conversation of their own",
                got="to watch",
                remedy="start talking",
            )
        if own:
            return own, *await own.sessions.join(sdp, role, key, visitor=visitor, trusted=trusted)
        failure: Exception | None = None
        for room in self._free():
            if not room.sessions.is_free:
                continue  # somebody was quicker
            self._line.remove(room)
            self._line.append(room)
            try:
                return room, *await room.sessions.join(
                    sdp, role, key, visitor=visitor, trusted=trusted
                )
            except RefusedError:
                raise
            except Exception as error:  # whatever is wrong with this avatar, others may begin
                logger.warning("a conversation could not begin: %s", error)
                failure = error
        if failure:
            raise failure
        self._give_up_silent()
        raise RefusedError(
            503,
            "conversation",
            expected=f"one of {len(self.all)} to be free",
            got="all of them taken",
            remedy="try again later",
        )

    async def close(self) -> None:
        """Everybody leaves."""
        for task in self._giving_up:
            task.cancel()
        await asyncio.gather(*(room.close() for room in {*self.all, self._lobby}))

    def _known(self, key: object) -> Room | None:
        if not isinstance(key, str):
            return None
        return next((room for room in self.all if room.sessions.knows(key)), None)

    def _free(self) -> list[Room]:
        """Free rooms; those that are kept for somebody who may come again last."""
        free = [room for room in self._line if room.sessions.is_free]
        return sorted(free, key=lambda room: room.sessions.is_reserved)

    def _give_up_silent(self) -> None:
        """Somebody wants a place: begin to free those of which nothing comes."""
        if self._giving_up:
            return
        for room in self.all:
            task = asyncio.ensure_future(room.sessions.give_up_silent_speaker())
            self._giving_up.add(task)
            task.add_done_callback(self._giving_up.discard)
