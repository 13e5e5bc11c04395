"""Timers, rates and guard conditions: callbacks without a message."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from avatar_forcing_ros.standalone.clock import Clock, JumpThreshold, ROSClock
from avatar_forcing_ros.standalone.exceptions import ROSInterruptException
from avatar_forcing_ros.standalone.time import Duration


class Timer:
    """Calls back every ``timer_period_ns`` of its clock, never twice for one period."""

    condition = None

    def __init__(
        self,
        callback: Callable[[], Any] | None,
        period_ns: int,
        clock: Clock,
        wake: Callable[[], None],
        *,
        autostart: bool = True,
    ) -> None:
        if period_ns < 0:
            raise ValueError("a timer's period must not be negative")
        self.callback = callback
        self.clock = clock
        self._period_ns = period_ns
        self._wake = wake
        self._cancelled = not autostart
        self._last_ns = clock.now_ns()
        self._next_ns = self._last_ns + period_ns
        self._jumps = None
        if isinstance(clock, ROSClock):
            # simulated time moves by messages, perhaps in another executor, perhaps backwards
            tick = Duration(nanoseconds=1)
            self._jumps = clock.create_jump_callback(
                JumpThreshold(min_forward=tick, min_backward=Duration(nanoseconds=-1)),
                post_callback=self._on_jump,
            )

    def _on_jump(self, jump: Any) -> None:
        now_ns = self.clock.now_ns()
        if jump.clock_change != 1 or now_ns < self._last_ns:
            self._last_ns = now_ns
            self._next_ns = now_ns + self._period_ns
        self._wake()

    @property
    def timer_period_ns(self) -> int:
        """The period in nanoseconds; a new one counts from the last call."""
        return self._period_ns

    @timer_period_ns.setter
    def timer_period_ns(self, value: int) -> None:
        self._period_ns = int(value)
        self._next_ns = self._last_ns + self._period_ns
        self._wake()

    def wait_ns(self) -> int | None:
        """How long an executor may sleep for it; None where time does not move by itself."""
        if self._cancelled:
            return None
        left_ns = self._next_ns - self.clock.now_ns()
        simulated = isinstance(self.clock, ROSClock) and self.clock.ros_time_is_active
        return None if simulated and left_ns > 0 else max(0, left_ns)

    def take(self) -> Callable[[], Any] | None:
        """The callback, if it is due; then the next period starts."""
        if not self.is_ready():
            return None
        now_ns = self.clock.now_ns()
        self._last_ns = now_ns
        self._next_ns += self._period_ns
        if self._next_ns <= now_ns and self._period_ns:  # periods that were missed are left out
            missed = (now_ns - self._next_ns) // self._period_ns + 1
            self._next_ns += missed * self._period_ns
        return self.callback or (lambda: None)

    def is_ready(self) -> bool:
        """Whether it is due."""
        return not self._cancelled and self.clock.now_ns() >= self._next_ns

    def is_canceled(self) -> bool:
        """Whether it rests until ``reset``."""
        return self._cancelled

    def cancel(self) -> None:
        """No more calls until ``reset``."""
        self._cancelled = True

    def reset(self) -> None:
        """Starts a new period now."""
        self._last_ns = self.clock.now_ns()
        self._next_ns = self._last_ns + self._period_ns
        self._cancelled = False
        self._wake()

    def time_since_last_call(self) -> int:
        """Nanoseconds since the last call."""
        return self.clock.now_ns() - self._last_ns

    def time_until_next_call(self) -> int | None:
        """Nanoseconds to the next call, negative when it is late; None while cancelled."""
        return None if self._cancelled else self._next_ns - self.clock.now_ns()

    def destroy(self) -> None:
        """No more calls; ``Node.destroy_timer`` also forgets it."""
        self.cancel()
        if self._jumps is not None:
            self._jumps.unregister()


class Rate:
    """Keeps a loop in another thread at a rhythm; the node must be spinning."""

    def __init__(self, timer: Timer, context: Any) -> None:
        self._timer = timer
        self._context = context
        self._tick = threading.Event()
        timer.callback = self._tick.set
        context.on_shutdown(self._tick.set)

    def sleep(self) -> None:
        """Until the timer's next call; raises ROSInterruptException after a shutdown."""
        if not self._context.ok():
            raise ROSInterruptException
        self._tick.wait()
        self._tick.clear()
        if not self._context.ok():
            raise ROSInterruptException

    def destroy(self) -> None:
        """Ends a sleep."""
        self._tick.set()


class GuardCondition:
    """Calls back once after ``trigger``, from whichever thread that came."""

    condition = None

    def __init__(self, callback: Callable[[], Any] | None, wake: Callable[[], None]) -> None:
        self.callback = callback
        self._wake = wake
        self._triggered = threading.Event()

    def trigger(self) -> None:
        """Asks for one call of the callback."""
        self._triggered.set()
        self._wake()

    def wait_ns(self) -> int | None:
        """0 while a call is due, else None."""
        return 0 if self._triggered.is_set() else None

    def take(self) -> Callable[[], Any] | None:
        """The callback, if it was asked for."""
        if not self._triggered.is_set():
            return None
        self._triggered.clear()
        return self.callback or (lambda: None)

    def destroy(self) -> None:
        """No more calls."""
        self._triggered.clear()
