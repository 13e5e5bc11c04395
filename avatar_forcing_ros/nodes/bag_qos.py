"""Quality of service: that of a subscription to publishers, and of a publisher to a bag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
BEST_EFFORT, LATCHED = QoSReliabilityPolicy.BEST_EFFORT, QoSDurabilityPolicy.TRANSIENT_LOCAL


def subscription_qos(offers: Sequence[QoSProfile]) -> QoSProfile:
    """What a subscription asks for, so that it matches every one of the `offers`."""
    qos = QoSProfile(depth=DEPTH)  # reliable and volatile
    if any(offer.reliability == BEST_EFFORT for offer in offers):
        qos.reliability = BEST_EFFORT
    if all(offer.durability == LATCHED for offer in offers):
        qos.durability = LATCHED
    return qos


def publisher_qos(recorded: Sequence[Qos]) -> QoSProfile:
    """The strongest of what was recorded, which matches whoever matched the original publisher."""
    qos = QoSProfile(depth=DEPTH)
    if recorded and all(each.reliability == QosReliability.BEST_EFFORT for each in recorded):
        qos.reliability = BEST_EFFORT
    if any(each.durability == QosDurability.TRANSIENT_LOCAL for each in recorded):
        qos.durability, qos.depth = LATCHED, LATCHED_DEPTH
    return qos


def recorded_qos(offer: QoSProfile) -> Qos:
    """A publisher's profile in a bag's words; the graph does not know its history."""

    def span(duration: Any) -> QosTime:
        return QosTime(*divmod(duration.nanoseconds, 10**9))

    return Qos(
        history=QosHistory.UNKNOWN,
        depth=0,
        reliability=QosReliability(int(offer.reliability)),
        durability=QosDurability(int(offer.durability)),
        deadline=span(offer.deadline),
        lifespan=span(offer.lifespan),
        liveliness=QosLiveliness(int(offer.liveliness)),
        liveliness_lease_duration=span(offer.liveliness_lease_duration),
        avoid_ros_namespace_conventions=False,
    )
