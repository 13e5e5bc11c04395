"""What is left out where blocks are late: images first, and where that does not help, time."""

from __future__ import annotations

from avatar_forcing_ros.runtime.catching_up import (
    HOLD_NS,
    LATE_NS,
    MAX_UNDRAWN_BLOCKS,
    SKIP_NS,
    CatchingUp,
)


def test_the_later_a_block_is_the_less_is_drawn() -> None:
    catching_up = CatchingUp()
    assert catching_up.drawn_every(HOLD_NS) == 1
    assert catching_up.drawn_every(HOLD_NS + 1) == 0
    assert catching_up.drawn_every(SKIP_NS + 1) is None


def test_every_other_image_is_drawn_only_where_nothing_else_can_be_saved() -> None:
    catching_up = CatchingUp()
    assert catching_up.drawn_every(LATE_NS + 1) == 1
    assert catching_up.drawn_every(LATE_NS, exhausted=True) == 1
    assert catching_up.drawn_every(LATE_NS + 1, exhausted=True) == 2
    assert catching_up.drawn_every(HOLD_NS + 1, exhausted=True) == 0


def test_time_is_given_up_where_blocks_without_images_do_not_catch_up() -> None:
    """Else the avatar would stand still for as long as the machine is that slow."""
    catching_up = CatchingUp()
    late = [catching_up.drawn_every(HOLD_NS + 1) for _ in range(MAX_UNDRAWN_BLOCKS + 1)]
    assert late == [0] * MAX_UNDRAWN_BLOCKS + [None]
    assert catching_up.drawn_every(HOLD_NS + 1) == 0  # it begins to count anew
    assert catching_up.drawn_every(HOLD_NS) == 1
    assert catching_up.drawn_every(HOLD_NS + 1) == 0
