"""One browser: its WebRTC connection, what it gets, what it sends."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections.abc import Callable, Container
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

from avatar_forcing_ros.media import AudioChunk, AvatarFrame
from avatar_forcing_ros.web import tracks
from avatar_forcing_ros.web.access import RefusedError
from avatar_forcing_ros.web.backend import AvatarBackend
from avatar_forcing_ros.web.library_patches import local_only, own_addresses
from avatar_forcing_ros.web.user_media import Camera, Microphone

Role = Literal["speaker", "viewer"]
ROLES: tuple[str, ...] = get_args(Role)
CONNECT_TIMEOUT_S = 20.0
ANSWER_TIMEOUT_S = 10.0
SILENCE_TIMEOUT_S = 6.0  # a browser sends packets at least every second or two
WANTED_SILENCE_S = 2.5  # of a speaker whose turn others want; one that lives comes again by itself
MAX_OFFER_LENGTH = 64_000  # characters; a browser's has some 8,000
MAX_LINE_LENGTH, MAX_LINES = 4_000, 1_500
MAX_SECTIONS = 3  # audio, the avatar's video, perhaps the robot's view
KINDS = ("audio", "video")  # a data channel would only gather messages
MAX_CANDIDATES = 32
MAX_HIDDEN_CANDIDATES = 8  # under .local names; each is looked up in the network
IDENTITY = {  # what every section needs (RFC 8122, 5; RFC 8839, 5.4)
    r"a=fingerprint:sha-(256|384|512) [0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){31,63}": "a fingerprint",
    r"a=ice-ufrag:[\w+/.-]{4,256}": "an ICE user name",
    r"a=ice-pwd:[\w+/.-]{22,256}": "an ICE password",
}
MID, BUNDLE = "a=mid:", "a=group:BUNDLE "
logger = logging.getLogger(__name__)


class Peer:
    """A connection from its offer to its end; `on_lost` is called once when it ends by itself.

    `on_connected` is called when media begins to flow. A `local` one is reached from this machine
    alone. `visitor` names who sent the offer, for `half_open`.
    """

    def __init__(
        self,
        role: Role,
        backend: AvatarBackend,
        on_lost: Callable[[Peer], None],
        on_connected: Callable[[Peer], None] = lambda peer: None,
        on_user_audio: Callable[[AudioChunk], None] = lambda chunk: None,
        *,
        local: bool,
        visitor: str = "",
    ) -> None:
        """`on_user_audio` gets what its microphone sends, after the backend."""

        def push_audio(chunk: AudioChunk) -> None:
            backend.push_user_audio(chunk)
            on_user_audio(chunk)

        self.role, self.key, self.visitor = role, secrets.token_urlsafe(16), visitor
        self.video, self.view = tracks.AvatarVideo(), tracks.ViewVideo()
        self.audio = tracks.AvatarAudio(self._pick_audio)
        self.camera = Camera(backend.push_user_frame, backend.now_ns)
        self.microphone = Microphone(push_audio, backend.now_ns)
        self._on_lost, self._on_connected, self._local = on_lost, on_connected, local
        self._max_videos = 2 if backend.has_view else 1
        self._received = {self.audio, self.video} if backend.wants_camera else {self.audio}
        # no STUN server: nobody outside is asked anything. One transport for all: else aiortc
        # leaves the second of two videos on a transport that it has closed
        self._connection = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._connection.on("track", self._on_track)
        self._connection.on("connectionstatechange", self._on_state)
        self._following: dict[str, asyncio.Task[None]] = {}
        self._packets, self._alive_s = 0, 0.0
        loop = asyncio.get_running_loop()
        self._timeout = loop.call_later(CONNECT_TIMEOUT_S, self._on_timeout)

    @property
    def connected(self) -> bool:
        """Whether media flows."""
        return bool(self._connection.connectionState == "connected")

    def _pick_audio(self, frame: AvatarFrame) -> NDArray[np.float32]:
        """The audio of `frame` for the role that this one has by now."""
        is_speaker = self.role == "speaker"
        return tracks.speaker_audio(frame) if is_speaker else tracks.viewer_audio(frame)

    async def answer(self, sdp: object, *, trusted: bool = True) -> str:
        """The answer to a browser's offer; RefusedError (400) where that is none.

        Nothing is sent to the addresses in an offer that is not `trusted`: its browser calls.
        """
        own = own_addresses() if self._local else None
        offer = checked_offer(sdp, own if trusted else ())
        try:
            with local_only() if self._local else nullcontext():
                return await asyncio.wait_for(self._negotiate(offer), ANSWER_TIMEOUT_S)
        except RefusedError:
            raise
        except Exception as error:  # the parser meets whatever somebody sends
            raise _bad_offer(f"one that cannot be read ({type(error).__name__})") from error

    async def _negotiate(self, offer: str) -> str:
        await self._connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        self._attach_tracks()
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        return str(self._connection.localDescription.sdp)

    def _attach_tracks(self) -> None:
        """Put the avatar into the offer's sections for audio and video, then the view."""
        transceivers = self._connection.getTransceivers()
        kinds = [one.kind for one in transceivers]
        if not kinds or kinds.count("audio") > 1 or kinds.count("video") > self._max_videos:
            raise _bad_offer(f"sections for {', '.join(kinds) or 'nothing'}")
        videos: list[MediaStreamTrack] = [self.video, self.view]
        for transceiver in transceivers:
            track = videos.pop(0) if transceiver.kind == "video" else self.audio
            transceiver.sender.replaceTrack(track)
            # the camera comes by the first video; nothing is received from viewers
            receives = self.role == "speaker" and track in self._received
            transceiver.direction = "sendrecv" if receives else "sendonly"

    def note_alive(self, now_s: float) -> None:
        """The browser has requested something: it is there."""
        self._alive_s = now_s

    async def is_silent(self, now_s: float, limit_s: float = SILENCE_TIMEOUT_S) -> bool:
        """Whether an established connection has sent and requested nothing for `limit_s`."""
        packets = await self.received_packets()
        if packets != self._packets or not self.connected:
            self._packets, self._alive_s = packets, now_s
        return now_s - self._alive_s > limit_s

    @property
    def alive_s(self) -> float:
        """When it last gave a sign of life, on the clock that was given."""
        return self._alive_s

    async def received_packets(self) -> int:
        """How many have come over the connection's transports."""
        reports: Any = (await self._connection.getStats()).values()
        return sum(one.packetsReceived for one in reports if one.type == "transport")

    async def become_viewer(self) -> None:
        """Only view from now on: camera and microphone are followed no more."""
        self.role = "viewer"
        await self._unfollow()
        if not self.connected:  # a connection that is still being made would follow them again
            self._on_lost(self)
        for transceiver in self._connection.getTransceivers():
            await transceiver.receiver.stop()  # else its frames would pile up

    async def close(self) -> None:
        """End the connection and all that belongs to it."""
        self._timeout.cancel()
        for track in (self.video, self.audio, self.view):
            track.stop()
        await self._unfollow()
        try:
            await self._connection.close()
        except Exception:  # an offer that confused aiortc; the place is free all the same
            logger.exception("closing a connection")

    async def _unfollow(self) -> None:
        following, self._following = self._following.values(), {}
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)

    def _on_track(self, track: MediaStreamTrack) -> None:
        """Follow the speaker's camera and microphone."""
        if self.role != "speaker" or track.kind in self._following:
            return
        source = self.camera if track.kind == "video" else self.microphone
        self._following[track.kind] = asyncio.ensure_future(source.follow(track))

    def _on_state(self) -> None:
        if self._connection.connectionState in ("failed", "closed"):
            self._on_lost(self)
        elif self.connected:
            self._on_connected(self)

    def _on_timeout(self) -> None:
        if not self.connected:
            self._on_lost(self)


