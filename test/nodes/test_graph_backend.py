"""Protects the backend on the graph: where audio and frames go, its status; time is a number."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from avatar_forcing_ros.msg import AvatarState

from avatar_forcing_ros.errors import ConversationError, OutputError
from avatar_forcing_ros.media import AudioChunk, VideoFrame
from avatar_forcing_ros.nodes.graph_backend import (
    NO_AVATAR,
    NO_FRAMES,
    GraphBackend,
    status_of,
)
from avatar_forcing_ros.rig.expressions import Expression
from avatar_forcing_ros.runtime.status import AvatarStatus
from avatar_forcing_ros.streaming.directed_motion import GazeTarget
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME

CHUNK = AudioChunk(np.zeros(320, np.float32), SAMPLE_RATE_HZ, 7)
FRAME = VideoFrame(np.zeros((4, 4, 3), np.uint8), 7)


def speech(seconds: float) -> AudioChunk:
    return AudioChunk(np.ones(round(seconds * SAMPLE_RATE_HZ), np.float32), SAMPLE_RATE_HZ, 9)


class FakeOutputs:
    """In place of the graph: what was published, by kind."""

    def __init__(self) -> None:
        self.avatar_audio: list[AudioChunk] = []
        self.user: list[Any] = []
        self.commands: list[Any] = []
        self.stopped = 0

    def now_ns(self) -> int:
        return 5_000_000_000

    def publish_avatar_audio(self, chunk: AudioChunk) -> None:
        self.avatar_audio.append(chunk)

    def publish_user_audio(self, chunk: AudioChunk) -> None:
        self.user.append(chunk)

    def publish_user_frame(self, frame: VideoFrame) -> None:
        self.user.append(frame)

    def publish_expression(self, expression: Expression) -> None:
        self.commands.append(expression)

    def publish_gaze_target(self, target: GazeTarget) -> None:
        self.commands.append(target)

    def stop_speaking(self, dropped: int) -> Future[int]:
        self.stopped += 1
        done: Future[int] = Future()
        done.set_result(dropped)
        return done


class Fixture:
    def __init__(self, **options: Any) -> None:
        self.now_s = 1_000.0
        self.outputs = FakeOutputs()
        self.shown: list[Any] = []
        self.viewed: list[Any] = []
        self.backend = GraphBackend(
            self.outputs,  # type: ignore[arg-type]
            now_s=lambda: self.now_s,
            **options,
        )

    def receive_status(self, **fields: Any) -> None:
        self.backend.put_status(AvatarStatus(blocks=9, playout_delay_ms=60.0, **fields))

    def receive_frame(self, stamp_ns: int = 4_900_000_000) -> None:
        self.backend.push_audio(stamp_ns, np.zeros(SAMPLES_PER_FRAME, np.float32))
        self.backend.push_image(stamp_ns, np.full((2, 2, 3), 9, np.uint8))

    def start(self) -> None:
        self.backend.start(self.shown.append, self.viewed.append)


def test_the_microphone_is_the_avatars_speech_and_the_camera_is_unused() -> None:
    fixture = Fixture()
    fixture.backend.push_user_audio(CHUNK)
    fixture.backend.push_user_frame(FRAME)
    assert not fixture.backend.wants_camera
    assert fixture.outputs.avatar_audio == [CHUNK]
    assert fixture.outputs.user == []


def test_in_a_browser_that_is_the_user_both_are_the_users() -> None:
    fixture = Fixture(browser_is_user=True)
    assert fixture.backend.wants_camera
    fixture.backend.push_user_audio(CHUNK)
    fixture.backend.push_user_frame(FRAME)
    fixture.backend.push_avatar_audio(speech(1.0))
    fixture.backend.push_user_audio(CHUNK)  # who talks to the avatar may interrupt it
    assert fixture.outputs.user == [CHUNK, FRAME, CHUNK]
    assert len(fixture.outputs.avatar_audio) == 1


@pytest.mark.parametrize("browser_is_user", [False, True])
def test_expression_and_gaze_go_to_the_avatar(browser_is_user: bool) -> None:
    fixture = Fixture(browser_is_user=browser_is_user)
    commands = [Expression("happy"), GazeTarget(0.2, 0.1)]
    fixture.backend.push_expression(commands[0])
    fixture.backend.push_gaze_target(commands[1])
    assert fixture.outputs.commands == commands


def test_the_microphone_is_muted_while_speech_waits_and_stop_ends_that() -> None:
    fixture = Fixture()
    fixture.receive_status()
    backend, sent = fixture.backend, fixture.outputs.avatar_audio
    backend.push_avatar_audio(speech(2.0))
    backend.push_avatar_audio(speech(2.0))
    backend.push_user_audio(CHUNK)
    assert backend.counts()["muted_microphone_chunks"] == 1
    assert backend.status.waiting_avatar_audio_samples == 4 * SAMPLE_RATE_HZ
    fixture.now_s += 1.0
    assert backend.stop_speaking().result(0) == 3 * SAMPLE_RATE_HZ
    assert backend.status.waiting_avatar_audio_samples == 0
    backend.push_user_audio(CHUNK)
    assert len(sent) == 3
    backend.push_avatar_audio(speech(2.0))
    fixture.now_s += 2.1
    backend.push_user_audio(CHUNK)
    assert len(sent) == 5


def test_without_an_avatar_stopping_fails_and_the_status_shows_it() -> None:
    fixture = Fixture()
    assert not fixture.backend.status.connected
    with pytest.raises(OutputError, match="an avatar on the graph"):
        fixture.backend.stop_speaking().result(0)
    assert fixture.outputs.stopped == 0
    with pytest.raises(ConversationError, match="parameter portrait"):
        fixture.backend.set_portrait(FRAME.pixels)
    assert not fixture.backend.changes_portrait


def test_frames_are_shown_while_somebody_watches() -> None:
    fixture = Fixture(has_view=True)
    fixture.receive_frame()
    fixture.backend.push_view(FRAME)
    assert not fixture.backend.running
    fixture.start()
    fixture.receive_frame(5_000_000_000)
    fixture.backend.push_view(FRAME)
    assert [frame.stamp_ns for frame in fixture.shown] == [5_000_000_000]
    assert fixture.viewed == [FRAME]
    assert fixture.backend.portrait[0, 0, 0] == 9
    fixture.backend.stop()
    fixture.receive_frame(5_040_000_000)
    fixture.backend.push_view(FRAME)
    assert (len(fixture.shown), len(fixture.viewed)) == (1, 1)


def test_frames_carry_the_robots_audio_where_that_is_wanted() -> None:
    plain = Fixture()
    plain.start()
    plain.backend.push_robot_audio(np.ones(640, np.float32))
    plain.receive_frame()
    assert plain.shown[0].robot_audio is None
    fixture = Fixture(has_robot_audio=True)
    fixture.backend.push_robot_audio(np.ones(640, np.float32))  # before anybody watched
    fixture.start()
    fixture.backend.push_robot_audio(np.full(1_000, 0.5, np.float32))
    for number in range(2):
        fixture.receive_frame(5_000_000_000 + number * 40_000_000)
    robot_audio = np.concatenate([frame.robot_audio for frame in fixture.shown])
    assert (robot_audio[:1_000] == 0.5).all()
    assert not robot_audio[1_000:].any()
    assert not fixture.shown[0].audio.any()  # the avatar's own audio stays apart
    assert fixture.backend.counts()["missing_robot_samples"] == 280


def test_the_status_is_the_avatars_and_shows_what_is_missing_on_the_graph() -> None:
    fixture = Fixture()
    backend = fixture.backend
    assert backend.status.warning == NO_AVATAR
    fixture.receive_status(speaking=True, skipped_blocks=3, failed_blocks=2)
    status = backend.status
    assert (status.warning, status.speaking, status.playout_delay_ms) == ("", True, 60.0)
    assert (status.skipped_blocks, status.failed_blocks) == (3, 2)
    fixture.start()
    fixture.now_s += 2.9
    assert backend.status.warning == ""
    fixture.now_s += 1.0
    fixture.receive_status()
    assert backend.status.warning == NO_FRAMES
    fixture.receive_frame()
    assert backend.status.warning == ""
    assert backend.status.graph_delay_ms == pytest.approx(backend.delay_ms - 60.0)
    fixture.now_s += 3.1
    status = backend.status
    assert (status.warning, status.connected, status.blocks) == (NO_AVATAR, False, 0)


@pytest.mark.parametrize(
    ("state", "speaking", "user_speaking"),
    [
        (AvatarState.SPEAKING, True, False),
        (AvatarState.LISTENING, False, True),
        (AvatarState.IDLE, False, False),
    ],
)
def test_a_state_message_is_a_status(state: int, speaking: bool, user_speaking: bool) -> None:
    """Late, skipped and failed blocks are three things, and none stands for another."""
    message = AvatarState(
        state=state, blocks=100, late_blocks=7, skipped_blocks=3, failed_blocks=2,
        reaction_latency_ms=210.0, block_compute_ms=40.0, reduced=True,
    )  # fmt: skip
    status = status_of(message)
    assert (status.speaking, status.user_speaking) == (speaking, user_speaking)
    blocks = (status.blocks, status.late_blocks, status.skipped_blocks, status.failed_blocks)
    assert blocks == (100, 7, 3, 2)
    assert (status.playout_delay_ms, status.compute_ms) == (210.0, 40.0)
    assert status.reduced
