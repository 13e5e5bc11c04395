"""A remote clock: jitter moves nothing, drift is followed, a jump begins anew."""

from __future__ import annotations

from avatar_forcing_ros.sync.clock_mapping import RemoteClock

MS = 1_000_000
START = 5_000_000 * MS


def test_jitter_moves_no_stamp() -> None:
    clock = RemoteClock()
    stamps = [clock.stamp_ns(20 * i * MS, START + (20 * i + 7 * (i % 4)) * MS) for i in range(900)]
    assert stamps == [START + 20 * i * MS for i in range(900)]


def test_a_faster_way_is_believed_at_once() -> None:
    clock = RemoteClock()
    assert clock.stamp_ns(0, START + 50 * MS) == START + 50 * MS
    assert clock.stamp_ns(20 * MS, START + 30 * MS) == START + 30 * MS
    assert clock.stamp_ns(40 * MS, START + 80 * MS) == START + 50 * MS


def test_drift_is_followed() -> None:
    for drift in (1.001, 0.999):
        clock = RemoteClock()
        for i in range(3_000):
            arrival_ns = START + round(20 * i * drift) * MS
            stamp_ns = clock.stamp_ns(20 * i * MS, arrival_ns)
            assert -12 * MS <= stamp_ns - arrival_ns <= 0


def test_a_jump_begins_anew() -> None:
    clock = RemoteClock()
    clock.stamp_ns(0, START)
    assert clock.stamp_ns(90_000 * MS, START + 20 * MS) == START + 20 * MS
    assert clock.stamp_ns(90_020 * MS, START + 45 * MS) == START + 40 * MS
    assert clock.jumps == 1
