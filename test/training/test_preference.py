"""The preference step: what loses, what is minimised, and that a model learns to prefer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import TINY_CAUSAL, tiny_generator

from avatar_forcing_ros import config as presets
from avatar_forcing_ros.config import PRESETS, Preset, SamplingConfig
from avatar_forcing_ros.errors import CheckpointError, MediaError
from avatar_forcing_ros.model.checkpoint import load_checkpoint, save_checkpoint
from avatar_forcing_ros.training import preference as preference_module
from avatar_forcing_ros.training.dataset import ConversationWindows
from avatar_forcing_ros.training.losses import Corruption
from avatar_forcing_ros.training.preference import (
    Pairs,
    PairWindows,
    Preference,
    make_losing_samples,
)
from avatar_forcing_ros.training.rollout import roll_out_features
from avatar_forcing_ros.training.run import Run, train_preference
from avatar_forcing_ros.training.settings import PreferenceConfig, TrainingConfig

SAMPLING = SamplingConfig(nfe=4)
TRAINING = TrainingConfig(
    steps=6, batch_windows=4, precision="float32", condition_dropout=0.0, smoothness=0.0
)


@pytest.fixture
def windows(data: Path) -> ConversationWindows:
    return ConversationWindows(data, "train", TINY_CAUSAL)


def pairs(windows: ConversationWindows) -> Pairs:
    winner = windows.batch(4, np.random.default_rng(0))
    loser = torch.randn(winner.motion.shape, generator=torch.Generator().manual_seed(1))
    return Pairs(winner, loser)


def test_what_loses_does_not_depend_on_the_user(windows: ConversationWindows) -> None:
    """The same speech and noise with another user: the same motion without the user, not with."""
    model = tiny_generator(TINY_CAUSAL)
    conversation = windows.conversations[0]
    other = replace(
        conversation,
        user_motion=conversation.user_motion + 1.0,
        user_audio=-conversation.user_audio,
    )
    for user, same in ((False, True), (True, False)):
        both = [
            roll_out_features(model, SAMPLING, [t], users=[t] if user else None, seeds=[3])[0]
            for t in (conversation, other)
        ]
        assert np.array_equal(*both) == same
        assert both[0].shape == conversation.avatar_motion.shape


def test_many_rolled_out_together_are_what_each_is_alone(windows: ConversationWindows) -> None:
    model = tiny_generator(TINY_CAUSAL)
    first, second = windows.conversations[:2]
    short = replace(
        second,
        avatar_motion=second.avatar_motion[:25],
        user_motion=second.user_motion[:25],
        avatar_audio=second.avatar_audio[:100],
        user_audio=second.user_audio[:100],
    )
    both = [first, short]
    together = roll_out_features(model, SAMPLING, both, users=both, seeds=[5, 6])
    for conversation, seed, motion in zip([first, short], [5, 6], together, strict=True):
        one = [conversation]
        alone = roll_out_features(model, SAMPLING, one, users=one, seeds=[seed])[0]
        np.testing.assert_allclose(motion, alone, atol=1e-4)


def test_before_anything_is_learned_nothing_is_preferred(windows: ConversationWindows) -> None:
    """Against itself a model is indifferent: log 2, and the flow loss is all that is left."""
    model, before = tiny_generator(TINY_CAUSAL), tiny_generator(TINY_CAUSAL)
    preference = PreferenceConfig(training=TRAINING, beta=50.0, flow_weight=0.5)
    objective = Preference(model, before, preference)
    with torch.no_grad():
        metrics = objective(pairs(windows), torch.Generator().manual_seed(0))
    assert float(metrics["margin"]) == 0.0
    expected = 2.0 / 50.0 * np.log(2.0) + 0.5 * float(metrics["flow"])
    assert float(metrics["loss"]) == pytest.approx(expected, rel=1e-5)


def test_a_window_without_noise_contributes_nothing(
    windows: ConversationWindows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It happens in one of some ten thousand; not a number would spoil all weights for good."""
    drawn = preference_module.draw_corruption

    def without_noise(*arguments: Any) -> Corruption:
        corruption = drawn(*arguments)
        corruption.timestep[1] = 0.0
        return corruption

    monkeypatch.setattr(preference_module, "draw_corruption", without_noise)
    preference = PreferenceConfig(training=TRAINING)
    objective = Preference(tiny_generator(TINY_CAUSAL), tiny_generator(TINY_CAUSAL, 1), preference)
    metrics = objective(pairs(windows), torch.Generator().manual_seed(0))
    assert all(bool(torch.isfinite(value)) for value in metrics.values())


