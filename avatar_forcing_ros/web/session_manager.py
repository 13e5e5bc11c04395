"""Who is connected and whose turn it is to talk: one speaker, some viewers.

The backend runs while anybody is connected.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from avatar_forcing_ros.config import ServerConfig
from avatar_forcing_ros.media import AudioChunk, AvatarFrame, VideoFrame
from avatar_forcing_ros.rig.expressions import NEUTRAL, Expression
from avatar_forcing_ros.runtime.status import AvatarStatus
from avatar_forcing_ros.web.access import RefusedError
from avatar_forcing_ros.web.backend import AvatarBackend
from avatar_forcing_ros.web.half_open import one_too_many
from avatar_forcing_ros.web.peer import ROLES, WANTED_SILENCE_S, Peer, Role
from avatar_forcing_ros.web.recorder import Recorder
from avatar_forcing_ros.web.tracks import FrameNumbers
from avatar_forcing_ros.web.turn_queue import TurnQueue

CHECK_PERIOD_S = 1.0


class SessionManager:
    """Lives in the event loop; the backend's threads reach it through `_on_frame` alone."""

    def __init__(
        self,
        backend: AvatarBackend,
        max_viewers: int = ServerConfig.max_viewers,
        *,
        local: bool = True,
        now_s: Callable[[], float] = time.monotonic,
        on_user_audio: Callable[[AudioChunk], None] = lambda chunk: None,
        on_turn_end: Callable[[], None] = lambda: None,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        """`local`: peers come from this machine alone.

        `on_user_audio` gets the speaker's microphone beside the backend, `on_turn_end` is called
        when a turn is over for good, `on_stop` before the backend ends. All in the event loop.
        """
        self._backend, self._max_viewers = backend, max_viewers
        self._local, self._now_s = local, now_s
        self._on_user_audio, self._on_turn_end, self._on_stop = on_user_audio, on_turn_end, on_stop
        self.peers: dict[str, Peer] = {}
        self._turn = TurnQueue()
        self._turns_cleaned = 0
        self._numbers = FrameNumbers()
        self._lock = asyncio.Lock()
        self._leaving: set[asyncio.Task[None]] = set()
        self.shown_frames = 0
        self.recorder = Recorder()
        self._expression = Expression(NEUTRAL)
        self.portrait_id = ""  # of the portrait that was set; empty for the first
        self._blocks = 0  # that the avatar has made in its conversation

    async def join(
        self, sdp: object, role: object, key: object, *, visitor: str = "", trusted: bool = True
    ) -> tuple[str, str]:
        """Connect a browser; the answer to its offer, and the key of its place.

        A browser that comes again presents the `key` it had and takes its own place; its old
        connection ends then. Nothing is sent to the addresses in an offer that is not `trusted`.
        RefusedError where there is no place (409, 503) or the offer is unusable (400).
        """
        if role not in ROLES:
            raise RefusedError(
                400, "role", expected=" or ".join(ROLES), got=repr(role), remedy="choose one"
            )
        role, key = cast(Role, role), key if isinstance(key, str) else ""
        async with self._lock:
            if role == "speaker":
                await self._lose_silent_speaker()
            self._turn.expire(self._now_s())
            self._require_place(role, key)
            await self._limit_half_open(role, visitor)
            peer = Peer(
                role,
                self._backend,
                self._on_lost,
                self._on_connected,
                self._on_user_audio,
                local=self._local,
                visitor=visitor,
            )
            try:
                answer = await peer.answer(sdp, trusted=trusted)
                if not self._backend.running:
                    await self._start_backend()
            except BaseException:
                await peer.close()
                if not self.peers and self._backend.running:
                    await asyncio.to_thread(self._backend.stop)
                raise
            await self._admit(peer, key)
        return answer, peer.key

    def knows(self, key: str) -> bool:
        """Whether `key` has a place here, or one that is kept for it."""
        return bool(key) and (key in self.peers or self._turn.knows(key))

    @property
    def is_free(self) -> bool:
        """Whether nobody is here, nobody's place is kept firmly, and nothing begins or ends."""
        self._turn.expire(self._now_s())
        return not self.peers and self._turn.is_free and not self._lock.locked()

    @property
    def is_reserved(self) -> bool:
        """Whether a place is kept for somebody whose connection broke."""
        return self._turn.is_reserved

    async def give_up_silent_speaker(self) -> None:
        """Somebody wants a place: a speaker of whom nothing comes loses theirs."""
        async with self._lock:
            await self._lose_silent_speaker()

    async def _admit(self, peer: Peer, key: str) -> None:
        """Give `peer` the place that `key` had, or a new one."""
        self.peers[peer.key] = peer
        if peer.role == "speaker":
            self._turn.take(key, peer.key)
        elif key == self._turn.holder:
            self._turn.leave(key, self._now_s())
        else:
            self._turn.rename(key, peer.key)
        peer.note_alive(self._now_s())
        old = self.peers.pop(key, None)
        if old:
            await old.close()
        await self._clean_up_turns()

    async def leave(self, key: str) -> None:
        """Give a place and the turn up; an unknown `key` has none."""
        async with self._lock:
            self._turn.leave(key, self._now_s())
            await self._remove(key)

    async def abandon(self, key: str) -> None:
        """Free the place of a browser that did not wait for the answer to its offer."""
        async with self._lock:
            self._turn.abandon(key, self._now_s())
            await self._remove(key)

    async def _limit_half_open(self, role: Role, visitor: str) -> None:
        """Before one more: a viewer who has not come yet may have to give way."""
        half_open = [one for one in self._viewers() if not one.connected]
        if role == "viewer" and (oldest := one_too_many(half_open, visitor)):
            await self._remove(oldest.key)

    def request_turn(self, key: str) -> dict[str, Any]:
        """A viewer wants to talk; the turn's state then. RefusedError (403) for strangers."""
        if key not in self.peers:
            raise _not_allowed("one who watches", "a stranger's", "watch first")
        self._turn.expire(self._now_s())
        self._turn.request(key, self._now_s())
        return self._turn.state(key)

    def withdraw_request(self, key: str) -> dict[str, Any]:
        """A viewer who asked to talk only watches again; the turn's state then."""
        self._turn.withdraw(key, self._now_s())
        return self._turn.state(key)

    def push_expression(self, expression: Expression) -> None:
        """Have the face show it, until another comes or the turn is over."""
        self._expression = expression
        self._backend.push_expression(expression)

    async def hand_over(self, key: str) -> dict[str, Any]:
        """Make the first in line the next speaker, the speaker a viewer; the turn's state then.

        RefusedError for everybody but the speaker (403) and where nobody waits (409).
        """
        async with self._lock:
            speaker = self.require_speaker(key)
            if not self._turn.waiting:
                raise RefusedError(
                    409,
                    "hand over",
                    expected="somebody who has asked to talk",
                    got="nobody",
                    remedy="go on, or end your conversation",
                )
            self._turn.hand_over(self._now_s())
            await speaker.become_viewer()
            await self._clean_up_turns()
            return self._turn.state(speaker.key)

    @property
    def ended_turns(self) -> int:
        """How often somebody's turn to talk was over for good."""
        return self._turn.ended_turns

    @property
    def can_begin(self) -> bool:
        """Whether anybody may begin to talk: nobody does, and no turn is kept for somebody."""
        self._turn.expire(self._now_s())
        return self._turn.is_free

    def require_same_turn(self, ended_turns: int) -> None:
        """RefusedError (403) if a turn ended since there were `ended_turns`."""
        if ended_turns != self.ended_turns:
            raise _not_allowed(
                "the one who talks with the avatar",
                "one's whose turn ended meanwhile",
                "start a conversation first",
            )

    def require_speaker(self, key: str) -> Peer:
        """The speaker, whose `key` this is; RefusedError (403) for everybody else."""
        peer = self.peers.get(key)
        if peer is None or peer.role != "speaker":
            got = "a viewer's" if peer else "a stranger's"
            raise _not_allowed(
                "the one who talks with the avatar", got, "start a conversation first"
            )
        return peer

    async def check_connections(self) -> None:
        """To be called every second or so: dead connections end, the turn is passed on."""
        now_s = self._now_s()
        for peer in list(self.peers.values()):
            if await peer.is_silent(now_s):
                await self._lose(peer)
        async with self._lock:
            if self._turn.waiting:
                await self._lose_silent_speaker()
            self._turn.expire(now_s)
            await self._clean_up_turns()
        self._note_blocks(self._backend.status)

    def _note_blocks(self, status: AvatarStatus) -> None:
        """An avatar that began anew, by itself, shows no expression any more."""
        if status.connected:
            if status.blocks < self._blocks:
                self._expression = Expression(NEUTRAL)
            self._blocks = status.blocks

    def state(self, key: str) -> dict[str, Any]:
        """Who is there, what comes of the speaker, and what `key` is; proves that `key` lives."""
        self._turn.expire(self._now_s())
        you = self.peers.get(key)
        speaker = next((one for one in self.peers.values() if one.role == "speaker"), None)
        if you:
            you.note_alive(self._now_s())
        return {
            "you": you.role if you else None,
            # None where there is no image of it yet
            "portrait": None if self._backend.portrait is None else self.portrait_id,
            "turn": self._turn.state(key),
            "speaker": speaker is not None,
            "viewers": sum(one.connected for one in self._viewers()),
            "shown_frames": self.shown_frames,
            "recording": self.recorder.state(),
            # a name; empty for what has none
            "expression": NEUTRAL if self._expression.is_neutral else self._expression.name,
            "camera_frames": speaker.camera.received if speaker else 0,
            "camera_dropped": speaker.camera.dropped if speaker else 0,
            "camera_refused": speaker.camera.refused if speaker else 0,
            "microphone_chunks": speaker.microphone.received if speaker else 0,
        }

    async def close(self) -> None:
        """Everybody leaves."""
        async with self._lock:
            for key in list(self.peers):
                await self._remove(key)
            await asyncio.to_thread(self.recorder.discard)

    def _require_place(self, role: Role, key: str) -> None:
        if role == "speaker" and not self._turn.may_take(key):
            raise RefusedError(
                409,
                "conversation",
                expected="nobody else to talk with the avatar",
                got="somebody who does, or is about to",
                remedy="watch and ask to talk, or wait until they have finished",
            )
        # those who have only asked to watch, so far, take no place
        viewers = sum(one.connected for one in self._viewers() if one.key != key)
        if role == "viewer" and viewers >= self._max_viewers:
            raise RefusedError(
                503,
                "conversation",
                expected=f"at most {self._max_viewers} who watch",
                got=f"{viewers} already",
                remedy="wait until one leaves",
            )

    def _viewers(self) -> list[Peer]:
        """Who watches, or has asked to; the oldest first."""
        return [one for one in self.peers.values() if one.role == "viewer"]

    def _on_connected(self, peer: Peer) -> None:
        """Where several came at once for the last place, the last one has to go."""
        viewers = sum(one.connected for one in self._viewers())
        if peer.role == "viewer" and viewers > self._max_viewers:
            self._on_lost(peer)

    async def _start_backend(self) -> None:
        loop = asyncio.get_running_loop()

        def on_frame(frame: AvatarFrame) -> None:
            with suppress(RuntimeError):  # the loop has just ended
                loop.call_soon_threadsafe(self._on_frame, frame)

        def on_view(frame: VideoFrame) -> None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._on_view, frame)

        self._blocks = 0
        starting = asyncio.ensure_future(asyncio.to_thread(self._backend.start, on_frame, on_view))
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:  # a thread is not called off: it would start it later
            await asyncio.wait([starting])
            raise

    def _on_frame(self, frame: AvatarFrame) -> None:
        number = self._numbers.next(frame.stamp_ns)
        self.shown_frames += 1
        self.recorder.put(number, frame)
        for peer in self.peers.values():
            if peer.connected:
                peer.video.put(number, frame)
                peer.audio.put(number, frame)

    def _on_view(self, frame: VideoFrame) -> None:
        for peer in self.peers.values():
            if peer.connected:
                peer.view.put(frame)

    def _on_lost(self, peer: Peer) -> None:
        task = asyncio.ensure_future(self._lose(peer))
        self._leaving.add(task)  # the loop itself keeps no task alive
        task.add_done_callback(self._leaving.discard)

    async def _lose(self, peer: Peer) -> None:
        """A connection broke; its turn is reserved for a while."""
        async with self._lock:
            await self._lose_locked(peer)

    async def _lose_locked(self, peer: Peer) -> None:
        if self.peers.get(peer.key) is peer:
            self._turn.lose(peer.key, self._now_s(), peer.alive_s)
            await self._remove(peer.key)

    async def _lose_silent_speaker(self) -> None:
        """Somebody wants the turn: its holder is given up sooner than if nobody did."""
        holder = self.peers.get(self._turn.holder or "")
        if holder and await holder.is_silent(self._now_s(), WANTED_SILENCE_S):
            await self._lose_locked(holder)

    async def _remove(self, key: str) -> None:
        peer = self.peers.pop(key, None)
        if peer:
            await peer.close()
            if not self.peers:
                self._rest_face()  # an avatar elsewhere goes on without a page
                self._on_stop()
                await asyncio.to_thread(self._backend.stop)
        await self._clean_up_turns()

    async def _clean_up_turns(self) -> None:
        """Once a turn is over for good nothing of it stays: words, recording, face."""
        if self._turns_cleaned != self._turn.ended_turns:
            self._turns_cleaned = self._turn.ended_turns
            self._on_turn_end()
            await asyncio.to_thread(self.recorder.discard)
            self._rest_face()
            await self.restore_portrait()

    async def restore_portrait(self) -> None:
        """Go back to the first face."""
        self.portrait_id = ""
        await asyncio.to_thread(self._backend.restore_portrait)

    def _rest_face(self) -> None:
        """Let go of the expression that the speaker chose."""
        if not self._expression.is_neutral:
            self.push_expression(Expression(NEUTRAL))


def _not_allowed(expected: str, got: str, remedy: str) -> RefusedError:
    return RefusedError(
        403, "request", expected=f"it to come from {expected}", got=got, remedy=remedy
    )
