"""Which callbacks of a node may run at the same time in a MultiThreadedExecutor."""

from __future__ import annotations

import threading
from typing import Any


class CallbackGroup:
    """Base of the two kinds; entities join when they are created."""

    def __init__(self) -> None:
        self.entities: set[Any] = set()

    def add_entity(self, entity: Any) -> None:
        """Makes the entity a member."""
        self.entities.add(entity)

    def has_entity(self, entity: Any) -> bool:
        """Whether the entity is a member."""
        return entity in self.entities

    def can_execute(self, entity: Any) -> bool:
        """Whether a callback of the entity may start now."""
        raise NotImplementedError

    def beginning_execution(self, entity: Any) -> bool:
        """Marks the start of a callback; False where it may not start."""
        raise NotImplementedError

    def ending_execution(self, entity: Any) -> None:
        """Marks the end of a callback."""
        raise NotImplementedError


class ReentrantCallbackGroup(CallbackGroup):
    """Everything may run at the same time, also one callback with itself."""

    def can_execute(self, entity: Any) -> bool:
        """True."""
        return True

    def beginning_execution(self, entity: Any) -> bool:
        """True."""
        return True

    def ending_execution(self, entity: Any) -> None:
        """Nothing to do."""


class MutuallyExclusiveCallbackGroup(CallbackGroup):
    """One callback at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._active: Any = None
        self._lock = threading.Lock()

    def can_execute(self, entity: Any) -> bool:
        """Whether none is running."""
        return self._active is None

    def beginning_execution(self, entity: Any) -> bool:
        """Whether none was running; then this one is."""
        with self._lock:
            if self._active is not None:
                return False
            self._active = entity
            return True

    def ending_execution(self, entity: Any) -> None:
        """Lets the next one start."""
        with self._lock:
            self._active = None
