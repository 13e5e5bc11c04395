"""The conditions of ``launch``."""

from __future__ import annotations

from collections.abc import Iterable

from avatar_forcing_ros.standalone.launch_context import LaunchContext, Text, is_true


class Condition:
    """Decides whether an action is performed."""

    def evaluate(self, context: LaunchContext) -> bool:
        """Whether it is."""
        raise NotImplementedError


class IfCondition(Condition):
    """True where the text says true or 1."""

    wanted = True

    def __init__(self, predicate_expression: Text | Iterable[Text]) -> None:
        self._expression = predicate_expression

    def evaluate(self, context: LaunchContext) -> bool:
        """Whether the action is performed; raises ValueError for a text that says neither."""
        return is_true(context.text(self._expression)) == self.wanted


class UnlessCondition(IfCondition):
    """True where the text says false or 0."""

    wanted = False


class LaunchConfigurationEquals(Condition):
    """True where an argument has a value."""

    wanted = True

    def __init__(
        self, launch_configuration_name: str, expected_value: Text | Iterable[Text] | None
    ) -> None:
        self._name = launch_configuration_name
        self._value = expected_value

    def evaluate(self, context: LaunchContext) -> bool:
        """Whether the action is performed."""
        value = None if self._value is None else context.text(self._value)
        return (context.launch_configurations.get(self._name) == value) == self.wanted


class LaunchConfigurationNotEquals(LaunchConfigurationEquals):
    """True where an argument has another value."""

    wanted = False
