"""Conversations on disk: made, kept, checked, and cut into windows as a stream would see them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import TINY, TINY_LATENT

from avatar_forcing_ros.errors import ConfigError, MediaError
from avatar_forcing_ros.model.audio_encoders import SILENCE
from avatar_forcing_ros.rig.coefficients import COUNT
from avatar_forcing_ros.streaming.audio_window import MelWindow
from avatar_forcing_ros.training.dataset import (
    ConversationWindows,
    StoredConversation,
    audio_features,
    load_conversation,
    save_conversation,
)
from avatar_forcing_ros.training.synthetic.dataset import make_conversations


def test_windows_are_aligned_as_in_a_stream(data: Path) -> None:
    """The avatar's audio runs ahead of its motion by the delay, the user's does not."""
    windows = ConversationWindows(data, "train", TINY)
    batch = windows.batch(20, np.random.default_rng(0))
    ahead = TINY.avatar_audio_delay_frames
    for i in range(20):
        start = round(float(batch.motion[i, 0, 0]))
        assert batch.motion[i, :, 0].tolist() == list(range(start, start + TINY.window_frames))
        assert float(batch.user_motion[i, 0, 0]) == start + 100
        last = start + TINY.window_frames
        expected = [(batch.avatar_audio[i], 4 * (last + ahead)), (-batch.user_audio[i], 4 * last)]
        for mel, stop in expected:
            assert mel.shape == (4 * (7 + TINY.window_frames), 80)
            assert float(mel[-1, 0]) == pytest.approx((stop - 1) / 100, abs=2e-3)
        if start < 7:
            assert float(batch.user_audio[i, 0, 0]) == pytest.approx(SILENCE)


def test_training_features_are_those_of_a_stream() -> None:
    audio = (0.1 * np.random.default_rng(0).standard_normal(640 * 30)).astype(np.float32)
    window = MelWindow()
    streamed = [window.push(audio[k : k + 3200])[-20:] for k in range(0, len(audio), 3200)]
    clip = audio_features(audio).astype(np.float32)
    assert np.abs(np.concatenate(streamed) - clip).max() < 2e-3  # stored in half precision


def test_waves_are_levelled_as_a_stream_levels_them() -> None:
    audio = (0.01 * np.random.default_rng(0).standard_normal(640 * 30)).astype(np.float32)
    levelled = audio_features(audio, "wave").astype(np.float32)
    assert levelled.shape == audio.shape
    assert levelled[-6400:].std() > 5 * audio.std()


def test_a_latent_conversation_is_cut_sample_by_sample(tmp_path: Path) -> None:
    frames = 60
    wave = np.arange(frames * 640, dtype=np.float32)
    motion = np.arange(frames, dtype=np.float32)[:, None].repeat(16, 1)
    conversation = StoredConversation(
        "wave",
        (wave / 1000).astype(np.float16),
        (-wave / 1000).astype(np.float16),
        motion,
        -motion,
        np.full(16, 7.0, np.float32),
    )
    save_conversation(tmp_path / "train-x.npz", conversation)
    batch = ConversationWindows(tmp_path, "train", TINY_LATENT).batch(4, np.random.default_rng(0))
    assert batch.reference.tolist() == [[7.0] * 16] * 4
    for i in range(4):
        start = int(batch.motion[i, 0, 0])
        assert batch.avatar_audio.shape == (4, 640 * 50)
        assert float(batch.avatar_audio[i, 0]) == pytest.approx(start * 0.64, rel=2e-3)


def test_files_for_other_networks_and_with_broken_values_are_reported(data: Path) -> None:
    path = next(data.glob("train-*.npz"))
    with pytest.raises(MediaError, match="avatar_motion"):
        load_conversation(path, TINY_LATENT)
    with pytest.raises(MediaError, match="avatar_wave"):
        load_conversation(path, replace(TINY, audio_encoder="wav2vec2"))
    with np.load(path) as stored:
        arrays = dict(stored)
    arrays["user_motion"][3, 3] = np.nan
    np.savez(path, **arrays)
    with pytest.raises(MediaError, match="not numbers"):
        load_conversation(path, TINY)


def test_conversations_shorter_than_a_window_are_reported(data: Path) -> None:
    with pytest.raises(MediaError, match="at least one window"):
        ConversationWindows(data, "train", replace(TINY, window_frames=39))


def test_a_damaged_file_is_reported(data: Path) -> None:
    path = next(data.glob("train-*.npz"))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(MediaError, match="cannot be read"):
        ConversationWindows(data, "train", TINY)


@pytest.mark.parametrize(("workers", "share"), [(0, 0.0), (1, 1.5), (1, float("nan"))])
def test_impossible_arguments_are_refused(workers: int, share: float, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        next(make_conversations(tmp_path, "train", 1, workers, share))


def test_missing_data_is_reported(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="avatar-forcing train data"):
        ConversationWindows(tmp_path, "train", TINY)


def test_prepared_conversations_are_kept_and_splits_are_apart(tmp_path: Path) -> None:
    made = [
        path
        for split, count in (("train", 2), ("valid", 1))
        for path in make_conversations(tmp_path, split, count, workers=1)
    ]
    assert [p.name for p in made] == [
        "train-0000000.npz",
        "train-0000001.npz",
        "valid-1000000.npz",
    ]
    before = made[0].stat().st_mtime_ns
    assert list(make_conversations(tmp_path, "train", 2, workers=1)) == made[:2]
    assert made[0].stat().st_mtime_ns == before
    with np.load(made[0]) as stored:
        assert stored["avatar_motion"].shape == (500, COUNT)
        assert stored["user_mel"].shape == (2000, 80)
