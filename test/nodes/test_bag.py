"""Protects ``avatar-forcing bag``: recorded and played data stay the same, whatever ends it."""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from graph import publishing
from programs import command, completed, wait_until
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String

from avatar_forcing_ros.cli import main
from avatar_forcing_ros.errors import MediaError, MissingDependencyError
from avatar_forcing_ros.nodes.bag_player import describe_bag, open_bag, publisher_qos
from avatar_forcing_ros.nodes.bag_recorder import BagWriter, RecordedTopic, recorded_qos
from avatar_forcing_ros.nodes.graph_tools import (
    message_class,
    message_definition,
    message_hash,
    subscription_qos,
)

BEGIN_NS = 1_700_000_000 * 10**9
COUNT, PERIOD_NS = 40, 5_000_000
LIMIT_BYTES = 6_000_000
LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
LOSSY = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
Rows = dict[str, list[bytes]]


def on_the_wire(message: Any) -> bytes:
    """A message as it is received: in whole words of four bytes."""
    data = serialize_message(message)
    return data + bytes(-len(data) % 4)


def write_bag(path: Path, rows: list[tuple[str, int, Any]], digest: str = "") -> Rows:
    """A bag of (topic, received, message), each as real rclpy serialises it."""
    connections: dict[str, Any] = {}
    written: Rows = {}
    with Writer(path, version=8, storage_plugin=StoragePlugin.MCAP) as bag:
        for topic, received_ns, message in rows:
            kind = f"{type(message).__module__.split('.')[0]}/msg/{type(message).__name__}"
            if topic not in connections:
                connections[topic] = bag.add_connection(
                    topic,
                    kind,
                    msgdef=message_definition(kind),
                    rihs01=digest or message_hash(kind),
                    offered_qos_profiles=[recorded_qos(LATCHED)] if "latched" in topic else [],
                )
            data = serialize_message(message)
            bag.write(connections[topic], received_ns, data)
            written.setdefault(topic, []).append(on_the_wire(message))
    return written


@pytest.fixture
def conversation(tmp_path: Path) -> tuple[Path, Rows]:
    """Words, joints without velocity and effort, and something that latecomers get too."""
    rows: list[tuple[str, int, Any]] = [("/latched", BEGIN_NS, String(data="kept"))]
    for k in range(COUNT):
        joints = JointState(name=["jaw"], position=[0.1 * k])
        joints.header.stamp.nanosec = k
        received_ns = BEGIN_NS + k * PERIOD_NS
        rows += [
            ("/words", received_ns, String(data=f"word {k}")),
            ("/joints", received_ns, joints),
        ]
    path = tmp_path / "conversation"
    return path, write_bag(path, rows)


def read(path: Path) -> Rows:
    found: Rows = {}
    with open_bag(path) as bag:
        for connection, _, data in bag.messages(bag.connections):
            found.setdefault(connection.topic, []).append(bytes(data))
    return found


def test_what_is_played_and_recorded_is_the_same(
    conversation: tuple[Path, Rows], tmp_path: Path
) -> None:
    path, written = conversation
    copy = tmp_path / "copy"
    with command("bag", "record", "-o", copy, "--all") as recorder:
        recorder.writes("Recording to")
        code, text = completed("bag", "play", path, "--clock", 100, "--wait-for-subscribers", 20)
        assert (code, text) == (0, f"Played {2 * COUNT + 1} messages")
        recorder.signal(signal.SIGINT)
        assert recorder.ends() == 0
        assert f"{COUNT} /words, 0 lost" in recorder.text
    found = read(copy)
    clocks = [deserialize_message(data, Clock).clock for data in found.pop("/clock")]
    times_ns = [clock.sec * 10**9 + clock.nanosec for clock in clocks]
    assert times_ns == sorted(times_ns)
    assert times_ns[0] == BEGIN_NS
    assert times_ns[-1] > BEGIN_NS
    found.pop("/rosout", None)  # of whatever ran here before
    found.pop("/parameter_events", None)  # of the player, where the middleware is quick
    assert found == {
        "/words": written["/words"],
        "/joints": written["/joints"],
        "/latched": written["/latched"],
    }
    assert deserialize_message(found["/joints"][3], JointState).position[0] == pytest.approx(0.3)
    with open_bag(copy) as bag:
        qos = {c.topic: publisher_qos(c.ext.offered_qos_profiles) for c in bag.connections}
        assert qos["/latched"].durability == QoSDurabilityPolicy.TRANSIENT_LOCAL
        assert qos["/joints"].durability == QoSDurabilityPolicy.VOLATILE
        assert {c.digest for c in bag.connections if c.topic == "/joints"} == {
            message_hash("sensor_msgs/msg/JointState")
        }


