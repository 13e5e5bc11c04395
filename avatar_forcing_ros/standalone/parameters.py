"""The parameters of a node: declared ones, their descriptors, and the callbacks around them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from avatar_forcing_ros.standalone.exceptions import (
    InvalidParameterException,
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterAlreadyDeclaredException,
    ParameterImmutableException,
    ParameterNotDeclaredException,
    ParameterUninitializedException,
)
from avatar_forcing_ros.standalone.messages import message_class
from avatar_forcing_ros.standalone.parameter import (
    PARAMETER_SEPARATOR_STRING,
    Parameter,
    ParameterType,
    parameter_value_to_python,
)

_RELATIVE_TOLERANCE = 1e-6
SetParametersResult = message_class("rcl_interfaces/msg/SetParametersResult")
ParameterDescriptor = message_class("rcl_interfaces/msg/ParameterDescriptor")


class ParameterHolder:
    """The part of a node that is about parameters; needs ``_publish_parameter_event``."""

    def _init_parameters(self, overrides: dict[str, Any], allow_undeclared: bool) -> None:
        self._parameters: dict[str, Parameter] = {}
        self._descriptors: dict[str, Any] = {}
        self._parameter_overrides = overrides
        self._allow_undeclared = allow_undeclared
        self._pre_set: list[Callable[[list[Parameter]], list[Parameter]]] = []
        self._on_set: list[Callable[[list[Parameter]], Any]] = []
        self._post_set: list[Callable[[list[Parameter]], None]] = []

    def _publish_parameter_event(
        self, new: list[Parameter], changed: list[Parameter], deleted: list[Parameter]
    ) -> None:
        raise NotImplementedError

    def declare_parameter(
        self,
        name: str,
        value: Any = None,
        descriptor: Any = None,
        ignore_override: bool = False,
    ) -> Parameter:
        """Declares a parameter and gives its value: an override if there is one, or ``value``.

        ``value`` may be a ``Parameter.Type``, for a parameter that has no value yet. Raises
        ParameterAlreadyDeclaredException, InvalidParameterException, and
        InvalidParameterTypeException or InvalidParameterValueException for a value that does not
        fit.
        """
        entry = (name, value) if descriptor is None else (name, value, descriptor)
        return self.declare_parameters("", [entry], ignore_override)[0]

    def declare_parameters(
        self, namespace: str, parameters: Iterable[Any], ignore_override: bool = False
    ) -> list[Parameter]:
        """Declares parameters given as (name, value, descriptor); see ``declare_parameter``."""
        declared = []
        for name, *rest in parameters:
            full = f"{namespace}.{name}" if namespace else name
            value = rest[0] if rest else None
            descriptor = rest[1] if len(rest) > 1 else ParameterDescriptor()
            declared.append(self._declare(full, value, descriptor, ignore_override))
        return declared

    def _declare(
        self, name: str, default: Any, descriptor: Any, ignore_override: bool
    ) -> Parameter:
        if not isinstance(name, str) or not name or name.startswith(".") or name.endswith("."):
            raise InvalidParameterException(str(name))
        if name in self._parameters:
            raise ParameterAlreadyDeclaredException([name])
        if isinstance(default, ParameterType):
            expected, value = default, None
        else:
            value = parameter_value_to_python(default) if hasattr(default, "_fields") else default
            expected = ParameterType.from_parameter_value(value)
        descriptor.name = name
        if not descriptor.dynamic_typing:
            if expected == ParameterType.NOT_SET:
                raise ValueError(f"parameter '{name}' needs a value, a type or dynamic_typing")
            descriptor.type = expected.value
        if not ignore_override and name in self._parameter_overrides:
            value = self._parameter_overrides[name]
        # an empty list on the command line does not tell of what
        empty_array = value in ([], ()) and expected.value >= ParameterType.BYTE_ARRAY.value
        parameter = Parameter(name, expected if empty_array else None, value)
        result = self._checked(parameter, descriptor, declaring=True)
        if not result.successful:
            if result.reason.startswith("Wrong parameter type"):
                raise InvalidParameterTypeException(parameter, expected.name)
            raise InvalidParameterValueException(name, value, result.reason)
        result = self._ask_callbacks([parameter])
        if not result.successful:
            raise InvalidParameterValueException(name, value, result.reason)
        self._descriptors[name] = descriptor
        self._parameters[name] = parameter
        self._publish_parameter_event([parameter], [], [])
        for callback in list(self._post_set):
            callback([parameter])
        return parameter

    def _checked(self, parameter: Parameter, descriptor: Any, *, declaring: bool = False) -> Any:
        """Whether the descriptor lets the parameter have that value."""
        name, value, kind = parameter.name, parameter.value, parameter.type_
        if descriptor.read_only and not declaring:
            return _refused(f"Trying to set a read-only parameter: {name}.")
        if descriptor.dynamic_typing:
            descriptor.type = kind.value
        elif kind == ParameterType.NOT_SET:
            if not declaring:
                return _refused("Static parameter cannot be undeclared")
        elif kind.value != descriptor.type:
            wanted = ParameterType(descriptor.type)
            return _refused(f"Wrong parameter type, expected '{wanted}' got '{kind}'")
        if kind == ParameterType.INTEGER and descriptor.integer_range:
            return _in_range(name, value, descriptor.integer_range[0])
        if kind == ParameterType.DOUBLE and descriptor.floating_point_range:
            return _in_range(name, value, descriptor.floating_point_range[0])
        return SetParametersResult(successful=True)

    def _ask_callbacks(self, parameters: list[Parameter]) -> Any:
        for callback in list(self._on_set):
            result = callback(parameters)
            if not result.successful:
                return result
        return SetParametersResult(successful=True)

    def set_parameters(self, parameter_list: list[Parameter]) -> list[Any]:
        """Sets parameters one by one; each gets its SetParametersResult.

        Raises ParameterNotDeclaredException.
        """
        self._require_declared([parameter.name for parameter in parameter_list])
        return [self.set_parameters_atomically([parameter]) for parameter in parameter_list]

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> Any:
        """Sets all the parameters, or none; raises ParameterNotDeclaredException."""
        self._require_declared([parameter.name for parameter in parameter_list])
        for change in list(self._pre_set):
            parameter_list = change(parameter_list)
            if not parameter_list:
                return _refused("parameter list cannot be empty, this might be due to a callback")
            self._require_declared([parameter.name for parameter in parameter_list])
        for parameter in parameter_list:
            if parameter.name in self._descriptors:
                result = self._checked(parameter, self._descriptors[parameter.name])
                if not result.successful:
                    return result
        result = self._ask_callbacks(parameter_list)
        if result.successful:
            self._store(parameter_list)
            for callback in list(self._post_set):
                callback(parameter_list)
        return result

    def _store(self, parameters: list[Parameter]) -> None:
        new: list[Parameter] = []
        changed: list[Parameter] = []
        deleted: list[Parameter] = []
        for parameter in parameters:
            name = parameter.name
            if parameter.type_ == ParameterType.NOT_SET:
                deleted.append(parameter)
                self._parameters.pop(name, None)
                self._descriptors.pop(name, None)
                continue
            had = self._parameters.get(name)
            (changed if had and had.type_ != ParameterType.NOT_SET else new).append(parameter)
            if name not in self._descriptors:
                self._descriptors[name] = ParameterDescriptor(
                    name=name, type=parameter.type_.value, dynamic_typing=True
                )
            self._parameters[name] = parameter
        self._publish_parameter_event(new, changed, deleted)

    def _require_declared(self, names: Iterable[str]) -> None:
        missing = [name for name in names if name not in self._parameters]
        if missing and not self._allow_undeclared:
            raise ParameterNotDeclaredException(missing)

    def undeclare_parameter(self, name: str) -> None:
        """Forgets a parameter; raises ParameterNotDeclared- or ParameterImmutableException."""
        if name not in self._parameters:
            raise ParameterNotDeclaredException(name)
        if self._descriptors[name].read_only:
            raise ParameterImmutableException(name)
        del self._parameters[name], self._descriptors[name]

    def has_parameter(self, name: str) -> bool:
        """Whether the parameter is declared."""
        return name in self._parameters

    def get_parameter(self, name: str) -> Parameter:
        """The parameter.

        Raises ParameterNotDeclaredException, or ParameterUninitializedException where it was
        declared by type alone and never set.
        """
        parameter = self._parameters.get(name)
        if parameter is None:
            if self._allow_undeclared:
                return Parameter(name)
            raise ParameterNotDeclaredException(name)
        if parameter.type_ == ParameterType.NOT_SET and not self._descriptors[name].dynamic_typing:
            raise ParameterUninitializedException(name)
        return parameter

    def get_parameters(self, names: list[str]) -> list[Parameter]:
        """The parameters; see ``get_parameter``."""
        return [self.get_parameter(name) for name in names]

    def get_parameter_or(self, name: str, alternative: Parameter | None = None) -> Parameter:
        """The parameter, or the alternative where it is not declared or not set."""
        parameter = self._parameters.get(name)
        if parameter is None or parameter.type_ == ParameterType.NOT_SET:
            return Parameter(name) if alternative is None else alternative
        return parameter

    def get_parameters_by_prefix(self, prefix: str) -> dict[str, Parameter]:
        """Parameters below a prefix, by the rest of their names."""
        start = f"{prefix}{PARAMETER_SEPARATOR_STRING}" if prefix else ""
        return {
            name[len(start) :]: parameter
            for name, parameter in self._parameters.items()
            if name.startswith(start)
        }

    def get_parameter_type(self, name: str) -> ParameterType:
        """The parameter's type; raises ParameterNotDeclaredException."""
        if name not in self._parameters and self._allow_undeclared:
            return ParameterType.NOT_SET
        return ParameterType(self.describe_parameter(name).type)

    def get_parameter_types(self, names: list[str]) -> list[ParameterType]:
        """The parameters' types; raises ParameterNotDeclaredException."""
        return [self.get_parameter_type(name) for name in names]

    def describe_parameter(self, name: str) -> Any:
        """The parameter's descriptor; raises ParameterNotDeclaredException."""
        if name in self._descriptors:
            return self._descriptors[name]
        if self._allow_undeclared:
            return ParameterDescriptor()
        raise ParameterNotDeclaredException(name)

    def describe_parameters(self, names: list[str]) -> list[Any]:
        """The parameters' descriptors; raises ParameterNotDeclaredException."""
        return [self.describe_parameter(name) for name in names]

    def list_parameters(self, prefixes: list[str], depth: int) -> Any:
        """rcl_interfaces/ListParametersResult: names below any prefix, to a depth; 0 is all."""
        result = message_class("rcl_interfaces/msg/ListParametersResult")()
        for name in self._parameters:
            if any(_within(name, prefix, depth) for prefix in prefixes or [""]):
                result.names.append(name)
                above = name.rpartition(PARAMETER_SEPARATOR_STRING)[0]
                if above and above not in result.prefixes:
                    result.prefixes.append(above)
        return result

    def add_pre_set_parameters_callback(self, callback: Any) -> None:
        """``callback(parameters) -> parameters`` may change what is about to be set."""
        self._pre_set.insert(0, callback)

    def add_on_set_parameters_callback(self, callback: Any) -> None:
        """``callback(parameters) -> SetParametersResult`` may refuse values."""
        self._on_set.insert(0, callback)

    def add_post_set_parameters_callback(self, callback: Any) -> None:
        """``callback(parameters)`` learns what was set."""
        self._post_set.insert(0, callback)

    def remove_pre_set_parameters_callback(self, callback: Any) -> None:
        """Raises ValueError where it was not added."""
        self._pre_set.remove(callback)

    def remove_on_set_parameters_callback(self, callback: Any) -> None:
        """Raises ValueError where it was not added."""
        self._on_set.remove(callback)

    def remove_post_set_parameters_callback(self, callback: Any) -> None:
        """Raises ValueError where it was not added."""
        self._post_set.remove(callback)


