"""Records the avatar as it is shown, to an MP4 that is kept until it has been fetched.

MP4 has no alpha: a head with nothing behind it is recorded before black.
"""

from __future__ import annotations

import logging
import queue
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from avatar_forcing_ros.errors import OutputError
from avatar_forcing_ros.media import AvatarFrame
from avatar_forcing_ros.media_files.reserved_file import ReservedFile
from avatar_forcing_ros.media_files.writing import Mp4Writer
from avatar_forcing_ros.rig.backdrop import before_black
from avatar_forcing_ros.timebase import FRAME_PERIOD_S, FRAME_RATE_HZ, frames_to_samples
from avatar_forcing_ros.web.access import RefusedError

MAX_FRAMES = 600 * FRAME_RATE_HZ
MAX_WAITING = 2 * FRAME_RATE_HZ  # frames, of 0.8 MB each
RESERVE_BYTES = 4 << 20  # for the last frames, and the index at the end of the longest file
DISK_FULL = "The server's disk is full: the recording ended, and what there is of it is kept."
FAILED = "The recording could not be written, and is lost: the server's log says more."
logger = logging.getLogger(__name__)


_paths: set[Path] = set()  # of this process's recordings


def remove_files() -> None:
    """Delete all recordings, those that go on too: for a process that ends without waiting."""
    for path in list(_paths):
        path.unlink(missing_ok=True)


class Recorder:
    """One recording at a time. `put` returns at once; `stop` waits for the file's end."""

    def __init__(self) -> None:
        self._take: _Take | None = None
        self._lock = threading.Lock()  # around what takes its time; `put` does not wait

    def start(self) -> None:
        """Begin a recording; one that nobody has fetched is deleted."""
        with self._lock:
            self._drop()
            take = _Take()
            take.start()
            self._take = take

    def stop(self) -> None:
        """End the recording, if there is one; takes as long as what waits to be written."""
        with self._lock:
            if self._take:
                self._take.finish()

    def put(self, number: int, frame: AvatarFrame) -> None:
        """Take a frame and its number at 25 a second."""
        take = self._take
        if take:
            take.put(number, frame)

    def file(self) -> tuple[Path, str]:
        """The finished recording, and a name for it; RefusedError (404) without one."""
        take = self._take
        if take is None or take.on or not take.frames:
            raise RefusedError(
                404,
                "recording",
                expected="one that has been made and ended",
                got="one that goes on" if take and take.on else "none",
                remedy="press the record button, and again to end it",
            )
        return take.path, take.file_name

    def discard(self, path: Path | None = None) -> None:
        """End the recording and delete its file; with `path` only if that is its file."""
        with self._lock:
            if path is None or (self._take and self._take.path == path):
                self._drop()

    def _drop(self) -> None:
        take, self._take = self._take, None
        if take:
            take.finish()
            take.path.unlink(missing_ok=True)
            _paths.discard(take.path)

    def state(self) -> dict[str, Any]:
        """Whether one goes on or is ready, its length, and what went wrong, for the page."""
        take = self._take
        return {
            "on": bool(take and take.on),
            "ready": bool(take and not take.on and take.frames),
            "s": round(take.frames * FRAME_PERIOD_S, 1) if take else 0.0,
            "dropped": take.dropped if take else 0,
            "problem": take.problem if take else "",
        }


class _Take(threading.Thread):
    """One recording: a file with a name of its own, and the thread that writes it."""

    def __init__(self) -> None:
        super().__init__(name="recorder", daemon=True)
        self.file_name = time.strftime("avatar-%Y%m%d-%H%M%S.mp4")
        try:
            with tempfile.NamedTemporaryFile(
                prefix="avatar-", suffix=".mp4", delete=False
            ) as file:
                self.path = Path(file.name)
            self._file = self._reserved()
            _paths.add(self.path)
        except OSError as error:
            raise OutputError(
                "recording",
                expected="space for a temporary file",
                got=error.strerror or str(error),
                remedy="free some space, or set TMPDIR to another place",
            ) from error
        self.on, self.frames, self.dropped, self.problem = True, 0, 0, ""
        self._waiting: queue.SimpleQueue[tuple[int, AvatarFrame] | None] = queue.SimpleQueue()
        self._writer: Mp4Writer | None = None
        self._size_px = (0, 0)
        self._first = self._next = 0

    def _reserved(self) -> ReservedFile:
        try:
            return ReservedFile.open(self.path, RESERVE_BYTES)
        except OSError:
            self.path.unlink(missing_ok=True)
            raise

    def put(self, number: int, frame: AvatarFrame) -> None:
        """Have a frame written; one that does not fit is counted, and is a gap in the file."""
        if not self.on:
            return
        if self._waiting.qsize() < MAX_WAITING:
            self._waiting.put((number, frame))
        else:
            self.dropped += 1

    def finish(self) -> None:
        """Write what waits, and the end of the file."""
        self.on = False
        self._waiting.put(None)
        self.join()

    def run(self) -> None:
        """Write until `finish` is called, until the longest length, or until the disk is full."""
        try:
            with ExitStack() as opened:
                opened.enter_context(self._file)
                while (item := self._waiting.get()) is not None:
                    self._write(*item, opened)
                    if self.frames >= MAX_FRAMES or self._file.full:
                        break
        except Exception:  # a broken disk, say: the conversation goes on without
            logger.exception("the recording failed")
            self.frames, self.problem = 0, FAILED
        else:
            if self._file.full:
                logger.warning("the recording ended: no room in %s", self.path.parent)
                self.problem = DISK_FULL
        finally:
            self.on = False

    def _write(self, number: int, frame: AvatarFrame, opened: ExitStack) -> None:
        if self._writer is None:
            if frame.pixels is None:
                return  # it begins with an image
            height, width = frame.pixels.shape[:2]
            self._size_px = (width - width % 2, height - height % 2)  # H.264 wants even ones
            self._writer = opened.enter_context(Mp4Writer(self._file, *self._size_px))
            self._first = self._next = number
        if number > self._next:
            self._writer.hold(np.zeros(frames_to_samples(number - self._next), np.float32))
        self._next = number + 1
        if frame.pixels is None:
            self._writer.hold(frame.audio)
        else:
            image = frame.pixels
            if image.shape[2] == 4:
                image = before_black(np.ascontiguousarray(image[..., :3]), image[..., 3])
            if image.shape[1::-1] != self._size_px:
                image = np.asarray(cv2.resize(image, self._size_px), np.uint8)
            self._writer.write(image[None], frame.audio)
        self.frames = self._next - self._first
