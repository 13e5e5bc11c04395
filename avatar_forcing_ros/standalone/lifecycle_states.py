"""The states and transitions of a managed node, as the ROS 2 design lays them down."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from avatar_forcing_ros.standalone.exceptions import RCLError


class TransitionCallbackReturn(Enum):
    """How a transition's callback went."""

    SUCCESS = 97
    FAILURE = 98
    ERROR = 99

    def to_label(self) -> str:
        """The label of the transition that follows."""
        return f"transition_{self.name.lower()}"


@dataclass(frozen=True)
class LifecycleState:
    """A state by number and label."""

    state_id: int
    label: str


UNKNOWN = LifecycleState(0, "unknown")
UNCONFIGURED = LifecycleState(1, "unconfigured")
INACTIVE = LifecycleState(2, "inactive")
ACTIVE = LifecycleState(3, "active")
FINALIZED = LifecycleState(4, "finalized")
CONFIGURING = LifecycleState(10, "configuring")
CLEANING_UP = LifecycleState(11, "cleaningup")
SHUTTING_DOWN = LifecycleState(12, "shuttingdown")
ACTIVATING = LifecycleState(13, "activating")
DEACTIVATING = LifecycleState(14, "deactivating")
ERROR_PROCESSING = LifecycleState(15, "errorprocessing")
STATES = (
    UNKNOWN,
    UNCONFIGURED,
    INACTIVE,
    ACTIVE,
    FINALIZED,
    CONFIGURING,
    CLEANING_UP,
    SHUTTING_DOWN,
    ACTIVATING,
    DEACTIVATING,
    ERROR_PROCESSING,
)


@dataclass(frozen=True)
class Transition:
    """A way from one state to another."""

    transition_id: int
    label: str
    start: LifecycleState
    goal: LifecycleState


def _outcomes(
    first_id: int,
    start: LifecycleState,
    success: LifecycleState,
    failure: LifecycleState,
    error: LifecycleState = ERROR_PROCESSING,
) -> list[Transition]:
    labels = ("transition_success", "transition_failure", "transition_error")
    goals = (success, failure, error)
    return [
        Transition(first_id + i, label, start, goal)
        for i, (label, goal) in enumerate(zip(labels, goals, strict=True))
    ]


TRANSITIONS = (
    Transition(1, "configure", UNCONFIGURED, CONFIGURING),
    *_outcomes(10, CONFIGURING, INACTIVE, UNCONFIGURED),
    Transition(2, "cleanup", INACTIVE, CLEANING_UP),
    *_outcomes(20, CLEANING_UP, UNCONFIGURED, INACTIVE),
    Transition(3, "activate", INACTIVE, ACTIVATING),
    *_outcomes(30, ACTIVATING, ACTIVE, INACTIVE),
    Transition(4, "deactivate", ACTIVE, DEACTIVATING),
    *_outcomes(40, DEACTIVATING, INACTIVE, ACTIVE),
    Transition(5, "shutdown", UNCONFIGURED, SHUTTING_DOWN),
    Transition(6, "shutdown", INACTIVE, SHUTTING_DOWN),
    Transition(7, "shutdown", ACTIVE, SHUTTING_DOWN),
    *_outcomes(50, SHUTTING_DOWN, FINALIZED, FINALIZED),
    *_outcomes(60, ERROR_PROCESSING, UNCONFIGURED, FINALIZED, FINALIZED),
)


class StateMachine:
    """Where a node is, and where it may go from there."""

    def __init__(self) -> None:
        self.state = UNCONFIGURED

    @property
    def current_state(self) -> tuple[int, str]:
        """Number and label of the present state."""
        return self.state.state_id, self.state.label

    def available(self) -> list[Transition]:
        """The transitions that start here."""
        return [transition for transition in TRANSITIONS if transition.start == self.state]

    def find(self, key: int | str) -> Transition:
        """The transition of that number or label that starts here; raises RCLError."""
        for transition in self.available():
            if key in (transition.transition_id, transition.label):
                return transition
        raise RCLError(f"Transition '{key}' is not possible in state '{self.state.label}'")

    def go(self, key: int | str) -> Transition:
        """Takes that transition; raises RCLError where it does not start here."""
        transition = self.find(key)
        self.state = transition.goal
        return transition
