"""The graph as a stage: who hears what, what the panel is told; time is a number."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
from avatar_forcing_ros.nodes.graph_stage import NO_AVATAR, NO_FRAMES, AvatarFigures, GraphStage
from avatar_forcing_ros.web.refusal import RefusedError

from avatar_forcing_ros.errors import MediaError, OutputError
from avatar_forcing_ros.media import AudioChunk, VideoFrame
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME

PIECE = AudioChunk(np.zeros(320, np.float32), SAMPLE_RATE_HZ, 7)
PICTURE = VideoFrame(np.zeros((4, 4, 3), np.uint8), 7)


class Sent:
    """In place of the graph: what was sent, by kind."""

    def __init__(self) -> None:
        self.voice: list[AudioChunk] = []
        self.user: list[Any] = []
        self.stopped = 0

    def now_ns(self) -> int:
        return 5_000_000_000

    def send_voice(self, chunk: AudioChunk) -> None:
        self.voice.append(chunk)

    def send_user_sound(self, chunk: AudioChunk) -> None:
        self.user.append(chunk)

    def send_user_picture(self, frame: VideoFrame) -> None:
        self.user.append(frame)

    def stop_speaking(self) -> Future[int]:
        self.stopped += 1
        done: Future[int] = Future()
        done.set_result(640)
        return done


class Bench:
    def __init__(self, **options: Any) -> None:
        self.now_s = 1_000.0
        self.graph = Sent()
        self.shown: list[Any] = []
        self.viewed: list[Any] = []
        self.stage = GraphStage(self.graph, now_s=lambda: self.now_s, **options)

    def tell_state(self, state: str = "listening") -> None:
        self.stage.put_figures(AvatarFigures(state, 200.0, 40.0, 60.0, True, False, 3))

    def frame(self, stamp_ns: int = 4_900_000_000) -> None:
        self.stage.put_sound(stamp_ns, np.zeros(SAMPLES_PER_FRAME, np.float32))
        self.stage.put_picture(stamp_ns, np.full((2, 2, 3), 9, np.uint8))


def test_the_microphone_is_the_avatars_voice_and_the_camera_nobodys() -> None:
    bench = Bench()
    bench.stage.push_user_audio(PIECE)
    bench.stage.push_user_frame(PICTURE)
    assert not bench.stage.wants_camera
    assert bench.graph.voice == [PIECE]
    assert bench.graph.user == []


def test_in_a_browser_that_is_the_user_both_are_the_persons() -> None:
    bench = Bench(browser_is_user=True)
    bench.tell_state()
    assert bench.stage.wants_camera
    bench.stage.push_user_audio(PIECE)
    bench.stage.push_user_frame(PICTURE)
    assert bench.stage.say(np.zeros(SAMPLE_RATE_HZ, np.float32)) == 1.0
    bench.stage.push_user_audio(PIECE)  # whoever talks to the avatar may do so while it speaks
    assert bench.graph.user == [PIECE, PICTURE, PIECE]
    assert len(bench.graph.voice) == 1


def test_the_microphone_waits_while_words_are_said_and_stop_ends_that() -> None:
    bench = Bench()
    bench.tell_state()
    words = np.ones(2 * SAMPLE_RATE_HZ, np.float32)
    assert bench.stage.say(words) == 2.0
    assert bench.stage.say(words) == 4.0
    assert [chunk.stamp_ns for chunk in bench.graph.voice] == [5_000_000_000] * 2
    bench.stage.push_user_audio(PIECE)
    assert bench.stage.muted_pieces == 1
    assert bench.stage.told()["waiting_voice_samples"] == 4 * SAMPLE_RATE_HZ
    assert bench.stage.stop_speaking().result(0) == 640
    bench.stage.push_user_audio(PIECE)
    assert len(bench.graph.voice) == 3
    bench.stage.say(words)
    bench.now_s += 2.1
    bench.stage.push_user_audio(PIECE)
    assert len(bench.graph.voice) == 5


def test_what_cannot_be_said_is_a_sentence() -> None:
    bench = Bench()
    with pytest.raises(MediaError, match="an avatar on the graph"):
        bench.stage.say(np.zeros(10, np.float32))
    with pytest.raises(OutputError, match="an avatar on the graph"):
        bench.stage.stop_speaking().result(0)
    assert bench.graph.stopped == 0
    bench.tell_state()
    bench.stage.say(np.zeros(100 * SAMPLE_RATE_HZ, np.float32))
    with pytest.raises(MediaError, match="at most 120 s"):
        bench.stage.say(np.zeros(30 * SAMPLE_RATE_HZ, np.float32))
    with pytest.raises(RefusedError, match="parameter portrait"):
        bench.stage.change_face(PICTURE.pixels)


def test_frames_are_shown_while_somebody_looks() -> None:
    bench = Bench(has_view=True)
    bench.frame()
    bench.stage.put_view(PICTURE)
    assert not bench.stage.running
    bench.stage.start(bench.shown.append, bench.viewed.append)
    bench.frame(5_000_000_000)
    bench.stage.put_view(PICTURE)
    assert [frame.stamp_ns for frame in bench.shown] == [5_000_000_000]
    assert bench.viewed == [PICTURE]
    assert bench.stage.face()[0, 0, 0] == 9
    bench.stage.stop()
    bench.frame(5_040_000_000)
    bench.stage.put_view(PICTURE)
    assert (len(bench.shown), len(bench.viewed)) == (1, 1)


def test_frames_carry_what_the_robot_hears_where_that_is_wanted() -> None:
    plain = Bench()
    plain.stage.start(plain.shown.append, plain.viewed.append)
    plain.stage.put_robot_sound(np.ones(640, np.float32))
    plain.frame()
    assert plain.shown[0].robot_audio is None
    bench = Bench(has_robot_sound=True)
    bench.stage.put_robot_sound(np.ones(640, np.float32))  # before anybody looked
    bench.stage.start(bench.shown.append, bench.viewed.append)
    bench.stage.put_robot_sound(np.full(1_000, 0.5, np.float32))
    for number in range(2):
        bench.frame(5_000_000_000 + number * 40_000_000)
    heard = np.concatenate([frame.robot_audio for frame in bench.shown])
    assert (heard[:1_000] == 0.5).all()
    assert not heard[1_000:].any()
    assert not bench.shown[0].audio.any()  # the avatar's own voice stays apart
    assert bench.stage.told()["missing_robot_samples"] == 280


def test_the_panel_says_what_is_missing_on_the_graph() -> None:
    bench = Bench()
    assert bench.stage.told()["state"] == NO_AVATAR
    bench.tell_state("speaking")
    told = bench.stage.told()
    assert (told["state"], told["reaction_ms"], told["skipped_blocks"]) == ("speaking", 200.0, 3)
    bench.stage.start(bench.shown.append, bench.viewed.append)
    bench.now_s += 2.9
    assert bench.stage.told()["state"] == "speaking"
    bench.now_s += 1.0
    bench.tell_state()
    assert bench.stage.told()["state"] == NO_FRAMES
    bench.frame()
    assert bench.stage.told()["state"] == "listening"
    bench.now_s += 3.1
    told = bench.stage.told()
    assert (told["state"], told["reaction_ms"]) == (NO_AVATAR, None)
