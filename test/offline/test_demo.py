"""The demonstration as a newcomer runs it: a video to look at, and metrics within their limits."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest

from avatar_forcing_ros.cli import main
from avatar_forcing_ros.media_files.reading import read_audio


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    assert main(["demo", "--output-dir", str(folder)]) == 0
    return folder


def test_the_video_shows_both_and_has_audio(made: Path) -> None:
    with av.open(str(made / "demo.mp4")) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert video.codec_context.name == "h264"
        assert audio.codec_context.name == "aac"
        assert (video.width, video.height, video.average_rate) == (1024, 512, 25)
        assert 20.0 <= float(video.duration * video.time_base) <= 30.0
        moved = [f.to_ndarray(format="gray")[::8, ::8] for f in container.decode(video=0)][::50]
    avatar, person = (np.stack(moved)[..., half].astype(float) for half in np.s_[:64, 64:])
    for side in (avatar, person):
        assert np.abs(np.diff(side, axis=0)).mean() > 0.2
    assert np.abs(read_audio(made / "demo.mp4")).max() > 0.1


def test_the_metrics_are_measured_on_that_run(made: Path) -> None:
    metrics = json.loads((made / "demo.json").read_text())
    assert metrics["fps"] == 25
    assert 500 <= metrics["frames"] <= 750
    assert metrics["real_time_factor"] > 0
    assert 0 < metrics["block_compute_ms"]["median"] <= metrics["block_compute_ms"]["p99"]
    assert metrics["mouth_speech_r"] >= 0.5  # loudness is but a proxy of the mouth
    assert abs(metrics["mouth_speech_lag_frames"]) <= 1
    assert metrics["user_face_seen_frames"] >= 590
    assert len(metrics["reactions"]) >= 2
    assert any(r["kind"] == "smile" and 0 < r["delay_ms"] <= 1500 for r in metrics["reactions"])
    assert 2 <= metrics["blinks"] <= 16  # of this seed 2 or 3 by the tracker, of others 7 to 9
