"""Audio from the graph, whatever its publisher sends: either package, raw or MP3, any reliability.

DDS connects two ends only where they name the same message and the subscriber asks for no more
than the publisher offers. So this one begins by asking for all (reliable: nothing is lost), and
follows what is really there: a publisher with best effort gets a subscription with best effort, one
that sends ``AudioData`` gets that one. A change is one line in the log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import audio_common_msgs.msg
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy

from avatar_forcing_ros.media import AudioChunk
from avatar_forcing_ros.media_files.mp3 import Mp3Decoder, looks_like_mp3
from avatar_forcing_ros.nodes import quality
from avatar_forcing_ros.nodes.audio_messages import (
    MP3,
    audio_message,
    format_of_info,
    kind_of_type,
    resolve_kind,
)
from avatar_forcing_ros.nodes.bad_message import BadMessage
from avatar_forcing_ros.nodes.convert_audio import AudioFormat, AudioInput, data_of
from avatar_forcing_ros.nodes.health import Troubles
from avatar_forcing_ros.nodes.stamps import MessageTime

# so many messages without an AudioInfo are looked at: MP3 must not be played as noise
MESSAGES_EXAMINED = 25


class _Wanted(NamedTuple):
    """What is subscribed to."""

    kind: str
    best_effort: bool

    def __str__(self) -> str:
        return f"{self.kind}, {'best effort' if self.best_effort else 'reliable'}"


class AudioSubscription:
    """One topic's audio as 16 kHz mono, handed to `take` chunk by chunk.

    `settings` are the node's parameters: ``audio_msg`` and, of bytes that no ``<topic>_info``
    describes, ``audio_data.rate_hz``, ``.channels`` and ``.format`` where the node has them.
    `time_of` says when a message was recorded. A `queued` topic may come faster than it is heard.
    Raises ConfigError where the installed audio_common_msgs lacks the message asked for.
    """

    def __init__(
        self,
        node: Node,
        topic: str,
        settings: Mapping[str, Any],
        take: Callable[[AudioChunk, MessageTime], None],
        time_of: Callable[[Any], MessageTime | None],
        errors: Troubles,
        group: CallbackGroup,
        *,
        queued: bool = False,
    ) -> None:
        self._node, self._topic, self._take, self._time_of = node, topic, take, time_of
        self._errors, self._group = errors, group
        self._fixed = settings["audio_msg"] != "auto"
        self._wanted = _Wanted(resolve_kind(settings["audio_msg"]), best_effort=False)
        self._given = AudioFormat(
            settings.get("audio_data.rate_hz", 16_000),
            settings.get("audio_data.channels", 1),
            settings.get("audio_data.format", "int16"),
        )
        self.input = AudioInput(self._given, queued=queued)
        self._mp3: Mp3Decoder | None = None
        self._described = self._unreadable = False
        self._examined = 0
        self.received = 0
        self._subscription = self._subscribe()
        self._infos = self._subscribe_to_info()

    @property
    def topic_name(self) -> str:
        """The topic's full name, with namespace and remapping."""
        return str(self._subscription.topic_name)

    def restart(self) -> None:
        """Forget the audio so far: the conversation that it belonged to is over."""
        self.input.restart()
        if self._mp3:
            self._mp3 = Mp3Decoder()

    def follow_publishers(self) -> None:
        """Subscribe to what is published, where that is not what was expected.

        Called now and then, and at once when an incompatible publisher is found.
        """
        publishers = self._node.get_publishers_info_by_topic(self.topic_name)
        if not publishers:
            return
        kinds = {info.topic_type: kind_of_type(info.topic_type) for info in publishers}
        known = [kind for kind in kinds.values() if kind]
        if self._wanted.kind not in known:
            if not known or self._fixed:
                self._errors.note(
                    f"{self._topic} type",
                    f"{self._topic}: expected {audio_message(self._wanted.kind).__name__}, got a "
                    f"publisher of {', '.join(kinds)}, which is not heard: "
                    + ("set audio_msg to auto" if known else "publish audio_common_msgs"),
                )
                return
        kind = self._wanted.kind if self._wanted.kind in known else known[0]
        best_effort = any(
            info.qos_profile.reliability == QoSReliabilityPolicy.BEST_EFFORT
            for info in publishers
            if kinds[info.topic_type] == kind
        )
        wanted = _Wanted(kind, best_effort)
        if wanted != self._wanted:
            self._wanted = wanted
            self._node.get_logger().info(f"{self._topic}: its publisher sends {wanted}: so be it")
            self._node.destroy_subscription(self._subscription)
            self._subscription = self._subscribe()

    def close(self) -> None:
        """Take the subscriptions off the graph."""
        for subscription in (self._subscription, *self._infos):
            self._node.destroy_subscription(subscription)
        self._infos = []

    def _subscribe(self) -> Any:
        return quality.subscribe(
            self._node,
            self._topic,
            audio_message(self._wanted.kind),
            self._on_audio,
            self._group,
            best_effort=self._wanted.best_effort,
            on_incompatible=self.follow_publishers,
            errors=self._errors,
        )

    def _subscribe_to_info(self) -> list[Any]:
        """Nothing where messages say it all; else twice, as one end may keep what it said or not."""
        info = getattr(audio_common_msgs.msg, "AudioInfo", None)
        if info is None or not hasattr(info, "coding_format"):
            return []
        return [
            self._node.create_subscription(
                info,
                f"{self._topic}_info",
                self._on_info,
                QoSProfile(depth=1, durability=durability),
                callback_group=self._group,
                event_callbacks=quality.silent_events(),
            )
            for durability in (
                QoSDurabilityPolicy.VOLATILE,
                QoSDurabilityPolicy.TRANSIENT_LOCAL,
            )
        ]

    def _on_info(self, info: Any) -> None:
        try:
            found = format_of_info(info)
        except BadMessage as bad:
            self._unreadable = True
            self._errors.note(f"{self._topic} {bad.reason}", f"{self._topic}: {bad}")
            return
        self._described, self._unreadable = True, False
        if found == MP3:
            self._begin_mp3("its AudioInfo says so")
        else:
            assert isinstance(found, AudioFormat)
            self._mp3, self.input.given = None, found

    def _begin_mp3(self, reason: str) -> None:
        if self._mp3 is None:
            self._mp3 = Mp3Decoder()
            self._node.get_logger().info(f"{self._topic}: MP3 is decoded ({reason})")

    def _on_audio(self, msg: Any) -> None:
        self.received += 1
        at = self._time_of(msg)
        if at is None:
            return
        try:
            chunks = self._chunks(msg, at)
        except BadMessage as bad:
            self._errors.note(f"{self._topic} {bad.reason}", f"{self._topic}: {bad}")
            return
        for chunk in chunks:
            self._take(chunk, at)

    def _chunks(self, msg: Any, at: MessageTime) -> list[AudioChunk]:
        data = data_of(msg)
        if data is None:
            return self.input.push(msg, at.ns, arrived=at.arrived)
        if self._unreadable:  # told already; as bytes of sound it would be noise
            self._errors.note(f"{self._topic} format", f"{self._topic}: left out, see above")
            return []
        if not self._described and self._examined < MESSAGES_EXAMINED:
            self._examined += 1
            if looks_like_mp3(data):
                self._begin_mp3("by its bytes; nobody publishes an AudioInfo")
        if self._mp3 is None:
            return self.input.push(msg, at.ns, arrived=at.arrived)
        channels = self._mp3.decode(data)  # [n, channels]
        if self._mp3.failed_frames:
            self._errors.note(f"{self._topic} mp3", f"{self._topic}: damaged MP3 frames")
            self._mp3.failed_frames = 0
        if not len(channels):
            return []
        form = AudioFormat(self._mp3.rate_hz, channels.shape[1], "float32")
        return self.input.push_samples(channels, form, at.ns, arrived=at.arrived)
