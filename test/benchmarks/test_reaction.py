"""What the live benchmark makes of the times that it has noted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from avatar_forcing_ros.benchmarks.measures import percentiles
from avatar_forcing_ros.benchmarks.reaction import MAX, PARTS, BlockTimes, reaction_parts
from avatar_forcing_ros.media import AvatarFrame
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS

MS = 1_000_000
ORIGIN = 10**18
FIRST = 75  # frames before those that count


def frame(number: int) -> AvatarFrame:
    stamp_ns = ORIGIN + number * FRAME_PERIOD_NS
    return AvatarFrame(stamp_ns, None, np.zeros(1, np.float32), number // 3, number % 3)


def test_the_parts_of_a_reaction_add_up_to_it() -> None:
    count = FIRST + 6
    images = [
        (ORIGIN + k * FRAME_PERIOD_NS + 10 * MS, np.zeros((1, 1, 3), np.uint8))
        for k in range(count)
    ]
    blocks = []
    for k in range(0, count, 3):
        end_ns = (k + 3) * FRAME_PERIOD_NS
        begun_ns = ORIGIN + end_ns + 4 * MS
        blocks.append(BlockTimes(end_ns, begun_ns, 0.006, 0.020, begun_ns + 34 * MS))
    session: Any = SimpleNamespace(
        slots={id(pixels): k for k, (_, pixels) in enumerate(images)}, blocks=blocks, frames={}
    )
    shown = [(frame(k).stamp_ns + 170 * MS, frame(k)) for k in range(count)]
    rows = reaction_parts(session, images, shown)
    assert rows.sum(axis=1) == pytest.approx([160, 120, 80, 160, 120, 80])
    waiting = rows[0].tolist()
    assert waiting == pytest.approx([110, 4, 6, 20, 8, 12])


def test_images_that_are_tracked_apart_are_known_by_their_time() -> None:
    taken = [ORIGIN + k * FRAME_PERIOD_NS + 10 * MS for k in range(FIRST + 3)]
    images = [(taken_ns, np.zeros((1, 1, 3), np.uint8)) for taken_ns in taken]
    frames = {taken_ns: k for k, taken_ns in enumerate(taken)}
    blocks = []
    for k in range(0, FIRST + 3, 3):
        end_ns = (k + 3) * FRAME_PERIOD_NS
        begun_ns = ORIGIN + end_ns + 9 * MS
        blocks.append(BlockTimes(end_ns, begun_ns, 0.0, 0.020, begun_ns + 28 * MS))
    session: Any = SimpleNamespace(slots={}, blocks=blocks, frames=frames)
    shown = [(frame(k).stamp_ns + 170 * MS, frame(k)) for k in range(FIRST + 3)]
    rows = reaction_parts(session, images, shown)
    assert rows.sum(axis=1) == pytest.approx([160, 120, 80])
    assert rows[0].tolist() == pytest.approx([110, 9, 0, 20, 8, 13])


def test_no_image_gives_no_numbers() -> None:
    shown = [(ORIGIN, frame(0))]
    session: Any = SimpleNamespace(slots={}, blocks=[], frames={})
    rows = reaction_parts(session, [], shown)
    assert rows.shape == (0, len(PARTS))
    assert percentiles(rows.sum(axis=1), MAX)["max"] == 0.0
