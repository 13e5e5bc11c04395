"""What happens during a launch, and the handlers for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Union

from avatar_forcing_ros.standalone.launch_actions import Action, LaunchDescription
from avatar_forcing_ros.standalone.launch_context import LaunchContext


@dataclass(frozen=True)
class ProcessExited:
    """The process of an action has ended; `returncode` is negative for a signal."""

    action: Any
    process_name: str
    pid: int
    returncode: int


@dataclass(frozen=True)
class StateTransition:
    """A lifecycle node has gone from one state to another."""

    action: Any
    start_state: str
    goal_state: str


Reaction = Union[  # noqa: UP007  (evaluated at run time on 3.10)
    Action, Iterable[Action], Callable[[Any, LaunchContext], Any]
]


def react(reaction: Reaction, event: Any, context: LaunchContext) -> None:
    """Does the actions, or those that the function returns."""
    if callable(reaction) and not isinstance(reaction, Action):
        reaction = reaction(event, context) or ()
    actions = [reaction] if isinstance(reaction, Action) else list(reaction)
    LaunchDescription(actions).visit(context)


class EventHandler:
    """Reacts to events that match, once or every time."""

    def __init__(self, reaction: Reaction, handle_once: bool) -> None:
        self._reaction = reaction
        self._once = handle_once
        self.is_done = False

    def matches(self, event: Any) -> bool:
        """Whether it is for this handler."""
        raise NotImplementedError

    def handle(self, event: Any, context: LaunchContext) -> None:
        """Reacts, if it matches."""
        if not self.is_done and self.matches(event):
            self.is_done = self._once
            react(self._reaction, event, context)


class OnProcessExit(EventHandler):
    """Reacts to the end of one process, or of each."""

    def __init__(
        self,
        *,
        on_exit: Reaction,
        target_action: Action | None = None,
        handle_once: bool = False,
    ) -> None:
        super().__init__(on_exit, handle_once)
        self._target = target_action

    def matches(self, event: Any) -> bool:
        """Whether that process has ended."""
        return isinstance(event, ProcessExited) and self._target in (None, event.action)


class OnStateTransition(EventHandler):
    """Reacts when a lifecycle node changes its state."""

    def __init__(
        self,
        *,
        entities: Iterable[Action],
        target_lifecycle_node: Action | None = None,
        start_state: str | None = None,
        goal_state: str | None = None,
        handle_once: bool = False,
    ) -> None:
        super().__init__(list(entities), handle_once)
        self._wanted = target_lifecycle_node, start_state, goal_state

    def matches(self, event: Any) -> bool:
        """Whether it is that node and that change."""
        if not isinstance(event, StateTransition):
            return False
        happened = event.action, event.start_state, event.goal_state
        return all(w in (None, h) for w, h in zip(self._wanted, happened, strict=True))
