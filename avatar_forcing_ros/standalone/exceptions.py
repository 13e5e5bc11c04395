"""The exceptions of ``rclpy``, by its names."""
# ruff: noqa: N818

from __future__ import annotations


class NotInitializedException(Exception):
    """Something was used before ``rclpy.init()`` or after ``rclpy.shutdown()``."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__("rclpy.init() has not been called" + (f": {message}" if message else ""))


class ExternalShutdownException(Exception):
    """The context was shut down while an executor was spinning."""


class ShutdownException(Exception):
    """The executor itself was shut down while spinning."""


class TimeoutException(Exception):
    """Nothing became ready in time."""


class ROSInterruptException(Exception):
    """A sleep ended because the context was shut down."""

    def __init__(self) -> None:
        super().__init__("rclpy.shutdown() has been called")


class InvalidQosOverridesError(Exception):
    """A QoS override that the node's own check refuses."""


class InvalidHandle(Exception):
    """Something was used after it had been destroyed."""


class UnknownROSArgsError(Exception):
    """Arguments after ``--ros-args`` that ROS does not know."""


class NameValidationException(Exception):
    """A name that ROS does not allow."""

    kind = "name"

    def __init__(self, name: str, error_msg: str, invalid_index: int = 0) -> None:
        super().__init__(f"Invalid {self.kind}: {error_msg}: '{name}' at {invalid_index}")
        self.name = name
        self.error_msg = error_msg
        self.invalid_index = invalid_index


class InvalidNamespaceException(NameValidationException):
    """A namespace that ROS does not allow."""

    kind = "namespace"


class InvalidNodeNameException(NameValidationException):
    """A node name that ROS does not allow."""

    kind = "node name"


class InvalidTopicNameException(NameValidationException):
    """A topic name that ROS does not allow."""

    kind = "topic name"


class InvalidServiceNameException(NameValidationException):
    """A service name that ROS does not allow."""

    kind = "service name"


class ParameterException(Exception):
    """Base of everything that can be wrong with a parameter."""

    def __init__(self, error_msg: str, parameters: object) -> None:
        super().__init__(f"{error_msg}: {parameters}")


class ParameterNotDeclaredException(ParameterException):
    """The parameter is not declared."""

    def __init__(self, parameters: object) -> None:
        super().__init__("Invalid access to undeclared parameter(s)", parameters)


class ParameterAlreadyDeclaredException(ParameterException):
    """The parameter is declared already."""

    def __init__(self, parameters: object) -> None:
        super().__init__("Parameter(s) already declared", parameters)


class InvalidParameterException(ParameterException):
    """The parameter has a name that ROS does not allow."""

    def __init__(self, parameter_name: str) -> None:
        super().__init__("Invalid parameter name", parameter_name)


class InvalidParameterTypeException(ParameterException):
    """The parameter is of another type than its descriptor or default says."""

    def __init__(self, desired_parameter: object, expected_type: object) -> None:
        super().__init__(f"Wrong parameter type, expected '{expected_type}'", desired_parameter)


class InvalidParameterValueException(ParameterException):
    """The value is out of range, or a callback has refused it."""

    def __init__(self, parameter: str, value: object, reason: str) -> None:
        super().__init__(
            f"Invalid parameter value ({value}) for parameter. Reason: {reason}", parameter
        )


class ParameterImmutableException(ParameterException):
    """The parameter is read-only."""

    def __init__(self, parameter: str) -> None:
        super().__init__("Attempted to modify read-only parameter", parameter)


class ParameterUninitializedException(ParameterException):
    """The parameter is declared, but it was never given a value."""

    def __init__(self, parameter_name: str) -> None:
        super().__init__("The parameter is not initialized", parameter_name)


class RCLError(RuntimeError):
    """What the C layer of rclpy raises, for example after a shutdown."""
