"""What the graph commands the avatar: an expression to show, a place to look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geometry_msgs.msg import PointStamped
from rclpy.callback_groups import CallbackGroup

from avatar_forcing_ros.nodes.convert_commands import EXPRESSION_MESSAGES, msg_to_expression
from avatar_forcing_ros.nodes.diagnostics import BadMessage
from avatar_forcing_ros.nodes.node_base import NodeBase
from avatar_forcing_ros.nodes.subscriptions import MatchedSubscription, StampReader
from avatar_forcing_ros.nodes.transforms import Transforms
from avatar_forcing_ros.rig.expressions import EXPRESSIONS
from avatar_forcing_ros.runtime.avatar import Avatar
from avatar_forcing_ros.streaming.directed_motion import GazeTarget

EXPRESSION, LOOK_AT = "~/expression", "~/look_at"


class AvatarCommands:
    """The subscriptions of an active avatar."""

    def __init__(
        self,
        node: NodeBase,
        avatar: Avatar,
        settings: Mapping[str, Any],
        stamp: StampReader,
        group: CallbackGroup,
    ) -> None:
        """Open them. `settings` are the node's parameters by name."""
        self._node, self._avatar, self._settings, self._stamp = node, avatar, settings, stamp
        self.received = {EXPRESSION: 0, LOOK_AT: 0}
        self._transforms = Transforms(node, group)
        self._subscriptions = [
            MatchedSubscription(node, EXPRESSION, EXPRESSION_MESSAGES, self._express, group),
            MatchedSubscription(node, LOOK_AT, [PointStamped], self._look_at, group),
        ]

    def close(self) -> None:
        """Close the subscriptions."""
        for subscription in self._subscriptions:
            subscription.close()
        self._transforms.close()

    def _time_of(self, msg: Any, topic: str) -> int:
        """When a command is to take effect; one without a stamp, as typed in a shell: now."""
        unstamped = not (msg.header.stamp.sec or msg.header.stamp.nanosec)
        return self._node.now_ns() if unstamped else self._stamp(msg, topic).ns

    def _express(self, msg: Any) -> None:
        self.received[EXPRESSION] += 1
        try:
            expression = msg_to_expression(msg)
        except ValueError:
            raise BadMessage(
                "expression",
                "message",
                expected=f"one of {', '.join(EXPRESSIONS)}; or none, and valence and arousal "
                "from -1 to 1",
                got=f"{msg.expression[:40]!r}, {msg.valence:g} and {msg.arousal:g}",
                remedy="send one of these",
            ) from None
        self._avatar.push_expression(expression, self._time_of(msg, EXPRESSION))

    def _look_at(self, msg: Any) -> None:
        self.received[LOOK_AT] += 1
        at = self._transforms.point_in(self._settings["base_frame_id"], msg)
        try:
            target = GazeTarget.at(*at, self._settings["look_at_hold_s"])
        except ValueError:
            raise BadMessage(
                "place",
                "point",
                expected="a place before the face",
                got="x {:g}, y {:g}, z {:g}".format(*at),
                remedy=f"x of {self._settings['base_frame_id']} is forward out of the face",
            ) from None
        self._avatar.push_gaze_target(target, self._time_of(msg, LOOK_AT))
