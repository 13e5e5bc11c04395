"""What the page shows and talks to: an avatar in this process, or one on the ROS graph."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.media import AudioChunk, VideoFrame


class StageFrame(Protocol):
    """40 ms more of the avatar: a picture and the sound that belongs to it."""

    @property
    def stamp_ns(self) -> int:
        """Media time, on the stage's clock."""

    @property
    def pixels(self) -> NDArray[np.uint8] | None:
        """``[S, S, 3]`` RGB; None: the last picture stays."""

    @property
    def audio(self) -> NDArray[np.float32]:
        """``[640]`` at 16 kHz."""


class Stage(Protocol):
    """Methods may be called in any thread, and return at once unless they say otherwise."""

    @property
    def running(self) -> bool:
        """Whether it has been started and not stopped."""

    def start(self, show: Callable[[StageFrame], None]) -> None:
        """Begin; `show` gets every frame when it is due, in a thread of the stage's own."""

    def stop(self) -> None:
        """End; takes as long as what is being done."""

    def now_ns(self) -> int:
        """The clock of all stamps."""

    def hear(self, chunk: AudioChunk) -> None:
        """Sound from the speaker's microphone, 16 kHz."""

    def see(self, frame: VideoFrame) -> None:
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

    def told(self) -> dict[str, Any]:
        """Figures for the panel."""