def test_a_part_is_played_when_asked(conversation: tuple[Path, Rows], tmp_path: Path) -> None:
    path, written = conversation
    copy = tmp_path / "copy"
    with command("bag", "record", "-o", copy, "/joints", "words", "/never") as recorder:
        recorder.writes("Recording to")
        code, text = completed(
            *("bag", "play", path, "--topics", "/words", "/absent"),
            *("--wait-for-subscribers", 20, "--rate", 4),
        )
        assert (code, text) == (0, f"Played {COUNT} messages")
        recorder.signal(signal.SIGINT)
        assert recorder.ends() == 0
    assert read(copy) == {"/words": written["/words"]}


def test_a_player_ends_when_interrupted(conversation: tuple[Path, Rows]) -> None:
    path, _ = conversation
    with command("bag", "play", path, "--rate", 0.01, "--wait-for-subscribers", 0) as player:
        with command("topic", "echo", "/words") as listener:
            listener.writes("word")
        player.signal(signal.SIGINT)
        assert player.ends() == 0
        assert "Played" in player.text


def recorded_messages(path: Path) -> int:
    """How many messages can be read; 0 where the file is not there yet."""
    try:
        with open_bag(path) as bag:
            return int(bag.message_count)
    except MediaError:
        return 0


def test_a_killed_recording_can_be_read_and_played(tmp_path: Path) -> None:
    joints = JointState(name=["jaw"], position=[1.0])
    path = tmp_path / "killed"
    with publishing({"/joints": (joints, 10)}), command("bag", "record", "-o", path, "-a") as bag:
        wait_until(lambda: recorded_messages(path))
        bag.signal(signal.SIGKILL)
        bag.ends()
    assert not (path / "metadata.yaml").exists()
    assert all(deserialize_message(d, JointState) == joints for d in read(path)["/joints"])
    count = recorded_messages(path)
    assert f"{count} /joints [sensor_msgs/msg/JointState]" in describe_bag(path)
    code, text = completed("bag", "play", path, "--rate", 1000, "--wait-for-subscribers", 0)
    assert (code, text.splitlines()[-1]) == (0, f"Played {count} messages")


def test_a_full_disk_is_one_sentence_and_the_rest_can_be_read(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).bytes(30_000)
    image = Image(height=100, width=100, encoding="rgb8", step=300, data=noise)
    path = tmp_path / "full"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, LIMIT_BYTES))

    with (
        publishing({"/image": (image, LOSSY)}),
        command("bag", "record", "-o", path, "/image", preexec_fn=limit) as recorder,
    ):
        assert recorder.ends() == 1
        error = recorder.text.splitlines()[-1]
        assert "expected a disk that takes the recording" in error
        assert "can be read" in error
    rows = read(path)["/image"]
    assert all(deserialize_message(data, Image) == image for data in rows)
    assert 0 < len(rows) * len(noise) < LIMIT_BYTES


def test_an_empty_recording_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    with command("bag", "record", "-o", path, "/nothing") as recorder:
        recorder.writes("Recording to")
        recorder.signal(signal.SIGINT)
        assert recorder.ends() == 0
    assert [file.name for file in sorted(path.iterdir())] == ["empty_0.db3", "metadata.yaml"]
    assert read(path) == {}
    assert describe_bag(path).endswith("0 messages")
    assert completed("bag", "play", path, "--clock") == (0, "Played 0 messages")


