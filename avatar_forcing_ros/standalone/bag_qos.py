"""Quality of service between the graph and a bag: what is asked for, written and offered again."""

from __future__ import annotations

from collections.abc import Sequence

from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)

from avatar_forcing_ros.standalone.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
)
from avatar_forcing_ros.standalone.time import S_TO_NS, Duration

# so many samples may wait for a reliable subscription that is slow, before the oldest is lost
_PLAY_DEPTH = 1000
_LATCHED_DEPTH = 10


def hearing_all(offers: Sequence[QoSProfile]) -> QoSProfile:
    """What a subscription asks for, so that it matches every offer and loses nothing."""
    reliable = bool(offers) and all(_is_reliable(offer) for offer in offers)
    latched = bool(offers) and all(_is_latched(offer) for offer in offers)
    return QoSProfile(
        history=HistoryPolicy.KEEP_ALL,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def offering_again(recorded: Sequence[Qos]) -> QoSProfile:
    """What a publisher offers for a recorded topic: the strongest of what was recorded.

    Whoever matched the original publisher matches this one. A bag without profiles is played
    reliable and volatile, ROS's default.
    """
    profiles = [to_profile(qos) for qos in recorded]
    latched = any(_is_latched(profile) for profile in profiles)
    result = QoSProfile(
        depth=_LATCHED_DEPTH if latched else _PLAY_DEPTH,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )
    if profiles and not any(_is_reliable(profile) for profile in profiles):
        result.reliability = ReliabilityPolicy.BEST_EFFORT
    for profile in profiles:
        if profile.deadline.nanoseconds > 0:
            result.deadline = profile.deadline
    return result


def _is_reliable(profile: QoSProfile) -> bool:
    return profile.reliability != ReliabilityPolicy.BEST_EFFORT


def _is_latched(profile: QoSProfile) -> bool:
    return profile.durability == DurabilityPolicy.TRANSIENT_LOCAL


def to_bag(profile: QoSProfile) -> Qos:
    """A discovered profile in a bag's words; DDS does not tell an endpoint's history."""
    return Qos(
        history=QosHistory.UNKNOWN,
        depth=0,
        reliability=QosReliability(int(profile.reliability)),
        durability=QosDurability(int(profile.durability)),
        deadline=_span(profile.deadline),
        lifespan=_span(profile.lifespan),
        liveliness=QosLiveliness(int(profile.liveliness)),
        liveliness_lease_duration=_span(profile.liveliness_lease_duration),
        avoid_ros_namespace_conventions=False,
    )


def to_profile(qos: Qos) -> QoSProfile:
    """A recorded profile in the graph's words, without history, which bags do not know."""
    return QoSProfile(
        depth=qos.depth,
        reliability=ReliabilityPolicy(qos.reliability.value),
        durability=DurabilityPolicy(qos.durability.value),
        deadline=Duration(nanoseconds=qos.deadline.sec * S_TO_NS + qos.deadline.nsec),
        lifespan=Duration(nanoseconds=qos.lifespan.sec * S_TO_NS + qos.lifespan.nsec),
    )


def _span(duration: Duration) -> QosTime:
    return QosTime(*divmod(duration.nanoseconds, S_TO_NS))
