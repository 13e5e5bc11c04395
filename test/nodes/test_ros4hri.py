"""Protects ROS4HRI on the graph: the README's recipes as written, action units in and out."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import audio_common_msgs.msg
import cv2
import installed_audio
import numpy as np
import pytest
import rclpy
from avatar_forcing_ros.msg import AvatarMotion
from graph import spinning
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.nodes import ros4hri
from avatar_forcing_ros.nodes.avatar_node import AvatarNode
from avatar_forcing_ros.nodes.convert_image import pixels_to_image
from avatar_forcing_ros.nodes.convert_motion import msg_to_values
from avatar_forcing_ros.nodes.diagnostics import BadMessage
from avatar_forcing_ros.nodes.ros4hri import (
    action_units_to_values,
    hri_message,
    values_to_action_units,
)
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.rig.coefficients import NAMES, vector
from avatar_forcing_ros.rig.face_names import ARKIT_SHAPES, FACS_WRITTEN
from avatar_forcing_ros.rig.image_files import load_image
from avatar_forcing_ros.rig.landmark_files import load_landmark_file
from avatar_forcing_ros.runtime.session import Session

README = Path(__file__).parents[2] / "README.md"
VOICE, FACE = "/humans/voices/anonymous_speaker/audio", "/humans/faces/abcde"
SMALL = ("-p", "image_size_px:=128", "-p", "autostart:=false")
PATIENCE_S = 60.0
UNITS = hri_message("FacialActionUnits")
needs_hri = pytest.mark.skipif(UNITS is None, reason="hri_msgs is not installed")


def recipe(holding: str) -> list[str]:
    """The arguments of the README's command that has `holding` in it, as a shell gives them."""
    text = README.read_text(encoding="utf-8").replace("\\\n", " ")
    (line,) = (line for line in text.splitlines() if "avatar_node --ros-args" in line
               and holding in line and line.startswith("ros2 run"))  # fmt: skip
    return line.partition("avatar_node ")[2].split()


class Humans(Node):
    """Who publishes what REP-155 has, and sees what the avatar does; a participant of its own."""

    def __init__(self, context: rclpy.Context) -> None:
        super().__init__("humans", context=context)
        self.motions: list[Any] = []
        self.units: list[Any] = []
        self.create_subscription(AvatarMotion, "avatar/motion", self.motions.append, 50)
        if UNITS:
            name = "/humans/faces/avatar/facs"
            self.create_subscription(UNITS, name, self.units.append, 50)

    def header(self) -> Header:
        return Header(stamp=self.get_clock().now().to_msg())

    def until(self, done: Callable[[], Any], turn: Callable[[], Any] = lambda: None) -> None:
        """Do `turn` 25 times a second until `done`."""
        ended = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < ended, "waited in vain"
            turn()
            threading.Event().wait(0.04)


@pytest.fixture
def humans() -> Iterator[Humans]:
    context = rclpy.Context()
    rclpy.init(args=[])
    rclpy.init(args=[], context=context)
    node = Humans(context)
    with spinning(node):
        yield node
    rclpy.shutdown(context=context)


@contextmanager
def running(*arguments: str) -> Iterator[AvatarNode]:
    """An active avatar with these arguments on its command line."""
    begin = [] if "--ros-args" in arguments else ["--ros-args"]
    node = AvatarNode(cli_args=[*begin, *arguments, *SMALL])
    executor = MultiThreadedExecutor(num_threads=3)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    with ExitStack() as stack:
        stack.callback(node.destroy_node)
        stack.callback(executor.shutdown)
        stack.callback(node.close)
        assert node.trigger_configure().name == "SUCCESS"
        assert node.trigger_activate().name == "SUCCESS"
        yield node


def cropped_face() -> np.ndarray:
    """The square that a face just fills, 128 pixels wide, as hri_face_detect cuts it out."""
    portrait = load_image(shipped("models/portraits/ben.png"))
    points, (width, _) = load_landmark_file(shipped("models/portraits/ben.landmarks.json"))
    points = points[:468, :2] * portrait.shape[1] / width
    (left, top), (right, bottom) = points.min(0).astype(int), points.max(0).astype(int)
    side = max(right - left, bottom - top)
    left = (left + right - side) // 2
    return np.asarray(cv2.resize(portrait[top : top + side, left : left + side], (128, 128)))


