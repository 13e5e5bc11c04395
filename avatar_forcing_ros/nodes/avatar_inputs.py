"""Subscriptions of the avatar: messages to media, stamped, left with the worker. Nothing waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rclpy.callback_groups import CallbackGroup

from avatar_forcing_ros.media import AudioChunk, VideoFrame
from avatar_forcing_ros.nodes.audio_topics import AudioSubscription
from avatar_forcing_ros.nodes.avatar_commands import AvatarCommands
from avatar_forcing_ros.nodes.convert_image import Pixels
from avatar_forcing_ros.nodes.node_base import NodeBase
from avatar_forcing_ros.nodes.ros4hri import motion_messages, motion_values
from avatar_forcing_ros.nodes.subscriptions import (
    MatchedSubscription,
    MessageTime,
    StampReader,
    subscribe_to_image,
)
from avatar_forcing_ros.runtime.avatar import Avatar

REPLAY_DEPTH = 1000  # images that may wait: all of a bag is taken, however slow the machine is
AUDIO_TOPICS = ("user/audio", "avatar/audio")


class AvatarInputs:
    """The subscriptions of an active avatar."""

    def __init__(
        self,
        node: NodeBase,
        avatar: Avatar,
        settings: Mapping[str, Any],
        group: CallbackGroup,
    ) -> None:
        """Open the subscriptions. `settings` are the node's parameters by name."""
        self._node, self._avatar = node, avatar
        replay = bool(node.get_parameter("use_sim_time").value)
        depth = REPLAY_DEPTH if replay else None
        self._stamp = StampReader(node, settings["stamp_tolerance_s"], replay=replay)
        self._received = dict.fromkeys(("user/image", "user/motion", *AUDIO_TOPICS), 0)
        self._subscriptions: list[AudioSubscription | MatchedSubscription] = [
            self._subscribe_to_audio("avatar/audio", avatar.push_avatar_audio, settings, group)
        ]
        if settings["user_audio"]:
            self._subscriptions.append(
                self._subscribe_to_audio("user/audio", avatar.push_user_audio, settings, group)
            )
        source = settings["user_motion_source"]
        if source == "camera":
            transport = settings["image_transport"]
            self._subscriptions.append(
                subscribe_to_image(
                    node, "user/image", transport, self._on_frame, group, depth=depth
                )
            )
        elif source == "topic":
            self._subscriptions.append(
                MatchedSubscription(
                    node, "user/motion", motion_messages(), self._on_motion, group, depth=depth
                )
            )
        self._commands = AvatarCommands(node, avatar, settings, self._stamp, group)

    def close(self) -> None:
        """Close all subscriptions."""
        for subscription in self._subscriptions:
            subscription.close()
        self._subscriptions = []
        self._commands.close()

    @property
    def received(self) -> dict[str, int]:
        """How many messages of each topic have come."""
        return self._received | self._commands.received

    def _subscribe_to_audio(
        self,
        topic: str,
        push: Callable[[AudioChunk], None],
        settings: Mapping[str, Any],
        group: CallbackGroup,
    ) -> AudioSubscription:
        # speech may come faster than it can be spoken: its stamps then stand still
        is_speech, avatar = topic == "avatar/audio", self._avatar

        def time_of(msg: Any) -> MessageTime:
            self._received[topic] += 1
            return self._stamp(msg, topic)

        return AudioSubscription(
            self._node,
            topic,
            settings,
            lambda chunk, _: push(chunk),
            time_of,
            group,
            queued=is_speech,
            breaks=lambda: avatar.audio_breaks[is_speech],
        )

    def _on_frame(self, msg: Any, to_rgb: Callable[[], Pixels]) -> None:
        self._received["user/image"] += 1
        stamp_ns = self._stamp(msg, "user/image").ns
        self._avatar.push_user_frame(VideoFrame(to_rgb(), stamp_ns))

    def _on_motion(self, msg: Any) -> None:
        self._received["user/motion"] += 1
        stamp_ns = self._stamp(msg, "user/motion").ns
        values, unknown = motion_values(msg)
        if unknown:
            self._node.errors.count(
                "user/motion unknown_names",
                f"user/motion: names that are not known are left out: {unknown}",
            )
        self._avatar.push_user_motion(values, stamp_ns)
