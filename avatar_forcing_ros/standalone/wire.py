"""The way to DDS: domain, participant, names and types on the wire, bytes in and out.

Samples are handed over as ready CDR bytes: a declared type would be serialised element by
element in Python, about 20 ms for a 512×512 picture instead of half a millisecond.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from cyclonedds._clayer import ddspy_take, ddspy_write  # type: ignore[import-not-found]
from cyclonedds.core import (
    DDSException,
    GuardCondition,
    InstanceState,
    ReadCondition,
    SampleState,
    ViewState,
    WaitSet,
)
from cyclonedds.domain import Domain, DomainParticipant
from cyclonedds.idl import make_idl_struct
from cyclonedds.pub import DataWriter, Publisher
from cyclonedds.qos import Policy, Qos
from cyclonedds.sub import DataReader, Subscriber
from cyclonedds.topic import Topic

from avatar_forcing_ros.errors import ConfigError

TOPIC, REQUEST, REPLY = "rt", "rq", "rr"
_ANY_SAMPLE = SampleState.Any | ViewState.Any | InstanceState.Any
_RANGES = ("LOCALHOST", "SUBNET", "OFF", "SYSTEM_DEFAULT")
_domains: dict[int, Domain] = {}
_domains_lock = threading.Lock()


def dds_type_name(type_name: str) -> str:
    """``std_msgs/msg/String`` → ``std_msgs::msg::dds_::String_``."""
    package, kind, short = type_name.split("/")
    return f"{package}::{kind}::dds_::{short}_"


def ros_type_name(dds_name: str) -> str | None:
    """The opposite of ``dds_type_name``; None for a type that is not of ROS."""
    package, _, rest = dds_name.partition("::")
    kind, _, short = rest.partition("::dds_::")
    if not short.endswith("_"):
        return None
    return f"{package}/{kind}/{short[:-1]}"


def domain_id() -> int:
    """ROS_DOMAIN_ID, or 0; raises ConfigError for anything but a number from 0 to 232."""
    text = os.environ.get("ROS_DOMAIN_ID") or "0"
    if not text.isdecimal() or int(text) > 232:
        raise ConfigError(
            "ROS_DOMAIN_ID", expected="0 to 232", got=text, remedy="set another number"
        )
    return int(text)


def domain_config() -> str:
    """Cyclone's configuration for the discovery that the ROS environment variables ask for."""
    asked = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE") or "SUBNET"
    if os.environ.get("ROS_LOCALHOST_ONLY") == "1":
        asked = "LOCALHOST"
    if asked not in _RANGES:
        raise ConfigError(
            "ROS_AUTOMATIC_DISCOVERY_RANGE",
            expected=" or ".join(_RANGES),
            got=asked,
            remedy="set one of these, or unset the variable",
        )
    peers = [name for name in os.environ.get("ROS_STATIC_PEERS", "").split(";") if name]
    general = ""
    if asked == "LOCALHOST":
        # datagrams as large as loopback takes: in pieces of 1344 bytes, a 786 KB picture overruns
        # the kernel's usual receive buffer of 208 KB so often that even reliable ones are lost
        general = (
            "<General><Interfaces><NetworkInterface name='lo'/></Interfaces>"
            "<AllowMulticast>false</AllowMulticast><MaxMessageSize>65500B</MaxMessageSize>"
            "<FragmentSize>65000B</FragmentSize></General>"
        )
        peers.append("localhost")
    elif asked == "OFF":
        general = "<General><AllowMulticast>false</AllowMulticast></General>"
        peers = []
    found = "".join(f"<Peer address='{name}'/>" for name in peers)
    index = (
        ""
        if asked == "SYSTEM_DEFAULT"
        else (
            "<ParticipantIndex>auto</ParticipantIndex>"
            "<MaxAutoParticipantIndex>32</MaxAutoParticipantIndex>"
        )
    )
    xml = (
        f"<CycloneDDS><Domain>{general}<Discovery>{index}<Peers>{found}</Peers></Discovery>"
        "</Domain></CycloneDDS>"
    )
    own = os.environ.get("CYCLONEDDS_URI")
    return f"{xml},{own}" if own else xml


def close(entity: Any) -> None:
    """Deletes a DDS entity now instead of when Python finds time for it; twice is harmless."""
    if entity is not None:
        entity.__del__()


