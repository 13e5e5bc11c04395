"""Protects `speech_node` over real DDS: text in, audio for the avatar out, silence when asked."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import installed_audio
import numpy as np
import pytest
import rclpy
from action_msgs.msg import GoalStatus
from avatar_forcing_ros.action import Say
from avatar_forcing_ros.msg import AvatarState
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.action import ActionClient
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import String
from std_srvs.srv import Trigger

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.nodes.avatar_node import AvatarNode
from avatar_forcing_ros.nodes.interface import SPEECH_ACTIONS, SPEECH_SERVICES, SPEECH_TOPICS
from avatar_forcing_ros.nodes.node_base import NodeBase
from avatar_forcing_ros.nodes.speech_node import SpeechNode

pytestmark = pytest.mark.either_audio

PATIENCE_S = 60.0
# a second of sound for each word; it fails, hangs or prints nonsense where the text says so
SPEAKER = """\
import sys, time, wave
text = sys.stdin.read()
if "fail" in text: sys.exit("no such word")
if "hang" in text: time.sleep(600)
if "nonsense" in text: print("Hello"); sys.exit()
with wave.open(sys.stdout.buffer, "wb") as file:
    file.setnchannels(1); file.setsampwidth(2); file.setframerate(22050)
    file.writeframes((b"\\0\\x20" * 50 + b"\\0\\xe0" * 50) * 220 * len(text.split()))
"""
Make = Callable[..., SpeechNode]


class Person(Node):
    """Has the robot say something, and listens to what comes of it."""

    def __init__(self) -> None:
        super().__init__("person")
        self._came = threading.Condition()
        self.got: dict[str, list[Any]] = {}
        for topic, kind in {
            "avatar/audio": installed_audio.MESSAGE,
            "avatar/audio_aligned": installed_audio.MESSAGE,
            "avatar/state": AvatarState,
            "/diagnostics": DiagnosticArray,
        }.items():
            self.got[topic] = []
            self.create_subscription(kind, topic, self.into(self.got[topic]), 100)
        self.text = self.create_publisher(String, "say", 100)
        self.stopped: list[str] = []  # as a stand-in for the avatar's service

    def into(self, taken: list[Any]) -> Callable[[Any], None]:
        def take(msg: Any) -> None:
            with self._came:
                taken.append(msg)
                self._came.notify_all()

        return take

    def offer_stop_service(self) -> Any:
        def stop(request: Any, response: Any) -> Any:
            self.into(self.stopped)("stopped")
            response.success = True
            return response

        return self.create_service(Trigger, "avatar_node/stop_speaking", stop)

    def wait(self, done: Callable[[], Any]) -> Any:
        """What `done` gives once it is true, looked at whenever something comes."""
        with self._came:
            assert self._came.wait_for(done, PATIENCE_S), "waited in vain"
            return done()

    def say(self, text: str) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while not self.text.get_subscription_count():
            assert time.monotonic() < end_s
            threading.Event().wait(0.02)
        self.text.publish(String(data=text))

    def result(self, future: Any) -> Any:
        """Of a future that another thread serves."""
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        assert done.wait(PATIENCE_S), "no answer"
        return future.result()

    def ask_to_stop(self) -> Any:
        client = self.create_client(Trigger, "speech_node/stop")
        assert client.wait_for_service(PATIENCE_S)
        return self.result(client.call_async(Trigger.Request()))

    def diagnosed(self) -> dict[str, str]:
        """The newest values of the speech node's diagnostics."""
        for array in reversed(self.got["/diagnostics"]):
            for status in array.status:
                if status.name == "/speech_node: speech":
                    return {pair.key: pair.value for pair in status.values}
        return {}


@pytest.fixture
def serve() -> Iterator[Callable[[Node], None]]:
    """Serves nodes in threads of their own until the test is over."""
    rclpy.init()
    served: list[tuple[Node, MultiThreadedExecutor, threading.Thread]] = []

    def add(node: Node) -> None:
        executor = MultiThreadedExecutor(num_threads=4)
        executor.add_node(node)
        thread = threading.Thread(target=executor.spin, daemon=True)
        thread.start()
        served.append((node, executor, thread))

    yield add
    for node, _, _ in served:
        if isinstance(node, NodeBase):
            node.close()
    for node, executor, thread in served:
        executor.shutdown()
        thread.join(PATIENCE_S)
        node.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture
def person(serve: Callable[[Node], None]) -> Person:
    made = Person()
    serve(made)
    return made


@pytest.fixture
def speaker(serve: Callable[[Node], None], tmp_path: Path) -> Make:
    program = tmp_path / "speaker.py"
    program.write_text(SPEAKER)

    def make(**parameters: Any) -> SpeechNode:
        given = {"speech_command": f"{sys.executable} {program}", **parameters}
        node = SpeechNode(parameter_overrides=[Parameter(n, value=v) for n, v in given.items()])
        serve(node)
        return node

    return make


