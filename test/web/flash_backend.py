"""A stage without an avatar: grey pictures that flash white each second, when its sound clicks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import FaceNotFoundError
from avatar_forcing_ros.media import AudioChunk, AvatarFrame, VideoFrame
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from avatar_forcing_ros.web.stage import Mode

SIDE_PX = 128
EVERY_FRAMES = 25
FLASH_FRAMES = 5
GREY, WHITE = 60, 250
_CLICK = 0.8 * np.sin(2 * np.pi * 1_000 / SAMPLE_RATE_HZ * np.arange(SAMPLES_PER_FRAME))
CLICK: NDArray[np.float32] = _CLICK.astype(np.float32)
QUIET = np.zeros(SAMPLES_PER_FRAME, np.float32)


@dataclass(frozen=True)
class Frame:
    """One of the stage's frames."""

    stamp_ns: int
    pixels: NDArray[np.uint8] | None
    audio: NDArray[np.float32]


def frame(number: int, grey: int = GREY) -> Frame:
    """Frame `number`, and whether it flashes and clicks follows from that."""
    at = number % EVERY_FRAMES
    shade = WHITE if at < FLASH_FRAMES else grey
    pixels = np.full((SIDE_PX, SIDE_PX, 3), shade, np.uint8)
    return Frame(number * FRAME_PERIOD_NS, pixels, CLICK if at == 0 else QUIET)


class FlashStage:
    """`more` is added to what the panel is told."""

    def __init__(self, mode: Mode = "live", *, wants_camera: bool = True, **more: Any) -> None:
        self.mode, self.wants_camera = mode, wants_camera
        self.more, self.grey = more, GREY
        self.seen = 0
        self.said: list[NDArray[np.float32]] = []
        self._thread: threading.Thread | None = None
        self._over = threading.Event()

    has_view = has_robot_sound = False

    @property
    def running(self) -> bool:
        return self._thread is not None

    def start(self, show: Callable[[AvatarFrame], None], show_view: object = None) -> None:
        self._over.clear()
        self._thread = threading.Thread(target=self._run, args=(show,), daemon=True)
        self._thread.start()

    def _run(self, show: Callable[[AvatarFrame], None]) -> None:
        number, began_ns = 0, time.monotonic_ns()
        while not self._over.wait(
            max(0, began_ns + number * FRAME_PERIOD_NS - time.monotonic_ns()) / 1e9
        ):
            show(frame(number, self.grey))
            number += 1

    def stop(self) -> None:
        self._over.set()
        if self._thread:
            self._thread.join()
        self._thread = None

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def push_user_audio(self, chunk: AudioChunk) -> None: ...

    def push_user_frame(self, frame: VideoFrame) -> None:
        self.seen += 1

    def say(self, samples: NDArray[np.float32]) -> float:
        self.said.append(samples)
        return len(samples) / SAMPLE_RATE_HZ

    def stop_speaking(self) -> Future[int]:
        done: Future[int] = Future()
        done.set_result(0)
        return done

    def face(self) -> NDArray[np.uint8]:
        return np.full((SIDE_PX, SIDE_PX, 3), self.grey, np.uint8)

    def change_face(self, picture: NDArray[np.uint8]) -> Future[int]:
        if not picture.any():
            raise FaceNotFoundError(
                "portrait", expected="a face", got="none", remedy="try another"
            )
        self.grey = int(picture.mean())
        done: Future[int] = Future()
        done.set_result(SIDE_PX)
        return done

    def restore_face(self) -> None: ...

    def told(self) -> dict[str, Any]:
        return {"state": "idle", "reaction_ms": 1.0, "waiting_voice_samples": 0} | self.more
