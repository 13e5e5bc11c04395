"""Protects `telepresence_node` over real DDS: topics to the page, and its inputs to the graph."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import installed_audio
import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PointStamped
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from std_srvs.srv import Trigger

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from avatar_forcing_ros.msg import AvatarState

from avatar_forcing_ros.cli import telepresence
from avatar_forcing_ros.errors import AvatarForcingError, ConfigError
from avatar_forcing_ros.media import AudioChunk, VideoFrame
from avatar_forcing_ros.nodes import convert_commands, graph_backend, telepresence_node
from avatar_forcing_ros.nodes.convert_commands import EXPRESSION_MESSAGES
from avatar_forcing_ros.nodes.convert_image import pixels_to_compressed, pixels_to_image
from avatar_forcing_ros.nodes.executable import SIGNALS, StopSignals
from avatar_forcing_ros.nodes.graph_backend import NO_AVATAR
from avatar_forcing_ros.nodes.interface import TABLE
from avatar_forcing_ros.nodes.telepresence_node import TelepresenceNode
from avatar_forcing_ros.rig.expressions import Expression
from avatar_forcing_ros.streaming.directed_motion import GazeTarget
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME, frame_stamp_ns

BOUND_S = 20.0
pytestmark = pytest.mark.either_audio
MEDIA_NS = 1_760_000_000 * 1_000_000_000
SPEECH = np.linspace(-0.5, 0.5, 320, dtype=np.float32)
GREY = np.full((64, 64, 3), 120, np.uint8)
EXECUTABLE = """
import sys
from avatar_forcing_ros.nodes.executable import run_executable
sys.exit(run_executable("telepresence_node", module="cli.telepresence"))
"""


class Robot:
    """The node, another one that plays the avatar, and one executor."""

    def __init__(self, **parameters: Any) -> None:
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        self.node = TelepresenceNode(telepresence.serve, parameter_overrides=overrides)
        self.other = rclpy.create_node("other")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.executor.add_node(self.other)
        self.shown: list[Any] = []
        self.viewed: list[Any] = []
        self.diagnostics: list[Any] = []
        self.received: list[Any] = []
        self.subscribe(DiagnosticArray, "/diagnostics", self.diagnostics)

    def watch(self) -> None:
        self.node.backend.start(self.shown.append, self.viewed.append)

    def until(self, holds: Callable[[], object]) -> None:
        end_s = time.monotonic() + BOUND_S
        while not holds():
            assert time.monotonic() < end_s, "it did not come to that"
            self.executor.spin_once(timeout_sec=0.05)

    def publisher(self, kind: type, topic: str) -> Any:
        """A publisher with a subscriber."""
        sender = self.other.create_publisher(kind, topic, QoSProfile(depth=50))
        self.until(lambda: sender.get_subscription_count())
        return sender

    def subscribe(self, kind: type, topic: str, into: list[Any]) -> None:
        self.other.create_subscription(kind, topic, into.append, QoSProfile(depth=50))

    def until_subscribed(self, topic: str) -> None:
        self.until(lambda: self.node.count_subscribers(topic))

    def until_matched(self, topic: str) -> None:
        """Wait until the node's publisher has a subscription."""
        (publisher,) = (one for one in self.node.publishers if one.topic_name == f"/{topic}")
        self.until(publisher.get_subscription_count)

    def drain(self) -> None:
        """Serve what has come already."""
        for _ in range(20):
            self.executor.spin_once(timeout_sec=0)

    def metrics(self) -> dict[str, str]:
        """The node's next diagnostics."""
        self.diagnostics.clear()
        self.until(lambda: self.diagnostics)
        (line,) = self.diagnostics[-1].status
        return {v.key: v.value for v in line.values} | {"message": line.message}

    def end(self) -> None:
        self.node.close()
        for node in (self.node, self.other):
            self.executor.remove_node(node)
            node.destroy_node()


@pytest.fixture
def robot() -> Iterator[Callable[..., Robot]]:
    rclpy.init()
    made: list[Robot] = []

    def make(**parameters: Any) -> Robot:
        made.append(Robot(**parameters))
        return made[-1]

    yield make
    for one in made:
        one.end()
    rclpy.try_shutdown()


def header(number: int) -> Header:
    return Header(stamp=Time(nanoseconds=MEDIA_NS + frame_stamp_ns(number)).to_msg())


