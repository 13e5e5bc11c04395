"""Quality levels: down as soon as a device is too slow, up again only where it holds."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from avatar_forcing_ros.runtime.degradation import (
    CALM_BLOCKS,
    CAUGHT_UP_BLOCKS,
    JUDGED_BLOCKS,
    MAX_CALM_BLOCKS,
    SLOW_TRACKING_PERIOD_NS,
    DegradationControl,
    QualityLevel,
    quality_levels,
)

FULL = quality_levels(10, [512, 256, 128])


def run(
    control: DegradationControl, cost_s: Callable[[QualityLevel], float], blocks: int
) -> list[QualityLevel]:
    """The level of each of `blocks` blocks of 10 frames (0.4 s)."""
    levels = []
    for _ in range(blocks):
        levels.append(control.quality)
        took_s = cost_s(control.quality)
        control.after_block(took_s, 10, late=took_s > 0.4)
    return levels


def jetson(level: QualityLevel) -> float:
    """Seconds a block: each evaluation costs 40 ms, a full picture 24 ms."""
    return 0.04 * level.nfe + 0.24 * (level.drawn_size_px / 512) ** 2


def test_levels_go_from_evaluations_to_pictures() -> None:
    expected = [
        QualityLevel(10, 512),
        QualityLevel(8, 512),
        QualityLevel(5, 512),
        QualityLevel(5, 256),
        QualityLevel(4, 256),
        QualityLevel(4, 256, SLOW_TRACKING_PERIOD_NS),
    ]
    assert expected == FULL
    assert quality_levels(8, [512]) == [
        QualityLevel(8, 512),
        QualityLevel(6, 512),
        QualityLevel(4, 512),
        QualityLevel(4, 512, SLOW_TRACKING_PERIOD_NS),
    ]
    assert quality_levels(3, [512], tracks_apart=False) == [QualityLevel(3, 512)]


def test_a_fast_device_keeps_full_quality_for_ever() -> None:
    control = DegradationControl(FULL)
    assert set(run(control, lambda level: 0.1, 1000)) == {QualityLevel(10, 512)}
    assert not control.reduced


def test_a_slow_device_comes_to_rest_where_it_keeps_up() -> None:
    control = DegradationControl(FULL)
    levels = run(control, jetson, 100)
    assert levels[-1] == QualityLevel(
        5, 256
    )  # 0.26 of 0.4 s; with whole pictures it would be 0.44
    assert levels[0] == QualityLevel(10, 512)
    assert control.reduced
    assert len(dict.fromkeys(levels)) == 4


def test_the_user_is_looked_at_less_only_where_no_time_is_left() -> None:
    control = DegradationControl(FULL)
    assert run(control, lambda level: 0.38, 200)[-1] == FULL[-2]  # of 0.4 s
    late = run(control, lambda level: 0.42, 2 * CAUGHT_UP_BLOCKS)  # late, as `run` has it
    assert late.index(FULL[-1]) < CAUGHT_UP_BLOCKS
    assert run(control, lambda level: 0.35, 2 * CALM_BLOCKS)[-1] == FULL[-1]
    calm = run(control, lambda level: 0.33, CALM_BLOCKS + JUDGED_BLOCKS)
    assert calm[-1] == FULL[-2]


def test_one_late_block_changes_nothing() -> None:
    control = DegradationControl(FULL)
    run(control, lambda level: 0.1, 20)
    control.after_block(5.0, 10, late=True)
    assert set(run(control, lambda level: 0.1, 50)) == {QualityLevel(10, 512)}


def test_a_first_block_of_other_length_is_judged_by_its_own() -> None:
    control = DegradationControl(FULL)
    for _ in range(JUDGED_BLOCKS):
        control.after_block(0.6, 50, late=False)
    assert not control.reduced


def test_when_the_load_goes_the_full_effort_comes_back() -> None:
    control = DegradationControl(FULL)
    run(control, lambda level: 1.0, 120)
    assert control.quality == FULL[-1]
    run(control, lambda level: 0.1, (len(FULL) + 1) * (CALM_BLOCKS + JUDGED_BLOCKS))
    assert control.quality == FULL[0]


def test_a_rung_that_does_not_hold_is_tried_more_and_more_rarely() -> None:
    """A device that only just fails at the better rung must not flap between two."""
    control = DegradationControl([QualityLevel(10, 512), QualityLevel(5, 512)])
    cost = {10: 0.5, 5: 0.1}
    levels = run(control, lambda level: cost[level.nfe], 10_000)
    tried = [k for k in range(1, len(levels)) if levels[k].nfe > levels[k - 1].nfe]
    gaps = [b - a for a, b in pairwise(tried)]
    assert gaps == sorted(gaps)
    assert gaps[-1] >= MAX_CALM_BLOCKS
    assert len(tried) < 10


def test_a_rung_that_has_held_long_is_trusted_again() -> None:
    """What a busy hour taught about the better rung is not held against it for ever."""
    control = DegradationControl([QualityLevel(10, 512), QualityLevel(5, 512)])
    cost = {10: 0.5, 5: 0.1}
    run(control, lambda level: cost[level.nfe], 3000)
    quick = run(control, lambda level: 0.1, 3 * MAX_CALM_BLOCKS)
    assert quick[CALM_BLOCKS + JUDGED_BLOCKS].nfe == 5  # it had become very patient
    assert not control.reduced
    run(control, lambda level: 0.5, JUDGED_BLOCKS)
    assert control.reduced
    run(control, lambda level: 0.1, CALM_BLOCKS + JUDGED_BLOCKS)
    assert not control.reduced
