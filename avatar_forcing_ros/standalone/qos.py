"""Quality of service: ``rclpy``'s profiles and policies, and the same in DDS's words."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Any

from cyclonedds.qos import Policy, Qos

from avatar_forcing_ros.standalone.time import INFINITE_NS, Duration


class InvalidQoSProfileException(Exception):  # noqa: N818  (rclpy's name)
    """A profile that says too little or contradicts itself."""


class QoSPolicyKind(IntEnum):
    """The policies of a profile, with the numbers of rmw."""

    INVALID = 1
    DURABILITY = 2
    DEADLINE = 4
    LIVELINESS = 8
    RELIABILITY = 16
    HISTORY = 32
    LIFESPAN = 64
    DEPTH = 128
    LIVELINESS_LEASE_DURATION = 256
    AVOID_ROS_NAMESPACE_CONVENTIONS = 512


class _PolicyEnum(IntEnum):
    @property
    def short_key(self) -> str:
        """The value's name in parameters and on command lines."""
        return self.name.lower()

    @classmethod
    def short_keys(cls) -> list[str]:
        """All names that ``get_from_short_key`` takes."""
        return [value.short_key for value in cls if value.name != "UNKNOWN"]

    @classmethod
    def get_from_short_key(cls, name: str) -> Any:
        """The value of that name; raises KeyError for an unknown one."""
        return cls[name.upper()].value


class HistoryPolicy(_PolicyEnum):
    """How many samples are kept."""

    SYSTEM_DEFAULT = 0
    KEEP_LAST = 1
    KEEP_ALL = 2
    UNKNOWN = 3


class ReliabilityPolicy(_PolicyEnum):
    """Whether lost samples are sent again."""

    SYSTEM_DEFAULT = 0
    RELIABLE = 1
    BEST_EFFORT = 2
    UNKNOWN = 3
    BEST_AVAILABLE = 4


class DurabilityPolicy(_PolicyEnum):
    """Whether readers that come late get what was sent before."""

    SYSTEM_DEFAULT = 0
    TRANSIENT_LOCAL = 1
    VOLATILE = 2
    UNKNOWN = 3
    BEST_AVAILABLE = 4


class LivelinessPolicy(_PolicyEnum):
    """Who says that a writer is alive."""

    SYSTEM_DEFAULT = 0
    AUTOMATIC = 1
    MANUAL_BY_TOPIC = 3
    UNKNOWN = 4
    BEST_AVAILABLE = 5


class QoSProfile:
    """A profile; history, or a depth, must be given. Spans of zero mean infinite."""

    _DEFAULTS: dict[str, Any] = {  # noqa: RUF012
        "history": HistoryPolicy.KEEP_LAST,
        "depth": 0,
        "reliability": ReliabilityPolicy.RELIABLE,
        "durability": DurabilityPolicy.VOLATILE,
        "deadline": Duration(),
        "lifespan": Duration(),
        "liveliness": LivelinessPolicy.SYSTEM_DEFAULT,
        "liveliness_lease_duration": Duration(),
        "avoid_ros_namespace_conventions": False,
    }
    _ENUMS: dict[str, type[IntEnum]] = {  # noqa: RUF012
        "history": HistoryPolicy,
        "reliability": ReliabilityPolicy,
        "durability": DurabilityPolicy,
        "liveliness": LivelinessPolicy,
    }

    history: HistoryPolicy
    depth: int
    reliability: ReliabilityPolicy
    durability: DurabilityPolicy
    deadline: Duration
    lifespan: Duration
    liveliness: LivelinessPolicy
    liveliness_lease_duration: Duration
    avoid_ros_namespace_conventions: bool

    def __init__(self, **policies: Any) -> None:
        unknown = policies.keys() - self._DEFAULTS.keys()
        if unknown:
            raise TypeError(f"unknown QoS policies: {', '.join(sorted(unknown))}")
        if "history" not in policies and "depth" not in policies:
            raise InvalidQoSProfileException("History and/or depth settings are required.")
        history = policies.get("history", HistoryPolicy.KEEP_LAST)
        if history == HistoryPolicy.KEEP_LAST and "depth" not in policies:
            raise InvalidQoSProfileException("History set to KEEP_LAST without a depth setting.")
        for name, default in self._DEFAULTS.items():
            setattr(self, name, policies.get(name, default))

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._DEFAULTS:
            raise AttributeError(f"a QoSProfile has no policy '{name}'")
        if name in self._ENUMS:
            value = self._ENUMS[name](value)
        elif isinstance(self._DEFAULTS[name], Duration):
            if not isinstance(value, Duration):
                raise AssertionError(f"{name} must be a Duration, got {value!r}")
        elif not isinstance(value, int) or value < 0:
            raise ValueError(f"{name} must be a number of at least 0, got {value!r}")
        object.__setattr__(self, name, value)

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self._DEFAULTS)

    def __eq__(self, other: object) -> bool:
        return self._values() == other._values() if isinstance(other, QoSProfile) else False

    __hash__ = None  # type: ignore[assignment]

    def copy(self) -> QoSProfile:
        """An independent profile of the same policies."""
        return QoSProfile(**dict(zip(self._DEFAULTS, self._values(), strict=True)))

    def __repr__(self) -> str:
        shown = (
            f"{name}={value!s}" for name, value in zip(self._DEFAULTS, self._values(), strict=True)
        )
        return f"QoSProfile({', '.join(shown)})"


