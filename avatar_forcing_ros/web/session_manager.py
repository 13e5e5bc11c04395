"""Who is there: one speaker, some viewers, and a stage that is lit while anybody looks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from avatar_forcing_ros.media import AvatarFrame, VideoFrame
from avatar_forcing_ros.web.floor import Floor
from avatar_forcing_ros.web.guest import ROLES, Guest, Role
from avatar_forcing_ros.web.recorder import Recorder
from avatar_forcing_ros.web.refusal import RefusedError
from avatar_forcing_ros.web.stage import Stage
from avatar_forcing_ros.web.tracks import FrameNumbers

MOST_VIEWERS = 3
ROUND_S = 1.0


class Room:
    """Lives in the event loop; the stage's threads reach it through `_show` alone."""

    def __init__(
        self,
        stage: Stage,
        most_viewers: int = MOST_VIEWERS,
        *,
        local: bool = True,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """In a `local` room all guests come from this machine."""
        self._stage, self._most_viewers = stage, most_viewers
        self._local, self._now_s = local, now_s
        self._guests: dict[str, Guest] = {}
        self._floor = Floor()
        self._turns_seen = 0
        self._numbers = FrameNumbers()
        self._changing = asyncio.Lock()
        self._leaving: set[asyncio.Task[None]] = set()
        self.shown_frames = 0
        self.recorder = Recorder()

    async def join(self, sdp: object, role: object, key: object) -> tuple[str, str]:
        """Let a browser in; the answer to its offer, and the key of its place.

        A browser that comes again shows the `key` it had and takes its own place; its old
        connection ends then. RefusedError where there is no place (409, 503) or the offer is none
        (400).
        """
        if role not in ROLES:
            raise RefusedError(
                400, "role", expected=" or ".join(ROLES), got=repr(role), remedy="choose one"
            )
        key = key if isinstance(key, str) else ""
        async with self._changing:
            self._floor.pass_on(self._now_s())
            self._require_place(cast(Role, role), key)
            guest = Guest(cast(Role, role), self._stage, self._on_gone, local=self._local)
            try:
                answer = await guest.answer(sdp)
                if not self._stage.running:
                    await self._wake()
            except BaseException:
                await guest.close()
                if not self._guests and self._stage.running:
                    await asyncio.to_thread(self._stage.stop)
                raise
            await self._seat(guest, key)
        return answer, guest.key

    async def _seat(self, guest: Guest, key: str) -> None:
        """Give `guest` the place that `key` had, or a new one."""
        self._guests[guest.key] = guest
        if guest.role == "speaker":
            self._floor.take(key, guest.key)
        elif key == self._floor.holder:
            self._floor.left(key, self._now_s())
        else:
            self._floor.rename(key, guest.key)
        guest.note_sign(self._now_s())
        old = self._guests.pop(key, None)
        if old:
            await old.close()
        await self._end_turns()

    async def leave(self, key: str | None) -> None:
        """Give a place up, and the floor; an unknown `key` has none."""
        async with self._changing:
            self._floor.left(key or "", self._now_s())
            await self._remove(key or "")

    def ask(self, key: str | None) -> dict[str, Any]:
        """A viewer wants to talk; how it stands then. RefusedError (403) for strangers."""
        if key not in self._guests:
            raise _not_theirs("one who watches", "a stranger's", "watch first")
        self._floor.pass_on(self._now_s())
        self._floor.ask(key, self._now_s())
        return self._floor.told(key)

    async def hand_over(self, key: str | None) -> dict[str, Any]:
        """The speaker gives the floor to the first in line, and watches; how it stands then.

        RefusedError for everybody but the speaker (403) and where nobody has asked (409).
        """
        async with self._changing:
            speaker = self.require_speaker(key)
            if not self._floor.waiting:
                raise RefusedError(
                    409,
                    "hand over",
                    expected="somebody who has asked to talk",
                    got="nobody",
                    remedy="go on, or end your conversation",
                )
            self._floor.hand_over(self._now_s())
            await speaker.stop_speaking()
            await self._end_turns()
            return self._floor.told(speaker.key)

    @property
    def turns(self) -> int:
        """How often somebody's turn to talk was over for good."""
        return self._floor.turns

    def require_same_turn(self, turns: int) -> None:
        """RefusedError (403) where the turn is over that went on when `turns` were."""
        if turns != self.turns:
            raise _not_theirs(
                "the one who talks with the avatar",
                "one's whose turn ended meanwhile",
                "start a conversation first",
            )

    def require_speaker(self, key: str | None) -> Guest:
        """The speaker, whose `key` this is; RefusedError (403) for everybody else."""
        guest = self._guests.get(key or "")
        if guest is None or guest.role != "speaker":
            got = "a viewer's" if guest else "a stranger's"
            raise _not_theirs(
                "the one who talks with the avatar", got, "start a conversation first"
            )
        return guest

    async def look_round(self) -> None:
        """To be called every second or so: dead connections end, the floor is passed on."""
        now_s = self._now_s()
        for guest in list(self._guests.values()):
            if await guest.is_quiet(now_s):
                await self._lose(guest)
        async with self._changing:
            self._floor.pass_on(now_s)
            await self._end_turns()

    def state(self, key: str | None = None) -> dict[str, Any]:
        """Who is there, what comes in of the speaker, and what `key` is; it is a sign of life."""
        self._floor.pass_on(self._now_s())
        you, speaker = self._guests.get(key or ""), self._speaker
        if you:
            you.note_sign(self._now_s())
        return {
            "you": you.role if you else None,
            "floor": self._floor.told(key or ""),
            "speaker": speaker is not None,
            "viewers": len(self._guests) - (speaker is not None),
            "shown_frames": self.shown_frames,
            "recording": self.recorder.told(),
            "camera_pictures": speaker.camera.received if speaker else 0,
            "camera_dropped": speaker.camera.dropped if speaker else 0,
            "camera_refused": speaker.camera.refused if speaker else 0,
            "microphone_pieces": speaker.microphone.received if speaker else 0,
        }

    async def close(self) -> None:
        """Everybody leaves."""
        async with self._changing:
            for key in list(self._guests):
                await self._remove(key)
            await asyncio.to_thread(self.recorder.discard)

    @property
    def _speaker(self) -> Guest | None:
        return next((g for g in self._guests.values() if g.role == "speaker"), None)

    def _require_place(self, role: Role, key: str) -> None:
        if role == "speaker" and not self._floor.may_take(key):
            raise RefusedError(
                409,
                "conversation",
                expected="nobody else to talk with the avatar",
                got="somebody who does, or is about to",
                remedy="watch and ask for the floor, or wait until they have finished",
            )
        viewers = sum(g.role == "viewer" for g in self._guests.values() if g.key != key)
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

        def show(frame: AvatarFrame) -> None:
            with suppress(RuntimeError):  # the loop has ended in this moment
                loop.call_soon_threadsafe(self._spread, frame)

        def show_view(frame: VideoFrame) -> None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._spread_view, frame)

        await asyncio.to_thread(self._stage.start, show, show_view)

    def _spread(self, frame: AvatarFrame) -> None:
        """Hand one frame to everybody."""
        number = self._numbers.of(frame.stamp_ns)
        self.shown_frames += 1
        self.recorder.put(number, frame)
        for guest in self._guests.values():
            if guest.connected:
                guest.picture.put(number, frame)
                guest.sound.put(number, frame)

    def _spread_view(self, frame: VideoFrame) -> None:
        for guest in self._guests.values():
            if guest.connected:
                guest.view.put(frame)

    def _on_gone(self, guest: Guest) -> None:
        task = asyncio.ensure_future(self._lose(guest))
        self._leaving.add(task)  # the loop itself keeps no task alive
        task.add_done_callback(self._leaving.discard)

    async def _lose(self, guest: Guest) -> None:
        """A connection broke; what it had is kept for a while."""
        async with self._changing:
            if self._guests.get(guest.key) is guest:
                self._floor.lost(guest.key, self._now_s())
                await self._remove(guest.key)

    async def _remove(self, key: str) -> None:
        guest = self._guests.pop(key, None)
        if guest:
            await guest.close()
            if not self._guests:
                await asyncio.to_thread(self._stage.stop)
        await self._end_turns()

    async def _end_turns(self) -> None:
        """When a speaker has finished for good nothing of theirs stays: recording, portrait."""
        if self._turns_seen != self._floor.turns:
            self._turns_seen = self._floor.turns
            await asyncio.to_thread(self.recorder.discard)
            await asyncio.to_thread(self._stage.restore_face)


def _not_theirs(expected: str, got: str, remedy: str) -> RefusedError:
    return RefusedError(
        403, "request", expected=f"it to come from {expected}", got=got, remedy=remedy
    )