class Goal:
    """A goal of the action, and what the node tells of it."""

    def __init__(self, person: Person, goal: Any, name: str = "speech_node/say") -> None:
        self.person, self.feedback = person, []
        action = type(goal).__qualname__.removesuffix("_Goal")
        kind = Say if action == "Say" else tts()
        self.client = ActionClient(person, kind, name)
        assert self.client.wait_for_server(PATIENCE_S)
        heard = person.into(self.feedback)
        sent = self.client.send_goal_async(goal, lambda msg: heard(msg.feedback))
        self.handle = person.result(sent)

    def result(self) -> Any:
        """Status and result."""
        return self.person.result(self.handle.get_result_async())

    def cancel(self) -> Any:
        return self.person.result(self.handle.cancel_goal_async())


def tts() -> Any:
    from audio_common_msgs.action import TTS

    return TTS


def seconds(msg: Any) -> float:
    return len(installed_audio.mono(msg)) / 16_000


def test_texts_become_audio_one_after_the_other(person: Person, speaker: Make) -> None:
    speaker()
    person.say("One two. Three!")
    person.say("four")
    audio = person.wait(lambda: len(person.got["avatar/audio"]) >= 3 and person.got)
    lengths = [seconds(msg) for msg in audio["avatar/audio"]]
    assert lengths == pytest.approx([2, 1, 1], abs=0.01)
    first = installed_audio.mono(audio["avatar/audio"][0])
    assert 0.2 < np.abs(first[2000:-2000]).max() < 0.4
    assert audio["avatar/audio"][0].header.stamp.sec > 0
    person.wait(lambda: person.diagnosed().get("completed") == "2")
    assert person.diagnosed()["sentences"] == "3"


def test_a_program_that_fails_is_counted_and_the_node_goes_on(
    person: Person, speaker: Make
) -> None:
    speaker(speech_timeout_s=1.0)
    for bad in ("fail", "nonsense", "hang", "…"):
        person.say(bad)
    person.say("word")
    person.wait(lambda: person.got["avatar/audio"])
    assert len(person.got["avatar/audio"]) == 1
    person.wait(lambda: person.diagnosed().get("completed") == "1")
    found = person.diagnosed()
    assert (found["failed"], found["speech failed"], found["say failed"]) == ("3", "3", "1")


def test_a_missing_program_is_told(person: Person, speaker: Make) -> None:
    speaker(speech_command="no-such-program")
    person.say("hello")
    person.wait(lambda: person.diagnosed().get("failed") == "1")
    messages = {s.message for array in person.got["/diagnostics"] for s in array.status}
    assert "the program no-such-program is not installed: no text can be spoken" in messages


def test_a_goal_tells_how_far_it_has_come(person: Person, speaker: Make) -> None:
    speaker()
    goal = Goal(person, Say.Goal(text="One. Two.", language="en"))
    answer = goal.result()
    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    assert (answer.result.completed, answer.result.sentences_said) == (True, 2)
    assert [goal.feedback[0].text, goal.feedback[-1].text] == ["One.", "Two."]
    said = [msg.said_s for msg in goal.feedback]
    assert said == sorted(said)
    assert said[-1] + goal.feedback[-1].left_s == pytest.approx(2.0, abs=0.01)


def test_goals_that_cannot_be_spoken_are_rejected(person: Person, speaker: Make) -> None:
    speaker()
    for bad in (Say.Goal(text="?!"), Say.Goal(text="hi", language="--path=/")):
        assert not Goal(person, bad).handle.accepted
    person.wait(lambda: person.diagnosed().get("action ~/say failed") == "2")


def test_a_cancelled_goal_is_silenced_and_the_next_one_is_said(
    person: Person, speaker: Make
) -> None:
    person.offer_stop_service()
    speaker()
    first = Goal(person, Say.Goal(text="word " * 50))
    waiting = Goal(person, Say.Goal(text="never said"))
    last = Goal(person, Say.Goal(text="last"))
    person.wait(lambda: person.got["avatar/audio"])
    person.wait(lambda: first.feedback)
    assert waiting.cancel().goals_canceling
    assert waiting.result().status == GoalStatus.STATUS_CANCELED
    assert person.stopped == []
    assert first.cancel().goals_canceling
    answer = first.result()
    assert answer.status == GoalStatus.STATUS_CANCELED
    assert (answer.result.completed, answer.result.message) == (False, "it was cancelled")
    person.wait(lambda: person.stopped)
    assert last.result().status == GoalStatus.STATUS_SUCCEEDED
    assert [round(seconds(msg)) for msg in person.got["avatar/audio"]] == [50, 1]


