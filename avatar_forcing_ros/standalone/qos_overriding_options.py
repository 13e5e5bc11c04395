"""QoS that a node lets its user change by parameters ``qos_overrides.<topic>.…``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

from avatar_forcing_ros.standalone.exceptions import (
    InvalidQosOverridesError,
    ParameterAlreadyDeclaredException,
)
from avatar_forcing_ros.standalone.messages import message_class
from avatar_forcing_ros.standalone.qos import QoSPolicyKind, QoSProfile
from avatar_forcing_ros.standalone.time import Duration

QosCallbackResult = message_class("rcl_interfaces/msg/SetParametersResult")


class QoSOverridingOptions:
    """Which policies get a parameter; ``callback(profile)`` may refuse the outcome."""

    def __init__(
        self,
        policy_kinds: Iterable[QoSPolicyKind],
        *,
        callback: Callable[[QoSProfile], Any] | None = None,
        entity_id: str | None = None,
    ) -> None:
        self.policy_kinds = tuple(policy_kinds)
        self.callback = callback
        self.entity_id = entity_id

    @classmethod
    def with_default_policies(
        cls,
        *,
        callback: Callable[[QoSProfile], Any] | None = None,
        entity_id: str | None = None,
    ) -> QoSOverridingOptions:
        """History, depth and reliability."""
        kinds = (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY)
        return cls(kinds, callback=callback, entity_id=entity_id)


def apply_overrides(
    node: Any, topic: str, qos: QoSProfile, options: QoSOverridingOptions, kind: str
) -> None:
    """Declares the parameters and changes ``qos`` by them; ``kind``: publisher, subscription.

    Raises InvalidQosOverridesError where a value is none or the callback refuses.
    """
    suffix = f"_{options.entity_id}" if options.entity_id else ""
    for policy in options.policy_kinds:
        if kind == "subscription" and policy == QoSPolicyKind.LIFESPAN:
            continue
        field = policy.name.lower()
        name = f"qos_overrides.{topic}.{kind}{suffix}.{field}"
        descriptor = message_class("rcl_interfaces/msg/ParameterDescriptor")(
            description=f"{field} for {kind} `{topic}` with id `{options.entity_id}`",
            read_only=True,
        )
        present = getattr(qos, field)
        try:
            parameter = node.declare_parameter(name, _to_parameter(present), descriptor)
        except ParameterAlreadyDeclaredException:
            parameter = node.get_parameter(name)
        try:
            setattr(qos, field, _from_parameter(parameter.value, present))
        except (KeyError, ValueError) as error:
            raise InvalidQosOverridesError(f"{name}: '{parameter.value}'") from error
    if options.callback is not None:
        result = options.callback(qos)
        if not result.successful:
            raise InvalidQosOverridesError(f"QoS of {kind} {topic}: {result.reason}")


def _to_parameter(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.name.lower()
    return value.nanoseconds if isinstance(value, Duration) else value


def _from_parameter(value: Any, like: Any) -> Any:
    if isinstance(like, Enum):
        return type(like)[value.upper()]
    return Duration(nanoseconds=value) if isinstance(like, Duration) else value
