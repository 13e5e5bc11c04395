"""The robot's screen: one window, through OpenCV, which every ROS machine has.

GUI toolkits want one thread, the main one, for everything; so a screen is made, shown on, waited
on and closed by the same thread.
"""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MissingDependencyError

Pixels = NDArray[np.uint8]
_START_PX = 512
_CLOSE_KEYS = (27, ord("q"))  # Esc
_PROBE_TIMEOUT_S = 30
_PROBE = "import cv2; cv2.namedWindow('probe'); cv2.destroyAllWindows()"


class Screen:
    """A window that keeps the image's proportions, with black bars around it.

    Raises MissingDependencyError where no window can be opened.
    """

    def __init__(self, fullscreen: bool, title: str) -> None:
        _require_a_display()
        self._title = title
        self._pixels: Pixels = np.zeros((_START_PX, _START_PX, 3), np.uint8)
        self._size: tuple[int, int] | None = None  # only known once events were served
        cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_FREERATIO | cv2.WINDOW_GUI_NORMAL)
        cv2.resizeWindow(title, _START_PX, _START_PX)
        self._open = True
        self.show(self._pixels)
        if fullscreen:
            cv2.setWindowProperty(title, cv2.WND_PROP_FULLSCREEN, cv2.WINDOW_FULLSCREEN)

    def show(self, pixels: Pixels) -> None:
        """Show an image ``[H, W, 3]`` RGB; it appears with the next `wait`."""
        self._pixels = pixels
        cv2.imshow(self._title, letterbox(pixels, *(self._size or pixels.shape[1::-1])))

    def wait(self, timeout_s: float) -> bool:
        """Serve the window for that long; False once it is closed, or Esc or q is pressed."""
        key = cv2.waitKey(max(1, round(timeout_s * 1000)))
        if key & 0xFF in _CLOSE_KEYS and key != -1:
            return False
        if cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1:
            self._open = False
            return False
        size = self._window_size()
        if size != self._size:
            self._size = size
            self.show(self._pixels)
        return True

    def close(self) -> None:
        """Take the window away; harmless when it is gone."""
        if self._open:
            self._open = False
            cv2.destroyWindow(self._title)
            cv2.waitKey(1)  # some toolkits take a window away only while events are served

    def _window_size(self) -> tuple[int, int] | None:
        _, _, width, height = cv2.getWindowImageRect(self._title)
        return (width, height) if width > 0 and height > 0 else None


def letterbox(pixels: Pixels, width: int, height: int) -> Pixels:
    """The image as large as fits in the middle of black ``[height, width, 3]``, as BGR."""
    scale = min(width / pixels.shape[1], height / pixels.shape[0])
    wide = max(1, min(width, round(pixels.shape[1] * scale)))
    high = max(1, min(height, round(pixels.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    same = (high, wide) == pixels.shape[:2]
    fitted = pixels if same else cv2.resize(pixels, (wide, high), interpolation=how)
    canvas = np.zeros((height, width, 3), np.uint8)
    top, left = (height - high) // 2, (width - wide) // 2
    canvas[top : top + high, left : left + wide] = fitted[..., ::-1]
    return canvas


def _require_a_display() -> None:
    """Opens a window in another process first: without a display Qt ends the process it is in."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE],
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT_S,
            check=False,
        )
        if done.returncode == 0:
            return
        reason = next(iter(done.stderr.strip().splitlines()), f"exit code {done.returncode}")
    except subprocess.TimeoutExpired:
        reason = f"no answer in {_PROBE_TIMEOUT_S} s"
    raise MissingDependencyError(
        "window",
        expected="a display (DISPLAY or WAYLAND_DISPLAY) and an OpenCV with windows, not headless",
        got=reason,
        remedy="run this on the machine that has the screen, or set the parameter window:=false",
    )
