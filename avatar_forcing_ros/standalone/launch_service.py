"""Runs a launch description: starts, hears, and ends its processes."""

from __future__ import annotations

import heapq
import itertools
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from avatar_forcing_ros.standalone.launch_actions import Action
from avatar_forcing_ros.standalone.launch_context import LaunchContext
from avatar_forcing_ros.standalone.launch_events import (
    EventHandler,
    OnStateTransition,
    ProcessExited,
    StateTransition,
    react,
)
from avatar_forcing_ros.standalone.launch_process import Process, StopTimes
from avatar_forcing_ros.standalone.launch_states import StateWatch

_TURN_S = 0.1


def _print(line: str) -> None:
    """Shows a line in one piece: many threads have something to say."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class LaunchService:
    """One launch. Everything is done in the thread that calls ``run``; others only post events.

    It ends when all processes have ended and no timer is left, at a ``Shutdown``, or when `stop`
    is set.
    """

    def __init__(self, stop: threading.Event, show: Callable[[str], None] = _print) -> None:
        self.handlers: list[EventHandler] = []
        self._stop = stop
        self._show = show
        self._context = LaunchContext()
        self._context.service = self
        self._events: queue.Queue[Any] = queue.Queue()
        self._timers: list[tuple[float, int, Action]] = []
        self._running: dict[int, Process] = {}
        self._numbers = itertools.count(1)
        self._watch: StateWatch | None = None
        self.is_ending = False
        self._failed = False

    def say(self, text: str) -> None:
        """Shows a line of the launch itself."""
        self._show(f"[INFO] [launch]: {text}")

    def _complain(self, text: str) -> None:
        self._show(f"[ERROR] [launch]: {text}")

    def start(
        self,
        action: Action,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        cwd: str | None,
        times: StopTimes,
    ) -> None:
        """Starts the process of an action; raises OSError where that fails."""
        if self.is_ending:
            return
        label = f"{name}-{next(self._numbers)}"

        def ended(pid: int, code: int) -> None:
            self._events.put(ProcessExited(action, label, pid, code))

        process = Process(
            label,
            command,
            environment,
            cwd,
            times,
            lambda line: self._show(f"[{label}] {line}"),
            ended,
        )
        self._running[process.pid] = process
        self._show(f"[INFO] [{label}]: process started with pid [{process.pid}]")

    def watch_states(self, action: Action, node: str) -> None:
        """From now on the node's changes of state are events, if any handler waits for them."""
        if not any(isinstance(handler, OnStateTransition) for handler in self.handlers):
            return
        if self._watch is None:
            self._watch = StateWatch(self._events.put)
        self._watch.add(node, lambda start, goal: StateTransition(action, start, goal))

    def call_later(self, delay_s: float, action: Action) -> None:
        """Does an action after some seconds."""
        heapq.heappush(self._timers, (time.monotonic() + delay_s, next(self._numbers), action))

    def shut_down(self, reason: str) -> None:
        """Ends everything."""
        if self.is_ending:
            return
        self.is_ending = True
        self._timers.clear()
        if self._running:
            self.say(f"ending {len(self._running)} process(es): {reason}")
        for process in self._running.values():
            process.stop()

    def run(self, description: Action, arguments: Mapping[str, str]) -> int:
        """Runs to the end; 0, or 1 where a process failed before the end was told.

        Whatever happens, no process is left. Raises what the launch file raises.
        """
        self._context.launch_configurations.update(arguments)
        try:
            description.visit(self._context)
            while self._running or self._timers:
                self._turn()
        except BaseException as error:
            self.shut_down(type(error).__name__)
            self._end_all(at_once=isinstance(error, KeyboardInterrupt))
            raise
        finally:
            if self._watch is not None:
                self._watch.close()
        return 1 if self._failed else 0

    def _turn(self) -> None:
        if self._stop.is_set():
            self.shut_down("told to end")
        for process in self._running.values():
            sent = process.escalate()
            if sent:
                self._complain(f"{process.name} does not end: sent {sent}")
        now_s = time.monotonic()
        while self._timers and self._timers[0][0] <= now_s:
            heapq.heappop(self._timers)[2].visit(self._context)
        left_s = self._timers[0][0] - now_s if self._timers else _TURN_S
        try:
            event = self._events.get(timeout=min(_TURN_S, max(0.0, left_s)))
        except queue.Empty:
            return
        self._handle(event)

    def _handle(self, event: Any) -> None:
        if isinstance(event, ProcessExited):
            self._note_end(event)
        for handler in list(self.handlers):
            handler.handle(event, self._context)
        if isinstance(event, ProcessExited) and event.action.on_exit is not None:
            react(event.action.on_exit, event, self._context)

    def _note_end(self, event: ProcessExited) -> None:
        self._running.pop(event.pid).join()
        code = event.returncode
        if code == 0:
            self._show(f"[INFO] [{event.process_name}]: process has finished cleanly")
        elif self.is_ending:
            self._show(f"[INFO] [{event.process_name}]: process has ended, exit code {code}")
        else:
            self._failed = True
            self._show(f"[ERROR] [{event.process_name}]: process has died, exit code {code}")

    def _end_all(self, *, at_once: bool) -> None:
        """Waits for processes, after an error; what handlers would do is of no interest now."""
        if at_once:
            for process in self._running.values():
                process.kill()
        while self._running:
            for process in self._running.values():
                process.escalate()
            try:
                event = self._events.get(timeout=_TURN_S)
            except queue.Empty:
                continue
            if isinstance(event, ProcessExited):
                self._note_end(event)
