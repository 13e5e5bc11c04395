"""Who is there: one speaker, some viewers, and a stage that is lit while anybody looks."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from avatar_forcing_ros.web.guest import ROLES, Guest, Role
from avatar_forcing_ros.web.refusal import RefusedError
from avatar_forcing_ros.web.stage import Stage, StageFrame
from avatar_forcing_ros.web.tracks import FrameNumbers

MOST_VIEWERS = 3


class Room:
    """Lives in the event loop; the stage's threads reach it through `_show` alone."""

    def __init__(self, stage: Stage, most_viewers: int = MOST_VIEWERS) -> None:
        self._stage, self._most_viewers = stage, most_viewers
        self._guests: dict[str, Guest] = {}
        self._numbers = FrameNumbers()
        self._changing = asyncio.Lock()
        self._leaving: set[asyncio.Task[None]] = set()
        self.shown_frames = 0

    async def join(self, sdp: object, role: object, key: object) -> tuple[str, str]:
        """Let a browser in; the answer to its offer, and the key of its place.

        A browser that comes again shows the `key` it had and takes its own place. RefusedError
        where there is no place (409, 503) or the offer is none (400).
        """
        if role not in ROLES:
            raise RefusedError(
                400, "role", expected=" or ".join(ROLES), got=repr(role), remedy="choose one"
            )
        async with self._changing:
            if isinstance(key, str) and key in self._guests:
                await self._guests.pop(key).close()
            self._require_place(cast(Role, role))
            guest = Guest(cast(Role, role), self._stage, self._on_gone)
            self._guests[guest.key] = guest
            try:
                answer = await guest.answer(sdp)
                if not self._stage.running:
                    await self._wake()
            except BaseException:
                await self._remove(guest)
                raise
        return answer, guest.key

    async def leave(self, key: str | None) -> None:
        """Give a place up; an unknown `key` has none."""
        async with self._changing:
            guest = self._guests.get(key or "")
            if guest:
                await self._remove(guest)

    def require_speaker(self, key: str | None) -> None:
        """RefusedError (403) for everybody but the speaker."""
        guest = self._guests.get(key or "")
        if guest is None or guest.role != "speaker":
            raise RefusedError(
                403,
                "request",
                expected="it to come from the one who talks with the avatar",
                got="a viewer's" if guest else "a stranger's",
                remedy="start a conversation first",
            )

    def state(self) -> dict[str, Any]:
        """Who is there, and what comes in of the speaker."""
        speaker = self._speaker
        return {
            "speaker": speaker is not None,
            "viewers": len(self._guests) - (speaker is not None),
            "shown_frames": self.shown_frames,
            "camera_pictures": speaker.camera.received if speaker else 0,
            "camera_dropped": speaker.camera.dropped if speaker else 0,
            "camera_refused": speaker.camera.refused if speaker else 0,
            "microphone_pieces": speaker.microphone.received if speaker else 0,
        }

    async def close(self) -> None:
        """Everybody leaves."""
        async with self._changing:
            for guest in list(self._guests.values()):
                await self._remove(guest)

    @property
    def _speaker(self) -> Guest | None:
        return next((g for g in self._guests.values() if g.role == "speaker"), None)

    def _require_place(self, role: Role) -> None:
        if role == "speaker" and self._speaker:
            raise RefusedError(
                409,
                "conversation",
                expected="nobody else to talk with the avatar",
                got="somebody who does",
                remedy="watch, or wait until they have finished",
            )
        viewers = sum(guest.role == "viewer" for guest in self._guests.values())
        if role == "viewer" and viewers >= self._most_viewers:
            raise RefusedError(
                503,
                "conversation",
                expected=f"at most {self._most_viewers} who watch",
                got=f"{viewers} already",
                remedy="wait until one leaves",
            )

    async def _wake(self) -> None:
        loop = asyncio.get_running_loop()

        def show(frame: StageFrame) -> None:
            loop.call_soon_threadsafe(self._spread, frame)

        await asyncio.to_thread(self._stage.start, show)

    def _spread(self, frame: StageFrame) -> None:
        """Hand one frame to everybody."""
        number = self._numbers.of(frame.stamp_ns)
        self.shown_frames += 1
        for guest in self._guests.values():
            if guest.connected:
                guest.picture.put(number, frame)
                guest.sound.put(number, frame)

    def _on_gone(self, guest: Guest) -> None:
        task = asyncio.ensure_future(self.leave(guest.key))
        self._leaving.add(task)  # the loop itself keeps no task alive
        task.add_done_callback(self._leaving.discard)

    async def _remove(self, guest: Guest) -> None:
        if self._guests.pop(guest.key, None) is None:
            return
        await guest.close()
        if not self._guests:
            await asyncio.to_thread(self._stage.stop)
