"""Quality of service that matches: of a subscription to publishers, of a publisher to a bag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rclpy.duration import Duration
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)

DEPTH = 1000  # so many messages may wait for a slow subscription before the oldest is lost
LATCHED_DEPTH = 10
_INFINITE_NS = 2**63 - 1


def subscription_qos(offers: Sequence[QoSProfile]) -> QoSProfile:
    """What a subscription asks for, so that it matches every one of the `offers`."""
    reliable = all(offer.reliability == QoSReliabilityPolicy.RELIABLE for offer in offers)
    latched = all(offer.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL for offer in offers)
    return _profile(reliable and bool(offers), latched and bool(offers), DEPTH)


def publisher_qos(recorded: Sequence[Qos]) -> QoSProfile:
    """What a publisher offers for a recorded topic: the strongest of what was recorded.

    Whoever matched the original publisher matches this one. Without a record it is reliable and
    volatile, ROS's default.
    """
    reliable = not recorded or any(q.reliability == QosReliability.RELIABLE for q in recorded)
    latched = any(q.durability == QosDurability.TRANSIENT_LOCAL for q in recorded)
    profile = _profile(reliable, latched, LATCHED_DEPTH if latched else DEPTH)
    deadlines = [q.deadline.sec * 10**9 + q.deadline.nsec for q in recorded]
    if deadlines and 0 < min(deadlines) < _INFINITE_NS:
        profile.deadline = Duration(nanoseconds=min(deadlines))
    return profile


def recorded_qos(offer: QoSProfile) -> Qos:
    """A publisher's profile in a bag's words; the graph does not know its history."""
    return Qos(
        history=QosHistory.UNKNOWN,
        depth=0,
        reliability=QosReliability(int(offer.reliability)),
        durability=QosDurability(int(offer.durability)),
        deadline=_time(offer.deadline),
        lifespan=_time(offer.lifespan),
        liveliness=QosLiveliness(int(offer.liveliness)),
        liveliness_lease_duration=_time(offer.liveliness_lease_duration),
        avoid_ros_namespace_conventions=False,
    )


def _profile(reliable: bool, latched: bool, depth: int) -> QoSProfile:
    return QoSProfile(
        depth=depth,
        reliability=QoSReliabilityPolicy.RELIABLE
        if reliable
        else QoSReliabilityPolicy.BEST_EFFORT,
        durability=QoSDurabilityPolicy.TRANSIENT_LOCAL
        if latched
        else QoSDurabilityPolicy.VOLATILE,
    )


def _time(duration: Any) -> QosTime:
    return QosTime(*divmod(duration.nanoseconds, 10**9))
