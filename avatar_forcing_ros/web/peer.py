"""One browser: its connection, what it gets, what it sends."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Literal, get_args

import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from numpy.typing import NDArray

from avatar_forcing_ros.media import AvatarFrame
from avatar_forcing_ros.web import hearing
from avatar_forcing_ros.web.ice_hosts import at_home, own_addresses
from avatar_forcing_ros.web.offers import bad_offer, checked_offer
from avatar_forcing_ros.web.prompt_receiving import hasten
from avatar_forcing_ros.web.refusal import RefusedError
from avatar_forcing_ros.web.stage import Stage
from avatar_forcing_ros.web.tracks import AvatarPicture, AvatarSound, ViewPicture
from avatar_forcing_ros.web.user_streams import Camera, Microphone

Role = Literal["speaker", "viewer"]
ROLES: tuple[str, ...] = get_args(Role)
CONNECT_PATIENCE_S = 20.0
ANSWER_PATIENCE_S = 10.0
QUIET_S = 6.0  # a browser sends packets at least every second or two
OVER = ("failed", "closed")
logger = logging.getLogger(__name__)


class Guest:
    """A connection from its offer to its end; `gone` is called once when it ends by itself.

    A `local` one is reached from this machine alone.
    """

    def __init__(
        self, role: Role, stage: Stage, gone: Callable[[Guest], None], *, local: bool
    ) -> None:
        self.role, self.key = role, secrets.token_urlsafe(16)
        self.picture, self.view = AvatarPicture(), ViewPicture()
        self.sound = AvatarSound(self._hears)
        self.camera = Camera(stage.push_user_frame, stage.now_ns)
        self.microphone = Microphone(stage.push_user_audio, stage.now_ns)
        self._gone, self._local = gone, local
        self._videos = 2 if stage.has_view else 1
        self._wanted = {self.sound, self.picture} if stage.wants_camera else {self.sound}
        # no STUN server: nobody outside is asked anything. One way for all: else aiortc leaves the
        # second of two videos on a way that it has closed
        self._peer = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._peer.on("track", self._on_track)
        self._peer.on("connectionstatechange", self._on_state)
        self._followed: dict[str, asyncio.Task[None]] = {}
        self._packets, self._heard_s = 0, 0.0
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(CONNECT_PATIENCE_S, self._on_patience)

    @property
    def connected(self) -> bool:
        """Whether sound and pictures flow."""
        return bool(self._peer.connectionState == "connected")

    def _hears(self, frame: AvatarFrame) -> NDArray[np.float32]:
        """This one's sound of `frame`, as their role is by now."""
        pick = hearing.for_speaker if self.role == "speaker" else hearing.for_viewer
        return pick(frame)

    async def answer(self, sdp: object) -> str:
        """The answer to a browser's offer; RefusedError (400) where that is none."""
        offer = checked_offer(sdp, own_addresses() if self._local else None)
        try:
            with at_home() if self._local else nullcontext():
                return await asyncio.wait_for(self._negotiate(offer), ANSWER_PATIENCE_S)
        except RefusedError:
            raise
        except Exception as error:  # the parser meets whatever somebody sends
            raise bad_offer(f"one that cannot be read ({type(error).__name__})") from error

    async def _negotiate(self, offer: str) -> str:
        await self._peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        self._fill_in()
        await self._peer.setLocalDescription(await self._peer.createAnswer())
        return str(self._peer.localDescription.sdp)

    def _fill_in(self) -> None:
        """Put the avatar into the offer's places for picture and sound, then the view."""
        places = self._peer.getTransceivers()
        kinds = [place.kind for place in places]
        if not kinds or kinds.count("audio") > 1 or kinds.count("video") > self._videos:
            raise bad_offer(f"places for {', '.join(kinds) or 'nothing'}")
        pictures: list[MediaStreamTrack] = [self.picture, self.view]
        for place in places:
            hasten(place.receiver, place.kind)
            track = pictures.pop(0) if place.kind == "video" else self.sound
            place.sender.replaceTrack(track)
            # the camera comes by the first place; nothing is taken of those who only watch
            takes = self.role == "speaker" and track in self._wanted
            place.direction = "sendrecv" if takes else "sendonly"

    def note_sign(self, now_s: float) -> None:
        """The browser has asked for something: it is there."""
        self._heard_s = now_s

    async def is_quiet(self, now_s: float) -> bool:
        """Whether a connection that was there has sent nothing for long, and asked for nothing."""
        report: Any
        packets = 0
        for report in (await self._peer.getStats()).values():
            if report.type == "transport":
                packets += report.packetsReceived
        if packets != self._packets or not self.connected:
            self._packets, self._heard_s = packets, now_s
        return now_s - self._heard_s > QUIET_S

    async def stop_speaking(self) -> None:
        """Only watch from now on: camera and microphone are followed no more."""
        self.role = "viewer"
        await self._let_go()
        if not self.connected:  # a connection that is still being made would take it up again
            self._gone(self)
        for place in self._peer.getTransceivers():
            await place.receiver.stop()  # else its pictures would pile up unseen

    async def close(self) -> None:
        """End the connection and all that belongs to it."""
        self._patience.cancel()
        for track in (self.picture, self.sound, self.view):
            track.stop()
        await self._let_go()
        try:
            await self._peer.close()
        except Exception:  # an offer that confused aiortc; the place is free all the same
            logger.exception("closing a connection")

    async def _let_go(self) -> None:
        followed, self._followed = self._followed.values(), {}
        for task in followed:
            task.cancel()
        await asyncio.gather(*followed, return_exceptions=True)

    def _on_track(self, track: MediaStreamTrack) -> None:
        """Follow the speaker's camera and microphone."""
        if self.role != "speaker" or track.kind in self._followed:
            return
        eye_or_ear = self.camera if track.kind == "video" else self.microphone
        self._followed[track.kind] = asyncio.ensure_future(eye_or_ear.follow(track))

    def _on_state(self) -> None:
        if self._peer.connectionState in OVER:
            self._gone(self)

    def _on_patience(self) -> None:
        if not self.connected:
            self._gone(self)
