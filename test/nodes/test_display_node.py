"""Protects lip sync on the robot: a screen and a speaker write down what they get, over real DDS.

Messages come over the wire in the time they need; the node's own clock is simulated, and moves
only while the screen waits. So what is shown and played when is exact.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import installed_audio
import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from numpy.typing import NDArray
from programs import Program
from rcl_interfaces.msg import ParameterType
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from avatar_forcing_ros.errors import ConfigError, MissingDependencyError, OutputError
from avatar_forcing_ros.nodes.display_node import DisplayNode
from avatar_forcing_ros.nodes.executable import StopSignals
from avatar_forcing_ros.nodes.node_main import serve
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, SAMPLES_PER_FRAME, frame_stamp_ns

pytestmark = pytest.mark.either_audio
MEDIA_NS = 1_760_000_000 * 1_000_000_000
BOUND_S = 20.0
FRAMES = 25
BLOCK = 160
EXECUTABLE = """
import sys
from avatar_forcing_ros.nodes.executable import run_executable
sys.exit(run_executable("display_node"))
"""
BLOCK_NS = BLOCK * 62_500


class SimulatedTime:
    """Local time that moves when a test moves it."""

    def __init__(self) -> None:
        self.now_ns = 5_000_000_000

    def __call__(self) -> int:
        return self.now_ns


class FakeSpeaker:
    """Asks for a block each 10 ms, 30 ms before it is played, and keeps what it got."""

    def __init__(self, clock: SimulatedTime) -> None:
        self.clock = clock
        self.underruns = 0
        self.lead_ns = 30_000_000 + BLOCK_NS
        self.is_running = False
        self.played: list[NDArray[np.float32]] = []

    def start(self, pull: Callable[[int, int], NDArray[np.float32]]) -> None:
        self.pull, self.is_running = pull, True
        self.begin_ns = self.next_ns = self.clock.now_ns

    def stop(self) -> None:
        self.is_running = False

    def play_until_now(self) -> None:
        while self.is_running and self.next_ns <= self.clock.now_ns:
            self.played.append(self.pull(self.next_ns + 30_000_000, BLOCK))
            self.next_ns += BLOCK_NS

    def played_at_ns(self, value: np.float32) -> int:
        place = int(np.flatnonzero(np.concatenate(self.played) == value)[0])
        return self.begin_ns + 30_000_000 + place * 62_500


class FakeScreen:
    """Moves the clock while it waits, and keeps what it was shown: (value, local time)."""

    def __init__(self, clock: SimulatedTime, speaker: FakeSpeaker) -> None:
        self.clock, self.speaker = clock, speaker
        self.shown: list[tuple[int, int]] = []
        self.is_open = True
        self.wanted = True

    def show(self, pixels: NDArray[np.uint8]) -> None:
        self.shown.append((int(pixels[0, 0, 0]), self.clock.now_ns))

    def wait(self, timeout_s: float) -> bool:
        self.clock.now_ns += max(1, round(timeout_s * 1e9))
        self.speaker.play_until_now()
        return self.wanted

    def close(self) -> None:
        self.is_open = False


class Graph:
    """A publishing node and a display node, one executor, and the fakes."""

    def __init__(self, *parameters: Parameter, **factories: Any) -> None:
        self.clock = SimulatedTime()
        self.speaker = FakeSpeaker(self.clock)
        self.screen = FakeScreen(self.clock, self.speaker)
        self.asked: list[tuple[Any, ...]] = []
        factories.setdefault("make_screen", self._make_screen)
        factories.setdefault("make_speaker", self._make_speaker)
        self.node = DisplayNode(
            now_ns=self.clock, parameter_overrides=list(parameters), **factories
        )
        self.sender = rclpy.create_node("sender")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.executor.add_node(self.sender)
        self.reports: list[Any] = []
        self.sender.create_subscription(DiagnosticArray, "/diagnostics", self.reports.append, 10)

    def _make_screen(self, *asked: Any) -> FakeScreen:
        self.asked.append(asked)
        return self.screen

    def _make_speaker(self, *asked: Any) -> FakeSpeaker:
        self.asked.append(asked)
        return self.speaker

    def spin_until(self, done: Callable[[], object]) -> None:
        end_s = time.monotonic() + BOUND_S
        while not done():
            assert time.monotonic() < end_s, "nothing came"
            self.executor.spin_once(timeout_sec=0.1)

    def publisher(self, kind: Any, topic: str) -> Any:
        made = self.sender.create_publisher(kind, topic, 50)
        self.spin_until(lambda: made.get_subscription_count())
        return made

    def show_for(self, seconds: float) -> None:
        end_ns = self.clock.now_ns + round(seconds * 1e9)
        while self.clock.now_ns < end_ns:
            assert self.node.step()

    def report(self) -> dict[str, str]:
        """The next report of the node."""
        self.reports.clear()
        self.spin_until(lambda: self.reports)
        status = self.reports[0].status[0]
        return {value.key: value.value for value in status.values} | {
            "message": status.message,
            "warning": str(status.level == DiagnosticStatus.WARN),
        }

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        self.sender.destroy_node()


@pytest.fixture
def open_graph() -> Iterator[Callable[..., Graph]]:
    rclpy.init(args=[])
    graphs: list[Graph] = []

    def make(*parameters: Parameter, **factories: Any) -> Graph:
        named = {given.name for given in parameters}
        raw = [] if "image_transport" in named else [parameter("image_transport", "raw")]
        graphs.append(Graph(*raw, *parameters, **factories))
        return graphs[-1]

    yield make
    for graph in graphs:
        graph.close()
    rclpy.try_shutdown()


def parameter(name: str, value: Any) -> Parameter:
    return Parameter(name, value=value)


DEEP = parameter("qos_overrides./avatar/image_raw.subscription.depth", 50)


def stamped(message: Any, stamp_ns: int) -> Any:
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    return message


def image_of(value: int, stamp_ns: int) -> Any:
    message = Image(height=4, width=4, encoding="rgb8", step=12, data=bytes([value]) * 48)
    return stamped(message, stamp_ns)


def audio_of(samples: NDArray[np.float32], stamp_ns: int) -> Any:
    return stamped(installed_audio.to_msg(samples, Header()), stamp_ns)


def speech() -> NDArray[np.float32]:
    # every sample has a value of its own, in whole steps of 16 bits
    steps = 4_000 + np.random.default_rng(0).permutation(FRAMES * SAMPLES_PER_FRAME)
    return (steps / 32_768).astype(np.float32)


def send_a_second(graph: Graph) -> NDArray[np.float32]:
    """25 frames of their own value, and their audio, all at once."""
    images = graph.publisher(Image, "avatar/image_raw")
    audio = graph.publisher(installed_audio.MESSAGE, "avatar/audio_aligned")
    spoken = speech()
    for i in range(FRAMES):
        stamp_ns = MEDIA_NS + frame_stamp_ns(i)
        images.publish(image_of(i, stamp_ns))
        part = spoken[i * SAMPLES_PER_FRAME : (i + 1) * SAMPLES_PER_FRAME]
        audio.publish(audio_of(part, stamp_ns))
    received = graph.node.received
    graph.spin_until(lambda: received["frames"] == FRAMES and received["audio"] == FRAMES)
    return spoken


def test_every_frame_is_shown_with_its_audio(open_graph: Callable[..., Graph]) -> None:
    graph = open_graph(DEEP)
    assert graph.asked == [(False, "avatar"), ("",)]
    spoken = send_a_second(graph)
    graph.show_for(2.0)

    values, times_ns = zip(*graph.screen.shown, strict=True)
    assert list(values) == list(range(FRAMES))
    assert np.abs(np.diff(times_ns) - FRAME_PERIOD_NS).max() <= 2_000_000
    played = np.concatenate(graph.speaker.played)
    begin = int(np.flatnonzero(played == spoken[0])[0])
    assert np.array_equal(played[begin : begin + len(spoken)], spoken)
    for i in (0, 12, 24):
        apart_ns = times_ns[i] - graph.speaker.played_at_ns(spoken[i * SAMPLES_PER_FRAME])
        assert abs(apart_ns) <= 2_000_000
    report = graph.report()
    assert report["frames shown"] == str(FRAMES)
    assert report["frames skipped"] == report["rebuffers"] == report["errors"] == "0"
    assert abs(float(report["A/V offset ms"])) <= 2


EVENT_BLOCKS, EVENTS, BLOCK_FRAMES = 5, 7, 3
QUIET, CLICK = 0.05, 0.9


def event_offsets_ms(graph: Graph, audio_shift_ms: float = 0.0) -> NDArray[np.float64]:
    """How much later each image change was shown than its click was played, as recorded.

    Blocks of frames with their audio come live, with jitter; in every fifth of them the image
    changes at a frame and a click is played with it. `audio_shift_ms` puts the audio elsewhere.
    """
    images = graph.publisher(Image, "avatar/image_raw")
    audio = graph.publisher(installed_audio.MESSAGE, "avatar/audio_aligned")
    rng, received, sent = np.random.default_rng(1), graph.node.received, 0
    frames_in_all = EVENT_BLOCKS * EVENTS * BLOCK_FRAMES
    spoken = rng.uniform(-QUIET, QUIET, frames_in_all * SAMPLES_PER_FRAME).astype(np.float32)
    events = [k * EVENT_BLOCKS * BLOCK_FRAMES + 7 + k % BLOCK_FRAMES for k in range(EVENTS)]
    for frame in events:
        spoken[frame * SAMPLES_PER_FRAME] = CLICK
    shift_ns = round(audio_shift_ms * 1e6)
    for first in range(0, frames_in_all, BLOCK_FRAMES):
        late_s = rng.uniform(0.0, 0.04)
        graph.show_for(late_s)
        for i in range(first, first + BLOCK_FRAMES):
            stamp_ns = MEDIA_NS + frame_stamp_ns(i)
            value = sum(frame <= i for frame in events)
            images.publish(image_of(10 * value, stamp_ns))
            part = spoken[i * SAMPLES_PER_FRAME : (i + 1) * SAMPLES_PER_FRAME]
            audio.publish(audio_of(part, stamp_ns + shift_ns))
        sent += BLOCK_FRAMES
        graph.spin_until(lambda: received["frames"] == received["audio"] == sent)  # noqa: B023
        graph.show_for(BLOCK_FRAMES * FRAME_PERIOD_NS / 1e9 - late_s)
    graph.show_for(1.0)
    shown_ns = [min(at for value, at in graph.screen.shown if value == 10 * (k + 1))
               for k in range(EVENTS)]  # fmt: skip
    played = np.concatenate(graph.speaker.played)
    clicks = np.flatnonzero(played > (CLICK + QUIET) / 2)
    played_ns = graph.speaker.begin_ns + 30_000_000 + clicks * 62_500
    assert len(clicks) == EVENTS
    return (np.array(shown_ns) - played_ns) / 1e6


def test_what_belongs_together_is_shown_and_played_together(
    open_graph: Callable[..., Graph],
) -> None:
    """By what the screen and the sound card were given, not by what the node reports."""
    offsets_ms = event_offsets_ms(open_graph(DEEP))
    assert np.abs(offsets_ms).max() <= 40.0


def test_audio_that_is_elsewhere_would_be_noticed(open_graph: Callable[..., Graph]) -> None:
    """The measurement above is one: it finds a shift of 60 ms."""
    offsets_ms = event_offsets_ms(open_graph(DEEP), audio_shift_ms=60.0)
    assert np.median(offsets_ms) == pytest.approx(-60.0, abs=5.0)
    assert np.abs(offsets_ms).max() > 40.0


def test_the_delay_can_be_changed_while_it_runs(open_graph: Callable[..., Graph]) -> None:
    graph = open_graph(DEEP)
    spoken = send_a_second(graph)
    graph.show_for(0.3)
    [result] = graph.node.set_parameters([parameter("delay_ms", 320)])
    assert result.successful
    graph.show_for(2.0)
    shown = dict(graph.screen.shown)
    assert list(shown) == list(range(FRAMES))
    # 200 ms later than without the change, and the audio with them
    assert shown[24] - shown[0] == pytest.approx(24 * FRAME_PERIOD_NS + 200e6, abs=2e6)
    apart_ns = shown[24] - graph.speaker.played_at_ns(spoken[24 * SAMPLES_PER_FRAME])
    assert abs(apart_ns) <= 2_000_000


def test_parameters_are_described_and_guarded(open_graph: Callable[..., Graph]) -> None:
    node = open_graph().node
    names = ["window", "fullscreen", "speaker", "speaker_device", "image_transport", "title"]
    for descriptor in node.describe_parameters(names):
        assert descriptor.description
        assert descriptor.read_only
    [delay] = node.describe_parameters(["delay_ms"])
    assert not delay.read_only
    assert delay.type == ParameterType.PARAMETER_INTEGER
    assert (delay.integer_range[0].from_value, delay.integer_range[0].to_value) == (0, 2000)
    refused = node.set_parameters(
        [parameter("delay_ms", 2001), parameter("delay_ms", -1), parameter("title", "other")]
    )
    assert not any(result.successful for result in refused)


def test_an_unknown_transport_is_refused(open_graph: Callable[..., Graph]) -> None:
    with pytest.raises(ConfigError, match="one of raw, compressed"):
        open_graph(parameter("image_transport", "theora"))


def test_compressed_frames(open_graph: Callable[..., Graph]) -> None:
    graph = open_graph(parameter("image_transport", "compressed"))
    images = graph.publisher(CompressedImage, "avatar/image_raw/compressed")
    png = cv2.imencode(".png", np.full((4, 4, 3), 77, np.uint8))[1].tobytes()
    images.publish(stamped(CompressedImage(format="png", data=png), MEDIA_NS))
    graph.spin_until(lambda: graph.node.received["frames"])
    graph.show_for(0.5)
    assert [value for value, _ in graph.screen.shown] == [77]


def test_bad_messages_are_counted_and_the_rest_goes_on(open_graph: Callable[..., Graph]) -> None:
    graph = open_graph()
    images = graph.publisher(Image, "avatar/image_raw")
    audio = graph.publisher(installed_audio.MESSAGE, "avatar/audio_aligned")
    broken = image_of(0, MEDIA_NS)
    broken.height = 400
    images.publish(broken)
    strange = image_of(0, MEDIA_NS)
    strange.encoding = "nothing"
    images.publish(strange)
    audio.publish(audio_of(np.zeros(0, np.float32), MEDIA_NS))
    images.publish(image_of(9, MEDIA_NS))
    received = graph.node.received
    graph.spin_until(lambda: received["frames"] == 3 and received["audio"] == 1)
    graph.show_for(0.5)
    assert [value for value, _ in graph.screen.shown] == [9]
    report = graph.report()
    assert report["errors"] == "3"
    assert sum(key.startswith("errors: ") for key in report) >= 2
    assert report["warning"] == "True"


def test_messages_without_a_stamp_are_shown_as_they_come(
    open_graph: Callable[..., Graph],
) -> None:
    graph = open_graph()
    images = graph.publisher(Image, "avatar/image_raw")
    images.publish(image_of(5, 0))
    graph.spin_until(lambda: graph.node.received["frames"])
    graph.show_for(0.5)
    assert [value for value, _ in graph.screen.shown] == [5]
    assert graph.report()["messages without stamp"] == "1"


def test_a_robot_without_a_sound_card_shows_silently(open_graph: Callable[..., Graph]) -> None:
    def no_card(device: str) -> FakeSpeaker:
        raise OutputError("speaker", expected="a sound card", got="none", remedy="connect one")

    graph = open_graph(make_speaker=no_card)
    images = graph.publisher(Image, "avatar/image_raw")
    images.publish(image_of(5, MEDIA_NS))
    graph.spin_until(lambda: graph.node.received["frames"])
    graph.show_for(0.5)
    assert [value for value, _ in graph.screen.shown] == [5]
    report = graph.report()
    assert report["speaker"] == "failed"
    assert report["warning"] == "True"


def test_a_machine_without_a_display_is_reported(open_graph: Callable[..., Graph]) -> None:
    def no_display(fullscreen: bool, title: str) -> FakeScreen:
        raise MissingDependencyError("window", expected="one", got="none", remedy="get one")

    with pytest.raises(MissingDependencyError):
        open_graph(make_screen=no_display)


def test_neither_window_nor_speaker(open_graph: Callable[..., Graph]) -> None:
    graph = open_graph(parameter("window", False), parameter("speaker", False))
    assert graph.asked == []
    report = graph.report()
    assert (report["window"], report["speaker"]) == ("off", "off")
    topics = {topic for topic, _ in graph.node.get_topic_names_and_types()}
    assert not {"/avatar/image_raw", "/avatar/audio_aligned"} & topics


def test_closing_the_window_ends_and_gives_everything_back(
    open_graph: Callable[..., Graph],
) -> None:
    graph = open_graph()
    graph.screen.wanted = False
    assert not graph.node.step()
    graph.node.destroy_node()
    assert not graph.screen.is_open
    assert not graph.speaker.is_running


def test_subscriptions_match_senders_of_either_reliability(
    open_graph: Callable[..., Graph],
) -> None:
    graph = open_graph()
    for reliability in (ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT):
        qos = QoSProfile(depth=5, reliability=reliability)
        sender = graph.sender.create_publisher(Image, "avatar/image_raw", qos)
        graph.spin_until(lambda sender=sender: sender.get_subscription_count())


def test_run_shows_while_the_executor_spins_elsewhere(
    open_graph: Callable[..., Graph],
) -> None:
    graph = open_graph()
    graph.publisher(Image, "avatar/image_raw").publish(image_of(6, MEDIA_NS))
    graph.executor.remove_node(graph.node)
    shown = threading.Event()
    graph.screen.show = lambda pixels: shown.set()
    ask = graph.screen.wait
    end_s = time.monotonic() + BOUND_S

    def wait(timeout_s: float) -> bool:
        ask(timeout_s)
        return not shown.wait(0.001) and time.monotonic() < end_s

    graph.screen.wait = wait
    serve(graph.node, StopSignals())
    assert shown.is_set()


def test_the_executable_names_what_is_missing_in_one_line() -> None:
    # an environment without any display, whatever this machine has
    hidden = {k: v for k, v in os.environ.items() if not re.match("DISPLAY|WAYLAND", k)}
    environment = hidden | {"QT_QPA_PLATFORM": "xcb"}
    arguments = ["--ros-args", "-p", "speaker:=false"]
    with Program("-c", EXECUTABLE, *arguments, env=environment) as program:
        assert program.ends() == 1
    assert "display_node: window: expected a display" in program.text
    assert "Traceback" not in program.text
