"""The avatar before a conversation: its first face, which does nothing."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import ConversationError
from avatar_forcing_ros.media import AudioChunk, AvatarFrame, VideoFrame
from avatar_forcing_ros.rig.expressions import Expression
from avatar_forcing_ros.runtime.status import AvatarStatus
from avatar_forcing_ros.streaming.directed_motion import GazeTarget
from avatar_forcing_ros.web.backend import AvatarBackend


class LobbyBackend:
    """An AvatarBackend that looks as `backend` does at first, and cannot be begun."""

    running = False

    def __init__(self, backend: AvatarBackend) -> None:
        self.mode = backend.mode
        self.changes_portrait, self.wants_camera = backend.changes_portrait, backend.wants_camera
        self.has_view, self.has_robot_audio = backend.has_view, backend.has_robot_audio
        self.has_alpha, self.portrait = backend.has_alpha, backend.portrait
        self.status = AvatarStatus()
        self.now_ns = backend.now_ns

    def start(
        self, on_frame: Callable[[AvatarFrame], None], on_view: Callable[[VideoFrame], None]
    ) -> None:
        raise _nobody()

    def stop(self) -> None: ...

    def push_user_audio(self, chunk: AudioChunk) -> None: ...

    def push_user_frame(self, frame: VideoFrame) -> None: ...

    def push_avatar_audio(self, chunk: AudioChunk) -> None: ...

    def stop_speaking(self) -> Future[int]:
        silent = Future[int]()
        silent.set_result(0)
        return silent

    def push_expression(self, expression: Expression) -> None: ...

    def push_gaze_target(self, target: GazeTarget) -> None: ...

    def set_portrait(self, image: NDArray[np.uint8], file: Path | None = None) -> Future[None]:
        raise _nobody()

    def restore_portrait(self) -> None: ...


def _nobody() -> ConversationError:
    return ConversationError(
        "conversation", expected="one that goes on", got="none", remedy="start one"
    )
