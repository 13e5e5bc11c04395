"""Services and their clients, in the way of rmw_cyclonedds.

Request and reply begin with the client's 8-byte id and a sequence number. Both sides carry an id
in their user data, so that a service can see whether the client can hear the reply yet.
"""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

from rosbags.serde import SerdeError

from avatar_forcing_ros.standalone import wire
from avatar_forcing_ros.standalone.exceptions import RCLError
from avatar_forcing_ros.standalone.messages import deserialize_message, serialize_message
from avatar_forcing_ros.standalone.qos import QoSProfile, to_dds
from avatar_forcing_ros.standalone.task import Future
from avatar_forcing_ros.standalone.topics import complain_of_broken_bytes, user_data

_ENCAPSULATION = 4
_HEADER = struct.Struct("<qq")
_REPLY_READER_WAIT_S = 0.1
_POLL_S = 0.005
_numbers = count(1)


def _unique_id(participant: wire.Participant) -> str:
    """An id as rmw writes it: the participant's GID prefix and a running number, in hex."""
    raw = participant.gid[:12] + next(_numbers).to_bytes(4, "big")
    return ".".join(f"{byte:x}" for byte in raw)


def _id_in(data: bytes, key: str) -> str | None:
    for entry in data.decode("ascii", "replace").split(";"):
        name, _, value = entry.partition("=")
        if name == key:
            return value
    return None


def _join(header: tuple[int, int], message: Any) -> bytes:
    cdr = serialize_message(message)
    return cdr[:_ENCAPSULATION] + _HEADER.pack(*header) + cdr[_ENCAPSULATION:]


def _split(data: bytes, cls: type[Any]) -> tuple[tuple[int, int], Any]:
    end = _ENCAPSULATION + _HEADER.size
    if len(data) < end:
        raise SerdeError("the header is cut off")
    client, number = _HEADER.unpack_from(data, _ENCAPSULATION)
    return (client, number), deserialize_message(data[:_ENCAPSULATION] + data[end:], cls)


class _Pair:
    """The two DDS endpoints of a service or client; both are announced to the graph."""

    def __init__(
        self, node: Any, srv_type: type[Any], name: str, qos: QoSProfile, *, is_service: bool
    ) -> None:
        self.srv_type = srv_type
        self.srv_name = name
        self.qos_profile = qos
        self._context = node.context
        self._logger = node.get_logger()
        participant = node.context.participant
        key = "serviceid" if is_service else "clientid"
        mark = f"{key}={_unique_id(participant)};"
        request = (f"{wire.REQUEST}{name}Request", srv_type.Request)
        reply = (f"{wire.REPLY}{name}Reply", srv_type.Response)
        heard, said = (request, reply) if is_service else (reply, request)
        self.endpoint = participant.reader(
            heard[0],
            wire.dds_type_name(heard[1]._type_name),
            to_dds(qos, user_data(heard[1], mark), writer=False),
        )
        self.writer = participant.writer(
            said[0],
            wire.dds_type_name(said[1]._type_name),
            to_dds(qos, user_data(said[1], mark), writer=True),
        )

    @property
    def service_name(self) -> str:
        """The service's absolute name."""
        return self.srv_name

    @property
    def condition(self) -> Any:
        """Triggered while there is something to take."""
        return self.endpoint.condition

    def _take(self, cls: type[Any]) -> tuple[tuple[int, int], Any, Any] | None:
        """The next (header, message, sample info) that can be read."""
        while (sample := self.endpoint.take()) is not None:
            try:
                return *_split(sample[0], cls), sample[1]
            except SerdeError as error:
                complain_of_broken_bytes(self._logger, self.srv_name, cls, error)
        return None

    def destroy(self) -> None:
        """Leaves; the node's ``destroy_service`` and ``destroy_client`` also tell the graph."""
        self.endpoint.close()
        self.writer.close()


