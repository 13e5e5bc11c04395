"""Publishers and subscriptions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from cyclonedds.core import DDSException
from rosbags.serde import SerdeError

from avatar_forcing_ros.standalone import wire
from avatar_forcing_ros.standalone.exceptions import RCLError
from avatar_forcing_ros.standalone.messages import (
    deserialize_message,
    serialize_message,
    type_hash,
)
from avatar_forcing_ros.standalone.qos import QoSProfile, to_dds
from avatar_forcing_ros.standalone.time import INFINITE_NS, Duration


def user_data(cls: type[Any], extra: str = "") -> bytes:
    """What an endpoint tells its partners: the hash of its type, or rmw warns on every match."""
    return f"{extra}typehash={type_hash(cls)};".encode()


def complain_of_broken_bytes(logger: Any, name: str, cls: type[Any], error: Exception) -> None:
    """Says, now and then, that samples are dropped because they are not of our definition."""
    logger.error(
        f"dropped bytes on {name} that are no {cls._type_name}: {error}; does the other side"
        " define the type in the same way?",
        throttle_duration_sec=5.0,
    )


class Publisher:
    """Sends messages of one type to one topic; made by ``Node.create_publisher``."""

    def __init__(self, node: Any, msg_type: type[Any], topic: str, qos: QoSProfile) -> None:
        self.msg_type = msg_type
        self.qos_profile = qos
        self._topic = topic
        self._context = node.context
        self.endpoint = node.context.participant.writer(
            f"{wire.TOPIC}{topic}",
            wire.dds_type_name(msg_type._type_name),
            to_dds(qos, user_data(msg_type), writer=True),
        )

    @property
    def topic_name(self) -> str:
        """The topic's absolute name."""
        return self._topic

    topic = topic_name

    def publish(self, msg: Any) -> None:
        """Sends a message, or ready CDR bytes.

        Raises TypeError for another type, RCLError after a shutdown.
        """
        if isinstance(msg, self.msg_type):
            data = serialize_message(msg)
        elif isinstance(msg, bytes):
            data = msg
        else:
            wanted = self.msg_type._type_name
            raise TypeError(f"Expected {wanted}, got {type(msg).__name__}")
        if not self._context.is_open():
            raise RCLError("Failed to publish: the context is shut down")
        try:
            self.endpoint.write(data)
        except DDSException as error:
            if self._context.is_open():
                raise
            raise RCLError("Failed to publish: the context is being shut down") from error

    def get_subscription_count(self) -> int:
        """How many subscriptions receive what is published."""
        return len(self.endpoint.partners())

    def wait_for_all_acked(self, timeout: Duration | None = None) -> bool:
        """Whether all reliable subscriptions have confirmed everything in time."""
        forever = timeout is None or timeout.nanoseconds < 0
        return self.endpoint.wait_acknowledged(INFINITE_NS if forever else timeout.nanoseconds)  # type: ignore[union-attr]

    def assert_liveliness(self) -> None:
        """Missing here."""
        raise NotImplementedError("Publisher.assert_liveliness without a ROS installation")

    def destroy(self) -> None:
        """Leaves the topic; ``Node.destroy_publisher`` does this and tells the graph."""
        self.endpoint.close()


class Subscription:
    """Receives messages of one type; made by ``Node.create_subscription``."""

    def __init__(
        self,
        node: Any,
        msg_type: type[Any],
        topic: str,
        callback: Callable[..., Any],
        qos: QoSProfile,
        raw: bool,
    ) -> None:
        self.msg_type = msg_type
        self.qos_profile = qos
        self.raw = raw
        self.topic_name = topic
        self.callback = callback
        self._logger = node.get_logger()
        self.endpoint = node.context.participant.reader(
            f"{wire.TOPIC}{topic}",
            wire.dds_type_name(msg_type._type_name),
            to_dds(qos, user_data(msg_type), writer=False),
        )

    topic = property(lambda self: self.topic_name)

    @property
    def callback(self) -> Callable[..., Any]:
        """What is called with each message, and with its times if it takes two arguments."""
        return self._callback

    @callback.setter
    def callback(self, callback: Callable[..., Any]) -> None:
        if not callable(callback):
            raise TypeError("a subscription's callback must be callable")
        self._callback = callback
        try:
            inspect.signature(callback).bind(None)
            self._with_info = False
        except TypeError:
            self._with_info = True
        except ValueError:  # some callables written in C have no signature
            self._with_info = False

    @property
    def condition(self) -> Any:
        """Triggered while there is something to take."""
        return self.endpoint.condition

    def take(self) -> Callable[[], Any] | None:
        """A call of the callback with the next message, or None."""
        while (sample := self.endpoint.take()) is not None:
            data, info = sample
            try:
                message = data if self.raw else deserialize_message(data, self.msg_type)
            except SerdeError as error:
                complain_of_broken_bytes(self._logger, self.topic_name, self.msg_type, error)
                continue
            if not self._with_info:
                return partial(self._callback, message)
            times = {"source_timestamp": info.source_timestamp, "received_timestamp": 0}
            return partial(self._callback, message, times)
        return None

    def get_publisher_count(self) -> int:
        """How many publishers are heard."""
        return len(self.endpoint.partners())

    def destroy(self) -> None:
        """Leaves the topic; ``Node.destroy_subscription`` does this and tells the graph."""
        self.endpoint.close()