def _refused(reason: str) -> Any:
    return SetParametersResult(successful=False, reason=reason)


def _within(name: str, prefix: str, depth: int) -> bool:
    start = f"{prefix}{PARAMETER_SEPARATOR_STRING}" if prefix else ""
    if name != prefix and not name.startswith(start):
        return False
    return depth == 0 or name[len(start) :].count(PARAMETER_SEPARATOR_STRING) < depth


def _in_range(name: str, value: float, allowed: Any) -> Any:
    """The edges are always allowed, whatever the step."""

    def close(one: float, other: float) -> bool:
        if isinstance(value, int):
            return one == other
        return math.isclose(one, other, rel_tol=_RELATIVE_TOLERANCE)

    low = min(allowed.from_value, allowed.to_value)
    high = max(allowed.from_value, allowed.to_value)
    said = f"Min: {low}, Max: {high}, value: {value}"
    if close(value, low) or close(value, high):
        return SetParametersResult(successful=True)
    if not low < value < high:
        return _refused(f"Parameter {name} out of range. {said}")
    if allowed.step:
        steps = round((value - low) / allowed.step)
        if not close(low + steps * allowed.step, value):
            return _refused(
                f"The parameter value for {name} is not a valid step. {said}, step: {allowed.step}"
            )
    return SetParametersResult(successful=True)
