"""What ``launch avatar`` takes and what it starts, without ROS.

The launch file and ``avatar-forcing launch`` are both made from this, so they start the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Union

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.resources import shipped, user_path

PACKAGE = __name__.partition(".")[0]
Value = Union[bool, int, str]  # noqa: UP007  (evaluated at run time on 3.10)


@dataclass(frozen=True)
class Argument:
    """One argument, given as ``name:=value``."""

    name: str
    default: str
    description: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlannedNode:
    """One node to start: an executable of a ROS package, named `name`, and what it is given.

    Parameters win over `params_file`, where there is one; remappings are (from, to).
    """

    package: str
    executable: str
    name: str
    namespace: str
    parameters: dict[str, Value] = field(default_factory=dict)
    params_file: str = ""
    remappings: tuple[tuple[str, str], ...] = ()
    log_level: str = "info"

    @property
    def is_avatar(self) -> bool:
        """Whether it is the lifecycle node with which everything ends."""
        return self.executable == AVATAR


AVATAR = "avatar_node"
# package: its executable, the topic that it is about, and its parameters. Those of ros-drivers
# speak MP3 unless told otherwise
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

ARGUMENTS = (
    Argument(
        "portrait",
        default="",
        description="Image file with a face. Empty means the portrait that ships with the "
        "package, unless params_file names another.",
    ),
    Argument(
        "preset",
        default="",
        description="Model that moves the face: 'compact', which ships with the package and runs "
        "on a CPU, or 'paper', which needs the authors' weights and a GPU. Empty means what "
        "params_file says, or else 'compact'.",
    ),
    Argument(
        "weights",
        default="",
        description="Checkpoint file, or folder of released files. Empty means the preset's own.",
    ),
    Argument(
        "device",
        default="",
        description="Where networks run: 'cpu', 'cuda', 'cuda:0', 'auto'. Empty means what "
        "params_file says, or else 'auto'.",
    ),
    Argument(
        "params_file",
        default="",
        description="YAML file with parameters of the nodes, for all that has no argument here. "
        "Arguments that are given win over it. Empty means config/avatar.yaml of this package, "
        "which has every parameter of avatar_node at its default.",
    ),
    Argument(
        "namespace",
        default="",
        description="Namespace of all nodes and topics, such as 'robot1'.",
    ),
    Argument(
        "autostart",
        default="true",
        description="Whether avatar_node begins by itself. Otherwise something tells it to "
        "configure and activate, as lifecycle nodes are told.",
        choices=("true", "false"),
    ),
    Argument(
        "log_level",
        default="info",
        description="What the nodes say at least.",
        choices=("debug", "info", "warn", "error", "fatal"),
    ),
    Argument(
        "use_sim_time",
        default="false",
        description="Whether time comes from /clock: for bags and simulators.",
        choices=("true", "false"),
    ),
    Argument(
        "user_motion_source",
        default="",
        description="Where the person's face is seen: 'camera', in avatar_node itself; 'topic', "
        "by a perception_node; 'none', not at all. Empty means 'topic' with perception:=true, "
        "or else what params_file says, or else 'camera'.",
    ),
    Argument(
        "image_transport",
        default="",
        description="How pictures of the person come: 'raw' or 'compressed'. Empty means what "
        "params_file says, or else 'raw'.",
    ),
    Argument(
        "user_image",
        default="user/image",
        description="Topic with pictures of the person; with image_transport:=compressed, "
        "'/compressed' is added to it.",
    ),
    Argument(
        "user_audio",
        default="user/audio",
        description="Topic with what the person says (audio_common_msgs, either package).",
    ),
    Argument(
        "avatar_audio",
        default="avatar/audio",
        description="Topic with what the avatar is to say (audio_common_msgs, either package).",
    ),
    Argument(
        "perception",
        default="false",
        description="Whether to start a perception_node here. To have it on the camera's machine, "
        "start it there and set user_motion_source:=topic.",
        choices=("true", "false"),
    ),
    Argument(
        "display",
        default="false",
        description="Whether to show the avatar in a window.",
        choices=("true", "false"),
    ),
    Argument(
        "fullscreen",
        default="false",
        description="Whether that window fills the screen.",
        choices=("true", "false"),
    ),
    Argument(
        "telepresence",
        default="false",
        description="Whether to serve a page on which an operator sees the avatar and talks "
        "through it (telepresence_node).",
        choices=("true", "false"),
    ),
    Argument(
        "telepresence_host",
        default="",
        description="Address that the page listens on. Empty means what params_file says, or "
        "else this machine alone. One that others reach wants telepresence_token_file.",
    ),
    Argument(
        "telepresence_port",
        default="",
        description="Port of the page. Empty means what params_file says, or else 8080.",
    ),
    Argument(
        "telepresence_token_file",
        default="",
        description="File with a word that the page asks for.",
    ),
    Argument(
        "telepresence_tls_cert",
        default="",
        description="Certificate (PEM) of the page, for https: browsers give camera and "
        "microphone to nothing else from another machine.",
    ),
    Argument(
        "telepresence_tls_key",
        default="",
        description="The certificate's key (PEM).",
    ),
    Argument(
        "robot_view",
        default="",
        description="Whether the page shows the topic user_image beside the avatar: 'true' or "
        "'false'. Empty means what params_file says, or else 'false'.",
        choices=("", "true", "false"),
    ),
    Argument(
        "robot_sound",
        default="",
        description="Whether the operator hears the topic user_audio instead of their own words: "
        "'true' or 'false'. Empty means what params_file says, or else as robot_view.",
        choices=("", "true", "false"),
    ),
    Argument(
        "browser_is_user",
        default="",
        description="Whether the browser's camera and microphone are the person before the "
        "avatar, not its voice: 'true' or 'false'. Empty means what params_file says, or else "
        "'false'.",
        choices=("", "true", "false"),
    ),
    Argument(
        "visualization",
        default="false",
        description="Whether to publish the head frame and the face's outline, for rviz.",
        choices=("true", "false"),
    ),
    Argument(
        "camera",
        default="none",
        description="Camera driver to start; 'none' where the robot has one already.",
        choices=("none", "usb_cam", "v4l2_camera"),
    ),
    Argument(
        "video_device",
        default="/dev/video0",
        description="The camera that the driver is to use.",
    ),
    Argument(
        "microphone",
        default="none",
        description="Package that records the person: 'audio_capture' of ros-drivers or "
        "'audio_common'; 'auto', the one that is installed; 'none' where the robot does so "
        "already.",
        choices=("none", "auto", *MICROPHONES),
    ),
    Argument(
        "speaker",
        default="display",
        description="What plays the avatar's voice: 'display', the window, in time with the lips; "
        "'audio_play' of ros-drivers or 'audio_common', a player of its own; 'auto', the one that "
        "is installed; 'none', nothing here.",
        choices=("none", "display", "auto", *SPEAKERS),
    ),
)

# parameter of a node: the argument that sets it, where that is not empty
AVATAR_PARAMETERS = {
    name: name
    for name in (
        *("portrait", "preset", "weights", "device"),
        *("image_transport", "user_motion_source"),
    )
}
PERCEPTION_PARAMETERS = {"image_transport": "image_transport"}
TELEPRESENCE_PARAMETERS = {
    "host": "telepresence_host",
    "token_file": "telepresence_token_file",
    "tls_cert": "telepresence_tls_cert",
    "tls_key": "telepresence_tls_key",
    "user_image_transport": "image_transport",
    "robot_view": "robot_view",
    "robot_sound": "robot_sound",
    "browser_is_user": "browser_is_user",
    "port": "telepresence_port",
}
# topic of the nodes: the argument that names it, and the end of the topic that goes with it
TOPICS = {"user/image": "user_image", "user/audio": "user_audio", "avatar/audio": "avatar_audio"}
END = {"user/image": "/compressed", "user/audio": "_info", "avatar/audio": "_info"}
# where no distribution has it
SOURCES = {"audio_common": "build it (github.com/mgonzs13/audio_common)"}
CAMERAS = {"usb_cam": "usb_cam_node_exe", "v4l2_camera": "v4l2_camera_node"}


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


def planned_nodes(given: Mapping[str, str]) -> list[PlannedNode]:
    """The nodes that the arguments ask for, the avatar first; raises ConfigError."""
    values = argument_values(given)
    values["params_file"] = _params_file(values["params_file"])
    nodes = [_own(AVATAR, values, _avatar(values), str(shipped("config/avatar.yaml")))]
    if values["perception"] == "true":
        nodes.append(_own("perception_node", values, _set(values, PERCEPTION_PARAMETERS)))
    if values["display"] == "true":
        shown: dict[str, Value] = {
            "fullscreen": values["fullscreen"] == "true",
            "speaker": values["speaker"] == "display",
        }
        nodes.append(_own("display_node", values, shown))
    if values["telepresence"] == "true":
        nodes.append(_own("telepresence_node", values, _set(values, TELEPRESENCE_PARAMETERS)))
    if values["camera"] != "none":
        nodes.append(_camera(values))
    if values["microphone"] != "none":
        nodes.append(_microphone(values))
    if values["speaker"] not in ("none", "display"):
        nodes.append(_speaker(values))
    return nodes


def require_installed(nodes: Iterable[PlannedNode]) -> None:
    """Raise ConfigError for a node of a package that ROS does not find, before any is started."""
    for node in nodes:
        if node.package == PACKAGE or _is_installed(node.package, node.executable):
            continue
        distribution = os.environ.get("ROS_DISTRO", "DISTRIBUTION")
        binary = f"ros-{distribution}-{node.package.replace('_', '-')}"
        raise ConfigError(
            node.name,
            expected=f"the ROS package '{node.package}' with its {node.executable}",
            got="none",
            remedy=SOURCES.get(node.package, f"install {binary} (apt)") + ", or leave it out",
        )


def _params_file(text: str) -> str:
    """The file that was named; launch_ros would warn of one that is not there, and go on."""
    if not text:
        return ""
    path = user_path(text)
    if not path.is_file():
        raise ConfigError(
            "launch argument params_file",
            expected="a YAML file",
            got=f"no file at {path}",
            remedy="check the path",
        )
    return str(path)


def _own(
    executable: str, values: Mapping[str, str], parameters: dict[str, Value], defaults: str = ""
) -> PlannedNode:
    """A node of this package; `defaults` is its own file of parameters."""
    renamed: list[tuple[str, str]] = []
    for topic, argument in TOPICS.items():
        name = values[argument]
        if name != topic:
            renamed += [(topic, name), (f"{topic}{END[topic]}", f"{name}{END[topic]}")]
    return PlannedNode(
        PACKAGE,
        executable,
        executable,
        values["namespace"],
        {**parameters, "use_sim_time": values["use_sim_time"] == "true"},
        values["params_file"] or defaults,
        tuple(renamed),
        values["log_level"],
    )


def _avatar(values: Mapping[str, str]) -> dict[str, Value]:
    settings = _set(values, AVATAR_PARAMETERS)
    if values["perception"] == "true":
        settings.setdefault("user_motion_source", "topic")
    settings["autostart"] = values["autostart"] == "true"
    if values["speaker"] not in ("none", "display") and _speaker(values).package == "audio_play":
        settings["publish_audio_data"] = True
    if values["visualization"] == "true":
        settings |= {"publish_tf": True, "publish_markers": True}
    return settings


def _set(values: Mapping[str, str], parameters: Mapping[str, str]) -> dict[str, Value]:
    """The parameters whose arguments are not empty, as the types that they have."""
    return {p: _typed(a, values[a]) for p, a in parameters.items() if values[a]}


def _typed(argument: str, value: str) -> Value:
    if argument in ("robot_view", "robot_sound", "browser_is_user"):
        return value == "true"
    if argument != "telepresence_port":
        return value
    if not value.isdecimal():
        raise ConfigError(
            f"launch argument {argument}",
            expected="a whole number",
            got=repr(value),
            remedy="give the port's number",
        )
    return int(value)


def _is_installed(package: str, executable: str) -> bool:
    """Whether a ROS that is sourced has it.

    By the executable: ros-drivers, too, has a package audio_common, but nothing is in it.
    """
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    return any(prefix and Path(prefix, "lib", package, executable).exists() for prefix in prefixes)


def _chosen(
    argument: str, value: str, packages: Mapping[str, tuple[str, str, dict[str, Value]]]
) -> str:
    """`value`, or for ``auto`` the first of `packages` that is installed."""
    if value != "auto":
        return value
    there = [package for package, (node, *_) in packages.items() if _is_installed(package, node)]
    if not there:
        raise ConfigError(
            f"launch argument {argument}",
            expected=f"an installed package for 'auto': {' or '.join(packages)}",
            got="neither",
            remedy="install one of them, or give another value",
        )
    return there[0]


def _microphone(values: Mapping[str, str]) -> PlannedNode:
    """A recorder that publishes to the topic of the person's audio, and what it is beside it."""
    package = _chosen("microphone", values["microphone"], MICROPHONES)
    executable, sent, parameters = MICROPHONES[package]
    topic = values["user_audio"]
    renamed = [(sent, topic)]
    if package == "audio_capture":
        renamed += [("audio_info", f"{topic}_info"), ("audio", f"{topic}_data")]
    return PlannedNode(
        package, executable, executable, values["namespace"], dict(parameters),
        remappings=tuple(renamed),
    )  # fmt: skip


def _speaker(values: Mapping[str, str]) -> PlannedNode:
    """A player of the avatar's voice."""
    package = _chosen("speaker", values["speaker"], SPEAKERS)
    executable, topic, parameters = SPEAKERS[package]
    return PlannedNode(
        package, executable, executable, values["namespace"], dict(parameters),
        remappings=(("audio", topic),),
    )  # fmt: skip


def _camera(values: Mapping[str, str]) -> PlannedNode:
    """A camera driver that publishes to the topic of the person's images."""
    topic = values["user_image"]
    return PlannedNode(
        values["camera"],
        CAMERAS[values["camera"]],
        "user_camera",
        values["namespace"],
        {"video_device": values["video_device"]},
        remappings=(
            ("image_raw", topic),
            ("image_raw/compressed", f"{topic}/compressed"),
            ("camera_info", "user/camera_info"),
        ),
    )
