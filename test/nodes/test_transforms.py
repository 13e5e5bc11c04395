"""Points of one frame in another, with tf2 where it is installed and without."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
from geometry_msgs.msg import PointStamped, Quaternion, Transform, TransformStamped, Vector3
from graph import TwoNodes
from rclpy.callback_groups import ReentrantCallbackGroup
from tf2_msgs.msg import TFMessage

from avatar_forcing_ros.nodes import transforms
from avatar_forcing_ros.nodes.diagnostics import BadMessage
from avatar_forcing_ros.nodes.transforms import NewestTransforms, Transforms, matrix


def transform(x: float, y: float, z: float, yaw_rad: float) -> Transform:
    rotation = Quaternion(z=math.sin(yaw_rad / 2), w=math.cos(yaw_rad / 2))
    return Transform(translation=Vector3(x=x, y=y, z=z), rotation=rotation)


def point(frame: str, x: float, y: float, z: float) -> PointStamped:
    msg = PointStamped()
    msg.header.frame_id = frame
    msg.point.x, msg.point.y, msg.point.z = x, y, z
    return msg


@pytest.fixture
def nodes() -> Any:
    made = TwoNodes()
    yield made
    made.close()


def test_a_quarter_turn_and_a_shift() -> None:
    turned = matrix(transform(1.0, 0.0, 0.0, math.pi / 2)) @ [1.0, 0.0, 2.0, 1.0]
    assert turned == pytest.approx([1.0, 1.0, 2.0, 1.0])


class Tf2:
    """As much of tf2_ros as is used, with its names and its orders."""

    class TransformException(Exception):  # noqa: N818 - its name
        pass

    class Buffer:
        def __init__(self, cache_time: Any = None, node: Any = None) -> None:
            assert node is not None

        def lookup_transform(self, target_frame: str, source_frame: str, time: Any) -> Any:
            assert time.nanoseconds == 0  # the newest
            if source_frame != "camera":
                raise Tf2.TransformException(f'"{source_frame}" does not exist')
            return SimpleNamespace(transform=transform(0.0, -0.5, 0.0, 0.0))

    class TransformListener:
        closed = 0

        def __init__(self, buffer: Any, node: Any) -> None: ...

        def unregister(self) -> None:
            Tf2.TransformListener.closed += 1


def test_with_tf2(nodes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transforms, "tf2_ros", Tf2)
    found = Transforms(nodes.node, ReentrantCallbackGroup())
    assert found.point_in("head", point("camera", 1.0, 1.0, 0.0)) == (1.0, 0.5, 0.0)
    assert found.point_in("head", point("head", 1.0, 2.0, 3.0)) == (1.0, 2.0, 3.0)
    assert found.point_in("head", point("", 1.0, 2.0, 3.0)) == (1.0, 2.0, 3.0)
    with pytest.raises(BadMessage, match=r"'attic'.*does not exist"):
        found.point_in("head", point("attic", 0.0, 0.0, 0.0))
    found.close()
    assert Tf2.TransformListener.closed == 1


def connected(listener: NewestTransforms, target: str, source: str) -> bool:
    try:
        listener.lookup(target, source)
    except LookupError:
        return False
    return True


def test_frames_that_go_in_circles_or_are_apart_are_not_connected(nodes: Any) -> None:
    listener = NewestTransforms(nodes.node, ReentrantCallbackGroup())

    def edge(parent: str, child: str) -> TransformStamped:
        msg = TransformStamped(child_frame_id=child, transform=transform(1.0, 0.0, 0.0, 0.0))
        msg.header.frame_id = parent
        return msg

    publisher = nodes.other.create_publisher(TFMessage, "/tf", 10)
    edges = [edge("a", "b"), edge("b", "a"), edge("base", "left"), edge("base", "right")]
    all_of_them = TFMessage(transforms=edges)
    nodes.until(
        lambda: connected(listener, "left", "right"), lambda: publisher.publish(all_of_them)
    )
    assert listener.lookup("left", "right") == pytest.approx(matrix(transform(0, 0, 0, 0)))
    assert listener.lookup("base", "left")[0, 3] == 1.0
    for source in ("a", "unknown"):
        with pytest.raises(LookupError, match="no transform"):
            listener.lookup("base", source)
    listener.close()
