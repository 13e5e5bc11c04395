"""The stage of ``avatar-forcing live``: the avatar lives on this machine."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.media import AudioChunk, AvatarFrame, VideoFrame
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.runtime.avatar_process import AvatarProcess
from avatar_forcing_ros.web.stage import Mode

if TYPE_CHECKING:  # a server whose avatar is elsewhere does without the networks' libraries
    from avatar_forcing_ros.runtime.avatar import LiveAvatar

FindFace = Callable[[NDArray[np.uint8]], Portrait]


class LiveStage:
    """`find_face` makes a portrait of a picture, and raises where there is no face in it."""

    def __init__(self, avatar: LiveAvatar | AvatarProcess, find_face: FindFace) -> None:
        self._avatar, self._find_face = avatar, find_face
        self._first_face = avatar.portrait

    @property
    def mode(self) -> Mode:
        """The speaker talks with the avatar."""
        return "live"

    @property
    def wants_camera(self) -> bool:
        """The avatar sees whom it talks with."""
        return True

    @property
    def has_view(self) -> bool:
        """There is no other picture."""
        return False

    @property
    def has_robot_sound(self) -> bool:
        """There is no other sound."""
        return False

    @property
    def running(self) -> bool:
        """Whether a conversation goes on."""
        return self._avatar.running

    def start(
        self, show: Callable[[AvatarFrame], None], show_view: Callable[[VideoFrame], None]
    ) -> None:
        """Begin a conversation."""
        self._avatar.start(show)

    def stop(self) -> None:
        """End it."""
        self._avatar.stop()

    def now_ns(self) -> int:
        """The clock of all stamps."""
        return self._avatar.now_ns()

    def push_user_audio(self, chunk: AudioChunk) -> None:
        """The person before the avatar."""
        self._avatar.push_user_audio(chunk)

    def push_user_frame(self, frame: VideoFrame) -> None:
        """The same."""
        self._avatar.push_user_frame(frame)

    def say(self, samples: NDArray[np.float32]) -> float:
        """The avatar's voice."""
        return self._avatar.say(samples)

    def stop_speaking(self) -> Future[int]:
        """Silence within a block."""
        return self._avatar.stop_speaking()

    def face(self) -> NDArray[np.uint8]:
        """The portrait."""
        return self._avatar.portrait.image

    def change_face(self, picture: NDArray[np.uint8]) -> Future[int]:
        """Another portrait."""
        portrait = self._find_face(picture)
        changed: Future[int] = Future()
        self._avatar.set_portrait(portrait).add_done_callback(
            lambda done: _pass_on(done, changed, portrait.size_px)
        )
        return changed

    def restore_face(self) -> None:
        """The portrait of the beginning; nobody waits for it."""
        if self._avatar.portrait is not self._first_face:
            self._avatar.set_portrait(self._first_face)

    def told(self) -> dict[str, Any]:
        """The avatar's state and figures."""
        status = self._avatar.status
        busy = "speaking" if status.speaking else "listening"
        state = busy if status.speaking or status.user_speaking else "idle"
        return {
            "state": state if self.running else "asleep",
            "reaction_ms": round(self._avatar.lag_ms, 1),
            "compute_ms": round(status.compute_ms, 1),
            "compute_p99_ms": round(status.compute_p99_ms, 1),
            "face_visible": status.face_visible,
            "reduced": status.reduced,
            "dropped_pictures": status.dropped_pictures,
            "failed_pictures": status.failed_pictures,
            "skipped_blocks": status.skipped_blocks,
            "failed_blocks": status.failed_blocks,
            "waiting_voice_samples": status.waiting_voice_samples,
        }


def _pass_on(done: Future[None], changed: Future[int], size_px: int) -> None:
    if not changed.set_running_or_notify_cancel():  # whoever asked has given up
        return
    error = done.exception()
    if error:
        changed.set_exception(error)
    else:
        changed.set_result(size_px)
