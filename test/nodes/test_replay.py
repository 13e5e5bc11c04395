"""Protects replay: a recorded conversation through `avatar_node` in real processes over real DDS.

The same bag gives the same motion, bit for bit, twice and as `avatar-forcing render` makes it from
the same inputs; and with messages late, out of order and lost, the same losses give the same.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import pytest
import rclpy
import soundfile
from avatar_forcing_ros.msg import AvatarMotion, AvatarState
from geometry_msgs.msg import Point, PointStamped
from graph import spinning
from hri_msgs.msg import Expression
from installed_audio import MESSAGE, needs_audio_stamped
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message, serialize_message
from rclpy.time import Time
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from avatar_forcing_ros.cli import main
from avatar_forcing_ros.config import PRESETS
from avatar_forcing_ros.nodes.convert_audio import samples
from avatar_forcing_ros.nodes.convert_image import compressed_to_rgb
from avatar_forcing_ros.rig.coefficients import NAMES

pytestmark = [
    pytest.mark.either_audio,
    needs_audio_stamped,
]  # the bag was recorded with that package
BAG = Path(__file__).parent.parent / "bags" / "conversation"
FRAMES = 150
BLOCK_FRAMES = PRESETS["compact"].model.block_frames
COMPARED = 145  # the last block may end after the bag's clock
PATIENCE_S = 120.0  # for processes to start, where there are many
TYPES = {"/user/image/compressed": CompressedImage, "/user/audio": MESSAGE,
         "/avatar/audio": MESSAGE}  # fmt: skip
LOST_BEFORE = 90  # messages of a topic, so that every wait for them ends within the bag
# A message that waits in a queue for longer than the deadline is as good as lost, and a busy
# machine may let it wait: so the deadline is far longer than any delay in the bag, whose time runs
# slowly where it matters.
DEADLINE_MS, LATEST_NS = 2000.0, 150_000_000
SLOW = 0.5


HRI_EXPRESSION = Path(__file__).parents[2] / "interfaces" / "hri_msgs" / "Expression.msg"
COMMANDS = {"expression": "hri_msgs/msg/Expression", "look_at": "geometry_msgs/msg/PointStamped"}
START_NS = 1_700_000_000 * 10**9


class Replay(NamedTuple):
    """What came out of one replay."""

    stamps: list[int]
    latents: np.ndarray  # [T, D]
    values: np.ndarray  # [T, K]
    state: Any  # the last AvatarState


class Listener(Node):
    """Collects motion and state."""

    def __init__(self) -> None:
        super().__init__("listener")
        self.motions: list[Any] = []
        self.states: list[Any] = []
        self._came = threading.Condition()
        latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(AvatarMotion, "avatar/motion", self._motion, 1000)
        self.create_subscription(AvatarState, "avatar/state", self._state, latched)

    def _motion(self, msg: Any) -> None:
        with self._came:
            self.motions.append(msg)
            self._came.notify_all()

    def _state(self, msg: Any) -> None:
        with self._came:
            self.states.append(msg)
            self._came.notify_all()

    def wait(self, done: Any) -> None:
        with self._came:
            assert self._came.wait_for(done, PATIENCE_S), f"{len(self.motions)} frames came"


@pytest.fixture
def listener() -> Iterator[Listener]:
    rclpy.init()
    node = Listener()
    with spinning(node):
        yield node


def command(*arguments: str) -> subprocess.Popen[str]:
    given = [sys.executable, "-m", "avatar_forcing_ros.cli", *arguments]
    return subprocess.Popen(given, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def replay(listener: Listener, bag: Path, frames: int, rate: float = 1.0) -> Replay:
    """Play `bag` through a fresh node, `rate` times as fast as it was, and wait for `frames`."""
    listener.motions.clear()
    listener.states.clear()
    node = command(
        "node", "avatar_node", "--", "--ros-args", "-p", "use_sim_time:=true",
        "-p", "image_transport:=compressed", "-p", "image_size_px:=128",
        "-p", f"deadline_ms:={DEADLINE_MS}", "-p", "publish_image:=false",
        "-p", "publish_compressed:=false",
    )  # fmt: skip
    try:
        listener.wait(lambda: any(state.drawn_size_px for state in listener.states))
        player = command(
            "bag", "play", str(bag), "--clock", "100", "--rate", str(rate),
            "--wait-for-subscribers", "20",
        )  # fmt: skip
        try:
            assert player.wait(PATIENCE_S) == 0, player.communicate()[0]
        finally:
            player.kill()
        listener.wait(lambda: len(listener.motions) >= frames)
        listener.wait(lambda: listener.states[-1].blocks * BLOCK_FRAMES > LOST_BEFORE)
        state = listener.states[-1]
    finally:
        node.terminate()
        output = node.communicate(timeout=PATIENCE_S)[0]
    assert "Traceback" not in output
    motions = listener.motions[:frames]
    return Replay(
        [m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in motions],
        np.array([m.latent for m in motions], np.float32),
        np.array([m.values for m in motions], np.float32),
        state,
    )


def rows(bag: Path) -> list[tuple[int, str, bytes]]:
    with Reader(bag) as reader:
        return [(received, c.topic, data) for c, received, data in reader.messages()]


def offline(folder: Path, *more: str) -> dict[str, np.ndarray]:
    """What `avatar-forcing render` makes of the bag's contents, as files, with `more` flags."""
    audio: dict[str, list[np.ndarray]] = {"/user/audio": [], "/avatar/audio": []}
    with av.open(str(folder / "person.mov"), "w") as video:
        stream = video.add_stream("png", rate=25)  # without loss
        for _, topic, data in sorted(rows(BAG), key=lambda row: row[0]):
            msg = deserialize_message(data, TYPES[topic])
            if topic in audio:
                audio[topic].append(samples(msg)[:, 0])
                continue
            pixels = compressed_to_rgb(msg)
            if not stream.codec_context.is_open:
                stream.height, stream.width, stream.pix_fmt = *pixels.shape[:2], "rgb24"
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            video.mux(stream.encode(frame))
        video.mux(stream.encode())
    for topic, name in (("/user/audio", "user.wav"), ("/avatar/audio", "avatar.wav")):
        soundfile.write(folder / name, np.concatenate(audio[topic]), 16_000, subtype="FLOAT")
    arguments = ["render", "--avatar-audio", "avatar.wav", "--user-audio", "user.wav",
                 "--user-video", "person.mov", "-o", "out.mp4", "--motion", "out.npz",
                 *more]  # fmt: skip
    here = os.getcwd()
    os.chdir(folder)
    try:
        assert main(arguments) == 0
    finally:
        os.chdir(here)
    with np.load(folder / "out.npz") as stored:
        return {name: stored[name] for name in stored.files}