def checked_offer(sdp: object, reachable: Container[str] | None) -> str:
    """A browser's offer (SDP) within limits, and without addresses that are not `reachable`.

    RefusedError (400) where it is no offer, or too large. None: all addresses are kept, up to a
    number. Where any is missing nor does it say that these are all: the browser's own calls, from
    wherever they come, are waited for.
    """
    if not isinstance(sdp, str) or len(sdp) > MAX_OFFER_LENGTH:
        raise _bad_offer("something else, or too much")
    lines = sdp.splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith("m=")]
    kinds = [lines[i][2:].split(" ")[0] for i in starts]
    if not 1 <= len(kinds) <= MAX_SECTIONS:
        raise _bad_offer(f"{len(kinds)} sections of media")
    if not set(kinds) <= set(KINDS):
        raise _bad_offer(f"sections for {', '.join(kinds)}")
    if len(lines) > MAX_LINES or max(map(len, lines)) > MAX_LINE_LENGTH:
        raise _bad_offer(f"{len(lines)} lines")
    ends = [*starts[1:], len(lines)]
    sections = [lines[i:j] for i, j in zip(starts, ends, strict=True)]
    _check_mids(lines[: starts[0]], sections)
    _check_keys(lines[: starts[0]], sections)
    return "\r\n".join(_filter_candidates(lines, reachable)) + "\r\n"