def test_the_gradient_goes_towards_the_winner_and_away_from_the_loser(
    windows: ConversationWindows,
) -> None:
    model = tiny_generator(TINY_CAUSAL).train().requires_grad_(True)
    preference = PreferenceConfig(training=TRAINING, beta=5.0, flow_weight=0.0)
    objective = Preference(model, tiny_generator(TINY_CAUSAL), preference)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    given = pairs(windows)
    for _ in range(20):
        metrics = objective(given, torch.Generator().manual_seed(0))
        optimizer.zero_grad()
        metrics["loss"].backward()
        optimizer.step()
    with torch.no_grad():
        metrics = objective(given, torch.Generator().manual_seed(0))
    assert float(metrics["margin"]) > 0.0
    assert float(metrics["preferred"]) > 0.9
    assert float(metrics["towards_winner"]) > float(metrics["towards_loser"])
    same = tiny_generator(TINY_CAUSAL).state_dict()
    for name, tensor in objective.before.state_dict().items():
        assert torch.equal(tensor, same[name])  # the yardstick does not move


def test_a_shuffled_loser_answers_somebody_else(
    windows: ConversationWindows, tmp_path: Path
) -> None:
    model = tiny_generator(TINY_CAUSAL)
    for kind in ("dropped", "shuffled"):
        assert sum(make_losing_samples(tmp_path / kind, windows, model, SAMPLING, 2, kind)) == 2
    conversations = windows.conversations[:2]
    others = conversations[::-1]
    wanted = roll_out_features(model, SAMPLING, conversations, users=others, seeds=[0, 1])
    for i, motion in enumerate(wanted):
        shuffled = np.load(tmp_path / "shuffled" / f"losing-{i:07d}.npy")
        np.testing.assert_allclose(shuffled, motion, atol=1e-5)
        assert (
            np.abs(shuffled - np.load(tmp_path / "dropped" / f"losing-{i:07d}.npy")).max() > 1e-3
        )
    folders = [tmp_path / "dropped", tmp_path / "shuffled"]
    batch = PairWindows(windows, folders).batch(16, np.random.default_rng(0))
    one = PairWindows(windows, folders[:1]).batch(16, np.random.default_rng(0))
    same = (batch.loser == one.loser).flatten(1).all(dim=1)
    assert 0 < int(same.sum()) < 16  # some of each kind


def test_losing_samples_are_kept_and_belong_to_one_model(
    windows: ConversationWindows, tmp_path: Path
) -> None:
    model = tiny_generator(TINY_CAUSAL)
    folder = tmp_path / "losing"
    assert sum(make_losing_samples(folder, windows, model, SAMPLING, 2)) == 2
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("*.npy")}
    assert len(kept) == 2
    assert sum(make_losing_samples(folder, windows, model, SAMPLING, 3)) == 3
    assert all(path.stat().st_mtime_ns == at for path, at in kept.items())
    batch = PairWindows(windows, [folder]).batch(8, np.random.default_rng(0))
    assert batch.loser.shape == batch.winner.motion.shape
    start = round(float(batch.winner.motion[0, 0, 0]))  # the fixture's frame number
    made = [np.load(path) for path in sorted(folder.glob("*.npy"))]
    rows = [m[start : start + TINY_CAUSAL.window_frames] for m in made]
    assert any(np.array_equal(batch.loser[0].numpy(), row) for row in rows)
    with pytest.raises(CheckpointError, match="another"):
        next(make_losing_samples(folder, windows, model, SamplingConfig(nfe=5), 3))
    with pytest.raises(CheckpointError, match="another"):
        next(make_losing_samples(folder, windows, tiny_generator(TINY_CAUSAL, 1), SAMPLING, 3))
    middle = sorted(folder.glob("*.npy"))[1]
    middle.rename(tmp_path / "elsewhere")  # an unfinished run leaves such holes
    found = PairWindows(windows, [folder]).batch(8, np.random.default_rng(0))
    for winner, loser in zip(found.winner.motion, found.loser, strict=True):
        start = round(float(winner[0, 0]))
        assert np.array_equal(loser, made[0][start : start + TINY_CAUSAL.window_frames])
    (tmp_path / "elsewhere").rename(middle)
    np.save(next(iter(kept)), np.zeros((3, 3), np.float32))
    with pytest.raises(MediaError, match="shape"):
        PairWindows(windows, [folder])
    with pytest.raises(MediaError, match=r"losing-\*"):
        PairWindows(windows, [tmp_path])


def test_the_whole_step_from_weights_to_weights(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        presets.PRESETS, "compact", Preset(TINY_CAUSAL, PRESETS["compact"].sampling)
    )
    initial = tmp_path / "initial.safetensors"
    save_checkpoint(initial, tiny_generator(TINY_CAUSAL), {"method": "none"})
    settings = tmp_path / "preference.yaml"
    settings.write_text(
        "conversations: 2\ntraining:\n  steps: 3\n  batch_windows: 4\n  precision: float32\n"
    )
    run = Run(data, tmp_path / "run", settings=settings, initial=initial, accelerator="cpu")
    train_preference(run)
    trained = load_checkpoint(run.folder / "generator.safetensors")
    assert trained.origin["begun_from"] == {"method": "none"}
    assert trained.origin["preference"]["conversations"] == 2
    before = load_checkpoint(initial).generator.state_dict()
    changed = [
        name
        for name, tensor in trained.generator.state_dict().items()
        if not torch.equal(tensor, before[name])
    ]
    assert len(changed) > 20
