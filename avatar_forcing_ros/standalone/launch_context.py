"""What a launch knows while it runs: arguments, environment, and who does the work."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Union

NAMESPACE = "ros_namespace"  # the launch configuration in which launch_ros keeps it too


class Substitution:
    """A text that is known only when the launch runs."""

    def perform(self, context: LaunchContext) -> str:
        """The text."""
        raise NotImplementedError


Text = Union[str, Path, Substitution]  # noqa: UP007  (evaluated at run time on 3.10)


class LaunchContext:
    """Launch configurations (the arguments and their like) and the children's environment."""

    def __init__(self) -> None:
        self.launch_configurations: dict[str, str] = {}
        self.environment: dict[str, str] = dict(os.environ)
        self.service: Any = None

    @property
    def is_shutdown(self) -> bool:
        """Whether the end has been told."""
        return bool(self.service and self.service.is_ending)

    def perform_substitution(self, substitution: Substitution) -> str:
        """The text that a substitution stands for."""
        return substitution.perform(self)

    def text(self, value: Text | Iterable[Text]) -> str:
        """The text of a string, a substitution, or a list of both."""
        if isinstance(value, Substitution):
            return value.perform(self)
        if isinstance(value, (str, Path)):
            return str(value)
        return "".join(self.text(part) for part in value)

    @contextmanager
    def scope(self) -> Iterator[None]:
        """What is set inside is forgotten at the end."""
        before = dict(self.launch_configurations), dict(self.environment)
        try:
            yield
        finally:
            self.launch_configurations, self.environment = before


def refuse(kind: str, extra: dict[str, Any]) -> None:
    """Raises NotImplementedError where keyword arguments are left that are not provided."""
    if extra:
        names = ", ".join(sorted(extra))
        raise NotImplementedError(f"{kind} with {names} without a ROS installation")


def is_true(text: str) -> bool:
    """What launch takes for true and false; raises ValueError for anything else."""
    lowered = text.strip().lower()
    if lowered in ("true", "1"):
        return True
    if lowered in ("false", "0"):
        return False
    raise ValueError(f"expected true or false in a condition, got {text!r}")
