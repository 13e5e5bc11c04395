"""The actions that start processes: ``ExecuteProcess``, ``Node`` and ``LifecycleNode``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from avatar_forcing_ros.standalone import names
from avatar_forcing_ros.standalone.arguments import flatten, yaml_value
from avatar_forcing_ros.standalone.launch_actions import Action, SetLaunchConfiguration
from avatar_forcing_ros.standalone.launch_conditions import Condition
from avatar_forcing_ros.standalone.launch_context import (
    NAMESPACE,
    LaunchContext,
    Substitution,
    Text,
    refuse,
)
from avatar_forcing_ros.standalone.launch_events import Reaction
from avatar_forcing_ros.standalone.launch_process import StopTimes
from avatar_forcing_ros.standalone.launch_programs import node_command, program_command

_UNSAID = ("output", "emulate_tty", "log_cmd")  # everything is shown, line by line


class ExecuteProcess(Action):
    """Starts a program and shows what it says."""

    def __init__(
        self,
        *,
        cmd: Iterable[Text | Iterable[Text]],
        name: Text | Iterable[Text] | None = None,
        cwd: Text | Iterable[Text] | None = None,
        env: Mapping[Text, Text] | None = None,
        additional_env: Mapping[Text, Text] | None = None,
        on_exit: Reaction | None = None,
        sigterm_timeout: Text | float = StopTimes.sigterm_s,
        sigkill_timeout: Text | float = StopTimes.sigkill_s,
        condition: Condition | None = None,
        **extra: Any,
    ) -> None:
        refuse(type(self).__name__, {k: v for k, v in extra.items() if k not in _UNSAID})
        super().__init__(condition=condition)
        self.cmd = list(cmd)
        self.on_exit = on_exit
        self._name = name
        self._cwd = cwd
        self._env = env
        self._additional_env = additional_env or {}
        self._patience = sigterm_timeout, sigkill_timeout

    def command(self, context: LaunchContext) -> list[str]:
        """The words that start the program."""
        return program_command([context.text(word) for word in self.cmd])

    def process_name(self, context: LaunchContext) -> str:
        """What stands before everything that it says."""
        if self._name is not None:
            return context.text(self._name)
        return Path(context.text(self.cmd[0])).name

    def environment(self, context: LaunchContext) -> dict[str, str]:
        """The process's environment."""
        own = context.environment if self._env is None else _texts(self._env, context)
        # what a Python program says must not stay in its buffer
        return {**own, **_texts(self._additional_env, context), "PYTHONUNBUFFERED": "1"}

    def execute(self, context: LaunchContext) -> None:
        """Starts it."""
        sigterm_s, sigkill_s = (
            float(v if isinstance(v, (int, float)) else context.text(v)) for v in self._patience
        )
        context.service.start(
            self,
            self.process_name(context),
            self.command(context),
            self.environment(context),
            None if self._cwd is None else context.text(self._cwd),
            StopTimes(sigterm_s, sigkill_s),
        )


def _texts(values: Mapping[Text, Text], context: LaunchContext) -> dict[str, str]:
    return {context.text(name): context.text(value) for name, value in values.items()}


class ParameterValue:
    """A parameter whose type is told instead of guessed from its text."""

    def __init__(self, value: Any, *, value_type: Any = None) -> None:
        self._value = value
        self._type = value_type

    def evaluate(self, context: LaunchContext) -> Any:
        """The value in that type."""
        value = self._value
        if isinstance(value, Substitution):
            value = context.text(value)
            return yaml_value(value) if self._type is None else _typed(value, self._type)
        return value if self._type is None else _typed(value, self._type)


def _typed(value: Any, kind: Any) -> Any:
    if kind not in (str, int, float, bool):
        raise NotImplementedError(f"ParameterValue of type {kind} without a ROS installation")
    return value if isinstance(value, kind) else kind(yaml_value(str(value)))


