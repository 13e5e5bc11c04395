"""Where a recording can be learned from: spans without flaws, cut to windows; the rest told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.perception.user_motion import HOLD_S
from avatar_forcing_ros.streaming.audio_window import SpeechLevel
from avatar_forcing_ros.timebase import FRAME_RATE_HZ, SAMPLES_PER_FRAME
from avatar_forcing_ros.training.recordings.settings import LONGEST_S
from avatar_forcing_ros.training.recordings.watching import Watched

HELD_FRAMES = round(HOLD_S * FRAME_RATE_HZ)
FROZEN_FRAMES = round(0.4 * FRAME_RATE_HZ)
JUMP_WIDTHS = 0.35  # of the face, that a head does not move within a frame: some 5 cm
LARGEST_JUMP_WIDTHS = 1.0  # however long the face was hidden between
GROWTH = 1.3  # of the face within a frame
SPEECH_FRAMES = round(0.5 * FRAME_RATE_HZ)  # of voice that a window must hold


class Flaw(NamedTuple):
    """Frames ``start … stop`` that cannot be used, and why."""

    start: int
    stop: int
    reason: str


def flaws_of(watched: Watched, who: str) -> Iterator[Flaw]:
    """What is wrong with one person's pictures: no face, a picture that stands still, a jump."""
    seen = np.array([face is not None for face in watched.faces], bool)
    for start, stop in runs(~seen):
        # a gap at either end has nothing to be held from, or nothing to go on with
        if stop - start > HELD_FRAMES or start == 0 or stop == len(seen):
            yield Flaw(start, stop, f"no face of {who} is visible")
    for start, stop in runs(watched.still_frames > 0):
        if stop - start >= FROZEN_FRAMES:
            yield Flaw(start, stop, f"the picture of {who} stands still")
    for frame in _jumps(watched):
        yield Flaw(frame, frame + 1, f"the head of {who} jumps (a cut, or another face)")


def _jumps(watched: Watched) -> Iterator[int]:
    """Frames in which the face is where no head could have moved to."""
    before: tuple[int, NDArray[np.float32], float] | None = None
    for frame, face in enumerate(watched.faces):
        if face is None:
            continue
        middle = face.landmarks_px[:, :2].mean(axis=0)
        width_px = float(np.ptp(face.landmarks_px[:, :2], axis=0).max())
        if before is not None and frame - before[0] <= HELD_FRAMES + 1:
            limit = min(LARGEST_JUMP_WIDTHS, JUMP_WIDTHS * (frame - before[0]))
            smaller, larger = sorted((width_px, before[2]))
            moved = float(np.linalg.norm(middle - before[1]))
            if moved > limit * larger or larger > GROWTH * smaller:
                yield frame
        before = frame, middle, width_px


def stretches_of(flaws: Iterable[Flaw], frames: int) -> list[tuple[int, int]]:
    """Spans ``(start, stop)`` of `frames` without any of `flaws`."""
    good = np.ones(frames, bool)
    for flaw in flaws:
        good[flaw.start : flaw.stop] = False
    return runs(good)


def cut_windows(
    stretches: Iterable[tuple[int, int]], voiced: NDArray[np.bool_], min_frames: int
) -> tuple[list[tuple[int, int]], list[Flaw]]:
    """Windows of at least `min_frames` in `stretches`, and what is left out.

    Long stretches become equal parts of no more than LONGEST_S; `voiced` ``[T]`` says in which
    frames either person speaks.
    """
    kept: list[tuple[int, int]] = []
    left: list[Flaw] = []
    for start, stop in stretches:
        if stop - start < min_frames:
            least = f"{min_frames / FRAME_RATE_HZ:g} s"
            left.append(Flaw(start, stop, f"good, but shorter than {least}"))
            continue
        parts = -(-(stop - start) // round(LONGEST_S * FRAME_RATE_HZ))
        edges = np.linspace(start, stop, parts + 1).round().astype(int).tolist()
        for first, last in pairwise(edges):
            if np.count_nonzero(voiced[first:last]) < SPEECH_FRAMES:
                left.append(Flaw(first, last, "nobody speaks"))
            else:
                kept.append((first, last))
    return kept, left


def voiced_frames(sound: NDArray[np.float32]) -> NDArray[np.bool_]:
    """In which frames of `sound` ``[640 T]`` there is voice: ``[T]``."""
    level = SpeechLevel()
    out = np.zeros(len(sound) // SAMPLES_PER_FRAME, bool)
    for k, frame in enumerate(sound.reshape(-1, SAMPLES_PER_FRAME)):
        level.update(frame)
        out[k] = level.voiced
    return out


def runs(marked: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where `marked` ``[T]`` holds: spans ``(start, stop)`` in order."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], marked, [False])).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
