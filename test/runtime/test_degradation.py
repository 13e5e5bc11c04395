"""The ladder of effort: down as soon as a device is too slow, up again only where it holds."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from avatar_forcing_ros.runtime.degradation import (
    CALM_BLOCKS,
    JUDGED_BLOCKS,
    LONGEST_CALM_BLOCKS,
    Effort,
    EffortControl,
    ladder,
)

FULL = ladder(10, [512, 256, 128])


def run(control: EffortControl, cost_s: Callable[[Effort], float], blocks: int) -> list[Effort]:
    """The effort of each of `blocks` blocks of 10 frames (0.4 s)."""
    efforts = []
    for _ in range(blocks):
        efforts.append(control.effort)
        control.after_block(cost_s(control.effort), 10)
    return efforts


def jetson(effort: Effort) -> float:
    """Seconds a block: each evaluation costs 40 ms, a full picture 20 ms."""
    return 0.04 * effort.evaluations + 0.2 * (effort.drawn_size_px / 512) ** 2


def test_rungs_go_from_evaluations_to_pictures() -> None:
    expected = [
        Effort(10, 512),
        Effort(8, 512),
        Effort(5, 512),
        Effort(5, 256),
        Effort(4, 256),
    ]
    assert expected == FULL
    assert ladder(8, [512]) == [Effort(8, 512), Effort(6, 512), Effort(4, 512)]
    assert ladder(3, [512]) == [Effort(3, 512)]


def test_a_fast_device_makes_the_full_effort_for_ever() -> None:
    control = EffortControl(FULL)
    assert set(run(control, lambda effort: 0.1, 1000)) == {Effort(10, 512)}
    assert not control.reduced


def test_a_slow_device_comes_to_rest_where_it_keeps_up() -> None:
    control = EffortControl(FULL)
    efforts = run(control, jetson, 100)
    assert efforts[-1] == Effort(5, 256)  # 0.25 of 0.4 s; with whole pictures it would be 0.4
    assert efforts[0] == Effort(10, 512)
    assert control.reduced
    assert len(dict.fromkeys(efforts)) == 4


def test_one_late_block_changes_nothing() -> None:
    control = EffortControl(FULL)
    run(control, lambda effort: 0.1, 20)
    control.after_block(5.0, 10)
    assert set(run(control, lambda effort: 0.1, 50)) == {Effort(10, 512)}


def test_a_first_block_of_other_length_is_judged_by_its_own() -> None:
    control = EffortControl(FULL)
    for _ in range(JUDGED_BLOCKS):
        control.after_block(0.6, 50)
    assert not control.reduced


def test_when_the_load_goes_the_full_effort_comes_back() -> None:
    control = EffortControl(FULL)
    run(control, lambda effort: 1.0, 50)
    assert control.effort == FULL[-1]
    run(control, lambda effort: 0.1, (len(FULL) + 1) * (CALM_BLOCKS + JUDGED_BLOCKS))
    assert control.effort == FULL[0]


def test_a_rung_that_does_not_hold_is_tried_more_and_more_rarely() -> None:
    """A device that only just fails at the better rung must not flap between two."""
    control = EffortControl([Effort(10, 512), Effort(5, 512)])
    cost = {10: 0.5, 5: 0.1}
    efforts = run(control, lambda effort: cost[effort.evaluations], 10_000)
    tried = [
        k for k in range(1, len(efforts)) if efforts[k].evaluations > efforts[k - 1].evaluations
    ]
    gaps = [b - a for a, b in pairwise(tried)]
    assert gaps == sorted(gaps)
    assert gaps[-1] >= LONGEST_CALM_BLOCKS
    assert len(tried) < 10


def test_a_rung_that_has_held_long_is_trusted_again() -> None:
    """What a busy hour taught about the better rung is not held against it for ever."""
    control = EffortControl([Effort(10, 512), Effort(5, 512)])
    cost = {10: 0.5, 5: 0.1}
    run(control, lambda effort: cost[effort.evaluations], 3000)
    quick = run(control, lambda effort: 0.1, 3 * LONGEST_CALM_BLOCKS)
    assert quick[CALM_BLOCKS + JUDGED_BLOCKS].evaluations == 5  # it had become very patient
    assert not control.reduced
    run(control, lambda effort: 0.5, JUDGED_BLOCKS)
    assert control.reduced
    run(control, lambda effort: 0.1, CALM_BLOCKS + JUDGED_BLOCKS)
    assert not control.reduced