@needs_hri
@installed_audio.needs_bytes
def test_the_recipe_hears_a_voice_sees_a_face_and_publishes_action_units(
    humans: Humans, sessions: list[Session]
) -> None:
    voice = humans.create_publisher(audio_common_msgs.msg.AudioData, VOICE, 10)
    camera = humans.create_publisher(Image, f"{FACE}/cropped", 10)
    tone = (8000 * np.sin(np.arange(640) * 0.3)).astype(np.int16).tobytes()
    face = cropped_face()

    def perceive() -> None:
        voice.publish(audio_common_msgs.msg.AudioData(data=list(tone)))
        camera.publish(pixels_to_image(face, humans.header()))

    with running(*recipe("user/image:=")) as node:
        humans.until(lambda: node.status.face_visible and node.status.user_speaking, perceive)
        assert np.abs(sessions[0].last_user_audio).max() > 0.1
        humans.until(lambda: len(humans.units) > 5 and len(humans.motions) > 5, perceive)
        moved = {(m.header.stamp.sec, m.header.stamp.nanosec): m for m in humans.motions}
        both = [(u, moved[key]) for u in humans.units
                if (key := (u.header.stamp.sec, u.header.stamp.nanosec)) in moved]  # fmt: skip
    assert both
    for units, motion in both:
        values, _ = msg_to_values(motion)
        assert units.header.frame_id == motion.header.frame_id
        expected = values_to_action_units(values, Header())
        assert np.allclose(units.intensity, expected.intensity, atol=1e-6)
        assert np.array_equal(units.confidence, FACS_WRITTEN)


@needs_hri
def test_the_recipe_takes_action_units_for_the_persons_motion(
    humans: Humans, sessions: list[Session]
) -> None:
    faces = humans.create_publisher(UNITS, f"{FACE}/facs", 10)

    def smile() -> None:
        values = vector(smile_left=0.6, smile_right=0.6, head_yaw=0.3)
        faces.publish(values_to_action_units(values, humans.header()))

    def seen() -> Any:
        motion = sessions[0].last_user_motion if sessions else np.zeros((0, len(NAMES)))
        return len(motion) and motion[-1][NAMES.index("smile_left")] > 0.0

    with running(*recipe("user/motion:=")) as node:
        humans.until(seen, smile)
        (last,) = sessions[0].last_user_motion[-1:]
        assert np.allclose(last, vector(smile_left=0.6, smile_right=0.6, head_yaw=0.3), atol=1e-6)
        # what is wrong with them is counted, and ends nothing
        faces.publish(UNITS(header=humans.header()))
        humans.until(lambda: "user/motion confidence" in node.errors.counts)
        count = len(humans.motions)
        humans.until(lambda: len(humans.motions) > count, smile)


def test_motion_in_arkits_names_is_published_and_taken(
    humans: Humans, sessions: list[Session]
) -> None:
    person = humans.create_publisher(AvatarMotion, "user/motion", 10)

    def look() -> None:
        person.publish(AvatarMotion(header=humans.header(), names=["jawOpen", "mouthSmileRight"],
                                    values=[0.5, 0.25]))  # fmt: skip

    def seen() -> Any:
        return (
            sessions and len(sessions[0].last_user_motion) and sessions[0].last_user_motion.any()
        )

    with running("-p", "motion_names:=arkit", "-p", "user_motion_source:=topic"):
        humans.until(lambda: seen() and humans.motions, look)
        expected = vector(jaw_open=0.5, smile_right=0.25)
        assert np.allclose(sessions[0].last_user_motion[-1], expected, atol=1e-6)
    motion = humans.motions[-1]
    assert tuple(motion.names) == ARKIT_SHAPES
    assert len(motion.values) == 52


def test_where_hri_msgs_is_not_installed_the_node_says_so_and_works_without(
    humans: Humans, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(ros4hri, "importlib", SimpleNamespace(import_module=missing))
    with pytest.raises(ConfigError) as error:
        ros4hri.action_units_message("publish_facs")
    for part in ("parameter 'publish_facs'", "hri_msgs", "source it"):
        assert part in str(error.value)
    node = AvatarNode(cli_args=["--ros-args", "-p", "publish_facs:=true", *SMALL])
    try:
        assert node.trigger_configure().name == "FAILURE"
    finally:
        node.close()
        node.destroy_node()
    with running("-p", "user_motion_source:=topic"):
        humans.until(lambda: humans.motions)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"intensity": np.zeros(20), "confidence": np.ones(20)}, "size"),
        ({"intensity": np.full(99, np.nan), "confidence": np.ones(99)}, "not_finite"),
        ({"intensity": np.ones(99), "confidence": np.zeros(99)}, "confidence"),
    ],
)
def test_action_units_that_tell_nothing_are_refused(
    changes: dict[str, np.ndarray], reason: str
) -> None:
    with pytest.raises(BadMessage) as error:
        action_units_to_values(SimpleNamespace(**changes))
    assert error.value.reason == reason


def test_units_that_were_not_seen_count_as_none() -> None:
    intensity, confidence = np.full(99, 0.5), np.zeros(99)
    confidence[[4, 26]] = 0.3
    values = action_units_to_values(SimpleNamespace(intensity=intensity, confidence=confidence))
    assert np.allclose(values, vector(brow_furrow=0.5, jaw_open=0.5))


def test_recipes_are_short() -> None:
    text = README.read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    blocks = [block for block in blocks if "/humans/" in block]
    assert len(blocks) == 2
    assert all(block.count("\n") <= 10 for block in blocks)
