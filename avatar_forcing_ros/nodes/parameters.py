"""ROS parameters made from configurations: declared with ranges, checked as a whole, read."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from avatar_forcing_ros.config import PRESETS
from avatar_forcing_ros.settings import Setting, from_flat, settings_of
from avatar_forcing_ros.strict import one_of, renamed

T = TypeVar("T")
MAX_INT = 2**63 - 1


def declare(node: Node, config: type) -> None:
    """Declare all settings of `config` as parameters of `node`.

    A value given at the start that is out of range or of another type stops the node with an
    error that names it, as rclpy does for every parameter; one that is none of the choices is
    found by `invalid_choice` and `read`. Deprecated names are taken with a warning.
    """
    new_names = {}
    for each in settings_of(config):
        default = _default(node, each)
        if each.formerly:
            new_names[each.formerly] = each.name
            old = node.declare_parameter(each.formerly, default, _descriptor(each)).value
            # rclpy has no other way to ask what was given
            if each.formerly in getattr(node, "_parameter_overrides", {}):
                _warn(node, each.formerly, each.name)
                default = old
        node.declare_parameter(each.name, default, _descriptor(each))

    def set_renamed(changes: list[Parameter]) -> SetParametersResult:
        for change in changes:
            if change.name in new_names:
                new = new_names[change.name]
                _warn(node, change.name, new)
                (result,) = node.set_parameters([Parameter(new, value=change.value)])
                if not result.successful:
                    return result
        return accepted()

    if new_names:
        node.add_on_set_parameters_callback(set_renamed)


def values(node: Node, config: type) -> dict[str, Any]:
    """The values of all settings of `config` by name."""
    return {each.name: node.get_parameter(each.name).value for each in settings_of(config)}


def read(node: Node, config: type[T]) -> T:
    """The parameters of `node` as a `config`; raises ConfigError for values of no use."""
    return from_flat(config, values(node, config))


def invalid_choice(config: type, given: Mapping[str, Any]) -> str:
    """A sentence about the first value of `given` that is none of its choices; else empty."""
    for each in settings_of(config):
        value = given.get(each.name)
        if each.choices and value is not None and value not in each.choices:
            expected = one_of(each.choices, str(value))
            return f"parameter '{each.name}': expected {expected}, got '{value}'"
    return ""


def refused(reason: str) -> SetParametersResult:
    """The answer to a change that is not made."""
    return SetParametersResult(successful=False, reason=reason)


def accepted() -> SetParametersResult:
    """The answer to a change that is made."""
    return SetParametersResult(successful=True)


def _default(node: Node, each: Setting) -> Any:
    """What `each` is unless it is set; settings on which that depends are declared before."""
    if each.same_as:
        return node.get_parameter(each.same_as).value
    if each.of_preset:
        preset = PRESETS.get(node.get_parameter("preset").value)
        return getattr(preset.sampling, each.name) if preset else each.default
    return each.default


def _descriptor(each: Setting) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=each.summary, read_only=not each.live)
    if each.choices:
        descriptor.additional_constraints = f"one of {each.limits}"
    elif each.limits and each.kind is int:
        high = MAX_INT if each.high is None else int(each.high)
        descriptor.integer_range = [
            IntegerRange(from_value=int(each.low or 0), to_value=high, step=each.step)
        ]
    elif each.limits:
        descriptor.floating_point_range = [
            FloatingPointRange(
                from_value=each.above if each.low is None else each.low,
                to_value=sys.float_info.max if each.high is None else each.high,
            )
        ]
    return descriptor


def _warn(node: Node, old: str, new: str) -> None:
    node.get_logger().warning(renamed(f"parameter '{old}'", f"'{new}'"))