class Service(_Pair):
    """Answers requests by ``callback(request, response) -> response``."""

    def __init__(
        self,
        node: Any,
        srv_type: type[Any],
        name: str,
        callback: Callable[[Any, Any], Any],
        qos: QoSProfile,
    ) -> None:
        self.callback = callback
        self._reachable: set[int] = set()
        super().__init__(node, srv_type, name, qos, is_service=True)

    def take(self) -> Callable[[], Any] | None:
        """A call of the callback with the next request and the sending of its answer."""
        taken = self._take(self.srv_type.Request)
        if taken is None:
            return None
        header, request, info = taken

        async def answer() -> None:
            response = self.callback(request, self.srv_type.Response())
            if hasattr(response, "__await__"):
                response = await response
            self._wait_for_reply_reader(info.publication_handle)
            self.send_response(response, header)

        return answer

    def send_response(self, response: Any, header: tuple[int, int]) -> None:
        """Sends the answer to the request of that header; TypeError for another type."""
        if not isinstance(response, self.srv_type.Response):
            wanted = self.srv_type.Response._type_name
            raise TypeError(f"the callback must return {wanted}, got {type(response).__name__}")
        if self._context.is_open():
            self.writer.write(_join(header, response))

    def _wait_for_reply_reader(self, request_writer: int) -> None:
        """A reply written before the client's reader has been matched would be lost."""
        if request_writer in self._reachable:
            return
        client = _id_in(self.endpoint.partner_user_data(request_writer), "clientid")
        end_s = time.monotonic() + _REPLY_READER_WAIT_S
        while client is not None and time.monotonic() < end_s:
            data = map(self.writer.partner_user_data, self.writer.partners())
            if any(_id_in(one, "clientid") == client for one in data):
                break
            time.sleep(_POLL_S)
        self._reachable.add(request_writer)


class Client(_Pair):
    """Asks a service."""

    def __init__(self, node: Any, srv_type: type[Any], name: str, qos: QoSProfile) -> None:
        super().__init__(node, srv_type, name, qos, is_service=False)
        self._sequence = count(1)
        self._pending: dict[int, Future] = {}
        self._lock = threading.Lock()

    def take(self) -> Callable[[], Any] | None:
        """The completion of a request whose answer has come, or None."""
        while (taken := self._take(self.srv_type.Response)) is not None:
            (client, number), response, _ = taken
            if client != self.writer.handle:
                continue  # another client's answer: all listen to one topic
            with self._lock:
                future = self._pending.pop(number, None)
            if future is not None:
                return partial(future.set_result, response)
        return None

    def call_async(self, request: Any) -> Future:
        """Sends the request; the future gets the response while an executor spins the node."""
        if not isinstance(request, self.srv_type.Request):
            wanted = self.srv_type.Request._type_name
            raise TypeError(f"Expected {wanted}, got {type(request).__name__}")
        if not self._context.is_open():
            raise RCLError("Failed to call: the context is shut down")
        future = Future()
        with self._lock:
            number = next(self._sequence)
            self._pending[number] = future
        future.add_done_callback(self.remove_pending_request)
        self.writer.write(_join((self.writer.handle, number), request))
        return future

    def call(self, request: Any, timeout_sec: float | None = None) -> Any:
        """The response; another thread must spin the node. Raises TimeoutError."""
        future = self.call_async(request)
        if not future.wait(timeout_sec):
            self.remove_pending_request(future)
            raise TimeoutError(f"no answer from {self.srv_name} within {timeout_sec} s")
        return future.result()

    def remove_pending_request(self, future: Future) -> None:
        """The answer to that request is of no interest any more."""
        with self._lock:
            for number, pending in list(self._pending.items()):
                if pending is future:
                    del self._pending[number]

    def service_is_ready(self) -> bool:
        """Whether a service hears requests and its answers can be heard."""
        servers = {
            _id_in(self.writer.partner_user_data(handle), "serviceid")
            for handle in self.writer.partners()
        }
        answers = {
            _id_in(self.endpoint.partner_user_data(handle), "serviceid")
            for handle in self.endpoint.partners()
        }
        return bool(servers & answers)

    def wait_for_service(self, timeout_sec: float | None = None) -> bool:
        """Whether the service is there within the time; None waits for ever."""
        end_s = None if timeout_sec is None else time.monotonic() + timeout_sec
        while self._context.ok():
            if self.service_is_ready():
                return True
            if end_s is not None and time.monotonic() >= end_s:
                return False
            time.sleep(_POLL_S * 4)
        return False