def test_info_names_topics_types_and_numbers(conversation: tuple[Path, Rows]) -> None:
    text = describe_bag(conversation[0])
    assert f"{COUNT} /joints [sensor_msgs/msg/JointState]" in text
    assert ", 0.195 s" in text
    assert f"{2 * COUNT + 1} messages" in text.splitlines()


def test_another_definition_of_the_same_name_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other"
    write_bag(path, [("/words", BEGIN_NS, String(data="x"))], digest=f"RIHS01_{'ab' * 32}")
    assert main(["bag", "play", str(path), "--wait-for-subscribers", "0"]) == 0
    text = capsys.readouterr().out
    assert "Left out /words" in text
    assert "another definition of String" in text
    assert text.endswith("Played 0 messages\n")


@pytest.mark.parametrize(
    "name",
    [
        "sensor_msgs/msg/JointState",
        "visualization_msgs/msg/MarkerArray",
        "diagnostic_msgs/msg/DiagnosticArray",
        "avatar_forcing_ros/msg/AvatarMotion",
        "std_msgs/msg/Empty",
    ],
)
def test_a_bags_definition_is_whole(name: str) -> None:
    """Another implementation reads the text, and gets the hash that ROS has."""
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(message_definition(name), name))
    assert store.hash_rihs01(name) == message_hash(name)


def test_an_unknown_message_is_one_sentence() -> None:
    with pytest.raises(MissingDependencyError, match="the ROS package 'nowhere_msgs'"):
        message_class("nowhere_msgs/msg/Strange")
    with pytest.raises(MissingDependencyError, match="the ROS package 'std_msgs' that has it"):
        message_class("std_msgs/msg/Strange")


def test_what_never_came_is_counted(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "gaps", version=8) as writer:
        offer = SimpleNamespace(qos_profile=LATCHED)
        topic = RecordedTopic(writer, "/words", "std_msgs/msg/String", [offer])
        for number in (7, 8, 11, 1, 2):  # two are missing, then the publisher begins anew
            topic.write(b"", {"publication_sequence_number": number})
        topic.publishers = 2  # their numbers are not one sequence
        topic.write(b"", {"publication_sequence_number": 90})
        assert (topic.written, topic.lost) == (6, 2)


def test_a_subscription_matches_every_offer() -> None:
    strict = subscription_qos([LATCHED, LATCHED])
    assert strict.reliability == QoSReliabilityPolicy.RELIABLE
    assert strict.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL
    loose = subscription_qos([LATCHED, LOSSY])
    assert loose.reliability == QoSReliabilityPolicy.BEST_EFFORT
    assert loose.durability == QoSDurabilityPolicy.VOLATILE


def test_recorded_quality_is_offered_again() -> None:
    assert publisher_qos([]).reliability == QoSReliabilityPolicy.RELIABLE
    assert publisher_qos([recorded_qos(LOSSY)]).reliability == QoSReliabilityPolicy.BEST_EFFORT
    both = publisher_qos([recorded_qos(LOSSY), recorded_qos(LATCHED)])
    assert both.reliability == QoSReliabilityPolicy.RELIABLE
    assert both.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (lambda p: ("record",), "expected names of topics, or --all, got neither"),
        (lambda p: ("record", "-a", "/x"), "got both"),
        (lambda p: ("record", "-o", p, "/x"), "expected a name that is free"),
        (lambda p: ("info", p), "expected a folder with metadata.yaml"),
        (lambda p: ("play", p), "expected a folder with metadata.yaml"),
        (lambda p: ("info", p / "absent"), "does not exist"),
        (lambda p: ("play", p / "conversation", "--topics", "/x"), "got /x"),
    ],
)
def test_mistakes_are_one_line(
    words: Callable[[Path], tuple[object, ...]],
    text: str,
    conversation: tuple[Path, Rows],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["bag", *map(str, words(tmp_path))]) == 1
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1