def test_a_replay_is_repeatable_and_equals_rendering(listener: Listener, tmp_path: Path) -> None:
    first, again = (replay(listener, BAG, COMPARED) for _ in range(2))
    for run in (first, again):
        assert (run.state.filled_audio_samples, run.state.filled_user_frames) == (0, 0)
    assert first.stamps == again.stamps
    assert first.stamps[0] == START_NS
    assert set(np.diff(first.stamps)) == {40_000_000}
    assert first.latents.tobytes() == again.latents.tobytes()
    assert first.values.tobytes() == again.values.tobytes()
    made = offline(tmp_path)
    assert first.latents.tobytes() == made["latent"][:COMPARED].astype(np.float32).tobytes()
    assert first.values.tobytes() == made["values"][:COMPARED].astype(np.float32).tobytes()
    assert np.abs(np.diff(first.values, axis=0)).max() > 0.01


def written(bag: Path, messages: list[tuple[int, str, bytes]]) -> Path:
    """A bag of these messages: when they were received, on which topic, and what they are."""
    shutil.rmtree(bag, ignore_errors=True)
    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(get_types_from_msg(HRI_EXPRESSION.read_text(), COMMANDS["expression"]))
    with (
        Reader(BAG) as reader,
        Writer(bag, version=8, storage_plugin=StoragePlugin.MCAP) as writer,
    ):
        made = {
            c.topic: writer.add_connection(
                c.topic, c.msgtype, msgdef=c.msgdef.data, rihs01=c.digest
            )
            for c in reader.connections
        }
        for name, kind in COMMANDS.items():
            topic = f"/avatar_node/{name}"
            made[topic] = writer.add_connection(topic, kind, typestore=store)
        for received, topic, data in sorted(messages):
            writer.write(made[topic], received, data)
    return bag


def damaged(folder: Path) -> tuple[Path, dict[str, int]]:
    """The bag with every message late by up to 150 ms and 5 % lost; how many of each topic."""
    rng = np.random.default_rng(5)
    lost = dict.fromkeys(TYPES, 0)
    counts = dict.fromkeys(TYPES, 0)
    late = []
    for received, topic, data in rows(BAG):
        counts[topic] += 1
        if 5 < counts[topic] < LOST_BEFORE and rng.random() < 0.05 * FRAMES / LOST_BEFORE:
            lost[topic] += 1
        else:
            late.append((received + int(rng.integers(0, LATEST_NS)), topic, data))
    bag = written(folder / "damaged", late)
    order = [row[1:] for row in sorted(late)]
    assert order != [row[1:] for row in late]  # some have overtaken others
    return bag, lost


def test_late_and_lost_messages_cost_what_was_lost(listener: Listener, tmp_path: Path) -> None:
    bag, lost = damaged(tmp_path)
    assert min(lost.values()) >= 3
    first, again = (replay(listener, bag, COMPARED, SLOW) for _ in range(2))
    for run in (first, again):
        assert run.state.filled_user_frames == lost["/user/image/compressed"]
        audio_messages = lost["/user/audio"] + lost["/avatar/audio"]
        assert run.state.filled_audio_samples == 640 * audio_messages
    assert first.latents.tobytes() == again.latents.tobytes()


def commanded(folder: Path) -> Path:
    """The bag with an expression from 1 to 3 s, and a place that is looked at from 4 s on."""

    def header(at_s: float) -> Header:
        return Header(stamp=Time(nanoseconds=START_NS + round(1e9 * at_s)).to_msg())

    place = PointStamped(header=header(4.0), point=Point(x=1.0, y=0.5, z=0.2))
    commands = [("expression", 1.0, Expression(header=header(1.0), expression="happy")),
                ("expression", 3.0, Expression(header=header(3.0), expression="neutral")),
                ("look_at", 4.0, place)]  # fmt: skip
    return written(
        folder / "commanded",
        rows(BAG)
        + [
            (START_NS + round(1e9 * at_s), f"/avatar_node/{name}", serialize_message(msg))
            for name, at_s, msg in commands
        ],
    )


def test_commands_of_a_bag_are_repeatable_and_equal_those_of_render(
    listener: Listener, tmp_path: Path
) -> None:
    bag = commanded(tmp_path)
    first, again = (replay(listener, bag, COMPARED) for _ in range(2))
    assert first.stamps == again.stamps
    assert first.values.tobytes() == again.values.tobytes()
    made = offline(tmp_path, "--expression", "happy@1-3")
    look_at = 4 * 25
    assert first.values[:look_at].tobytes() == made["values"][:look_at].tobytes()
    assert first.latents.tobytes() == made["latent"][:COMPARED].tobytes()
    gaze = NAMES.index("gaze_x")
    assert first.values[look_at + 5 : look_at + 15, gaze].mean() > 0.5