def _check_mids(head: list[str], sections: list[list[str]]) -> None:
    """Every section has a name (mid) of its own, and the bundle names no others.

    aiortc trusts a bundle, and cannot even close a connection afterwards if it lies.
    """
    names = []
    for section in sections:
        own = [line[len(MID) :] for line in section if line.startswith(MID)]
        if len(own) != 1 or not re.fullmatch(r"[\w.-]{1,32}", own[0], re.ASCII):
            raise _bad_offer(f"a section with {len(own)} names")
        names += own
    bundles = [line[len(BUNDLE) :].split(" ") for line in head if line.startswith(BUNDLE)]
    bundled = [name for bundle in bundles for name in bundle if name]
    unknown = set(bundled) - set(names) or any(line.startswith(MID) for line in head)
    twice = len(set(names)) < len(names) or len(set(bundled)) < len(bundled)
    if unknown or twice or len(bundles) > 1 or [""] in bundles:
        raise _bad_offer("a bundle of sections that are not there")


def _check_keys(head: list[str], sections: list[list[str]]) -> None:
    """Every section, or all together, says by what the sender is known.

    aiortc would make a connection without, which nobody can prove to be theirs, and fail later.
    """
    for section in sections:
        for pattern, what in IDENTITY.items():
            if not any(re.fullmatch(pattern, line, re.ASCII) for line in (*head, *section)):
                raise _bad_offer(f"one without {what}")


def _filter_candidates(lines: list[str], reachable: Container[str] | None) -> list[str]:
    kept: list[str] = []
    count = hidden_count = dropped = 0
    for line in lines:
        if line.startswith("a=candidate:"):
            # foundation component protocol priority address port … (RFC 8839, 5.1)
            words = line.split()
            address, port = words[4:6] if len(words) > 5 else ("", "")
            hidden = address.endswith(".local")
            count, hidden_count = count + 1, hidden_count + hidden
            unwanted = reachable is not None and address not in reachable
            if not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 65_536:
                unwanted = True  # sending to such a port breaks the socket
            too_many = count > MAX_CANDIDATES or (hidden and hidden_count > MAX_HIDDEN_CANDIDATES)
            if unwanted or too_many:
                dropped += 1
                continue
        kept.append(line)
    return [line for line in kept if not (dropped and line == "a=end-of-candidates")]


def _bad_offer(got: str) -> RefusedError:
    return RefusedError(
        400,
        "offer",
        expected="a WebRTC offer with audio and video (SDP)",
        got=got,
        remedy="load the page again",
    )
