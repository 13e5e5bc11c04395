"""The parameters of ``display_node``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import IntegerRange, ParameterDescriptor

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.nodes.interface import AUDIO_MSGS
from avatar_forcing_ros.sync.playout import DEFAULT_DELAY_MS

CHOICES = {"image_transport": ("raw", "compressed"), "audio_msg": AUDIO_MSGS}
LONGEST_DELAY_MS = 2000

_DELAY = (
    "margin in ms that picture and sound wait beyond their largest delay of the first moments: "
    "more hides more jitter, less answers sooner"
)


@dataclass(frozen=True)
class DisplaySettings:
    """The parameters as they were at the start; `delay_ms` alone may change later."""

    window: bool = True
    fullscreen: bool = False
    speaker: bool = True
    speaker_device: str = ""
    delay_ms: int = DEFAULT_DELAY_MS
    image_transport: str = "compressed"
    audio_msg: str = "auto"
    title: str = "avatar"


DESCRIPTIONS = {
    "window": "show the avatar in a window; false: no pictures are taken off the network",
    "fullscreen": "let the window fill the screen",
    "speaker": "play the avatar's voice; false: no sound is taken off the network",
    "speaker_device": "sound card: part of its name, or its number; empty: the default one",
    "delay_ms": _DELAY,
    "image_transport": "compressed: avatar/image_raw/compressed; raw: avatar/image_raw, where "
    "the middleware is made for large messages (config/fastdds.xml)",
    "audio_msg": "message of the voice; auto: what the installed audio_common_msgs has",
    "title": "the window's title",
}


def declare_settings(node: Any) -> DisplaySettings:
    """Declare all parameters on `node` and read them.

    Raises ConfigError for an unknown image_transport or audio_msg.
    """
    defaults, values = DisplaySettings(), {}
    for name, description in DESCRIPTIONS.items():
        descriptor = ParameterDescriptor(description=description, read_only=name != "delay_ms")
        if name == "delay_ms":
            descriptor.integer_range = [IntegerRange(from_value=0, to_value=LONGEST_DELAY_MS)]
        if name in CHOICES:
            descriptor.additional_constraints = f"one of: {', '.join(CHOICES[name])}"
        values[name] = node.declare_parameter(name, getattr(defaults, name), descriptor).value
    for name, choices in CHOICES.items():
        if values[name] not in choices:
            raise ConfigError(
                name,
                expected=" or ".join(choices),
                got=repr(values[name]),
                remedy="set the parameter to one of these",
            )
    return DisplaySettings(**values)
