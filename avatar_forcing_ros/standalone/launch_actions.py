"""The actions of ``launch`` that start no process themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.standalone.launch_conditions import Condition
from avatar_forcing_ros.standalone.launch_context import LaunchContext, Text, refuse


class Action:
    """Something to be done once its turn has come."""

    def __init__(self, *, condition: Condition | None = None) -> None:
        self.condition = condition

    def visit(self, context: LaunchContext) -> None:
        """Does it, if its condition allows."""
        if self.condition is None or self.condition.evaluate(context):
            self.execute(context)

    def execute(self, context: LaunchContext) -> None:
        """Does it."""
        raise NotImplementedError

    def arguments(self, context: LaunchContext) -> Iterator[DeclareLaunchArgument]:
        """Arguments that it declares, for those who ask before anything is done."""
        yield from ()


class LaunchDescription(Action):
    """Actions, one after another; what ``generate_launch_description`` returns."""

    def __init__(self, initial_entities: Iterable[Action] | None = None) -> None:
        super().__init__()
        self.entities = list(initial_entities or ())

    def add_action(self, action: Action) -> None:
        """Adds one at the end."""
        self.entities.append(action)

    add_entity = add_action

    def execute(self, context: LaunchContext) -> None:
        """Does them all."""
        for entity in self.entities:
            entity.visit(context)

    def arguments(self, context: LaunchContext) -> Iterator[DeclareLaunchArgument]:
        """Those of all its actions."""
        for entity in self.entities:
            yield from entity.arguments(context)


class DeclareLaunchArgument(Action):
    """An argument of the launch file; raises ConfigError for values that it does not take."""

    def __init__(
        self,
        name: str,
        *,
        default_value: Text | Iterable[Text] | None = None,
        description: str | None = None,
        choices: Iterable[str] | None = None,
        condition: Condition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        self.name = name
        self.default_value = default_value
        self.description = description or "no description given"
        self.choices = list(choices) if choices is not None else None

    def execute(self, context: LaunchContext) -> None:
        """Gives the default where no value was given, and checks."""
        values = context.launch_configurations
        if self.name not in values:
            if self.default_value is None:
                raise ConfigError(
                    f"launch argument '{self.name}'",
                    expected=f"a value: {self.description}",
                    got="none",
                    remedy=f"give {self.name}:=VALUE",
                )
            values[self.name] = context.text(self.default_value)
        if self.choices is not None and values[self.name] not in self.choices:
            raise ConfigError(
                f"launch argument '{self.name}'",
                expected=" or ".join(self.choices),
                got=f"'{values[self.name]}'",
                remedy=f"give {self.name}:=… as one of these",
            )

    def arguments(self, context: LaunchContext) -> Iterator[DeclareLaunchArgument]:
        """Itself."""
        yield self


class GroupAction(LaunchDescription):
    """Actions that share a condition, and forget at their end what they set."""

    def __init__(
        self,
        actions: Iterable[Action],
        *,
        scoped: bool = True,
        condition: Condition | None = None,
        **extra: Any,
    ) -> None:
        refuse("GroupAction", extra)
        super().__init__(actions)
        self.condition = condition
        self._scoped = scoped

    def execute(self, context: LaunchContext) -> None:
        """Does them all."""
        if not self._scoped:
            super().execute(context)
            return
        with context.scope():
            super().execute(context)


class PythonLaunchDescriptionSource:
    """A launch file."""

    def __init__(self, launch_file_path: Text | Iterable[Text]) -> None:
        self._path = launch_file_path

    def path(self, context: LaunchContext) -> Path:
        """Where it lies."""
        return Path(context.text(self._path))


class IncludeLaunchDescription(Action):
    """Does what another launch file describes."""

    def __init__(
        self,
        launch_description_source: PythonLaunchDescriptionSource | Text | Iterable[Text],
        *,
        launch_arguments: Iterable[tuple[Text, Text]] | None = None,
        condition: Condition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        source = launch_description_source
        if not isinstance(source, PythonLaunchDescriptionSource):
            source = PythonLaunchDescriptionSource(source)
        self._source = source
        self._given = list(launch_arguments or ())

    def _load(self, context: LaunchContext) -> LaunchDescription:
        from avatar_forcing_ros.standalone.launch_file import load

        return load(self._source.path(context))

    def execute(self, context: LaunchContext) -> None:
        """Sets the arguments, does what the file describes."""
        for name, value in self._given:
            context.launch_configurations[context.text(name)] = context.text(value)
        self._load(context).visit(context)

    def arguments(self, context: LaunchContext) -> Iterator[DeclareLaunchArgument]:
        """Those of the file that are left to be given."""
        given = {context.text(name) for name, _ in self._given}
        for argument in self._load(context).arguments(context):
            if argument.name not in given:
                yield argument


class OpaqueFunction(Action):
    """Calls ``function(context, *args, **kwargs)`` and does the actions that it returns."""

    def __init__(
        self,
        *,
        function: Callable[..., Iterable[Action] | None],
        args: Iterable[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
        condition: Condition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        self._call = function, list(args or ()), dict(kwargs or {})

    def execute(self, context: LaunchContext) -> None:
        """Calls it."""
        function, args, kwargs = self._call
        for action in function(context, *args, **kwargs) or ():
            action.visit(context)


class SetLaunchConfiguration(Action):
    """Sets a launch configuration."""

    def __init__(
        self,
        name: Text,
        value: Text | Iterable[Text],
        *,
        condition: Condition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        self._name, self._value = name, value

    def execute(self, context: LaunchContext) -> None:
        """Sets it."""
        context.launch_configurations[context.text(self._name)] = context.text(self._value)


class SetEnvironmentVariable(SetLaunchConfiguration):
    """Sets an environment variable of the processes that are started from now on."""

    def execute(self, context: LaunchContext) -> None:
        """Sets it."""
        context.environment[context.text(self._name)] = context.text(self._value)


class LogInfo(Action):
    """Says something."""

    def __init__(self, *, msg: Text | Iterable[Text], condition: Condition | None = None) -> None:
        super().__init__(condition=condition)
        self._text = msg

    def execute(self, context: LaunchContext) -> None:
        """Says it."""
        context.service.say(context.text(self._text))


class Shutdown(Action):
    """Ends the launch and all its processes."""

    def __init__(
        self,
        *,
        reason: Text | Iterable[Text] = "reason not given",
        condition: Condition | None = None,
        **extra: Any,
    ) -> None:
        refuse("Shutdown", extra)
        super().__init__(condition=condition)
        self._reason = reason

    def execute(self, context: LaunchContext) -> None:
        """Tells the service."""
        context.service.shut_down(context.text(self._reason))


class TimerAction(Action):
    """Does actions some seconds later."""

    def __init__(
        self,
        *,
        period: float | Text | Iterable[Text],
        actions: Iterable[Action],
        condition: Condition | None = None,
        **extra: Any,
    ) -> None:
        refuse("TimerAction", extra)
        super().__init__(condition=condition)
        self._period = period
        self._actions = list(actions)

    def execute(self, context: LaunchContext) -> None:
        """Starts the time."""
        period = self._period
        delay_s = period if isinstance(period, (int, float)) else float(context.text(period))
        context.service.call_later(float(delay_s), LaunchDescription(self._actions))


class RegisterEventHandler(Action):
    """From now on an event handler is asked."""

    def __init__(self, event_handler: Any, *, condition: Condition | None = None) -> None:
        super().__init__(condition=condition)
        self._handler = event_handler

    def execute(self, context: LaunchContext) -> None:
        """Registers it."""
        context.service.handlers.append(self._handler)
