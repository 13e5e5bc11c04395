"""The weights that ship do what the package is for: listen to a voice and move a face by it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from avatar_forcing_ros.config import AvatarConfig, SamplingConfig
from avatar_forcing_ros.media import AudioChunk
from avatar_forcing_ros.media_files.reading import read_audio
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.rig.coefficients import INDEX, NAMES
from avatar_forcing_ros.runtime.load import build_session
from avatar_forcing_ros.timebase import samples_to_frames
from avatar_forcing_ros.training.metrics.behaviour import best_lag, blinks, mouth_opening

DATA = Path(__file__).parent.parent / "data"


def motion(audio: np.ndarray, seed: int = 0) -> np.ndarray:
    """Coefficients ``[T, K]`` in the time of the sound, its delay taken out."""
    config = AvatarConfig(image_size_px=128, sampling=SamplingConfig(seed=seed))
    session = build_session(config, user_audio=False, user_video=False)
    engine = session.engine
    session.push_avatar_audio(AudioChunk(audio, 16_000, 0))
    frames, delay = samples_to_frames(len(audio)), engine.config.avatar_audio_delay_frames
    out = []
    while session.next_frame < frames + delay:
        out.append(session.next_block().coefficients)
    return np.concatenate(out)[delay : delay + frames]


@pytest.fixture(scope="module")
def unseen() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Speech of a voice that training never had, its motion, and its phonemes' mouth shapes."""
    told = json.loads((DATA / "unseen_voice.json").read_text())
    values = motion(read_audio(DATA / "unseen_voice.wav"))
    return values, {name: np.array(told[name]) for name in ("jaw_open", "lips_close")}


def test_the_jaw_follows_an_unseen_voice(unseen: tuple[np.ndarray, dict]) -> None:  # type: ignore[type-arg]
    values, told = unseen
    frames = min(len(values), len(told["jaw_open"]))
    r, lag = best_lag(values[:frames, INDEX["jaw_open"]], told["jaw_open"][:frames])
    print(f"jaw_open r {r:.3f} at lag {lag}")
    assert r >= 0.8
    assert abs(lag) <= 1


def test_lips_meet_more_when_they_should(unseen: tuple[np.ndarray, dict]) -> None:  # type: ignore[type-arg]
    values, told = unseen
    closed = values[:, INDEX["lips_close"]][: len(told["lips_close"])]
    should = told["lips_close"][: len(closed)] > 0.5
    assert should.any()
    assert closed[should].mean() > 2.0 * closed[~should].mean()


def test_the_face_lives_but_the_mouth_rests_in_silence() -> None:
    """When nobody speaks for long it blinks and sways a little, the mouth is shut."""
    made = [motion(np.zeros(20 * 16_000, np.float32), seed)[25:] for seed in range(3)]
    values = np.concatenate(made)
    assert mouth_opening(values).max() < 0.08
    assert 6 <= sum(len(blinks(part)) for part in made) <= 30  # a minute's worth
    pose = values[:, [NAMES.index(n) for n in ("head_yaw", "head_pitch", "head_roll")]]
    assert 1e-3 < pose.std(axis=0).max() < 0.1  # rad
    speed = np.abs(np.diff(pose.reshape(3, -1, 3), axis=1)).reshape(-1, 3) * 25
    assert np.percentile(speed, 95) < 0.6  # rad/s: no trembling, no jumps


@pytest.mark.parametrize("hz", [(50,), (60,), (100,), (440,), (1000,), tuple(range(50, 401, 50))])
def test_the_mouth_stays_shut_over_tones_and_hum(hz: tuple[int, ...]) -> None:
    times_s = np.arange(6 * 16_000) / 16_000
    sound = sum(0.02 * np.sin(2 * np.pi * one * times_s) for one in hz)
    assert mouth_opening(motion(np.asarray(sound, np.float32))[25:]).max() < 0.1


@pytest.mark.parametrize("fault", ["offset", "hum", "quiet"])
def test_the_jaw_follows_a_voice_from_a_bad_microphone(fault: str) -> None:
    told = np.array(json.loads((DATA / "unseen_voice.json").read_text())["jaw_open"])
    voice = read_audio(DATA / "unseen_voice.wav")
    times_s = np.arange(len(voice)) / 16_000
    harmonics = sum(0.01 * np.sin(2 * np.pi * 50 * k * times_s) / k for k in range(1, 9))
    changed = {"offset": voice + 0.3, "hum": voice + harmonics, "quiet": voice / 100.0}[fault]
    jaw = motion(changed.astype(np.float32))[:, INDEX["jaw_open"]]
    frames = min(len(jaw), len(told))
    r, _ = best_lag(jaw[:frames], told[:frames])
    print(f"{fault}: jaw_open r {r:.3f}")
    assert r >= 0.8


def test_the_head_moves_while_speaking(unseen: tuple[np.ndarray, dict]) -> None:  # type: ignore[type-arg]
    values, _ = unseen
    assert values[:, INDEX["head_pitch"]].std() > 5e-3
    assert values[:, INDEX["head_yaw"]].std() > 5e-3


def test_the_bars_that_a_minute_of_conversation_can_tell(tmp_path: Path) -> None:
    """Voices, sentences and people of the held-out split; the whole table is the model card's."""
    pytest.importorskip("espeakng_loader")
    pytest.importorskip("matplotlib")
    from avatar_forcing_ros.training.evaluation.evaluate import EvaluationConfig, evaluate

    few = EvaluationConfig(
        conversations=6,
        seconds=10.0,
        drift_minutes=0.5,
        compared="none",
        free_drift=False,
        workers=1,
    )
    weights = shipped("models/compact/generator.safetensors")
    figures = evaluate(weights, None, few, tmp_path)
    told = {name: figures[name]["value"] for name in ("lip_sync_r", "bilabial_closure")}
    print(told, figures["border_jerk_ratio"]["value"])
    assert told["lip_sync_r"] >= 0.85
    assert abs(figures["lip_sync_lag_frames"]["value"]) <= 1
    assert told["bilabial_closure"] >= 0.8
    assert figures["border_jerk_ratio"]["value"] <= 1.2


def test_the_sides_of_the_face_are_not_one(unseen: tuple[np.ndarray, dict]) -> None:  # type: ignore[type-arg]
    values, _ = unseen
    left, right = (values[:, INDEX[name]] for name in ("smile_left", "smile_right"))
    assert 0.005 < np.abs(left - right).max() < 0.3
