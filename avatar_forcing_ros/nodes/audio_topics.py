"""Audio on the graph as 16 kHz mono, whichever package and coding the other side uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import audio_common_msgs.msg
from rclpy.callback_groups import CallbackGroup
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile

from avatar_forcing_ros.media import AudioChunk
from avatar_forcing_ros.media_files.mp3 import Mp3Decoder, looks_like_mp3
from avatar_forcing_ros.nodes.audio_input import AudioInput
from avatar_forcing_ros.nodes.convert_audio import (
    MP3,
    TO_MESSAGE,
    AudioFormat,
    Samples,
    audio_message,
    bytes_of,
    format_of_info,
    installed_kinds,
    resolve_kind,
)
from avatar_forcing_ros.nodes.diagnostics import BadMessage
from avatar_forcing_ros.nodes.interface import LATCHED, events
from avatar_forcing_ros.nodes.node_base import NodeBase
from avatar_forcing_ros.nodes.subscriptions import MatchedSubscription, MessageTime
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

# of messages without an AudioInfo so many are examined: MP3 must not be played as noise
MESSAGES_EXAMINED = 25


class AudioPublisher:
    """One topic's audio, 16 kHz mono, in the message of the installed package.

    Bytes are described by a latched AudioInfo on ``<topic>_info``.
    """

    def __init__(self, node: NodeBase, topic: str, kind: str, *, managed: bool = False) -> None:
        """`kind` is a value of ``audio_msg``; raises ConfigError where it cannot be had."""
        self._node = node
        kind = resolve_kind(kind)
        self._to_msg = TO_MESSAGE[kind]
        self._publisher = node.create_table_publisher(topic, audio_message(kind), managed=managed)
        self._info: Publisher | None = None
        if kind != "audio_stamped":
            info = audio_common_msgs.msg.AudioInfo(
                channels=1,
                sample_rate=SAMPLE_RATE_HZ,
                sample_format="S16LE",
                bitrate=16 * SAMPLE_RATE_HZ,
                coding_format="wave",
            )
            self._info = node.create_publisher(type(info), f"{topic}_info", LATCHED)
            self._info.publish(info)

    def publish(self, samples: Samples, header: Any) -> None:
        """Send `samples` ``[n]`` float32."""
        self._publisher.publish(self._to_msg(samples, header))

    def close(self) -> None:
        """Take the topic off the graph."""
        for publisher in filter(None, (self._publisher, self._info)):
            self._node.destroy_publisher(publisher)


class AudioSubscription:
    """One topic's audio, handed to `callback` chunk by chunk, in the executor's thread.

    `settings` are the node's parameters: ``audio_msg`` and, of bytes that no ``<topic>_info``
    describes, ``audio_data.rate_hz``, ``.channels`` and ``.format`` where the node has them.
    `time_of` gives the time of a message, or raises BadMessage. A `queued` topic may come faster
    than real time; `breaks` counts the breaks after which nothing of the audio so far is wanted.
    Raises ConfigError where the installed audio_common_msgs lacks the message asked for.
    """

    def __init__(
        self,
        node: NodeBase,
        topic: str,
        settings: Mapping[str, Any],
        callback: Callable[[AudioChunk, MessageTime], None],
        time_of: Callable[[Any], MessageTime],
        group: CallbackGroup,
        *,
        queued: bool = False,
        breaks: Callable[[], int] = lambda: 0,
    ) -> None:
        self._node, self._topic, self._callback, self._time_of = node, topic, callback, time_of
        given = AudioFormat(
            settings.get("audio_data.rate_hz", 16_000),
            settings.get("audio_data.channels", 1),
            settings.get("audio_data.format", "int16"),
        )
        self._input = AudioInput(given, queued=queued, breaks=breaks)
        self._mp3: Mp3Decoder | None = None
        self._described = self._unreadable = False
        self._examined = 0
        kind = settings["audio_msg"]
        kinds = (installed_kinds() if kind == "auto" else ()) or (kind,)
        messages = [audio_message(kind) for kind in kinds]
        self._audio = MatchedSubscription(node, topic, messages, self._on_audio, group)
        self._infos = self._subscribe_to_info(group)

    @property
    def is_best_effort(self) -> bool:
        """Whether nothing better is asked for, as the publisher offers no more."""
        return self._audio.is_best_effort

    @property
    def coding(self) -> AudioFormat | str:
        """How bytes are understood at present: `MP3`, or the format of raw samples."""
        return MP3 if self._mp3 else self._input.given or ""

    def close(self) -> None:
        """Take the subscriptions off the graph."""
        self._audio.close()
        for info in self._infos:
            self._node.destroy_subscription(info)
        self._infos = []

    def _subscribe_to_info(self, group: CallbackGroup) -> list[Any]:
        """None for messages that describe themselves.

        Else two: one for a publisher that latches its AudioInfo, one for one that repeats it.
        """
        info = getattr(audio_common_msgs.msg, "AudioInfo", None)
        if not hasattr(info, "coding_format"):
            return []
        return [
            self._node.create_subscription(
                info,
                f"{self._topic}_info",
                self._on_info,
                profile,
                callback_group=group,
                # one of the two does not fit every publisher
                event_callbacks=events.SubscriptionEventCallbacks(incompatible_qos=lambda _: None),
            )
            for profile in (QoSProfile(depth=1), LATCHED)
        ]

    def _on_info(self, info: Any) -> None:
        self._unreadable = True
        found = format_of_info(info)
        self._described, self._unreadable = True, False
        if isinstance(found, AudioFormat):
            self._mp3, self._input.given = None, found
        else:
            self._begin_mp3("as its AudioInfo says")

    def _begin_mp3(self, reason: str) -> None:
        if self._mp3 is None:
            self._mp3 = Mp3Decoder()
            self._node.get_logger().info(f"{self._topic}: {MP3} is decoded, {reason}")

    def _on_audio(self, msg: Any) -> None:
        at = self._time_of(msg)
        was_cancelled = self._input.cancelled
        chunks = self._chunks(msg, at)
        if self._input.cancelled and not was_cancelled:
            self._node.errors.count(
                f"{self._topic} channels_cancel",
                f"{self._topic}: the mean of all channels is silent, since they cancel each other "
                "out; the loudest is taken alone: turn the polarity of one of them",
            )
        for chunk in chunks:
            self._callback(chunk, at)

    def _chunks(self, msg: Any, at: MessageTime) -> list[AudioChunk]:
        data = bytes_of(msg)
        if data is None:
            return self._input.push(msg, at.ns, arrived=at.arrived)
        if self._unreadable:  # as samples it would be noise
            raise BadMessage(
                "format",
                "audio bytes",
                expected="a coding and sample format that are read",
                got="others, as their AudioInfo says",
                remedy="correct the parameters of the node that publishes them",
            )
        if not self._described and self._mp3 is None and self._examined < MESSAGES_EXAMINED:
            self._examined += 1
            if looks_like_mp3(data):
                self._begin_mp3("judged by its bytes, since nobody publishes an AudioInfo")
        if self._mp3 is None:
            return self._input.push(msg, at.ns, arrived=at.arrived)
        channels = self._mp3.decode(data)  # [n, channels]
        if self._mp3.failed_frames:
            self._node.errors.count(
                f"{self._topic} mp3", f"{self._topic}: damaged frames", self._mp3.failed_frames
            )
            self._mp3.failed_frames = 0
        if not len(channels):
            return []
        form = AudioFormat(self._mp3.rate_hz, channels.shape[1], "float32")
        return self._input.push_samples(channels, form, at.ns, arrived=at.arrived)
