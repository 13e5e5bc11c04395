"""One browser: its connection, what it gets, what it sends."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Literal, get_args

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)

from avatar_forcing_ros.web.prompt_receiving import hasten
from avatar_forcing_ros.web.refusal import RefusedError
from avatar_forcing_ros.web.stage import Stage
from avatar_forcing_ros.web.tracks import AvatarPicture, AvatarSound
from avatar_forcing_ros.web.user_streams import Camera, Microphone

Role = Literal["speaker", "viewer"]
ROLES: tuple[str, ...] = get_args(Role)
LONGEST_OFFER = 64_000  # characters; a browser's has some 8,000
MOST_SECTIONS = 3  # of an offer: sound, picture and perhaps data
CONNECT_PATIENCE_S = 20.0
OVER = ("failed", "closed")


class Guest:
    """A connection from its offer to its end; `gone` is called once when it ends by itself."""

    def __init__(self, role: Role, stage: Stage, gone: Callable[[Guest], None]) -> None:
        self.role, self.key = role, secrets.token_urlsafe(16)
        self.picture, self.sound = AvatarPicture(), AvatarSound()
        self.camera = Camera(stage.see, stage.now_ns)
        self.microphone = Microphone(stage.hear, stage.now_ns)
        self._gone = gone
        # no STUN server: nobody outside is asked anything
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peer.on("track", self._on_track)
        self._peer.on("connectionstatechange", self._on_state)
        self._followed: list[asyncio.Task[None]] = []
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(CONNECT_PATIENCE_S, self._on_patience)

    @property
    def connected(self) -> bool:
        """Whether sound and pictures flow."""
        return bool(self._peer.connectionState == "connected")

    async def answer(self, sdp: object) -> str:
        """The answer to a browser's offer; RefusedError (400) where that is none."""
        if not isinstance(sdp, str) or len(sdp) > LONGEST_OFFER:
            raise _bad_offer("something else, or too much")
        if not 1 <= sdp.count("\nm=") <= MOST_SECTIONS:
            raise _bad_offer(f"{sdp.count(chr(10) + 'm=')} sections of media")
        try:
            await self._peer.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
            self._fill_in()
            await self._peer.setLocalDescription(await self._peer.createAnswer())
        except RefusedError:
            raise
        except Exception as error:  # the parser meets whatever somebody sends
            raise _bad_offer(f"one that cannot be read ({type(error).__name__})") from error
        return str(self._peer.localDescription.sdp)

    def _fill_in(self) -> None:
        """Put the avatar into the offer's places for picture and sound."""
        transceivers = self._peer.getTransceivers()
        kinds = [transceiver.kind for transceiver in transceivers]
        if not kinds or len(set(kinds)) < len(kinds):
            raise _bad_offer(f"places for {', '.join(kinds) or 'nothing'}")
        for transceiver in transceivers:
            hasten(transceiver.receiver, transceiver.kind)
            self._peer.addTrack(self.picture if transceiver.kind == "video" else self.sound)
            if self.role == "viewer":
                transceiver.direction = "sendonly"  # nothing is taken of those who only watch

    async def close(self) -> None:
        """End the connection and all that belongs to it."""
        self._patience.cancel()
        self.picture.stop()
        self.sound.stop()
        for task in self._followed:
            task.cancel()
        await asyncio.gather(*self._followed, return_exceptions=True)
        await self._peer.close()

    def _on_track(self, track: MediaStreamTrack) -> None:
        """Follow the speaker's camera and microphone."""
        if self.role != "speaker":
            return
        eye_or_ear = self.camera if track.kind == "video" else self.microphone
        self._followed.append(asyncio.ensure_future(eye_or_ear.follow(track)))

    def _on_state(self) -> None:
        if self._peer.connectionState in OVER:
            self._gone(self)

    def _on_patience(self) -> None:
        if not self.connected:
            self._gone(self)


def _bad_offer(got: str) -> RefusedError:
    return RefusedError(
        400,
        "offer",
        expected="a WebRTC offer with sound and picture (SDP)",
        got=got,
        remedy="load the page again",
    )
