"""What `benchmark --live` measures: marks that survive a codec, and reactions measured by them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from fakes import FakeCodec
from numpy.typing import NDArray
from tiny import TINY, tiny_engine

from avatar_forcing_ros.benchmarks.web import run_live_benchmark
from avatar_forcing_ros.benchmarks.web_caller import Observed
from avatar_forcing_ros.benchmarks.web_many import many_as_table, many_metrics
from avatar_forcing_ros.benchmarks.web_metrics import as_table, conversation_metrics
from avatar_forcing_ros.benchmarks.web_session import (
    MAX_MARK,
    MarkedSession,
    draw_mark,
    read_mark,
)
from avatar_forcing_ros.config import AvatarConfig, SamplingConfig
from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.perception.user_motion import UserMotion
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.timebase import frame_stamp_ns

# other tests run beside these
LIGHT = AvatarConfig(image_size_px=256, sampling=SamplingConfig(nfe=3))


def image(grey: int, number: int | None = None) -> NDArray[np.uint8]:
    pixels = np.full((360, 480, 3), grey, np.uint8)
    if number is not None:
        draw_mark(pixels, number)
    return pixels


class MeanCodec(FakeCodec):
    """A user's motion is their image's mean."""

    def encode_user(self, frame: VideoFrame) -> UserMotion:
        return UserMotion(np.full(TINY.motion_dim, frame.pixels.mean() / 255, np.float32), True)


def compressed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """As a codec leaves it that is short of bits."""
    noisy = pixels + np.random.default_rng(0).normal(0, 25, pixels.shape)
    coded = cv2.imencode(".jpg", np.clip(noisy, 0, 255).astype(np.uint8), (1, 15))[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


@pytest.mark.parametrize("number", [0, 1, 2, 4_660, 32_768, MAX_MARK])
@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_number_is_read_again_after_a_bad_codec(number: int, grey: int) -> None:
    assert read_mark(compressed(image(grey, number))) == number


@pytest.mark.parametrize("number", [0, 1, 4_660, MAX_MARK])
def test_a_number_in_a_small_image_is_in_two_rows(number: int) -> None:
    pixels = np.full((256, 256, 3), 128, np.uint8)
    draw_mark(pixels, number)
    assert (pixels[32:] == 128).all()
    assert read_mark(compressed(pixels)) == number


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_an_image_without_a_mark_has_no_number(grey: int) -> None:
    assert read_mark(compressed(image(grey))) is None
    assert read_mark(np.zeros((8, 8, 3), np.uint8)) is None


def test_a_mark_without_space_is_refused() -> None:
    with pytest.raises(ValueError, match="no space"):
        draw_mark(image(0), MAX_MARK + 1)
    with pytest.raises(ValueError, match="no space"):
        draw_mark(np.zeros((64, 64, 3), np.uint8), 1)


def test_a_block_answers_the_newest_camera_frame() -> None:
    session = MarkedSession(Session(tiny_engine(), MeanCodec()))  # type: ignore[arg-type]
    frames = session.engine.frames(session.state)
    for i in range(2 * frames):
        session.push_user_frame(VideoFrame(image(10 + 5 * i, 100 + i), frame_stamp_ns(i)))
    for expected in (100 + frames - 1, 100 + 2 * frames - 1):
        block = session.next_block()
        assert session.answered[block.motion.block_index] == expected


def test_metrics_of_what_was_observed() -> None:
    observed = Observed(
        sent_s=[10.00, 10.04, 10.08, 10.12],
        received_s=[10.2, 10.24, 10.34, 10.38],
        # 0 and 1 together, 2 never by itself, then 3, which stays
        answered=[(1, 10.24), (1, 10.28), (3, 10.34), (3, 10.38)],
        speech_pushed_s=[10.1],
        speech_received_s=[10.4],
    )
    metrics = conversation_metrics(observed, 10.0, 11.0, onset_s=0.1)
    # 240 and 200, then 260 for the one that was left out, and 220
    assert metrics["reaction_ms"] == {"count": 4, "median": 230.0, "p95": 257.0, "worst": 260.0}
    assert metrics["speech_ms"]["median"] == pytest.approx(200.0)
    assert metrics["late_pictures"] == 1
    assert metrics["longest_gap_ms"] == pytest.approx(100.0)
    assert metrics["fps"] == 4.0


def test_metrics_of_several_at_a_time() -> None:
    quick = Observed(sent_s=[10.0], answered=[(0, 10.2)])
    quick.received_s = [10 + i / 25 for i in range(25)]
    late = Observed(sent_s=[10.0], answered=[(0, 10.4)], received_s=list(quick.received_s))
    share, memory = {"avatar": 1, "web": 2, "caller": 3}, {"most": 300.0}
    rest = {"percent_of_a_core": share, "memory_mb": memory, "ready_mb": 100.0}
    rest |= {"more_mb_each": 100.0, "image_size_px": 256}
    metrics = many_metrics([quick, quick], 10.0, 11.0, 0.0)
    assert metrics["reaction_ms"]["median"] == pytest.approx(200.0)
    assert metrics["holds"]
    assert "holds with 2" in many_as_table(metrics | rest)
    metrics = many_metrics([quick, late], 10.0, 11.0, 0.0)
    assert metrics["reaction_ms"]["worst"] == pytest.approx(400.0)
    assert not metrics["holds"]  # one of two waits for too long
    slow = Observed(sent_s=[10.0], answered=[(0, 10.2)], received_s=quick.received_s[::2])
    metrics = many_metrics([quick, slow], 10.0, 11.0, 0.0)
    assert metrics["slowest_fps"] == 13.0
    assert not metrics["holds"]
    assert "does not hold with 2" in many_as_table(metrics | rest)
    nothing = many_metrics([quick, Observed()], 10.0, 11.0, 0.0)
    assert not nothing["holds"]
    assert "none" in many_as_table(nothing | rest)


def test_speech_that_was_never_received_is_counted() -> None:
    observed = Observed(sent_s=[10.0], received_s=[10.2], speech_pushed_s=[10.1])
    metrics = conversation_metrics(observed, 10.0, 11.0, onset_s=0.1)
    assert metrics["speeches_lost"] == 1
    assert metrics["reaction_ms"] == {"count": 0}


def test_silence_is_counted_from_a_stop_in_the_middle_of_a_word() -> None:
    observed = Observed(
        stopped_s=[20.0, 30.0, 40.0],
        # until 120 ms after the stop, then another speech; nothing around the second stop; and a
        # third after which no more came
        audible_s=[19.9, 19.98, 20.04, 20.12, 25.0, 29.5, 39.95],
    )
    silence = conversation_metrics(observed, 10.0, 50.0, onset_s=0.0)["silence_ms"]
    assert silence == {"count": 2, "median": 60.0, "p95": 114.0, "worst": 120.0}


def test_each_minute_says_whether_audio_and_images_drift_apart() -> None:
    rates = {"video": 1.0, "audio": 1.001}  # the audio's clock goes faster: it comes too late
    times = {
        kind: [(10.0 + 0.1 * i, 10.0 + 0.1 * i * rate) for i in range(1800)]
        for kind, rate in rates.items()
    }
    observed = Observed(
        received_s=[at_s for at_s, _ in times["video"]],
        video_times_s=times["video"],
        audio_times_s=times["audio"],
    )
    minutes = conversation_metrics(observed, 10.0, 190.0, onset_s=0.0)["minutes"]
    assert [row["fps"] for row in minutes] == [10.0] * 3
    assert [row["audio_ahead_ms"] for row in minutes] == pytest.approx([0.0, 60.0, 120.0], abs=0.2)
    assert [row["reaction_ms"] for row in minutes] == [None] * 3


def test_a_conversation_between_two_processes() -> None:
    warnings: list[str] = []
    metrics = run_live_benchmark(LIGHT, 5.0, warnings.append, busy=0)
    assert metrics["reconnects"] == 0
    assert 5 < metrics["reaction_ms"]["count"] <= metrics["pictures_sent"]
    assert metrics["speech_ms"]["count"] == 1
    assert metrics["memory_mb"]["most"] > 100
    assert metrics["percent_of_a_core"]["avatar"] > 5
    assert "from a camera frame to its answer" in as_table(metrics)
    assert warnings == []


def test_two_conversations_at_a_time_are_measured() -> None:
    warnings: list[str] = []
    metrics = run_live_benchmark(LIGHT, 5.0, warnings.append, conversations=2)
    assert [one["reconnects"] for one in metrics["each"]] == [0, 0]
    assert all(one["reaction_ms"]["count"] > 5 for one in metrics["each"])
    assert metrics["percent_of_a_core"]["avatar"] > 5
    assert warnings == []


def test_images_without_space_for_their_number_are_refused() -> None:
    with pytest.raises(ConfigError, match="160 or more"):
        run_live_benchmark(AvatarConfig(image_size_px=128), 5.0, print)
