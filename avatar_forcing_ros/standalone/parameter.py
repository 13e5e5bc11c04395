"""One parameter: name, type and value, and the same as messages."""

from __future__ import annotations

import array
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from avatar_forcing_ros.standalone.arguments import read_parameters, yaml_value
from avatar_forcing_ros.standalone.messages import message_class

PARAMETER_SEPARATOR_STRING = "."
# type → field of rcl_interfaces/ParameterValue that holds it
_FIELDS = {
    1: "bool_value",
    2: "integer_value",
    3: "double_value",
    4: "string_value",
    5: "byte_array_value",
    6: "bool_array_value",
    7: "integer_array_value",
    8: "double_array_value",
    9: "string_array_value",
}
_SCALARS = {bool: 1, int: 2, float: 3, str: 4}
_ARRAYS = {bytes: 5, bool: 6, int: 7, float: 8, str: 9}
_ITEMS = {number: kind for kind, number in _ARRAYS.items()}


class ParameterType(Enum):
    """Types of parameters, with the numbers of rcl_interfaces/ParameterType."""

    NOT_SET = 0
    BOOL = 1
    INTEGER = 2
    DOUBLE = 3
    STRING = 4
    BYTE_ARRAY = 5
    BOOL_ARRAY = 6
    INTEGER_ARRAY = 7
    DOUBLE_ARRAY = 8
    STRING_ARRAY = 9

    @classmethod
    def from_parameter_value(cls, parameter_value: Any) -> ParameterType:
        """The type of a Python value; raises TypeError for what cannot be a parameter."""
        if parameter_value is None:
            return cls.NOT_SET
        if type(parameter_value) in _SCALARS:
            return cls(_SCALARS[type(parameter_value)])
        if isinstance(parameter_value, (list, tuple, array.array, np.ndarray)):
            kinds = {type(item) for item in _plain(parameter_value)}
            if not kinds:
                return cls.BYTE_ARRAY
            if len(kinds) == 1 and kinds <= _ARRAYS.keys():
                return cls(_ARRAYS[kinds.pop()])
        raise TypeError(
            f"The given value is not a type that a parameter can have: {parameter_value!r}"
        )

    def check(self, parameter_value: Any) -> bool:
        """Whether a Python value is of this type; an empty list is of every array type."""
        if self in _SCALAR_TYPES:
            wanted = {number: kind for kind, number in _SCALARS.items()}.get(self.value)
            return parameter_value is None if wanted is None else type(parameter_value) is wanted
        if not isinstance(parameter_value, (list, tuple, array.array, np.ndarray)):
            return False
        return all(type(item) is _ITEMS[self.value] for item in _plain(parameter_value))


ParameterType.__name__ = "Type"  # so rclpy prints it
_SCALAR_TYPES = tuple(ParameterType(number) for number in range(5))


def _plain(values: Any) -> list[Any]:
    return values.tolist() if hasattr(values, "tolist") else list(values)


class Parameter:
    """A parameter; the type follows from the value unless it is given.

    Raises TypeError for values that cannot be a parameter, ValueError where type and value differ.
    """

    Type = ParameterType

    def __init__(self, name: str, type_: ParameterType | None = None, value: Any = None) -> None:
        if type_ is None:
            type_ = ParameterType.from_parameter_value(value)
        if not isinstance(type_, ParameterType):
            raise TypeError(f"expected a Parameter.Type, got {type_!r}")
        if not type_.check(value):
            raise ValueError(f"Type '{type_}' and value '{value}' do not agree")
        self._name, self._type, self._value = name, type_, value

    @property
    def name(self) -> str:
        """The name, dots parting its levels."""
        return self._name

    @property
    def type_(self) -> ParameterType:
        """The type."""
        return self._type

    @property
    def value(self) -> Any:
        """The value; None where it is not set."""
        return self._value

    def __repr__(self) -> str:
        return f"Parameter(name={self._name!r}, type_={self._type}, value={self._value!r})"

    def get_parameter_value(self) -> Any:
        """rcl_interfaces/ParameterValue."""
        message = message_class("rcl_interfaces/msg/ParameterValue")(type=self._type.value)
        if self._type != ParameterType.NOT_SET:
            is_array = self._type.value in _ITEMS
            value = _plain(self._value) if is_array else self._value
            setattr(message, _FIELDS[self._type.value], value)
        return message

    def to_parameter_msg(self) -> Any:
        """rcl_interfaces/Parameter."""
        cls = message_class("rcl_interfaces/msg/Parameter")
        return cls(name=self._name, value=self.get_parameter_value())

    @classmethod
    def from_parameter_msg(cls, param_msg: Any) -> Parameter:
        """The parameter in an rcl_interfaces/Parameter."""
        return cls(
            param_msg.name,
            ParameterType(param_msg.value.type),
            parameter_value_to_python(param_msg.value),
        )


def parameter_value_to_python(parameter_value: Any) -> Any:
    """The Python value in an rcl_interfaces/ParameterValue; None where it is not set."""
    field = _FIELDS.get(parameter_value.type)
    if field is None:
        return None
    value = getattr(parameter_value, field)
    return _plain(value) if parameter_value.type in _ITEMS else value


def get_parameter_value(string_value: str) -> Any:
    """rcl_interfaces/ParameterValue of text as it is written on a command line."""
    try:
        return Parameter("", value=yaml_value(string_value)).get_parameter_value()
    except (TypeError, ValueError):
        return Parameter("", value=string_value).get_parameter_value()


def parameter_dict_from_yaml_file(
    parameter_file: str,
    use_wildcard: bool = False,
    target_nodes: list[str] | None = None,
    namespace: str = "",
) -> dict[str, Any]:
    """Parameter messages by name from a parameter file, of all nodes or those named."""
    found = {}
    for pattern, values in read_parameters(Path(parameter_file)):
        if pattern == "/**" and not use_wildcard and target_nodes:
            continue
        if target_nodes and pattern != "/**" and pattern not in target_nodes:
            continue
        for name, value in values.items():
            found[namespace + name] = Parameter(namespace + name, value=value).to_parameter_msg()
    return found
