"""The two packages called audio_common_msgs, of which a machine has one: what their messages are.

That of ros-drivers, which every distribution ships, sends bytes: ``AudioDataStamped`` and
``AudioData``, whose rate, channels and format an ``AudioInfo`` beside them tells. The other one's
``AudioStamped`` says in every message what it holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import audio_common_msgs.msg
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSDurabilityPolicy, QoSProfile

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.nodes import qos
from avatar_forcing_ros.nodes.bad_message import refuse
from avatar_forcing_ros.nodes.convert_audio import (
    AudioFormat,
    Kind,
    Samples,
    samples_to_audio_data,
    samples_to_data_msg,
    samples_to_msg,
)
from avatar_forcing_ros.nodes.diagnostics import ErrorCounter
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

CLASSES = {
    "audio_stamped": "AudioStamped",
    "audio_data_stamped": "AudioDataStamped",
    "audio_data": "AudioData",
}
# 16 kHz mono and a header to a message
TO_MESSAGE: dict[str, Callable[..., Any]] = {
    "audio_stamped": samples_to_msg,
    "audio_data_stamped": samples_to_data_msg,
    "audio_data": samples_to_audio_data,
}
MP3 = "mp3"
_RAW = {"", "wave", "wav", "raw", "pcm"}
_SAMPLE_FORMAT = re.compile(r"(?P<sign>[SUF])(?P<bits>8|16|24|32)(?P<order>LE|BE)?")
_KINDS: dict[str, Kind] = {
    "S8": "int8",
    "U8": "uint8",
    "S16": "int16",
    "S24": "int24",
    "S32": "int32",
    "F32": "float32",
}


def _is_there(kind: str) -> bool:
    found = getattr(audio_common_msgs.msg, CLASSES[kind], None)
    # both packages have an AudioData, but only that of bytes is a message by itself
    return found is not None and (kind != "audio_data" or hasattr(found, "data"))


def installed_kinds() -> tuple[str, ...]:
    """The values of the parameter ``audio_msg`` that the installed package has messages for."""
    return tuple(kind for kind in CLASSES if _is_there(kind))


def resolve_kind(kind: str) -> str:
    """`kind`, or for ``auto`` the one with a stamp that the installed package has.

    Raises ConfigError where the installed package has no such message.
    """
    there = installed_kinds()
    if kind == "auto" and there:
        return there[0]
    if kind not in there:
        raise ConfigError(
            "parameter 'audio_msg'",
            expected=f"one that the installed audio_common_msgs has: {', '.join(there) or 'none'}",
            got=f"{kind} ({CLASSES.get(kind, 'no message')})",
            remedy="leave it at auto, or source the workspace that has the other package",
        )
    return kind


def stamped_kind(kind: str) -> str:
    """The kind that is sent where ``audio_msg`` is `kind`: of the same package, with a stamp."""
    kind = resolve_kind(kind)
    return "audio_data_stamped" if kind == "audio_data" else kind


def audio_message(kind: str) -> Any:
    """The message class of one of `installed_kinds`."""
    return getattr(audio_common_msgs.msg, CLASSES[resolve_kind(kind)])


def format_of_info(info: Any) -> AudioFormat | str:
    """What an ``AudioInfo`` says of the bytes beside it: their format, or `MP3`.

    Raises BadMessage for a coding or sample format that is not read.
    """
    coding = info.coding_format.strip().lower()
    if coding == MP3:
        return MP3
    if coding not in _RAW:
        raise refuse(
            "format",
            "audio info",
            expected="the coding format wave or mp3",
            got=repr(info.coding_format[:40]),
            remedy="set the parameter format of audio_capture to wave",
        )
    found = _SAMPLE_FORMAT.fullmatch(info.sample_format.strip().upper())
    kind = _KINDS.get(found["sign"] + found["bits"]) if found else None
    if found is None or kind is None or found["order"] == "BE":
        raise refuse(
            "format",
            "audio info",
            expected=f"one of the sample formats {', '.join(_KINDS)}, little-endian",
            got=repr(info.sample_format[:40]),
            remedy="set the parameter sample_format of audio_capture to S16LE",
        )
    return AudioFormat(int(info.sample_rate), int(info.channels), kind)


class AudioPublisher:
    """One topic's audio, 16 kHz mono, in the message of the installed package.

    Beside bytes ``<topic>_info`` tells, to whoever joins at whatever time, what they are.
    """

    def __init__(
        self, node: Node, topic: str, kind: str, errors: ErrorCounter, *, managed: bool = False
    ) -> None:
        """`kind` is a value of ``audio_msg``; raises ConfigError where it cannot be had."""
        self._node = node
        kind = resolve_kind(kind)
        self._to_msg = TO_MESSAGE[kind]
        self._publisher: Publisher = qos.publisher(
            node, topic, audio_message(kind), errors, managed=managed
        )
        self._info: Publisher | None = None
        if kind != "audio_stamped":
            latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
            self._info = node.create_publisher(
                audio_common_msgs.msg.AudioInfo, f"{topic}_info", latched
            )
            self._info.publish(_own_info())

    def publish(self, samples: Samples, header: Any) -> None:
        """Send `samples` ``[n]`` float32."""
        self._publisher.publish(self._to_msg(samples, header))

    def close(self) -> None:
        """Take the topic off the graph."""
        for publisher in (self._publisher, self._info):
            if publisher:
                qos.destroy_publisher(self._node, publisher)


def _own_info() -> Any:
    return audio_common_msgs.msg.AudioInfo(
        channels=1,
        sample_rate=SAMPLE_RATE_HZ,
        sample_format="S16LE",
        bitrate=16 * SAMPLE_RATE_HZ,
        coding_format="wave",
    )
