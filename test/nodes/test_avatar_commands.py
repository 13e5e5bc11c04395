"""Expression and gaze over real DDS: they move the motion, let go, and survive nonsense."""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from avatar_forcing_ros.msg import Expression as OwnExpression
from avatar_robot import Robot, Set, stamp, started
from geometry_msgs.msg import Point, PointStamped, Quaternion, Transform, TransformStamped, Vector3
from hri_msgs.msg import Expression as HriExpression
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from avatar_forcing_ros.nodes import avatar_commands
from avatar_forcing_ros.rig.coefficients import INDEX

ANSWER_NS = 200_000_000


@contextmanager
def publisher(robot: Robot, kind: Any, topic: str) -> Iterator[Any]:
    """A publisher that the avatar has found."""
    made = robot.create_publisher(kind, topic, 10)
    robot.wait(lambda: made.get_subscription_count() or (robot.some("avatar/motion", 1) and None))
    yield made
    robot.destroy_publisher(made)


def value(msg: Any, name: str) -> float:
    return float(msg.values[INDEX[name]])


def first_frames(robot: Robot, since_ns: int, count: int) -> list[Any]:
    """The first `count` motions stamped `since_ns` or later."""

    def found() -> list[Any]:
        motions = [m for m in robot.got["avatar/motion"] if stamp(m) >= since_ns]
        return motions[:count] if len(motions) >= count else []

    return robot.wait(found)


def stamp_ns(header: Header) -> int:
    return int(header.stamp.sec * 10**9 + header.stamp.nanosec)


@pytest.mark.parametrize("kind", [HriExpression, OwnExpression])
def test_an_expression_is_shown_within_200_ms_and_let_go_of(
    robot: Robot, avatar: Set, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a participant of DDS has one type for each topic, and this process is one
    monkeypatch.setattr(avatar_commands, "EXPRESSION_MESSAGES", [kind])
    started(avatar)
    robot.some("avatar/motion", 5)
    with publisher(robot, kind, "avatar_node/expression") as expressions:
        header = robot.header()
        expressions.publish(kind(header=header, expression="happy"))
        smiles = [value(m, "smile_left") for m in first_frames(robot, stamp_ns(header), 25)]
        assert smiles[ANSWER_NS // 40_000_000] > 0.3
        assert smiles[-1] > 0.75
        header = robot.header()
        expressions.publish(kind(header=header, valence=-0.7, arousal=-0.4))
        assert value(first_frames(robot, stamp_ns(header), 40)[-1], "frown") > 0.5
        header = robot.header()
        expressions.publish(kind(header=header, expression="neutral"))
        last = first_frames(robot, stamp_ns(header), 60)[-1]
    assert value(last, "frown") < 0.3


def test_a_point_of_another_frame_is_looked_at_for_a_while(robot: Robot, avatar: Set) -> None:
    started(avatar, look_at_hold_s=2.0)
    robot.some("avatar/motion", 5)
    # a camera half a metre to the avatar's right that looks where the avatar does, in two steps
    half_turn = math.sqrt(0.5)
    static = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
    tf = robot.create_publisher(TFMessage, "/tf_static", static)

    def frame(parent: str, child: str, y: float, turned: float) -> TransformStamped:
        rotation = Quaternion(x=0.0, y=0.0, z=turned * half_turn, w=half_turn)
        return TransformStamped(
            header=Header(frame_id=parent), child_frame_id=child,
            transform=Transform(translation=Vector3(x=0.0, y=y, z=0.0), rotation=rotation),
        )  # fmt: skip

    base = frame("avatar_base", "neck", -0.5, 1.0)
    tf.publish(TFMessage(transforms=[base, frame("neck", "camera", 0.0, -1.0)]))
    with publisher(robot, PointStamped, "avatar_node/look_at") as places:
        header = robot.header()
        header.frame_id = "nowhere"
        place = Point(x=1.0, y=1.0, z=0.0)  # half a metre to the avatar's left
        places.publish(PointStamped(header=header, point=place))
        robot.wait(lambda: "~/look_at frame" in robot.errors())
        header = robot.header()
        header.frame_id = "camera"
        places.publish(PointStamped(header=header, point=place))
        begin_ns = stamp_ns(header)
        motions = first_frames(robot, begin_ns, 90)
        assert value(motions[ANSWER_NS // 40_000_000], "gaze_x") > 0.5
        assert value(motions[45], "head_yaw") > 0.1
        after = np.mean([value(m, "gaze_x") for m in motions[-10:]])
        assert after < 0.4
    robot.destroy_publisher(tf)


def readme_publications() -> list[tuple[str, Any]]:
    """Topic and message of each ``ros2 topic pub`` to the avatar that the README recommends."""
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    found = re.findall(
        r"^ros2 topic pub --once /(avatar_node/\S+) (\w+)/msg/(\w+) (?:\\\n\s*)?'(.*)'$",
        readme,
        re.MULTILINE,
    )
    messages = []
    for topic, package, name, fields in found:
        msg = getattr(importlib.import_module(f"{package}.msg"), name)()
        set_fields(msg, yaml.safe_load(fields))
        messages.append((topic, msg))
    return messages


def set_fields(msg: Any, fields: dict[str, Any]) -> None:
    for name, wanted in fields.items():
        if isinstance(wanted, dict):
            set_fields(getattr(msg, name), wanted)
        else:
            setattr(msg, name, wanted)


def test_what_the_readme_publishes_is_understood(robot: Robot, avatar: Set) -> None:
    node = started(avatar)
    robot.some("avatar/motion", 5)
    messages = readme_publications()
    assert {topic for topic, _ in messages} == {"avatar_node/expression", "avatar_node/look_at"}
    expected: dict[str, int] = {}
    for topic, msg in messages:
        with publisher(robot, type(msg), topic) as made:
            made.publish(msg)
            name = topic.replace("avatar_node", "~")
            expected[name] = expected.get(name, 0) + 1
            robot.wait(
                lambda name=name: robot.diagnosed("inputs").get(name) == str(expected[name])
            )
    assert not [reason for reason in robot.errors() if reason.startswith("~/")]
    assert node.status.refused_inputs == 0


def test_nonsense_is_counted_and_told_and_changes_nothing(robot: Robot, avatar: Set) -> None:
    started(avatar, fresh_seed=False)  # some draw a smile of their own
    robot.some("avatar/motion", 5)
    wrong = [HriExpression(expression="hapy"), HriExpression(valence=math.nan),
             HriExpression(arousal=7.0)]  # fmt: skip
    places = [(math.nan, 0.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 0.0, 0.0)]
    with (
        publisher(robot, HriExpression, "avatar_node/expression") as expressions,
        publisher(robot, PointStamped, "avatar_node/look_at") as targets,
    ):
        for msg in wrong:
            msg.header = robot.header()
            expressions.publish(msg)
        for x, y, z in places:
            targets.publish(PointStamped(header=robot.header(), point=Point(x=x, y=y, z=z)))
        robot.wait(lambda: robot.errors().get("~/expression expression") == "3")
        robot.wait(lambda: robot.errors().get("~/look_at place") == "3")
        assert robot.diagnosed("inputs")["~/expression"] == "3"
    motions = robot.some("avatar/motion", 10)
    assert np.isfinite([m.values for m in motions]).all()
    assert max(value(m, "smile_left") for m in motions) < 0.5
