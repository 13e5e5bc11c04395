"""What ``launch avatar`` starts, without ROS.

The launch file and ``avatar-forcing launch`` are both made from this, so they start the same.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.launch_arguments import (
    AVATAR,
    CAMERAS,
    MICROPHONES,
    SPEAKERS,
    Value,
    argument_values,
    parameters_of,
)
from avatar_forcing_ros.resources import shipped, user_path

PACKAGE = __name__.partition(".")[0]


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


OWN_NODES = {
    "perception": "perception_node",
    "display": "display_node",
    "telepresence": "telepresence_node",
    "speech": "speech_node",
}
# topic of the nodes: the argument that names it, and the end of the topic that goes with it
TOPICS = {"user/image": "user_image", "user/audio": "user_audio", "avatar/audio": "avatar_audio"}
END = {"user/image": "/compressed", "user/audio": "_info", "avatar/audio": "_info"}
# where no distribution has it
SOURCES = {"audio_common": "build it (github.com/mgonzs13/audio_common)"}


def planned_nodes(given: Mapping[str, str]) -> list[PlannedNode]:
    """The nodes that the arguments ask for, the avatar first; raises ConfigError."""
    values = argument_values(given)
    values["params_file"] = _params_file(values["params_file"])
    if values["avatars"]:
        _require_nothing_beside(values)
    nodes = [_own(AVATAR, values, str(shipped("config/avatar.yaml")))]
    for argument, node in OWN_NODES.items():
        if values[argument] == "true":
            nodes.append(_own(node, values))
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


def wildcard_file(node: PlannedNode) -> str:
    """A file with the parameters of `node` for all nodes of its process.

    ROS's launch gives them to a node of that name alone, which several avatars do not have.
    """
    with tempfile.NamedTemporaryFile(
        "w", prefix="avatar_", suffix=".yaml", delete=False, encoding="utf-8"
    ) as file:
        yaml.safe_dump({"/**": {"ros__parameters": node.parameters}}, file, allow_unicode=True)
    return file.name


def _require_nothing_beside(values: Mapping[str, str]) -> None:
    """What belongs to one avatar would be in the namespace above several, and find none."""
    others = [name for name in OWN_NODES if values[name] == "true"]
    others += [name for name in ("camera", "microphone") if values[name] != "none"]
    others += ["speaker"] if values["speaker"] not in ("none", "display") else []
    if others:
        raise ConfigError(
            "launch argument avatars",
            expected="nothing else to be started with several avatars",
            got=", ".join(f"{name}:={values[name]}" for name in others),
            remedy="start what shows and feeds each by itself, in the namespace of that avatar",
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


def _own(executable: str, values: Mapping[str, str], defaults: str = "") -> PlannedNode:
    """A node of this package; `defaults` is its own file of parameters."""
    renamed: list[tuple[str, str]] = []
    for topic, argument in TOPICS.items():
        name = values[argument]
        if name != topic:
            renamed += [(topic, name), (f"{topic}{END[topic]}", f"{name}{END[topic]}")]
    parameters = parameters_of(executable, values)
    for name, value in _implied(executable, values).items():
        parameters.setdefault(name, value)
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


def _implied(executable: str, values: Mapping[str, str]) -> dict[str, Value]:
    """Parameters that follow from what else is started; arguments that set them win."""
    speaker = values["speaker"]
    if executable == "display_node":
        return {"speaker": speaker == "display"}
    if executable != AVATAR:
        return {}
    implied: dict[str, Value] = {}
    if values["perception"] == "true":
        implied["user_motion_source"] = "topic"
    if speaker not in ("none", "display") and _speaker(values).package == "audio_play":
        implied["publish_audio_data"] = True
    if values["visualization"] == "true":
        implied |= {"publish_tf": True, "publish_markers": True}
    return implied


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
    """A player of the avatar's audio."""
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
