"""Parameters from the tables: declared with ranges, checked as a whole, read as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from avatar_forcing_ros.nodes.interface import Parameter


def declare(node: Node, table: Sequence[Parameter], defaults: Mapping[str, Any]) -> None:
    """Declare the parameters of `table`; `defaults` replaces some of its defaults.

    A value given at the start that is out of range or of another type stops the node with an
    error that names it, as rclpy does for every parameter; one that is none of the choices is
    told by `choice_trouble`.
    """
    for parameter in table:
        default = defaults.get(parameter.name, parameter.default)
        if parameter.like:
            default = node.get_parameter(parameter.like).value
        node.declare_parameter(parameter.name, default, _descriptor(parameter))


def values(node: Node, table: Sequence[Parameter]) -> dict[str, Any]:
    """All values by name."""
    return {p.name: node.get_parameter(p.name).value for p in table}


def choice_trouble(table: Sequence[Parameter], given: Mapping[str, Any]) -> str:
    """A sentence about the first value of `given` that is none of its choices; else empty."""
    for parameter in table:
        value = given.get(parameter.name)
        if parameter.choices and value is not None and value not in parameter.choices:
            choices = ", ".join(parameter.choices)
            return f"parameter '{parameter.name}': expected one of {choices}, got '{value}'"
    return ""


def refused(reason: str) -> SetParametersResult:
    """The answer to a change that is not made."""
    return SetParametersResult(successful=False, reason=reason)


def accepted() -> SetParametersResult:
    """The answer to a change that is made."""
    return SetParametersResult(successful=True)


def by_name(changes: Sequence[RosParameter]) -> dict[str, Any]:
    """What is to be changed, as plain values."""
    return {change.name: change.value for change in changes}


def _descriptor(parameter: Parameter) -> ParameterDescriptor:
    unit = f" [{parameter.unit}]" if parameter.unit else ""
    descriptor = ParameterDescriptor(
        description=parameter.meaning + unit, read_only=not parameter.runtime
    )
    if parameter.choices:
        descriptor.additional_constraints = f"one of {', '.join(parameter.choices)}"
    if parameter.low is not None and parameter.high is not None:
        if isinstance(parameter.default, int):
            whole = IntegerRange(from_value=int(parameter.low), to_value=int(parameter.high))
            descriptor.integer_range = [whole]
        else:
            span = FloatingPointRange(from_value=parameter.low, to_value=parameter.high)
            descriptor.floating_point_range = [span]
    return descriptor
