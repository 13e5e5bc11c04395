"""Protects the window: the image keeps its proportions, no display is a sentence."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from avatar_forcing_ros.errors import MissingDependencyError
from avatar_forcing_ros.nodes import screen


@pytest.mark.parametrize(
    ("width", "height", "wide", "high"),
    [(1920, 1080, 1080, 1080), (600, 1024, 600, 600), (512, 512, 512, 512), (100, 7, 7, 7)],
)
def test_a_square_stands_in_the_middle_of_black(
    width: int, height: int, wide: int, high: int
) -> None:
    red = np.zeros((512, 512, 3), np.uint8)
    red[..., 0] = 200
    canvas = screen.letterbox(red, width, height)
    assert canvas.shape == (height, width, 3)
    lit = canvas[..., 2] == 200  # BGR
    assert lit.sum() == wide * high
    top, left = (height - high) // 2, (width - wide) // 2
    assert lit[top : top + high, left : left + wide].all()
    assert not canvas[..., :2].any()


def test_a_wide_image_is_not_distorted() -> None:
    wide = np.full((100, 200, 3), 9, np.uint8)
    lit = screen.letterbox(wide, 400, 400)[..., 0] == 9
    assert np.flatnonzero(lit.any(axis=1)).tolist() == list(range(100, 300))
    assert lit.any(axis=0).all()


def test_no_display_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(MissingDependencyError, match="window:=false"):
        screen.Screen(False, "avatar")


def test_a_display_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*args: object, **options: object) -> None:
        raise subprocess.TimeoutExpired("probe", 30)

    monkeypatch.setattr(screen.subprocess, "run", hang)
    with pytest.raises(MissingDependencyError, match="no answer"):
        screen.Screen(False, "avatar")
