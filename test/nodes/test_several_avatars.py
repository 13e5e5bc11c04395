"""Protects several avatars in one process, over real DDS: each its own, none in another's way."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import installed_audio
import numpy as np
import pytest
import yaml
from avatar_forcing_ros.msg import AvatarState
from avatar_robot import PATIENCE_S, Robot
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.parameter import Parameter

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.nodes.avatar_group import MAX_AVATARS, namespaces
from avatar_forcing_ros.nodes.avatar_node import make_avatars
from avatar_forcing_ros.nodes.executable import StopSignals
from avatar_forcing_ros.nodes.node_main import serve_all
from avatar_forcing_ros.nodes.ros_arguments import warn_of_unknown
from avatar_forcing_ros.resources import shipped

BEN = str(shipped("models/portraits/ben.png"))
SHARED = {
    "image_size_px": 128,
    "user_motion_source": "none",
    "fresh_seed": False,
    "avatars": "broken, left, right",
}


class Hall:
    """The program with its avatars, and a robot beside each."""

    def __init__(self, params_file: Path) -> None:
        self.context = Context()
        arguments = ["--ros-args", "-r", "__ns:=/hall", "--params-file", str(params_file)]
        self.context.init(["avatar_node", *arguments])
        self.nodes = make_avatars(context=self.context)
        self.arguments = arguments
        self.robots = {
            name: Robot(
                context=self.context, namespace=f"/hall/{name}", use_global_arguments=False
            )
            for name in ("left", "right", "broken")
        }
        self._executor = SingleThreadedExecutor(context=self.context)
        for robot in self.robots.values():
            self._executor.add_node(robot)
        self._signals = StopSignals()
        self._threads = [
            threading.Thread(target=self._spin, daemon=True),
            threading.Thread(target=self._serve, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

    def _serve(self) -> None:
        serve_all(self.nodes, self._signals, threads=4)

    def close(self) -> None:
        self._signals.request()
        for thread in self._threads[::-1]:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    file = tmp_path_factory.mktemp("hall") / "hall.yaml"
    own = {"right": {"portrait": BEN, "seed": 7}, "broken": {"portrait": "/no/such.png"}}
    sections = {"/**": {"ros__parameters": SHARED}} | {
        f"/hall/{name}/avatar_node": {"ros__parameters": values} for name, values in own.items()
    }
    file.write_text(yaml.safe_dump(sections, sort_keys=False))
    there = Hall(file)
    yield there
    there.close()


def pixels(msg: Any) -> np.ndarray:
    return np.frombuffer(bytes(msg.data), np.uint8).astype(float)


def test_each_has_a_namespace_parameters_and_a_face_of_its_own(hall: Hall) -> None:
    names = [node.get_fully_qualified_name() for node in hall.nodes]
    assert names == [f"/hall/{name}/avatar_node" for name in ("broken", "left", "right")]
    images = [hall.robots[name].some("avatar/image_raw", 3)[-1] for name in ("left", "right")]
    assert np.abs(pixels(images[0]) - pixels(images[1])).mean() > 5
    seeds = [hall.robots[name].some("avatar/state", 1)[-1].seed for name in ("left", "right")]
    assert seeds == [0, 7]
    for node in hall.nodes:
        warn_of_unknown(node, hall.arguments, names)  # knows them all
        assert node.get_parameter("image_size_px").value == 128


def test_one_that_cannot_be_configured_is_no_hindrance_and_may_try_again(hall: Hall) -> None:
    robot = hall.robots["broken"]
    hall.robots["left"].some("avatar/motion", 3)
    state = robot.ask(GetState, "avatar_node/get_state").current_state.label
    assert (state, robot.got["avatar/motion"]) == ("unconfigured", [])
    broken = hall.nodes[0]
    assert broken.set_parameters([Parameter("portrait", value=BEN)])[0].successful
    for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        request = ChangeState.Request(transition=Transition(id=transition))
        assert robot.ask(ChangeState, "avatar_node/change_state", request).success
    robot.some("avatar/motion", 5)


def test_each_says_what_it_is_given(hall: Hall) -> None:
    left, right = hall.robots["left"], hall.robots["right"]
    right.wait(lambda: right.speech.get_subscription_count() > 0)
    speech = installed_audio.to_msg(np.full(64_000, 0.1, np.float32), right.header())
    right.speech.publish(speech)
    right.wait(lambda: right.got["avatar/state"][-1].state == AvatarState.SPEAKING)
    right.wait(lambda: any(msg.speaking for msg in right.got["avatar/motion"]))
    assert not any(msg.speaking for msg in left.got["avatar/motion"])


def test_one_that_is_deactivated_leaves_the_others(hall: Hall) -> None:
    left, right = hall.robots["left"], hall.robots["right"]
    request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_DEACTIVATE))
    assert left.ask(ChangeState, "avatar_node/change_state", request).success
    count = len(left.got["avatar/motion"])
    right.some("avatar/motion", 30)
    assert len(left.got["avatar/motion"]) <= count + 3  # those that were on their way
    assert left.ask(GetState, "avatar_node/get_state").current_state.label == "inactive"


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ("left,2nd", "got 2nd"),
        ("left,right,left", "left twice"),
        (" , ", "names that differ"),
        (",".join(f"a{k}" for k in range(MAX_AVATARS + 1)), f"at most {MAX_AVATARS} avatars"),
    ],
)
def test_names_of_no_use_are_refused(names: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        namespaces("/", names)


def test_a_namespace_above_stays_above() -> None:
    assert namespaces("/", "left, far/right") == ["/left", "/far/right"]
    assert namespaces("/robot1", "left") == ["/robot1/left"]
