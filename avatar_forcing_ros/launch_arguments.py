"""What ``launch avatar`` takes, without ROS; arguments that set parameters are made from these."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Union

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.node_config import NODE_CONFIGS
from avatar_forcing_ros.settings import settings_of

Value = Union[bool, int, str]  # noqa: UP007  (evaluated at run time on 3.10)
AVATAR = "avatar_node"


@dataclass(frozen=True)
class Argument:
    """One argument, given as ``name:=value``.

    Where it has a value it sets the parameters of nodes that `sets` names, (node, parameter).
    """

    name: str
    default: str
    description: str
    choices: tuple[str, ...] = ()
    sets: tuple[tuple[str, str], ...] = ()


SETTINGS = {
    node: {each.name: each for each in settings_of(config)}
    for node, config in NODE_CONFIGS.items()
}
BOOLEAN = ("true", "false")
CAMERAS = {"usb_cam": "usb_cam_node_exe", "v4l2_camera": "v4l2_camera_node"}
# package: its executable, the topic that it is about, and its parameters. Those of ros-drivers
# send MP3 by default
_PCM: dict[str, Value] = {
    "format": "wave", "sample_format": "S16LE", "channels": 1, "sample_rate": 16_000
}  # fmt: skip
MICROPHONES: dict[str, tuple[str, str, dict[str, Value]]] = {
    "audio_capture": ("audio_capture_node", "audio_stamped", _PCM),
    "audio_common": ("audio_capturer_node", "audio", {}),
}
SPEAKERS: dict[str, tuple[str, str, dict[str, Value]]] = {
    "audio_play": ("audio_play_node", "avatar/audio_data", _PCM),
    "audio_common": ("audio_player_node", "avatar/audio_aligned", {}),
}


def _switch(
    name: str, description: str, *sets: tuple[str, str], default: str = "false"
) -> Argument:
    return Argument(name, default, description, BOOLEAN, sets)


def _setting(name: str, *sets: tuple[str, str], else_: str = "") -> Argument:
    """An argument that sets parameters, the first of which describes it, unless it is empty."""
    about = SETTINGS[sets[0][0]][sets[0][1]]
    text, _, shipped = about.help.replace("`", "").partition("; empty: ")
    default = else_ or shipped or json.dumps(about.default).strip('"')
    empty = f"what params_file says{f', or else {default}' if default else ''}"
    choices = BOOLEAN if about.kind is bool else about.choices
    return Argument(
        name,
        "",
        f"{text[0].upper()}{text[1:]}. Empty means {empty}.",
        ("", *choices) if choices else (),
        sets,
    )


def _avatar(name: str, *others: tuple[str, str], else_: str = "") -> Argument:
    return _setting(name, (AVATAR, name), *others, else_=else_)


def _page(name: str, parameter: str = "", else_: str = "") -> Argument:
    return _setting(name, ("telepresence_node", parameter or name), else_=else_)


# fmt: off
ARGUMENTS = (
    _avatar("portrait"),
    _avatar("preset"),
    _avatar("weights"),
    _avatar("device"),
    Argument("params_file", "", "YAML file with parameters of the nodes, for all that has no "
             "argument here. Arguments win over it. Empty means config/avatar.yaml of this "
             "package, which has every parameter at its default."),
    Argument("namespace", "", "Namespace of all nodes and topics, such as 'robot1'."),
    _avatar("avatars"),
    _switch("autostart", "Whether avatar_node begins by itself. Otherwise a lifecycle "
            "manager configures and activates it.", (AVATAR, "autostart"),
            default="true"),
    Argument("log_level", "info", "Lowest level of the nodes' messages that are logged.",
             ("debug", "info", "warn", "error", "fatal")),
    _switch("use_sim_time", "Whether time comes from /clock: for bags and simulators."),
    _avatar("user_motion_source", else_="topic with perception:=true, or else camera"),
    _avatar("image_transport", ("perception_node", "image_transport"),
            ("telepresence_node", "user_image_transport")),
    Argument("user_image", "user/image", "Topic with images of the person; with "
             "image_transport:=compressed, '/compressed' is added to it."),
    Argument("user_audio", "user/audio", "Topic with what the person says (audio_common_msgs, "
             "either package)."),
    Argument("avatar_audio", "avatar/audio", "Topic with what the avatar is to say "
             "(audio_common_msgs, either package)."),
    _switch("perception", "Whether to start a perception_node here. To have it on the camera's "
            "machine, start it there and set user_motion_source:=topic."),
    _switch("display", "Whether to show the avatar in a window."),
    _switch("fullscreen", "Whether that window fills the screen.", ("display_node", "fullscreen")),
    _switch("telepresence", "Whether to serve a page on which an operator sees the avatar and "
            "talks through it (telepresence_node)."),
    _page("telepresence_host", "host"),
    _page("telepresence_port", "port"),
    _page("telepresence_token_file", "token_file"),
    _page("telepresence_tls_cert", "tls_cert"),
    _page("telepresence_tls_key", "tls_key"),
    _page("robot_view"),
    _page("robot_sound", else_="as robot_view"),
    _page("browser_is_user"),
    _switch("speech", "Whether to speak the texts on the topic 'say' with a synthetic voice "
            "(speech_node)."),
    _setting("speech_language", ("speech_node", "speech_language")),
    _setting("speech_voice", ("speech_node", "speech_voice")),
    _setting("speech_command", ("speech_node", "speech_command")),
    _switch("visualization", "Whether to publish the head frame and the face's outline, for "
            "rviz."),
    Argument("camera", "none", "Camera driver to start; 'none' where the robot has one already.",
             ("none", *CAMERAS)),
    Argument("video_device", "/dev/video0", "The camera that the driver is to use."),
    Argument("microphone", "none", "Package that records the person: 'audio_capture' of "
             "ros-drivers or 'audio_common'; 'auto', the one that is installed; 'none' where the "
             "robot does so already.", ("none", "auto", *MICROPHONES)),
    Argument("speaker", "display", "What plays the avatar's audio: 'display', the window, in time "
             "with the lips; 'audio_play' of ros-drivers or 'audio_common', a player of its own; "
             "'auto', the one that is installed; 'none', nothing here.",
             ("none", "display", "auto", *SPEAKERS)),
)
# fmt: on


def argument_values(given: Mapping[str, str]) -> dict[str, str]:
    """All arguments' values; raises ConfigError for an unknown name or choice in `given`."""
    known = {argument.name: argument for argument in ARGUMENTS}
    for name, value in given.items():
        if name not in known:
            raise ConfigError(
                "launch argument",
                expected=f"one of {', '.join(known)}",
                got=name,
                remedy="--show-args describes them",
            )
        choices = known[name].choices
        if choices and value not in choices:
            raise ConfigError(
                f"launch argument {name}",
                expected=f"one of {', '.join(choice or '(empty)' for choice in choices)}",
                got=repr(value),
                remedy="choose one of these",
            )
    return {name: given.get(name, argument.default) for name, argument in known.items()}


def parameters_of(node: str, values: Mapping[str, str]) -> dict[str, Value]:
    """The parameters of `node` whose arguments are not empty, as the types that they have."""
    return {
        parameter: _typed(argument.name, SETTINGS[node][parameter].kind, values[argument.name])
        for argument in ARGUMENTS
        for owner, parameter in argument.sets
        if owner == node and values[argument.name]
    }


def _typed(argument: str, kind: type, value: str) -> Value:
    """The text of an argument as the type that its parameter has."""
    if kind is bool:
        return value == "true"
    if kind is not int:
        return value
    if not value.isdecimal():
        raise ConfigError(
            f"launch argument {argument}",
            expected="a whole number",
            got=repr(value),
            remedy="correct it",
        )
    return int(value)
