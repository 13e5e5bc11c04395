"""The two packages called audio_common_msgs: which message a parameter means."""

from __future__ import annotations

from typing import Any

import audio_common_msgs.msg

from avatar_forcing_ros.errors import ConfigError

CLASSES = {
    "audio_stamped": "AudioStamped",
    "audio_data_stamped": "AudioDataStamped",
    "audio_data": "AudioData",
}


def audio_message(kind: str) -> Any:
    """The message class that the parameter ``audio_msg`` names.

    Raises ConfigError where the installed package of that name has no such message.
    """
    name = CLASSES[kind]
    there = getattr(audio_common_msgs.msg, name, None)
    if there is None:
        raise ConfigError(
            "parameter 'audio_msg'",
            expected=f"the audio_common_msgs that has {name}",
            got="the other package of that name",
            remedy="choose another value, or source the workspace that has it",
        )
    return there