def profile_of(qos: QoSProfile | int) -> QoSProfile:
    """A profile from what ``create_publisher`` takes: a profile, or the depth of a plain one."""
    if isinstance(qos, QoSProfile):
        return qos.copy()
    if isinstance(qos, int) and not isinstance(qos, bool):
        if qos < 0:
            raise ValueError("depth must be at least 0")
        return QoSProfile(depth=qos)
    raise TypeError(f"expected a QoSProfile or an int, got {type(qos).__name__}")


_SENSOR = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
qos_profile_unknown = QoSProfile(
    history=HistoryPolicy.UNKNOWN,
    reliability=ReliabilityPolicy.UNKNOWN,
    durability=DurabilityPolicy.UNKNOWN,
    liveliness=LivelinessPolicy.UNKNOWN,
)
qos_profile_default = QoSProfile(depth=10)
qos_profile_system_default = QoSProfile(
    history=HistoryPolicy.SYSTEM_DEFAULT,
    reliability=ReliabilityPolicy.SYSTEM_DEFAULT,
    durability=DurabilityPolicy.SYSTEM_DEFAULT,
)
qos_profile_sensor_data = _SENSOR
qos_profile_services_default = QoSProfile(depth=10)
qos_profile_parameters = QoSProfile(depth=1000)
qos_profile_parameter_events = QoSProfile(depth=1000)
qos_profile_rosout_default = QoSProfile(
    depth=1000,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
    lifespan=Duration(seconds=10),
)


class QoSPresetProfiles(Enum):
    """The profiles that ROS has names for; ``.value`` is the profile."""

    UNKNOWN = qos_profile_unknown
    DEFAULT = qos_profile_default
    SYSTEM_DEFAULT = qos_profile_system_default
    SENSOR_DATA = qos_profile_sensor_data
    SERVICES_DEFAULT = qos_profile_services_default
    PARAMETERS = qos_profile_parameters
    PARAMETER_EVENTS = qos_profile_parameter_events

    @classmethod
    def short_keys(cls) -> list[str]:
        """All names that ``get_from_short_key`` takes."""
        return [preset.name.lower() for preset in cls]

    @classmethod
    def get_from_short_key(cls, name: str) -> QoSProfile:
        """The profile of that name; raises KeyError for an unknown one."""
        return cls[name.upper()].value


def _finite(span: Duration) -> int | None:
    return span.nanoseconds if 0 < span.nanoseconds < INFINITE_NS else None


def to_dds(profile: QoSProfile, user_data: bytes, *, writer: bool) -> Qos:
    """DDS's policies for a profile, as rmw sets them, with the endpoint's user data."""
    for name in ("reliability", "durability", "liveliness"):
        if getattr(profile, name).name == "BEST_AVAILABLE":
            raise NotImplementedError(f"QoS {name} BEST_AVAILABLE")
    depth = max(1, profile.depth)
    keep: Any = Policy.History.KeepLast(depth)
    if profile.history == HistoryPolicy.KEEP_ALL:
        keep = Policy.History.KeepAll
    lease = _finite(profile.liveliness_lease_duration) or INFINITE_NS
    manual = profile.liveliness == LivelinessPolicy.MANUAL_BY_TOPIC
    liveliness = Policy.Liveliness.ManualByTopic if manual else Policy.Liveliness.Automatic
    best_effort = profile.reliability == ReliabilityPolicy.BEST_EFFORT
    late = profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    policies: list[Any] = [
        Policy.DataRepresentation(use_cdrv0_representation=True, use_xcdrv2_representation=False),
        keep,
        Policy.Reliability.BestEffort if best_effort else Policy.Reliability.Reliable(INFINITE_NS),
        Policy.Durability.TransientLocal if late else Policy.Durability.Volatile,
        liveliness(lease),
        Policy.Userdata(user_data),
    ]
    if (deadline_ns := _finite(profile.deadline)) is not None:
        policies.append(Policy.Deadline(deadline_ns))
    if writer:
        policies.append(Policy.WriterDataLifecycle(autodispose=False))
        if (lifespan_ns := _finite(profile.lifespan)) is not None:
            policies.append(Policy.Lifespan(lifespan_ns))
        if late:
            policies.append(Policy.DurabilityService(0, keep, -1, -1, -1))
    return Qos(*policies)


def _policy(qos: Qos, kind: Any) -> Any:
    if kind not in qos:
        return None
    return qos[kind]


def from_dds(qos: Qos) -> QoSProfile:
    """The profile that an endpoint elsewhere was made with, as far as DDS tells."""
    keep = qos[Policy.History] if Policy.History in qos else Policy.History.KeepLast(1)
    last = isinstance(keep, type(Policy.History.KeepLast(1)))
    reliable = Policy.Reliability in qos and "Reliable" in repr(qos[Policy.Reliability])
    late = Policy.Durability in qos and "TransientLocal" in repr(qos[Policy.Durability])
    live = _policy(qos, Policy.Liveliness)
    spans = {
        "deadline": qos[Policy.Deadline].deadline if Policy.Deadline in qos else INFINITE_NS,
        "lifespan": qos[Policy.Lifespan].lifespan if Policy.Lifespan in qos else INFINITE_NS,
        "liveliness_lease_duration": live.lease_duration if live else INFINITE_NS,
    }
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST if last else HistoryPolicy.KEEP_ALL,
        depth=keep.depth if last else 0,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if late else DurabilityPolicy.VOLATILE,
        liveliness=LivelinessPolicy.MANUAL_BY_TOPIC
        if "Manual" in repr(live)
        else LivelinessPolicy.AUTOMATIC,
        **{name: Duration(nanoseconds=min(ns, INFINITE_NS)) for name, ns in spans.items()},
    )
