"""When a message is of, and whether that is its stamp or only when it came."""

from __future__ import annotations

import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image
from std_msgs.msg import Header, String

from avatar_forcing_ros.nodes.stamps import StampReader

NOW_NS = 1_700_000_000_000_000_000


class ErrorCounter:
    """Keeps the reasons."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def count(self, reason: str, sentence: str) -> None:
        self.reasons.append(reason)


def test_a_bag_on_a_busy_machine_keeps_its_stamps() -> None:
    """What is served late is not of another time; what is ahead of the clock still is."""
    errors = ErrorCounter()
    read = StampReader(lambda: NOW_NS, 2.0, errors, replay=True)  # type: ignore[arg-type]
    for ahead_s, trusted in ((-30, True), (-61, False), (3, False)):
        stamp = Time(sec=NOW_NS // 10**9 + ahead_s, nanosec=0)
        assert read(Image(header=Header(stamp=stamp)), "a").arrived != trusted


@pytest.mark.parametrize(
    ("off_ns", "time_ns", "arrived", "reasons"),
    [
        (0, NOW_NS, False, []),
        (-1_900_000_000, NOW_NS - 1_900_000_000, False, []),
        (-2_100_000_000, NOW_NS, True, ["a stamp_far"]),
        (2_100_000_000, NOW_NS, True, ["a stamp_far"]),
        (-NOW_NS, NOW_NS, True, ["a stamp_zero"]),
    ],
)
def test_a_stamp_that_cannot_be_gives_way_to_the_arrival(
    off_ns: int, time_ns: int, arrived: bool, reasons: list[str]
) -> None:
    errors = ErrorCounter()
    read = StampReader(lambda: NOW_NS, 2.0, errors)  # type: ignore[arg-type]
    sec, nanosec = divmod(NOW_NS + off_ns, 10**9)
    assert read(Image(header=Header(stamp=Time(sec=sec, nanosec=nanosec))), "a") == (
        time_ns,
        arrived,
    )
    assert errors.reasons == reasons


def test_a_message_without_a_header_is_of_when_it_came_and_no_trouble() -> None:
    errors = ErrorCounter()
    read = StampReader(lambda: NOW_NS, 2.0, errors)  # type: ignore[arg-type]
    assert read(String(), "a") == (NOW_NS, True)
    assert errors.reasons == []
