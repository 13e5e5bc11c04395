"""A backend without an avatar: grey images that flash white each second, when its audio clicks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import FaceNotFoundError
from avatar_forcing_ros.media import AudioChunk, AvatarFrame, VideoFrame
from avatar_forcing_ros.rig.expressions import Expression
from avatar_forcing_ros.runtime.status import AvatarStatus
from avatar_forcing_ros.streaming.directed_motion import GazeTarget
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from avatar_forcing_ros.web.backend import Mode

T = TypeVar("T")
SIDE_PX = 128
PERIOD_FRAMES = 25
FLASH_FRAMES = 5
GREY, WHITE = 60, 250
_CLICK = 0.8 * np.sin(2 * np.pi * 1_000 / SAMPLE_RATE_HZ * np.arange(SAMPLES_PER_FRAME))
CLICK: NDArray[np.float32] = _CLICK.astype(np.float32)
SILENCE = np.zeros(SAMPLES_PER_FRAME, np.float32)


RED = (220, 30, 30, 255)


def frame(number: int, grey: int = GREY) -> AvatarFrame:
    """Frame `number`, and whether it flashes and clicks follows from that."""
    at = number % PERIOD_FRAMES
    shade = WHITE if at < FLASH_FRAMES else grey
    pixels = np.full((SIDE_PX, SIDE_PX, 3), shade, np.uint8)
    return AvatarFrame(number * FRAME_PERIOD_NS, pixels, CLICK if at == 0 else SILENCE)


def resolved(value: T) -> Future[T]:
    future: Future[T] = Future()
    future.set_result(value)
    return future


class FlashBackend:
    """Conforms to AvatarBackend; `status` is what the test sets."""

    has_view = has_robot_audio = has_alpha = False

    def __init__(self, mode: Mode = "live", *, wants_camera: bool = True) -> None:
        self.mode, self.wants_camera = mode, wants_camera
        self.changes_portrait = mode == "live"
        self.status = AvatarStatus(blocks=1, playout_delay_ms=1.0)
        self.grey = GREY
        self.user_frames = 0
        self.spoken: list[AudioChunk] = []
        self.expressions: list[Expression] = []
        self.gaze_targets: list[GazeTarget] = []
        self._thread: threading.Thread | None = None
        self._over = threading.Event()

    @property
    def running(self) -> bool:
        return self._thread is not None

    @property
    def portrait(self) -> NDArray[np.uint8]:
        return np.full((SIDE_PX, SIDE_PX, 3), self.grey, np.uint8)

    def start(
        self, on_frame: Callable[[AvatarFrame], None], on_view: Callable[[VideoFrame], None]
    ) -> None:
        self._over.clear()
        self._thread = threading.Thread(target=self._run, args=(on_frame,), daemon=True)
        self._thread.start()

    def _run(self, on_frame: Callable[[AvatarFrame], None]) -> None:
        number, began_ns = 0, time.monotonic_ns()
        while not self._over.wait(
            max(0, began_ns + number * FRAME_PERIOD_NS - time.monotonic_ns()) / 1e9
        ):
            on_frame(self.frame(number))
            number += 1

    def frame(self, number: int) -> AvatarFrame:
        """What is shown as that frame."""
        return frame(number, self.grey)

    def stop(self) -> None:
        self._over.set()
        if self._thread:
            self._thread.join()
        self._thread = None

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def push_user_audio(self, chunk: AudioChunk) -> None: ...

    def push_user_frame(self, frame: VideoFrame) -> None:
        self.user_frames += 1

    def push_avatar_audio(self, chunk: AudioChunk) -> None:
        self.spoken.append(chunk)

    def stop_speaking(self) -> Future[int]:
        return resolved(0)

    def push_expression(self, expression: Expression) -> None:
        self.expressions.append(expression)

    def push_gaze_target(self, target: GazeTarget) -> None:
        self.gaze_targets.append(target)

    def set_portrait(self, image: NDArray[np.uint8], file: Path | None = None) -> Future[None]:
        if not image.any():
            raise FaceNotFoundError(
                "portrait", expected="a face", got="none", remedy="try another"
            )
        self.grey = int(image.mean())
        return resolved(None)

    def restore_portrait(self) -> None: ...


class CutOutBackend(FlashBackend):
    """Red where a head may be, and nothing around it."""

    has_alpha = True

    @property
    def portrait(self) -> NDArray[np.uint8]:
        pixels = np.zeros((SIDE_PX, SIDE_PX, 4), np.uint8)
        pixels[SIDE_PX // 4 :, SIDE_PX // 4 : -SIDE_PX // 4] = RED
        return pixels

    def frame(self, number: int) -> AvatarFrame:
        return replace(super().frame(number), pixels=self.portrait)
