"""The six services by which others read and set a node's parameters."""

from __future__ import annotations

import weakref
from typing import Any

from avatar_forcing_ros.standalone.exceptions import (
    ParameterNotDeclaredException,
    ParameterUninitializedException,
)
from avatar_forcing_ros.standalone.messages import message_class, service_class
from avatar_forcing_ros.standalone.parameter import Parameter
from avatar_forcing_ros.standalone.qos import qos_profile_parameters


class ParameterService:
    """Serves ``~/get_parameters`` and its five siblings; answers as rclpy's nodes do."""

    def __init__(self, node: Any) -> None:
        self._node = weakref.proxy(node)
        for name, callback in (
            ("DescribeParameters", self._describe),
            ("GetParameters", self._get),
            ("GetParameterTypes", self._get_types),
            ("ListParameters", self._list),
            ("SetParameters", self._set),
            ("SetParametersAtomically", self._set_atomically),
        ):
            words = "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
            node.create_service(
                service_class(f"rcl_interfaces/srv/{name}"),
                f"~/{words}",
                callback,
                qos_profile=qos_profile_parameters,
            )

    # one unknown name empties the whole answer, by which clients recognise it

    def _describe(self, request: Any, response: Any) -> Any:
        try:
            response.descriptors = [self._node.describe_parameter(n) for n in request.names]
        except ParameterNotDeclaredException:
            response.descriptors = []
        return response

    def _get(self, request: Any, response: Any) -> Any:
        try:
            found = self._node.get_parameters(list(request.names))
            response.values = [parameter.get_parameter_value() for parameter in found]
        except (ParameterNotDeclaredException, ParameterUninitializedException):
            response.values = []
        return response

    def _get_types(self, request: Any, response: Any) -> Any:
        try:
            types = self._node.get_parameter_types(list(request.names))
            response.types = [one.value for one in types]
        except ParameterNotDeclaredException:
            response.types = []
        return response

    def _list(self, request: Any, response: Any) -> Any:
        response.result = self._node.list_parameters(list(request.prefixes), request.depth)
        return response

    def _set(self, request: Any, response: Any) -> Any:
        response.results = [self._try([message]) for message in request.parameters]
        return response

    def _set_atomically(self, request: Any, response: Any) -> Any:
        response.result = self._try(request.parameters)
        return response

    def _try(self, messages: list[Any]) -> Any:
        try:
            parameters = [Parameter.from_parameter_msg(message) for message in messages]
            return self._node.set_parameters_atomically(parameters)
        except ParameterNotDeclaredException as error:
            result = message_class("rcl_interfaces/msg/SetParametersResult")
            return result(successful=False, reason=str(error))
