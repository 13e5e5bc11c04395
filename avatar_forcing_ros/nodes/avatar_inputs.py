"""Subscriptions of the avatar: messages to media, stamped, left with the worker. Nothing waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CompressedImage, Image

from avatar_forcing_ros.media import AudioChunk, VideoFrame
from avatar_forcing_ros.msg import AvatarMotion
from avatar_forcing_ros.nodes import quality
from avatar_forcing_ros.nodes.audio_messages import audio_message
from avatar_forcing_ros.nodes.bad_message import BadMessage
from avatar_forcing_ros.nodes.convert_audio import AudioFormat, AudioInput
from avatar_forcing_ros.nodes.convert_image import compressed_to_rgb, image_to_rgb
from avatar_forcing_ros.nodes.convert_motion import msg_to_values
from avatar_forcing_ros.nodes.health import Troubles
from avatar_forcing_ros.nodes.stamps import StampReader
from avatar_forcing_ros.pipeline.worker import AvatarWorker

AUDIO_TOPICS = ("user/audio", "avatar/audio")


class AvatarInputs:
    """Everything that the avatar hears and sees, as long as this is open."""

    def __init__(
        self,
        node: LifecycleNode,
        worker: AvatarWorker,
        settings: Mapping[str, Any],
        troubles: Troubles,
        group: CallbackGroup,
    ) -> None:
        """Open the taps. `settings` are the node's parameters by name."""
        self._node, self._worker, self._troubles = node, worker, troubles
        self._stamp = StampReader(
            lambda: int(node.get_clock().now().nanoseconds),
            settings["stamp_tolerance_s"],
            troubles,
        )
        self.received = dict.fromkeys(("user/image", "user/motion", *AUDIO_TOPICS), 0)
        self._taps = [self._sound_tap("avatar/audio", worker.put_avatar_audio, settings, group)]
        if settings["user_audio"]:
            tap = self._sound_tap("user/audio", worker.put_user_audio, settings, group)
            self._taps.append(tap)
        source = settings["user_motion_source"]
        if source == "camera" and settings["image_transport"] == "compressed":
            self._taps.append(
                quality.subscribe(
                    node, "user/image/compressed", CompressedImage,
                    lambda msg: self._picture(msg, compressed_to_rgb), group, like="user/image",
                )
            )  # fmt: skip
        elif source == "camera":
            self._taps.append(
                quality.subscribe(
                    node, "user/image", Image, lambda msg: self._picture(msg, image_to_rgb), group
                )
            )
        elif source == "topic":
            self._taps.append(
                quality.subscribe(node, "user/motion", AvatarMotion, self._motion, group)
            )

    def look_for_rivals(self) -> None:
        """Note inputs that more than one publisher sends to: they would cut each other up."""
        for tap in self._taps:
            senders = self._node.count_publishers(tap.topic_name)
            if senders > 1:
                self._troubles.note(
                    f"{tap.topic_name} publishers",
                    f"{tap.topic_name}: expected one publisher, got {senders}; what comes twice "
                    "for the same time is dropped: stop one of them, or remap it",
                )

    def close(self) -> None:
        """Close the taps."""
        for tap in self._taps:
            self._node.destroy_subscription(tap)
        self._taps = []

    def _sound_tap(
        self,
        topic: str,
        put: Callable[[AudioChunk], None],
        settings: Mapping[str, Any],
        group: CallbackGroup,
    ) -> Any:
        plain = AudioFormat(
            settings["audio_data.rate_hz"],
            settings["audio_data.channels"],
            settings["audio_data.format"],
        )
        stamped = settings["audio_msg"] == "audio_stamped"
        # a voice may come faster than it can be said: its stamps then stand still
        voice, worker = topic == "avatar/audio", self._worker
        sound = AudioInput(
            None if stamped else plain,
            queued=voice,
            breaks=lambda: worker.avatar_audio_breaks if voice else worker.user_audio_breaks,
        )

        def callback(msg: Any) -> None:
            self.received[topic] += 1
            stamp, cancelled = self._stamp(msg, topic), sound.cancelled
            try:
                chunks = sound.push(msg, stamp.ns, arrived=stamp.arrived)
            except BadMessage as bad:
                self._troubles.note(f"{topic} {bad.reason}", f"{topic}: {bad}")
                return
            if sound.cancelled and not cancelled:
                self._troubles.note(
                    f"{topic} channels_cancel",
                    f"{topic}: the mean of all channels is silent, since they cancel each other "
                    "out; the loudest is taken alone: turn the polarity of one of them",
                )
            for chunk in chunks:
                put(chunk)

        return quality.subscribe(
            self._node, topic, audio_message(settings["audio_msg"]), callback, group
        )

    def _picture(self, msg: Any, to_rgb: Callable[[Any], Any]) -> None:
        self.received["user/image"] += 1
        stamp_ns = self._stamp(msg, "user/image").ns
        try:
            pixels = to_rgb(msg)
        except BadMessage as bad:
            self._troubles.note(f"user/image {bad.reason}", f"user/image: {bad}")
            return
        self._worker.put_picture(VideoFrame(pixels, stamp_ns))

    def _motion(self, msg: Any) -> None:
        self.received["user/motion"] += 1
        stamp_ns = self._stamp(msg, "user/motion").ns
        try:
            values, unknown = msg_to_values(msg)
        except BadMessage as bad:
            self._troubles.note(f"user/motion {bad.reason}", f"user/motion: {bad}")
            return
        if unknown:
            self._troubles.note(
                "user/motion unknown_names",
                f"user/motion: names that are no rig coefficients are left out: {unknown}",
            )
        self._worker.put_user_motion(values, stamp_ns)