@pytest.mark.parametrize("transport", ["raw", "compressed"])
def test_frames_come_to_those_who_watch(robot: Callable[..., Robot], transport: str) -> None:
    here = robot(image_transport=transport)
    assert here.node.count_subscribers("avatar/image_raw") == 0
    here.watch()
    raw = transport == "raw"
    topic = "avatar/image_raw" if raw else "avatar/image_raw/compressed"
    images = here.publisher(Image if raw else CompressedImage, topic)
    audio = here.publisher(installed_audio.MESSAGE, "avatar/audio_aligned")
    speech = np.full(SAMPLES_PER_FRAME, 0.25, np.float32)
    for number in (1, 2, 3):
        audio.publish(installed_audio.to_msg(speech, header(number)))
        to_msg = pixels_to_image if raw else pixels_to_compressed
        images.publish(to_msg(GREY, header(number)))
    here.until(lambda: len(here.shown) == 3)
    assert [frame.stamp_ns - MEDIA_NS for frame in here.shown] == [
        frame_stamp_ns(number) for number in (1, 2, 3)
    ]
    assert all(abs(frame.pixels.mean() - 120) < 3 for frame in here.shown)
    apart = max(float(np.abs(frame.audio - 0.25).max()) for frame in here.shown)
    assert apart <= installed_audio.ROUNDING
    here.node.backend.stop()
    here.until(lambda: not images.get_subscription_count())


def test_broken_messages_are_counted_and_the_rest_goes_on(robot: Callable[..., Robot]) -> None:
    here = robot(image_transport="raw")
    here.watch()
    images = here.publisher(Image, "avatar/image_raw")
    audio = here.publisher(installed_audio.MESSAGE, "avatar/audio_aligned")
    images.publish(Image(header=header(1), height=9, width=9, encoding="rgb8", step=27))
    images.publish(pixels_to_image(GREY, Header()))
    audio.publish(installed_audio.to_msg(SPEECH[:0], header(1)))
    audio.publish(installed_audio.to_msg(SPEECH, header(2)))
    images.publish(pixels_to_image(GREY, header(2)))
    here.until(lambda: here.shown)
    metrics = here.metrics()
    assert metrics["avatar/image_raw stamp_zero"] == "1"
    assert sum(key.startswith(("avatar/image_raw", "avatar/audio")) for key in metrics) == 3
    assert metrics["frames"] == "1"


def test_the_operators_speech_goes_out_with_its_stamps(robot: Callable[..., Robot]) -> None:
    here = robot()
    here.subscribe(installed_audio.MESSAGE, "avatar/audio", here.received)
    here.until_subscribed("avatar/audio")
    here.until(lambda: here.node.count_publishers("avatar/audio"))
    here.until_matched("avatar/audio")
    here.node.backend.push_user_audio(AudioChunk(SPEECH, SAMPLE_RATE_HZ, MEDIA_NS + 20_000_000))
    here.until(lambda: here.received)
    (msg,) = here.received
    assert Time.from_msg(msg.header.stamp).nanoseconds == MEDIA_NS + 20_000_000
    assert np.abs(installed_audio.mono(msg) - SPEECH).max() <= installed_audio.ROUNDING


@pytest.mark.parametrize("kind", EXPRESSION_MESSAGES)
def test_expression_and_gaze_go_to_the_avatars_topics(
    robot: Callable[..., Robot], kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convert_commands, "EXPRESSION_MESSAGES", [kind])
    monkeypatch.setattr(graph_backend, "EXPRESSION_MESSAGES", [kind])
    here = robot()
    points: list[Any] = []
    here.subscribe(kind, "avatar_node/expression", here.received)
    here.subscribe(PointStamped, "avatar_node/look_at", points)
    here.until_matched("avatar_node/expression")
    here.until_matched("avatar_node/look_at")
    before_ns = here.node.now_ns()
    for expression in (Expression("happy"), Expression(valence=0.5, arousal=-0.25)):
        here.node.backend.push_expression(expression)
    target = GazeTarget(yaw_rad=0.5, pitch_rad=-0.25)
    here.node.backend.push_gaze_target(target)
    here.until(lambda: len(here.received) == 2 and points)
    assert [convert_commands.msg_to_expression(msg) for msg in here.received] == [
        Expression("happy"),
        Expression(valence=0.5, arousal=-0.25),
    ]
    (msg,) = points
    assert msg.header.frame_id == ""  # the avatar's own
    assert Time.from_msg(msg.header.stamp).nanoseconds >= before_ns
    at = (msg.point.x, msg.point.y, msg.point.z)
    assert np.linalg.norm(at) == pytest.approx(1.0)
    seen = GazeTarget.at(*at)
    assert (seen.yaw_rad, seen.pitch_rad) == pytest.approx((0.5, -0.25))


