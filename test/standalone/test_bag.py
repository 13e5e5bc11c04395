"""Bags: recorded from a real graph, played back onto it, and nothing lost in between."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from programs import DOMAIN, PATIENCE_S, Program, completed, wait_until, write_bag

pytest.importorskip("cyclonedds")
pytest.importorskip("rosbags.rosbag2")

from rosbags.rosbag2 import Reader

from avatar_forcing_ros.cli import main, sourced
from avatar_forcing_ros.errors import ConfigError, MediaError
from avatar_forcing_ros.standalone import bag_play
from avatar_forcing_ros.standalone.bag_files import bag_text, open_bag
from avatar_forcing_ros.standalone.bag_play import SimulatedTime, _read_ahead, parse_remaps
from avatar_forcing_ros.standalone.bag_qos import hearing_all, offering_again, to_bag, to_profile
from avatar_forcing_ros.standalone.bag_types import definition, hash_user_data, recorded_hash
from avatar_forcing_ros.standalone.context import Context
from avatar_forcing_ros.standalone.messages import deserialize_message, message_class
from avatar_forcing_ros.standalone.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
    to_dds,
)
from avatar_forcing_ros.standalone.store import other_audio, standard
from avatar_forcing_ros.standalone.time import Duration

BEGIN_NS = 1_700_000_000_000_000_000
PERIOD_NS = 5_000_000
COUNT = 40


def text(data: str) -> Any:
    return message_class("std_msgs/msg/String")(data=data)


def sound(first: int) -> Any:
    message = message_class("audio_common_msgs/msg/AudioStamped")()
    message.audio.info.rate = 16_000
    message.audio.audio_data.int16_data = [first, first + 1, -1]
    return message


@pytest.fixture
def conversation(tmp_path: Path) -> tuple[Path, dict[str, list[bytes]]]:
    """A bag of 0.2 s with three topics, one of them said once and kept."""
    messages: list[tuple[str, int, Any]] = [("/latched", BEGIN_NS, text("kept"))]
    for k in range(COUNT):
        stamp_ns = BEGIN_NS + k * PERIOD_NS
        messages += [("/words", stamp_ns, text(f"word {k}")), ("/sound", stamp_ns, sound(k))]
    return tmp_path / "conversation", write_bag(tmp_path / "conversation", messages)


def on_the_wire(data: list[bytes]) -> list[bytes]:
    """Samples travel in whole words of four bytes."""
    return [sample + bytes(-len(sample) % 4) for sample in data]


def read(path: Path) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    with Reader(path) as bag:
        for connection, _, data in bag.messages(bag.connections):
            found.setdefault(connection.topic, []).append(bytes(data))
    return found


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_what_is_played_and_recorded_is_the_same(
    storage: str, conversation: tuple[Path, dict[str, list[bytes]]], tmp_path: Path
) -> None:
    path, written = conversation
    copy = tmp_path / "copy"
    with Program("bag", "record", "-s", storage, "-o", copy, "--all") as recorder:
        recorder.says("Recording to")
        code, said = completed(
            *("bag", "play", path, "--clock", 100, "--wait-for-subscribers", 20),
            *("--remap", "/words:=/gossip"),
        )
        assert (code, said) == (0, f"Played {2 * COUNT + 1} messages")
        recorder.interrupt()
        assert recorder.ends() == 0
    found = read(copy)
    cls = message_class("rosgraph_msgs/msg/Clock")
    clock = [deserialize_message(data, cls) for data in found.pop("/clock")]
    assert found == {
        "/gossip": on_the_wire(written["/words"]),
        "/sound": on_the_wire(written["/sound"]),
        "/latched": on_the_wire(written["/latched"]),
    }
    times_ns = [c.clock.sec * 10**9 + c.clock.nanosec for c in clock]
    assert times_ns == sorted(times_ns)
    assert times_ns[0] == BEGIN_NS
    assert times_ns[-1] > BEGIN_NS
    with open_bag(copy) as bag:
        qos = {c.topic: to_profile(c.ext.offered_qos_profiles[0]) for c in bag.connections}
        assert qos["/latched"].durability == DurabilityPolicy.TRANSIENT_LOCAL
        assert qos["/sound"].durability == DurabilityPolicy.VOLATILE
        hashes = {c.topic: c.digest for c in bag.connections}
        assert hashes["/sound"] == standard().hash_rihs01("audio_common_msgs/msg/AudioStamped")


def test_a_part_is_played_when_asked(
    conversation: tuple[Path, dict[str, list[bytes]]], tmp_path: Path
) -> None:
    path, written = conversation
    copy = tmp_path / "copy"
    with Program("bag", "record", "-o", copy, "/sound", "words", "/never") as recorder:
        recorder.says("Recording to")
        code, said = completed(
            *("bag", "play", path, "--topics", "/words", "/absent"),
            *("--start-offset", 0.0999, "--wait-for-subscribers", 20, "--rate", 4),
        )
        assert (code, said) == (0, f"Played {COUNT // 2} messages")
        recorder.interrupt()
        assert recorder.ends() == 0
    assert read(copy) == {"/words": on_the_wire(written["/words"][COUNT // 2 :])}


def test_a_type_that_is_not_known_is_recorded_as_bytes(tmp_path: Path) -> None:
    context, type_hash = Context(), "RIHS01_" + "ab" * 32
    context.init([], domain_id=DOMAIN)
    writer = context.participant.writer(
        "rt/strange",
        "some_msgs::msg::dds_::Strange_",
        to_dds(QoSProfile(depth=10), hash_user_data(type_hash), writer=True),
    )
    try:
        with Program("bag", "record", "-o", tmp_path / "copy", "/strange") as recorder:
            assert "bytes alone" in recorder.says("/strange: no definition")
            recorder.says("Subscribed to topic '/strange'")
            wait_until(writer.partners)
            writer.write(b"\0\1\0\0\7\0\0\0")
            assert writer.wait_acknowledged(int(PATIENCE_S * 1e9))
            recorder.interrupt()
            assert recorder.ends() == 0
    finally:
        context.try_shutdown()
    assert read(tmp_path / "copy") == {"/strange": [b"\0\1\0\0\7\0\0\0"]}
    with open_bag(tmp_path / "copy") as bag:
        (connection,) = bag.connections
        assert (connection.msgtype, connection.digest) == ("some_msgs/msg/Strange", type_hash)
        assert recorded_hash(connection) == type_hash


def test_looping_ends_when_told(conversation: tuple[Path, dict[str, list[bytes]]]) -> None:
    path, _ = conversation
    with Program("bag", "play", path, "--loop", "--wait-for-subscribers", 0) as player:
        with Program("topic", "echo", "/words", "--field", "data") as listener:
            listener.says("word 0")
            listener.says("word 39")
        player.interrupt()
        assert player.ends() == 0
        assert "Played" in player.text


def test_an_empty_recording_is_readable(tmp_path: Path) -> None:
    with Program("bag", "record", "-o", tmp_path / "empty", "/nothing") as recorder:
        recorder.says("Recording to")
        recorder.interrupt()
        assert recorder.ends() == 0
    assert read(tmp_path / "empty") == {}
    assert "Messages:    0" in bag_text(tmp_path / "empty")
    assert completed("bag", "play", tmp_path / "empty", "--clock") == (0, "Played 0 messages")


def test_info_names_topics_types_and_numbers(
    conversation: tuple[Path, dict[str, list[bytes]]],
) -> None:
    told = bag_text(conversation[0])
    assert f"/sound | audio_common_msgs/msg/AudioStamped | {COUNT} messages" in told
    assert "Storage id:  mcap" in told
    assert "Duration:    0.195 s" in told
    assert f"({BEGIN_NS // 10**9}.000000000)" in told
    assert f"Messages:    {2 * COUNT + 1}" in told


def test_the_bags_time_runs_at_its_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns = 7
    monkeypatch.setattr(bag_play.time, "monotonic_ns", lambda: now_ns)
    simulated = SimulatedTime(BEGIN_NS, 2.0)
    now_ns += 10**9
    assert simulated.now_ns() == BEGIN_NS, "it stands still until it is started"
    simulated.start()
    now_ns += 10**9
    assert simulated.now_ns() == BEGIN_NS + 2 * 10**9
    assert simulated.left_s(BEGIN_NS + 3 * 10**9) == pytest.approx(0.5)


def test_reading_ahead_keeps_order_and_errors() -> None:
    def broken() -> Any:
        yield from range(200)
        raise MediaError("bag", expected="a whole file", got="half of it", remedy="mend it")

    with _read_ahead(broken()) as messages:
        assert [next(messages) for _ in range(200)] == list(range(200))
        with pytest.raises(MediaError, match="half of it"):
            next(messages)
    with _read_ahead(iter(range(10**9))) as messages:  # left early: the reader must end too
        assert next(messages) == 0
    assert not [t for t in threading.enumerate() if t.name == "read ahead"]


def test_a_subscription_matches_every_offer_and_keeps_all() -> None:
    reliable = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    lossy = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    strict = hearing_all([reliable, reliable])
    assert strict.history == HistoryPolicy.KEEP_ALL
    assert strict.reliability == ReliabilityPolicy.RELIABLE
    assert strict.durability == DurabilityPolicy.TRANSIENT_LOCAL
    loose = hearing_all([reliable, lossy])
    assert loose.reliability == ReliabilityPolicy.BEST_EFFORT
    assert loose.durability == DurabilityPolicy.VOLATILE


def test_recorded_quality_is_offered_again() -> None:
    deadline = Duration(nanoseconds=50_000_000)
    lossy = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT, deadline=deadline)
    kept = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    assert to_profile(to_bag(lossy)).deadline == deadline
    assert offering_again([]).reliability == ReliabilityPolicy.RELIABLE
    assert offering_again([to_bag(lossy)]).reliability == ReliabilityPolicy.BEST_EFFORT
    assert offering_again([to_bag(lossy)]).deadline == deadline
    both = offering_again([to_bag(lossy), to_bag(kept)])
    assert both.reliability == ReliabilityPolicy.RELIABLE
    assert both.durability == DurabilityPolicy.TRANSIENT_LOCAL


def test_a_hash_tells_two_definitions_of_one_name_apart() -> None:
    name = "audio_common_msgs/msg/AudioData"
    ours, theirs = standard().hash_rihs01(name), other_audio().hash_rihs01(name)
    assert ours != theirs
    assert definition(name)[1] == ours
    assert definition(name, theirs)[1] == theirs
    assert "float32[] float32_data" in str(definition(name, ours)[0])
    assert definition(name, "RIHS01_00") == (None, "RIHS01_00")
    assert definition("some_msgs/msg/Strange") == (None, "")
    assert definition("std_msgs/msg/Empty")[0] == ""
    assert hash_user_data("INVALID") == b""


def test_a_bare_files_hash_comes_from_its_definition(
    conversation: tuple[Path, dict[str, list[bytes]]],
) -> None:
    (file,) = conversation[0].glob("*.mcap")
    with open_bag(file) as bag:
        (sounds,) = [c for c in bag.connections if c.topic == "/sound"]
        assert recorded_hash(sounds._replace(digest="")) == standard().hash_rihs01(sounds.msgtype)


def test_remaps_are_made_absolute_or_refused() -> None:
    assert parse_remaps(["/a:=b", "c:=/d"]) == {"/a": "/b", "/c": "/d"}
    with pytest.raises(ConfigError, match=r"expected /from:=/to, got /a=/b"):
        parse_remaps(["/a=/b"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (lambda p: ("record",), "expected names of topics, or --all, got neither"),
        (lambda p: ("record", "-a", "/x"), "got both"),
        (lambda p: ("record", "-o", p, "/x"), "expected a name that is free"),
        (lambda p: ("play", p), "expected a folder with metadata.yaml"),
        (lambda p: ("info", p / "absent"), "does not exist"),
        (lambda p: ("play", p / "conversation", "--topics", "/x"), "got /x"),
    ],
)
def test_mistakes_are_one_line(
    words: Callable[[Path], tuple[object, ...]],
    told: str,
    conversation: tuple[Path, dict[str, list[bytes]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(DOMAIN))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    monkeypatch.setattr(sourced, "has_module", lambda name: False)
    assert main(["bag", *map(str, words(tmp_path))]) == 1
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_where_ros_is_sourced_its_own_command_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sourced, "has_module", lambda name: True)
    assert main(["bag", "record", "-a"]) == 1
    assert "run: ros2 bag record" in capsys.readouterr().err
