"""Points in time and spans of time as ``rclpy`` has them: whole nanoseconds."""

from __future__ import annotations

from enum import IntEnum
from functools import total_ordering
from typing import Any

from avatar_forcing_ros.standalone.messages import message_class

S_TO_NS = 1_000_000_000


class ClockType(IntEnum):
    """Which clock a time was read from; times of different clocks cannot be compared."""

    UNINITIALIZED = 0
    ROS_TIME = 1
    SYSTEM_TIME = 2
    STEADY_TIME = 3


@total_ordering
class Duration:
    """A span of time, also negative; arguments add up, fractions of a nanosecond are cut."""

    def __init__(self, *, seconds: float = 0, nanoseconds: int = 0) -> None:
        self._ns = int(seconds * S_TO_NS) + int(nanoseconds)
        if not -(2**63) <= self._ns < 2**63:
            raise OverflowError("the duration does not fit into 64 bits of nanoseconds")

    @property
    def nanoseconds(self) -> int:
        """The span in nanoseconds."""
        return self._ns

    def __repr__(self) -> str:
        return f"Duration(nanoseconds={self._ns})"

    def __str__(self) -> str:
        return "Infinite" if self._ns == INFINITE_NS else f"{self._ns} nanoseconds"

    def __eq__(self, other: object) -> bool:
        return self._ns == other._ns if isinstance(other, Duration) else NotImplemented

    def __lt__(self, other: Duration) -> bool:
        return self._ns < other._ns if isinstance(other, Duration) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._ns)

    def to_msg(self) -> Any:
        """builtin_interfaces/Duration."""
        sec, nanosec = divmod(self._ns, S_TO_NS)
        return message_class("builtin_interfaces/msg/Duration")(sec=sec, nanosec=nanosec)

    @classmethod
    def from_msg(cls, msg: Any) -> Duration:
        """The span in a builtin_interfaces/Duration."""
        return cls(seconds=msg.sec, nanoseconds=msg.nanosec)


@total_ordering
class Time:
    """A point in time of one clock; raises TypeError where clocks are mixed."""

    def __init__(
        self,
        *,
        seconds: float = 0,
        nanoseconds: int = 0,
        clock_type: ClockType = ClockType.SYSTEM_TIME,
    ) -> None:
        if seconds < 0 or nanoseconds < 0:
            raise ValueError("seconds and nanoseconds must not be negative")
        self._ns = int(seconds * S_TO_NS) + int(nanoseconds)
        if self._ns >= 2**63:
            raise OverflowError("the time does not fit into 64 bits of nanoseconds")
        self._clock_type = ClockType(clock_type)

    @property
    def nanoseconds(self) -> int:
        """Nanoseconds since the clock's epoch."""
        return self._ns

    @property
    def clock_type(self) -> ClockType:
        """Which clock it was read from."""
        return self._clock_type

    def seconds_nanoseconds(self) -> tuple[int, int]:
        """Whole seconds, and the nanoseconds that remain."""
        return divmod(self._ns, S_TO_NS)

    def __repr__(self) -> str:
        return f"Time(nanoseconds={self._ns}, clock_type={self._clock_type.name})"

    def _same_clock(self, other: Time, doing: str) -> None:
        if self._clock_type != other._clock_type:
            raise TypeError(f"Can't {doing} times with different clock types")

    def __add__(self, other: object) -> Time:
        if not isinstance(other, Duration):
            return NotImplemented
        return Time(nanoseconds=self._ns + other.nanoseconds, clock_type=self._clock_type)

    __radd__ = __add__

    def __sub__(self, other: object) -> Any:
        if isinstance(other, Time):
            self._same_clock(other, "subtract")
            return Duration(nanoseconds=self._ns - other._ns)
        if isinstance(other, Duration):
            return Time(nanoseconds=self._ns - other.nanoseconds, clock_type=self._clock_type)
        return NotImplemented

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Time):
            return NotImplemented
        self._same_clock(other, "compare")
        return self._ns == other._ns

    def __lt__(self, other: Time) -> bool:
        if not isinstance(other, Time):
            return NotImplemented
        self._same_clock(other, "compare")
        return self._ns < other._ns

    def __hash__(self) -> int:
        return hash((self._ns, self._clock_type))

    def to_msg(self) -> Any:
        """builtin_interfaces/Time."""
        sec, nanosec = divmod(self._ns, S_TO_NS)
        return message_class("builtin_interfaces/msg/Time")(sec=sec, nanosec=nanosec)

    @classmethod
    def from_msg(cls, msg: Any, clock_type: ClockType = ClockType.ROS_TIME) -> Time:
        """The point in a builtin_interfaces/Time."""
        return cls(seconds=msg.sec, nanoseconds=msg.nanosec, clock_type=clock_type)


# what ROS calls infinite, and shows as 9223372036.854775807 s
INFINITE_NS = 2**63 - 1
Infinite = Duration(nanoseconds=INFINITE_NS)