class Participant:
    """One participant in one DDS domain, with the topics that its endpoints share."""

    def __init__(self, domain: int) -> None:
        self.domain = domain
        try:
            with _domains_lock:  # a domain takes its configuration once per process
                if domain not in _domains:
                    _domains[domain] = Domain(domain, domain_config())
            self.dds = DomainParticipant(domain, Qos(Policy.Userdata(b"enclave=/;")))
        except DDSException as error:
            raise ConfigError(
                f"DDS domain {domain}",
                expected="a usable network interface and fewer than 32 programs in the domain",
                got=str(error),
                remedy="end programs, set another ROS_DOMAIN_ID, or look at CYCLONEDDS_URI",
            ) from error
        self._publisher = Publisher(self.dds)
        self._subscriber = Subscriber(self.dds)
        self._topics: dict[tuple[str, str], Topic[Any]] = {}
        self._lock = threading.Lock()

    @property
    def gid(self) -> bytes:
        """The 16 bytes by which other participants know this one."""
        return bytes(self.dds.guid.bytes)

    def _topic(self, name: str, type_name: str) -> Topic[Any]:
        with self._lock:
            key = (name, type_name)
            if key not in self._topics:
                short = type_name.rsplit("::", 1)[-1]
                kind = make_idl_struct(short, type_name, {}, dataclassify=False)
                self._topics[key] = Topic(self.dds, name, kind)
            return self._topics[key]

    def writer(self, name: str, type_name: str, qos: Qos) -> Writer:
        """A writer of ready CDR bytes on the DDS topic ``name``."""
        return Writer(DataWriter(self._publisher, self._topic(name, type_name), qos))

    def reader(self, name: str, type_name: str, qos: Qos) -> Reader:
        """A reader of CDR bytes from the DDS topic ``name``."""
        return Reader(DataReader(self._subscriber, self._topic(name, type_name), qos))

    def close(self) -> None:
        """Leaves the domain; what was created here is gone with it."""
        for entity in (self._publisher, self._subscriber, *self._topics.values(), self.dds):
            close(entity)


class Endpoint:
    """What readers and writers have in common: an address and partners."""

    def __init__(self, entity: Any) -> None:
        self.entity = entity
        self.gid = bytes(entity.guid.bytes)
        self.handle: int = entity.instance_handle

    def close(self) -> None:
        """Leaves the topic."""
        close(self.entity)


class Writer(Endpoint):
    """Sends CDR bytes."""

    def write(self, cdr: bytes) -> None:
        """Sends one sample; may block while a reliable reader is behind."""
        padded = cdr if len(cdr) % 4 == 0 else cdr + bytes(-len(cdr) % 4)
        code = ddspy_write(self.entity._ref, padded)
        if code < 0:
            raise DDSException(code, f"while writing to {self.entity.topic.name}")

    def partners(self) -> list[int]:
        """Handles of the readers that receive what is written."""
        return list(self.entity.get_matched_subscriptions())

    def partner_user_data(self, handle: int) -> bytes:
        """What a matched reader tells about itself; empty where it has gone."""
        return _user_data(self.entity.get_matched_subscription_data(handle))

    def wait_acknowledged(self, timeout_ns: int) -> bool:
        """Whether every reliable reader has confirmed everything within the time."""
        return bool(self.entity.wait_for_acks(timeout_ns))


class Reader(Endpoint):
    """Receives CDR bytes; ``condition`` is triggered while there are any."""

    def __init__(self, entity: Any) -> None:
        super().__init__(entity)
        self.condition = ReadCondition(entity, _ANY_SAMPLE)

    def take(self) -> tuple[bytes, Any] | None:
        """The oldest sample as (CDR bytes, sample info), or None."""
        while True:
            taken = ddspy_take(self.entity._ref, _ANY_SAMPLE, 1)
            if isinstance(taken, int):
                raise DDSException(taken, f"while reading {self.entity.topic.name}")
            if not taken:
                return None
            data, info = taken[0]
            if info.valid_data:  # else: news that a writer has left
                return data, info

    def partners(self) -> list[int]:
        """Handles of the writers that are heard."""
        return list(self.entity.get_matched_publications())

    def partner_user_data(self, handle: int) -> bytes:
        """What a matched writer tells about itself; empty where it has gone."""
        return _user_data(self.entity.get_matched_publication_data(handle))

    def close(self) -> None:
        """Leaves the topic."""
        close(self.condition)
        super().close()


def _user_data(endpoint: Any) -> bytes:
    if endpoint is None or Policy.Userdata not in endpoint.qos:
        return b""
    return bytes(endpoint.qos[Policy.Userdata].data)


class WaitList:
    """Sleeps until one of a changing set of readers has something, or until woken."""

    def __init__(self, participant: Participant) -> None:
        self._waitset = WaitSet(participant.dds)
        self._guard = GuardCondition(participant.dds)
        self._waitset.attach(self._guard)
        self._attached: set[Any] = set()

    def close(self) -> None:
        """Lets go of the readers, which may then be deleted."""
        for condition in self._attached:
            self._ignoring_deleted(self._waitset.detach, condition)
        self._waitset.attached[:] = []
        self._attached = set()

    def wake(self) -> None:
        """Ends the present or the next wait; harmless when the domain has been left."""
        self._ignoring_deleted(self._guard.set, True)

    def wait(self, conditions: set[Any], timeout_ns: int) -> None:
        """Returns when a condition is triggered, after ``wake``, or when the time is over."""
        for gone in self._attached - conditions:
            self._ignoring_deleted(self._waitset.detach, gone)
            self._waitset.attached[:] = [a for a in self._waitset.attached if a[0] is not gone]
        for new in conditions - self._attached:
            self._ignoring_deleted(self._waitset.attach, new)
        self._attached = set(conditions)
        self._waitset.wait(timeout_ns)
        self._guard.take()

    @staticmethod
    def _ignoring_deleted(act: Callable[[Any], None], argument: Any) -> None:
        # another thread may destroy an endpoint, or all of DDS, at any moment
        try:
            act(argument)
        except DDSException as error:
            if error.code not in (
                DDSException.DDS_RETCODE_BAD_PARAMETER,
                DDSException.DDS_RETCODE_ALREADY_DELETED,
            ):
                raise