@pytest.mark.parametrize("by", ["service", "empty text"])
def test_everything_is_silenced_on_request(by: str, person: Person, speaker: Make) -> None:
    person.offer_stop_service()
    speaker()
    goal = Goal(person, Say.Goal(text="word " * 50))
    person.say("and this")
    person.wait(lambda: person.got["avatar/audio"])
    person.wait(lambda: person.diagnosed().get("waiting") == "2")
    if by == "service":
        answer = person.ask_to_stop()
        assert (answer.success, answer.message) == (True, "stopped 2 texts")
        assert person.ask_to_stop().message == "stopped 0 texts"
    else:
        person.say("  ")
    assert goal.result().status == GoalStatus.STATUS_ABORTED
    person.wait(lambda: person.stopped)
    person.wait(lambda: person.diagnosed().get("stopped") == "2")
    assert len(person.got["avatar/audio"]) == 1


def test_a_new_text_may_interrupt(person: Person, speaker: Make) -> None:
    person.offer_stop_service()
    node = speaker()
    person.say("word " * 50)
    person.wait(lambda: person.got["avatar/audio"])
    assert node.set_parameters([Parameter("interrupt", value=True)])[0].successful
    person.say("now")
    person.wait(lambda: len(person.got["avatar/audio"]) == 2)
    assert person.stopped


def test_without_an_avatar_stopping_is_an_error_that_is_counted(
    person: Person, speaker: Make
) -> None:
    speaker()
    person.say("word " * 50)
    person.wait(lambda: person.got["avatar/audio"])
    assert person.ask_to_stop().success
    person.wait(lambda: int(person.diagnosed().get("stop_service failed", 0)) > 0)


def test_parameters_of_no_use_are_refused(speaker: Make) -> None:
    with pytest.raises(ConfigError, match="quotation"):
        speaker(speech_command="say 'it")


def test_the_graph_is_what_the_table_says(person: Person, speaker: Make) -> None:
    node = speaker()
    topics = {
        name: kinds[0]
        for name, kinds in node.get_subscriber_names_and_types_by_node("speech_node", "/")
    }
    services = dict(node.get_service_names_and_types_by_node("speech_node", "/"))
    for topic in SPEECH_TOPICS:
        assert topics[f"/{topic.name}"] == topic.type
    for service in SPEECH_SERVICES:
        assert services[service.name.replace("~", "/speech_node")] == [service.type]
    for action in SPEECH_ACTIONS[: 1 if installed_audio.IS_BYTES else 2]:
        name = action.name.replace("~/", "speech_node/")
        assert services[f"/{name}/_action/send_goal"] == [f"{action.type}_SendGoal"]


@installed_audio.needs_audio_stamped
def test_the_action_of_audio_common_is_offered(person: Person, speaker: Make) -> None:
    speaker()
    goal = Goal(person, tts().Goal(text="One. Two.", volume=0.5, rate=1.2), "say")
    answer = goal.result()
    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    assert answer.result.text == "One. Two."
    person.wait(lambda: len(goal.feedback) == 2 and len(person.got["avatar/audio"]) == 2)
    told = installed_audio.mono(goal.feedback[0].audio)
    assert np.array_equal(told, installed_audio.mono(person.got["avatar/audio"][0]))
    assert 0.1 < np.abs(told[2000:-2000]).max() < 0.2
    assert not Goal(person, tts().Goal(text="hi", rate=-1.0), "say").handle.accepted


def test_the_avatar_says_the_text_and_is_silent_once_it_is_cancelled(
    person: Person, speaker: Make, serve: Callable[[Node], None]
) -> None:
    given = {"image_size_px": 128, "autostart": False, "user_motion_source": "none"}
    avatar = AvatarNode(parameter_overrides=[Parameter(n, value=v) for n, v in given.items()])
    serve(avatar)
    avatar.trigger_configure()
    avatar.trigger_activate()
    speaker()
    aligned = person.got["avatar/audio_aligned"]

    def is_loud(msg: Any) -> bool:
        return bool(np.abs(installed_audio.mono(msg)).max() > 0.05)

    person.wait(lambda: len(aligned) > 5)
    assert not any(map(is_loud, list(aligned)))
    goal = Goal(person, Say.Goal(text="word " * 40))
    person.wait(lambda: is_loud(aligned[-1]))
    person.wait(lambda: person.got["avatar/state"][-1].state == AvatarState.SPEAKING)
    assert goal.cancel().goals_canceling
    assert goal.result().status == GoalStatus.STATUS_CANCELED
    person.wait(lambda: person.got["avatar/state"][-1].state == AvatarState.IDLE)
    first = len(aligned)
    person.wait(lambda: len(aligned) >= first + 50)
    assert not any(map(is_loud, aligned[first:]))
    assert sum(map(is_loud, aligned)) < 25 * 20  # of 40 s
    said = [msg.said_s for msg in goal.feedback]
    assert said == sorted(said)  # counted from when it was heard, not from when it was sent
    avatar.trigger_deactivate()
    avatar.trigger_cleanup()