@pytest.mark.parametrize("transport", ["raw", "compressed"])
def test_a_browser_may_be_the_person_before_the_avatar(
    robot: Callable[..., Robot], transport: str
) -> None:
    here = robot(browser_is_user=True, user_image_transport=transport)
    kind, topic = (Image, "user/image")
    if transport == "compressed":
        kind, topic = CompressedImage, "user/image/compressed"
    published: list[Any] = []
    here.other.create_subscription(
        kind, topic, published.append, TABLE["user/image"].profile()
    )  # fmt: skip
    here.subscribe(installed_audio.MESSAGE, "user/audio", here.received)
    here.until_matched(topic)
    here.until_matched("user/audio")
    here.node.backend.push_user_audio(AudioChunk(SPEECH, SAMPLE_RATE_HZ, MEDIA_NS))
    here.node.backend.push_user_frame(VideoFrame(GREY, MEDIA_NS))
    here.until(lambda: published and here.received)
    assert Time.from_msg(published[0].header.stamp).nanoseconds == MEDIA_NS


def test_the_robots_camera_is_shown_small_and_not_too_often(
    robot: Callable[..., Robot], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = robot(robot_view=True, user_image_transport="compressed")
    here.watch()
    camera = here.publisher(CompressedImage, "user/image/compressed")
    wide = np.full((300, 1_280, 3), 90, np.uint8)
    camera.publish(pixels_to_compressed(wide, header(1)))
    here.until(lambda: here.viewed)
    assert here.viewed[0].pixels.shape == (150, 640, 3)
    with monkeypatch.context() as seldom:
        seldom.setattr(telepresence_node, "VIEW_PERIOD_S", float("inf"))
        camera.publish(pixels_to_compressed(wide, header(2)))
        camera.publish(pixels_to_compressed(wide, header(3)))
        camera.wait_for_all_acked()
        here.drain()
    assert len(here.viewed) == 1
    monkeypatch.setattr(telepresence_node, "VIEW_PERIOD_S", 0.0)
    camera.publish(CompressedImage(header=header(9), format="jpeg", data=b"no image"))
    here.until(lambda: any("user/image" in reason for reason in here.node.errors.counts))


def test_who_talks_through_the_robot_hears_what_it_hears(
    robot: Callable[..., Robot], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = robot(robot_view=True, image_transport="raw")
    assert here.node.settings["robot_sound"]  # as robot_view
    assert here.node.count_subscribers("user/audio") == 0
    here.watch()
    microphone = here.publisher(installed_audio.MESSAGE, "user/audio")
    images = here.publisher(Image, "avatar/image_raw")
    audio = here.publisher(installed_audio.MESSAGE, "avatar/audio_aligned")
    received: list[int] = []
    put = here.node.backend.push_robot_audio

    def note(samples: NDArray[np.float32]) -> None:
        received.append(len(samples))
        put(samples)

    monkeypatch.setattr(here.node.backend, "push_robot_audio", note)
    without_stamp = installed_audio.to_msg(np.full(800, 0.5, np.float32), Header())
    microphone.publish(installed_audio.to_msg(SPEECH[:0], Header()))
    microphone.publish(without_stamp)
    microphone.publish(without_stamp)
    here.until(lambda: sum(received) > 1_000)
    for number in (1, 2):
        audio.publish(
            installed_audio.to_msg(np.zeros(SAMPLES_PER_FRAME, np.float32), header(number))
        )
        images.publish(pixels_to_image(GREY, header(number)))
    here.until(lambda: len(here.shown) == 2)
    robot_audio = here.shown[0].robot_audio
    assert abs(robot_audio[SAMPLES_PER_FRAME // 2 :].mean() - 0.5) < 0.02
    assert not here.shown[0].audio.any()
    assert any(reason.startswith("user/audio") for reason in here.node.errors.counts)


def test_seeing_through_the_robot_does_not_force_hearing(robot: Callable[..., Robot]) -> None:
    here = robot(robot_view=True, robot_sound=False)
    here.watch()
    here.until_subscribed("user/image")
    assert not here.node.backend.has_robot_audio
    assert here.node.count_subscribers("user/audio") == 0
    assert not robot().node.settings["robot_sound"]


def test_stop_speaking_asks_the_avatar(robot: Callable[..., Robot]) -> None:
    here = robot(stop_service="head/be_quiet")
    state = here.publisher(AvatarState, "avatar/state")
    state.publish(AvatarState())
    here.until(lambda: here.node.backend.connected)
    with pytest.raises(AvatarForcingError, match=r"offers the service .*head/be_quiet.*nobody"):
        here.node.backend.stop_speaking().result(0)
    answers = iter([(True, "any text"), (False, "not active"), *[(True, "")] * 2])

    def answer(request: Any, response: Any) -> Any:
        response.success, response.message = next(answers)
        return response

    here.other.create_service(Trigger, "head/be_quiet", answer)
    outputs = here.node.outputs
    (client,) = (one for one in here.node.clients if one.srv_name.endswith("be_quiet"))
    here.until(client.service_is_ready)
    first = outputs.stop_speaking(1280)
    here.until(first.done)
    assert first.result() == 1280
    second = outputs.stop_speaking(0)
    here.until(second.done)
    with pytest.raises(AvatarForcingError, match="activate avatar_node"):
        second.result()
    assert outputs.stop_speaking(0).cancel()  # whoever asked has given up: nothing is left waiting
    third = outputs.stop_speaking(0)
    here.until(third.done)
    assert third.result() == 0


def test_the_avatars_state_and_its_absence_are_reported(robot: Callable[..., Robot]) -> None:
    here = robot()
    assert here.metrics()["message"] == NO_AVATAR
    state = here.publisher(AvatarState, "avatar/state")
    state.publish(AvatarState(state=AvatarState.SPEAKING, reaction_latency_ms=210.0))
    here.until(lambda: here.node.backend.status.speaking)
    assert here.node.backend.status.playout_delay_ms == 210.0
    assert here.metrics()["message"] == "alive"


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"host": "0.0.0.0"}, "parameter token_file"),
        ({"token_file": "/nowhere/token"}, "No such file"),
        ({"tls_cert": "/nowhere/a.pem"}, "as PEM files"),
    ],
)
def test_unsafe_settings_are_refused(
    robot: Callable[..., Robot], parameters: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        robot(**parameters).node.start(StopSignals())


@pytest.mark.parametrize(
    "parameters",
    [
        {"image_transport": "theora"},
        {"robot_view": True, "browser_is_user": True},
        {"robot_sound": True, "browser_is_user": True},
    ],
)
def test_parameters_that_do_not_go_together_are_refused(
    robot: Callable[..., Robot], parameters: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match="go together"):
        robot(**parameters)


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


STUCK = "import threading\nthreading.Thread(target=threading.Event().wait).start()\n"


@pytest.mark.parametrize(
    ("number", "before"), [(signal.SIGINT, ""), (signal.SIGTERM, ""), (signal.SIGTERM, STUCK)]
)
def test_a_signal_ends_the_executable_cleanly(number: signal.Signals, before: str) -> None:
    """Whatever goes on in a thread."""
    with subprocess.Popen(
        [sys.executable, "-c", before + EXECUTABLE, "--ros-args", "-p", f"port:={free_port()}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        watchdog = threading.Timer(BOUND_S, process.kill)
        watchdog.start()
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "open http://localhost:" in line:
                process.send_signal(number)
        watchdog.cancel()
    assert process.returncode == 0, lines
    assert "Traceback" not in "".join(lines)


def test_a_port_in_use_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        before = {number: signal.getsignal(number) for number in SIGNALS}
        try:
            port = taken.getsockname()[1]
            assert telepresence.main(["--ros-args", "-p", f"port:={port}"]) == 1
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    error = capfd.readouterr().err
    assert "telepresence_node: address 127.0.0.1" in error
    assert "Traceback" not in error


def test_without_the_packages_the_error_has_the_remedy(
    robot: Callable[..., Robot], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "avatar_forcing_ros.web.serving", None)
    with pytest.raises(AvatarForcingError, match=r"pip install 'avatar_forcing_ros\[web\]'"):
        robot().node.start(StopSignals())
