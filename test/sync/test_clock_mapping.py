"""Remote clocks: jitter moves nothing, drift is followed, a jump begins anew; our clock jumps."""

from __future__ import annotations

from avatar_forcing_ros.sync.clock_mapping import MAX_READING_NS, ClockJumps, RemoteClock

MS = 1_000_000
START = 5_000_000 * MS


def test_jitter_moves_no_stamp() -> None:
    clock = RemoteClock()
    stamps = [clock.stamp_ns(20 * i * MS, START + (20 * i + 7 * (i % 4)) * MS) for i in range(900)]
    assert stamps == [START + 20 * i * MS for i in range(900)]


def test_a_faster_path_is_believed_at_once() -> None:
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


class Clocks:
    """A clock and a steady one, which is slow to read at times."""

    def __init__(self, *, live: bool) -> None:
        self.now_ns, self._steady_ns = START, 10**12
        self.reading_ns = 0
        self.jumps = ClockJumps(lambda: self.now_ns, live=live, steady_ns=self._read_steady)
        assert self.jumps.check() == ""

    def _read_steady(self) -> int:
        self._steady_ns += self.reading_ns
        return self._steady_ns

    def check_after(self, moved_ms: int, passed_ms: int) -> str:
        self.now_ns += moved_ms * MS
        self._steady_ns += passed_ms * MS
        return self.jumps.check()


def test_a_live_clock_that_leaves_the_steady_one_has_jumped() -> None:
    clocks = Clocks(live=True)
    assert clocks.check_after(60_000, 60_000) == ""  # suspended, or slow
    assert clocks.check_after(2_500, 600) == ""
    assert "jumped ahead by 2.5 s" in clocks.check_after(2_500, 400)
    assert clocks.check_after(-900, 100) == ""
    assert "went back by 1.1 s" in clocks.check_after(-1_100, 100)


def test_the_clock_of_a_replay_may_run_ten_times_as_fast() -> None:
    clocks = Clocks(live=False)
    assert clocks.check_after(10_000, 100) == ""
    assert clocks.check_after(100_000, 10_000) == ""
    assert "jumped ahead" in clocks.check_after(12_000, 100)


def test_a_reading_that_was_held_up_says_nothing_and_the_next_one_does() -> None:
    clocks = Clocks(live=True)
    clocks.reading_ns = MAX_READING_NS + 1
    assert clocks.check_after(-5_000, 0) == ""
    clocks.reading_ns = 0
    assert "went back" in clocks.check_after(0, 0)