class Node(ExecuteProcess):
    """Starts a node of this package."""

    def __init__(
        self,
        *,
        package: Text | Iterable[Text],
        executable: Text | Iterable[Text],
        name: Text | Iterable[Text] | None = None,
        namespace: Text | Iterable[Text] | None = None,
        exec_name: Text | Iterable[Text] | None = None,
        parameters: Iterable[Any] | None = None,
        remappings: Iterable[tuple[Text, Text]] | None = None,
        arguments: Iterable[Text | Iterable[Text]] | None = None,
        ros_arguments: Iterable[Text | Iterable[Text]] | None = None,
        **rest: Any,
    ) -> None:
        super().__init__(cmd=[], name=exec_name or executable, **rest)
        self._package = package
        self._executable = executable
        self._node = name, namespace
        self._parameters = list(parameters or ())
        self._remappings = list(remappings or ())
        self._arguments = list(arguments or ())
        self._ros_arguments = list(ros_arguments or ())

    def full_namespace(self, context: LaunchContext) -> str:
        """The namespace, below those that were pushed."""
        pushed = context.launch_configurations.get(NAMESPACE, "")
        own = context.text(self._node[1] or "")
        parts = own if own.startswith("/") else f"{pushed}/{own}"
        return names.full_namespace("/".join(part for part in parts.split("/") if part))

    def full_name(self, context: LaunchContext) -> str:
        """The node's absolute name, as far as the launch file tells it."""
        name = context.text(self._node[0] or self._executable)
        return names.join(self.full_namespace(context), name)

    def command(self, context: LaunchContext) -> list[str]:
        """The command line, with all that is for ROS."""
        words = node_command(context.text(self._package), context.text(self._executable))
        words += [context.text(word) for word in self._arguments]
        words.append("--ros-args")
        name, namespace = self._node
        if name is not None:
            words += ["-r", f"__node:={context.text(name)}"]
        if namespace is not None or NAMESPACE in context.launch_configurations:
            words += ["-r", f"__ns:={self.full_namespace(context)}"]
        for parameters in self._parameters:
            words += _parameter_words(parameters, context)
        for source, target in self._remappings:
            words += ["-r", f"{context.text(source)}:={context.text(target)}"]
        return words + [context.text(word) for word in self._ros_arguments]


def _parameter_words(parameters: Any, context: LaunchContext) -> list[str]:
    """A parameter file, or a mapping of names to values, as a command line has it."""
    if not isinstance(parameters, Mapping):
        return ["--params-file", context.text(parameters)]
    words = []
    for name, value in flatten({context.text(k): v for k, v in parameters.items()}).items():
        words += ["-p", f"{name}:={json.dumps(_parameter_value(value, context))}"]
    return words


def _parameter_value(value: Any, context: LaunchContext) -> Any:
    if isinstance(value, ParameterValue):
        return value.evaluate(context)
    if isinstance(value, (str, Substitution)):
        return yaml_value(context.text(value))
    if isinstance(value, (list, tuple)):
        if any(isinstance(item, Substitution) for item in value):
            return yaml_value(context.text(value))
        return list(value)
    return value


class LifecycleNode(Node):
    """Starts a lifecycle node; handlers may wait for its changes of state."""

    def __init__(
        self, *, name: Text | Iterable[Text], namespace: Text | Iterable[Text], **rest: Any
    ) -> None:
        super().__init__(name=name, namespace=namespace, **rest)

    def execute(self, context: LaunchContext) -> None:
        """Listens for changes, then starts it."""
        context.service.watch_states(self, self.full_name(context))
        super().execute(context)


class PushRosNamespace(SetLaunchConfiguration):
    """Nodes started from now on live one namespace deeper."""

    def __init__(
        self, namespace: Text | Iterable[Text], *, condition: Condition | None = None
    ) -> None:
        super().__init__(NAMESPACE, namespace, condition=condition)

    def execute(self, context: LaunchContext) -> None:
        """Adds it."""
        above = context.launch_configurations.get(NAMESPACE, "")
        added = context.text(self._value)
        context.launch_configurations[NAMESPACE] = (
            added if added.startswith("/") else f"{above}/{added}"
        )
