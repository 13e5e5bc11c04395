"""What the page shows and talks to, and the backend of ``avatar-forcing live``.

The other backend, an avatar elsewhere on the ROS graph, is ``nodes/graph_backend.py``; it conforms
to the protocol without importing it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.config import LiveConfig
from avatar_forcing_ros.media import AudioChunk, AvatarFrame, VideoFrame
from avatar_forcing_ros.rig.expressions import Expression
from avatar_forcing_ros.runtime.speech_backlog import SpeechBacklog
from avatar_forcing_ros.runtime.status import AvatarStatus
from avatar_forcing_ros.streaming.directed_motion import GazeTarget

if TYPE_CHECKING:  # the server does without the networks' libraries
    from avatar_forcing_ros.rig.portrait import Portrait
    from avatar_forcing_ros.runtime.avatar import Avatar
    from avatar_forcing_ros.runtime.avatar_process import AvatarProcess

Mode = Literal["live", "telepresence"]


class AvatarBackend(Protocol):
    """Methods may be called in any thread, and return at once unless stated otherwise."""

    mode: Mode
    """Whether the speaker talks with the avatar, or through it."""
    changes_portrait: bool
    """Whether it can go on with another face."""
    wants_camera: bool
    """Whether it follows the speaker's camera."""
    has_view: bool
    """Whether there is a second video: the robot's camera."""
    has_robot_audio: bool
    """Whether the speaker gets the robot's microphone instead of the avatar."""
    has_alpha: bool
    """Whether images are RGBA: nothing is behind the head."""

    @property
    def running(self) -> bool:
        """Whether it has been started and not stopped."""

    @property
    def status(self) -> AvatarStatus:
        """What it does and has done."""

    @property
    def portrait(self) -> NDArray[np.uint8] | None:
        """The face at rest, ``[S, S, 3]`` RGB, with `has_alpha` ``[S, S, 4]``.

        None where no image of it has come yet.
        """

    def start(
        self, on_frame: Callable[[AvatarFrame], None], on_view: Callable[[VideoFrame], None]
    ) -> None:
        """Begin; `on_frame` gets every frame when it is due, in a thread of the backend's own.

        `on_view` gets the second video's frames, where there is one.
        """

    def stop(self) -> None:
        """End; takes as long as the work in progress."""

    def now_ns(self) -> int:
        """The clock of all stamps."""

    def push_user_audio(self, chunk: AudioChunk) -> None:
        """Audio of the speaker's microphone, 16 kHz."""

    def push_user_frame(self, frame: VideoFrame) -> None:
        """A frame of the speaker's camera."""

    def push_avatar_audio(self, chunk: AudioChunk) -> None:
        """Speech for the avatar, 16 kHz, spoken after what waits; ignored where nothing runs."""

    def stop_speaking(self) -> Future[int]:
        """Silence; how many samples were dropped."""

    def push_expression(self, expression: Expression) -> None:
        """What the face is to show from now on, until another comes."""

    def push_gaze_target(self, target: GazeTarget) -> None:
        """Where the avatar is to look from now on, for some seconds."""

    def set_portrait(self, image: NDArray[np.uint8], file: Path | None = None) -> Future[None]:
        """Go on with the face in `image` ``[H, W, 3]`` RGB.

        `file` is where it is on this machine, beside which its landmarks and matte may lie. Takes
        as long as finding the face does. Raises FaceNotFoundError and MediaError.
        """

    def restore_portrait(self) -> None:
        """Go back to the face of the beginning; takes as long as that does."""


class LiveBackend:
    """An AvatarBackend whose avatar lives on this machine.

    `find_face` makes a portrait of an image, or raises; `load_face` does of a file, with what lies
    beside it.
    """

    mode: Mode = "live"
    changes_portrait = True
    wants_camera = True
    has_view = has_robot_audio = False

    def __init__(
        self,
        avatar: Avatar | AvatarProcess,
        find_face: Callable[[NDArray[np.uint8]], Portrait],
        config: LiveConfig | None = None,
        report: Callable[[str], None] = lambda line: None,
        load_face: Callable[[Path], Portrait] | None = None,
        at_rest: Callable[[Portrait], NDArray[np.uint8]] = lambda portrait: portrait.image,
    ) -> None:
        """`report` gets a line for whoever runs the server.

        `at_rest` draws a portrait as the avatar is shown, before the same background; it may take
        its time, and is called once for each.
        """
        self._avatar, self._find_face, self._config = avatar, find_face, config
        self._report, self._load_face = report, load_face
        self.now_ns = avatar.now_ns
        self.push_user_audio, self.push_user_frame = avatar.push_user_audio, avatar.push_user_frame
        self._first_portrait = avatar.portrait
        self._at_rest = at_rest
        self._first_image = self._image = at_rest(avatar.portrait)
        self.has_alpha = self._image.shape[2] == 4
        self._backlog = SpeechBacklog()

    @property
    def running(self) -> bool:
        return self._avatar.running

    @property
    def status(self) -> AvatarStatus:
        """The avatar's, but for the speech that waits: that is counted here.

        The avatar's own count is as of its newest frame, and knows nothing of what came since.
        """
        return replace(self._avatar.status, waiting_avatar_audio_samples=self._backlog.samples)

    @property
    def portrait(self) -> NDArray[np.uint8]:
        return self._image

    def start(
        self, on_frame: Callable[[AvatarFrame], None], on_view: Callable[[VideoFrame], None]
    ) -> None:
        self._backlog.clear()
        self._avatar.start(on_frame, self._config)

    def stop(self) -> None:
        status = self._avatar.status
        if status.blocks:
            self._report(f"A conversation has ended; its motion was drawn with seed {status.seed}")
        self._avatar.stop()
        self._backlog.clear()

    def push_avatar_audio(self, chunk: AudioChunk) -> None:
        if self.running:
            self._backlog.add(len(chunk.samples))
            self._avatar.push_avatar_audio(chunk)

    def stop_speaking(self) -> Future[int]:
        self._backlog.clear()
        return self._avatar.stop_speaking()

    def push_expression(self, expression: Expression) -> None:
        self._avatar.push_expression(expression)

    def push_gaze_target(self, target: GazeTarget) -> None:
        self._avatar.push_gaze_target(target)

    def set_portrait(self, image: NDArray[np.uint8], file: Path | None = None) -> Future[None]:
        portrait = self._load_face(file) if file and self._load_face else self._find_face(image)
        return self._show(portrait, self._at_rest(portrait))

    def restore_portrait(self) -> None:
        """Go back to the portrait of the beginning; nobody waits for it."""
        if self._avatar.portrait is not self._first_portrait:
            self._show(self._first_portrait, self._first_image)

    def _show(self, portrait: Portrait, image: NDArray[np.uint8]) -> Future[None]:
        """Go on with `portrait`, which is `image` at rest."""

        def keep(done: Future[None]) -> None:
            if not done.cancelled() and done.exception() is None:
                self._image = image

        answer = self._avatar.set_portrait(portrait)
        answer.add_done_callback(keep)
        return answer
