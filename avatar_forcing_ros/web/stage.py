"""What the page shows and talks to: an avatar in this process, or one on the ROS graph."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.media import AudioChunk, AvatarFrame, VideoFrame

Mode = Literal["live", "telepresence"]


class Stage(Protocol):
    """Methods may be called in any thread, and return at once unless they say otherwise."""

    @property
    def mode(self) -> Mode:
        """Whether the speaker talks with the avatar, or through it."""

    @property
    def wants_camera(self) -> bool:
        """Whether it looks at the speaker's camera."""

    @property
    def has_view(self) -> bool:
        """Whether there is a second picture: what the robot sees."""

    @property
    def has_robot_sound(self) -> bool:
        """Whether the speaker hears what the robot hears, and not the avatar's voice."""

    @property
    def running(self) -> bool:
        """Whether it has been started and not stopped."""

    def start(
        self, show: Callable[[AvatarFrame], None], show_view: Callable[[VideoFrame], None]
    ) -> None:
        """Begin; `show` gets every frame when it is due, in a thread of the stage's own.

        `show_view` gets the second picture's, where there is one.
        """

    def stop(self) -> None:
        """End; takes as long as what is being done."""

    def now_ns(self) -> int:
        """The clock of all stamps."""

    def push_user_audio(self, chunk: AudioChunk) -> None:
        """Sound from the speaker's microphone, 16 kHz."""

    def push_user_frame(self, frame: VideoFrame) -> None:
        """Picture from the speaker's camera."""

    def say(self, samples: NDArray[np.float32]) -> float:
        """Have `samples` ``[n]``, 16 kHz, said; how many seconds wait then, or MediaError."""

    def stop_speaking(self) -> Future[int]:
        """Silence; how many samples were dropped."""

    def face(self) -> NDArray[np.uint8]:
        """The face that is shown, at rest, ``[S, S, 3]`` RGB."""

    def change_face(self, picture: NDArray[np.uint8]) -> Future[int]:
        """Go on with the face in `picture` ``[H, W, 3]`` RGB; the side of its portrait in pixels.

        Takes as long as finding it does. Raises FaceNotFoundError and MediaError.
        """

    def restore_face(self) -> None:
        """Go back to the face of the beginning; takes as long as that does."""

    def told(self) -> dict[str, Any]:
        """Figures for the panel."""
