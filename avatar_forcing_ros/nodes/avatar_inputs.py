"""Subscriptions of the avatar: messages to media, stamped, left with the worker. Nothing waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CompressedImage, Image

from avatar_forcing_ros.media import AudioChunk, VideoFrame
from avatar_forcing_ros.msg import AvatarMotion
from avatar_forcing_ros.nodes.audio_subscription import AudioSubscription
from avatar_forcing_ros.nodes.bad_message import BadMessage
from avatar_forcing_ros.nodes.convert_image import compressed_to_rgb, image_to_rgb
from avatar_forcing_ros.nodes.convert_motion import msg_to_values
from avatar_forcing_ros.nodes.diagnostics import ErrorCounter
from avatar_forcing_ros.nodes.stamps import MessageTime, StampReader
from avatar_forcing_ros.nodes.subscriptions import MatchedSubscription
from avatar_forcing_ros.runtime.avatar import Avatar

REPLAY_DEPTH = 1000  # images that may wait: a bag is seen whole, however slow the machine is
AUDIO_TOPICS = ("user/audio", "avatar/audio")


class AvatarInputs:
    """Everything that the avatar hears and sees, as long as this is open."""

    def __init__(
        self,
        node: LifecycleNode,
        avatar: Avatar,
        settings: Mapping[str, Any],
        errors: ErrorCounter,
        group: CallbackGroup,
    ) -> None:
        """Open the subscriptions. `settings` are the node's parameters by name."""
        self._node, self._avatar, self._errors = node, avatar, errors
        self._replay = bool(node.get_parameter("use_sim_time").value)
        self._stamp = StampReader(
            lambda: int(node.get_clock().now().nanoseconds),
            settings["stamp_tolerance_s"],
            errors,
            replay=self._replay,
        )
        self.received = dict.fromkeys(("user/image", "user/motion", *AUDIO_TOPICS), 0)
        self._subscriptions: list[AudioSubscription | MatchedSubscription] = [
            self._subscribe_to_audio("avatar/audio", avatar.push_avatar_audio, settings, group)
        ]
        if settings["user_audio"]:
            self._subscriptions.append(
                self._subscribe_to_audio("user/audio", avatar.push_user_audio, settings, group)
            )
        source = settings["user_motion_source"]
        if source == "camera" and settings["image_transport"] == "compressed":
            self._subscribe(
                "user/image/compressed",
                CompressedImage,
                lambda msg: self._picture(msg, compressed_to_rgb),
                group,
                like="user/image",
            )
        elif source == "camera":
            self._subscribe(
                "user/image", Image, lambda msg: self._picture(msg, image_to_rgb), group
            )
        elif source == "topic":
            self._subscribe("user/motion", AvatarMotion, self._motion, group)

    def close(self) -> None:
        """Close all subscriptions."""
        for subscription in self._subscriptions:
            subscription.close()
        self._subscriptions = []

    def _subscribe(
        self,
        topic: str,
        message: Any,
        callback: Callable[[Any], None],
        group: CallbackGroup,
        like: str = "",
    ) -> None:
        self._subscriptions.append(
            MatchedSubscription(
                self._node,
                topic,
                [message],
                callback,
                self._errors,
                group,
                like=like,
                depth=REPLAY_DEPTH if self._replay else None,
            )
        )

    def _subscribe_to_audio(
        self,
        topic: str,
        put: Callable[[AudioChunk], None],
        settings: Mapping[str, Any],
        group: CallbackGroup,
    ) -> AudioSubscription:
        # a voice may come faster than it can be said: its stamps then stand still
        voice, avatar = topic == "avatar/audio", self._avatar

        def time_of(msg: Any) -> MessageTime:
            self.received[topic] += 1
            return self._stamp(msg, topic)

        return AudioSubscription(
            self._node,
            topic,
            settings,
            lambda chunk, _: put(chunk),
            time_of,
            self._errors,
            group,
            queued=voice,
            breaks=lambda: avatar.audio_breaks[voice],
        )

    def _picture(self, msg: Any, to_rgb: Callable[[Any], Any]) -> None:
        self.received["user/image"] += 1
        stamp_ns = self._stamp(msg, "user/image").ns
        try:
            pixels = to_rgb(msg)
        except BadMessage as bad:
            self._errors.count(f"user/image {bad.reason}", f"user/image: {bad}")
            return
        self._avatar.push_user_frame(VideoFrame(pixels, stamp_ns))

    def _motion(self, msg: Any) -> None:
        self.received["user/motion"] += 1
        stamp_ns = self._stamp(msg, "user/motion").ns
        try:
            values, unknown = msg_to_values(msg)
        except BadMessage as bad:
            self._errors.count(f"user/motion {bad.reason}", f"user/motion: {bad}")
            return
        if unknown:
            self._errors.count(
                "user/motion unknown_names",
                f"user/motion: names that are no rig coefficients are left out: {unknown}",
            )
        self._avatar.push_user_motion(values, stamp_ns)
