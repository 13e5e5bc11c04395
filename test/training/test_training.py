"""Learning: targets as stated, a loss that falls, and runs that go on where they stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import TINY, tiny_generator

from avatar_forcing_ros.config import TrainingConfig
from avatar_forcing_ros.errors import CheckpointError, ConfigError, MediaError
from avatar_forcing_ros.model.checkpoint import load_checkpoint
from avatar_forcing_ros.model.mel_encoder import SILENCE
from avatar_forcing_ros.rig.coefficients import COUNT
from avatar_forcing_ros.streaming.audio_window import MelWindow
from avatar_forcing_ros.training.conversation_file import sound_features
from avatar_forcing_ros.training.dataset import ConversationWindows
from avatar_forcing_ros.training.losses import (
    draw_condition_masks,
    draw_timesteps,
    flow_matching_loss,
    roughness,
    streaming_condition_mask,
    streaming_horizon,
)
from avatar_forcing_ros.training.synthetic_data import make_conversations
from avatar_forcing_ros.training.trainer import Trainer, learning_rate

FRAMES = 40


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four made-up conversations in which every frame and mel row is recognisable by its value."""
    rng = np.random.default_rng(0)
    for split, seed in (("train", 0), ("train", 1), ("train", 2), ("valid", 1_000_000)):
        rows = np.arange(4 * FRAMES, dtype=np.float16)[:, None].repeat(80, 1) / 100
        motion = rng.standard_normal((FRAMES, COUNT)).astype(np.float32)
        motion[:, 0] = np.arange(FRAMES)
        np.savez(
            tmp_path / f"{split}-{seed:07d}.npz",
            avatar_mel=rows,
            user_mel=-rows,
            avatar_motion=motion,
            user_motion=motion + 100,
            reference=np.zeros(COUNT, np.float32),
        )
    return tmp_path


def test_windows_are_aligned_as_in_a_stream(data: Path) -> None:
    """The avatar's sound runs ahead of its motion by the delay, the user's does not."""
    windows = ConversationWindows(data, "train", TINY)
    batch = windows.batch(20, np.random.default_rng(0))
    ahead = TINY.avatar_audio_delay_frames
    for i in range(20):
        start = round(float(batch.motion[i, 0, 0]))
        assert batch.motion[i, :, 0].tolist() == list(range(start, start + TINY.window_frames))
        assert float(batch.user_motion[i, 0, 0]) == start + 100
        last = start + TINY.window_frames
        told = [(batch.avatar_sound[i], 4 * (last + ahead)), (-batch.user_sound[i], 4 * last)]
        for mel, stop in told:
            assert mel.shape == (4 * (7 + TINY.window_frames), 80)
            assert float(mel[-1, 0]) == pytest.approx((stop - 1) / 100, abs=2e-3)
        if start < 7:
            assert float(batch.user_sound[i, 0, 0]) == pytest.approx(SILENCE)


def test_training_hears_what_a_stream_hears() -> None:
    sound = (0.1 * np.random.default_rng(0).standard_normal(640 * 30)).astype(np.float32)
    window = MelWindow()
    streamed = [window.push(sound[k : k + 3200])[-20:] for k in range(0, len(sound), 3200)]
    clip = sound_features(sound).astype(np.float32)
    assert np.abs(np.concatenate(streamed) - clip).max() < 2e-3  # stored in half precision


def test_a_block_shares_its_timestep_and_context_is_clean() -> None:
    generator = torch.Generator().manual_seed(0)
    training = TrainingConfig(clean_context_probability=1.0)
    drawn = draw_timesteps(200, TINY, training, generator)
    blocks = drawn.unflatten(1, (-1, TINY.block_frames))
    assert (blocks == blocks[..., :1]).all()
    clean = blocks[..., 0] == 0.0
    assert (clean.int().diff(dim=1) <= 0).all()  # clean blocks first, then noisy ones
    assert not clean.all(dim=1).any()
    assert len(clean.sum(dim=1).unique()) == blocks.shape[1]
    never = draw_timesteps(200, TINY, replace(training, clean_context_probability=0.0), generator)
    assert (never == 0).float().mean() < 0.01


def test_conditions_are_seen_as_in_a_stream() -> None:
    """Own block and the history before it: what the sampler's window holds, and no future."""
    config = replace(TINY, condition_history_frames=7)
    seen = streaming_condition_mask(config)
    for frame in range(config.window_frames):
        start = frame - frame % 5
        columns = seen[frame].nonzero()[:, 0].tolist()
        assert columns == list(range(max(0, start - 7), start + 5))


def test_training_embeds_conditions_as_the_stream_does() -> None:
    """With the mask a block's embedding is that of its streaming window; without, far from it.

    Exactly so for the first block. Later ones differ a little: frames of the history are
    embedded once here, and once more with each new block there.
    """
    config = replace(TINY, condition_history_frames=2)
    transformer = tiny_generator(config).flow_transformer
    generator = torch.Generator().manual_seed(0)
    parts = [
        torch.randn(1, TINY.window_frames, width, generator=generator)
        for width in (TINY.audio_dim, TINY.motion_dim, TINY.audio_dim)
    ]
    masked = transformer.embed_conditions(*parts, mask=streaming_condition_mask(config))
    unmasked = transformer.embed_conditions(*parts)

    def error(clip: torch.Tensor, start: int) -> float:
        first = max(0, start - 2)
        window = transformer.embed_conditions(*(p[:, first : start + 5] for p in parts))
        return float((clip[:, start : start + 5] - window[:, start - first :]).abs().mean())

    assert error(masked, 0) < 1e-6
    for start in (5, 15):
        assert error(masked, start) < 0.5 * error(unmasked, start)


def test_dropped_conditions_come_in_the_combinations_that_guidance_asks_for() -> None:
    keep = draw_condition_masks(20_000, 0.1, torch.Generator().manual_seed(0))
    avatar, audio, motion = (
        keep[name][:, 0, 0].bool() for name in ("avatar_audio", "user_audio", "user_motion")
    )
    assert 0.7 < avatar.float().mean() < 0.85
    for case in (~avatar & ~audio & ~motion, avatar & ~audio & ~motion, ~avatar & audio & motion):
        assert case.float().mean() > 0.03


def test_perfect_prediction_costs_nothing(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the network said noise minus clean, the loss would be zero, and only then."""
    model = tiny_generator()
    batch = ConversationWindows(data, "train", TINY).batch(4, np.random.default_rng(0))
    noise = torch.Generator().manual_seed(1)
    training = TrainingConfig(smoothness=0.0)
    state = noise.get_state()
    draw_timesteps(4, TINY, training, noise)
    truth = torch.randn(batch.motion.shape, generator=noise) - model.normalise(batch.motion)
    for offset, loss in ((0.0, 0.0), (0.5, 0.25)):
        noise.set_state(state)
        monkeypatch.setattr(
            model.flow_transformer, "forward", lambda *a, offset=offset, **k: (truth + offset, [])
        )
        found = flow_matching_loss(model, batch, training, noise)
        assert float(found) == pytest.approx(loss, abs=1e-5)


def test_roughness_counts_changes_inside_blocks_and_out_of_context() -> None:
    timestep = torch.full((1, TINY.window_frames), 300.0)
    timestep[:, :5] = 0.0
    weight = (timestep > 0).float()

    def of(error: torch.Tensor) -> float:
        return float(roughness(error[None, :, None], timestep, weight, TINY))

    frame = torch.arange(TINY.window_frames)
    flat = torch.where(frame >= 5, 1.0, 0.0)
    pairs = 1 + 3 * 4  # out of context, and inside each of the three noisy blocks
    assert of(flat) == pytest.approx(1.0 / pairs)
    assert of(flat + torch.where(frame >= 10, 5.0, 0.0)) == pytest.approx(1.0 / pairs)
    assert of(flat * torch.where(frame % 2 == 0, 1.0, -1.0)) > 1.0


def test_a_run_can_begin_from_other_weights(data: Path, tmp_path: Path) -> None:
    first = trainer(data, tmp_path / "first", 3)
    first.run(lambda figures: None)
    begun = load_checkpoint(tmp_path / "first" / "generator.safetensors")
    second = Trainer(TINY, first.config, first.train, first.valid, tmp_path / "second", begun)
    for name, tensor in begun.generator.state_dict().items():
        assert torch.equal(tensor, second.model.state_dict()[name])
    assert second.origin()["begun_from"]["steps"] == 3
    second.save()
    resumed = Trainer(TINY, first.config, first.train, first.valid, tmp_path / "second")
    assert resumed.resume()
    assert resumed.origin() == second.origin()  # where it began is not forgotten
    other = replace(TINY, blocks=1)
    with pytest.raises(CheckpointError, match="initial weights"):
        Trainer(other, first.config, first.train, first.valid, tmp_path / "third", begun)


def trainer(data: Path, folder: Path, steps: int, **settings: object) -> Trainer:
    config = TrainingConfig(
        steps=steps, batch_windows=4, warm_up_steps=5, precision="float32", **settings
    )  # type: ignore[arg-type]
    windows = [ConversationWindows(data, split, TINY) for split in ("train", "valid")]
    return Trainer(TINY, config, *windows, folder)


def test_the_loss_falls(data: Path, tmp_path: Path) -> None:
    losses: list[float] = []
    run = trainer(data, tmp_path / "run", 80, learning_rate=3e-3)
    run.run(lambda figures: losses.append(figures["loss"]))
    assert np.mean(losses[-10:]) < 0.92 * np.mean(losses[:5])
    generator, _, origin = load_checkpoint(tmp_path / "run" / "generator.safetensors")
    assert origin["steps"] == 80
    assert origin["conversations"] == 3
    torch.testing.assert_close(generator.motion_mean, run.model.motion_mean, rtol=1e-3, atol=1e-4)


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(data: Path, tmp_path: Path) -> None:
    whole = trainer(data, tmp_path / "whole", 8)
    whole.run(lambda figures: None)
    first = trainer(data, tmp_path / "parts", 8)
    for _ in range(4):
        first.train_step()
    first.save()
    second = trainer(data, tmp_path / "parts", 8)
    assert second.resume()
    second.run(lambda figures: None)
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, second.model.state_dict()[name]), name


def test_resuming_with_other_settings_is_refused(data: Path, tmp_path: Path) -> None:
    run = trainer(data, tmp_path / "run", 4)
    run.save()
    with pytest.raises(CheckpointError, match="configuration"):
        trainer(data, tmp_path / "run", 4, learning_rate=1e-4).resume()
    assert not trainer(data, tmp_path / "empty", 4).resume()


def test_damaged_files_are_told(data: Path, tmp_path: Path) -> None:
    run = trainer(data, tmp_path / "run", 4)
    run.save()
    whole = run.state_path.read_bytes()
    run.state_path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="cannot be read"):
        run.resume()
    path = next(data.glob("train-*.npz"))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(MediaError, match="cannot be read"):
        ConversationWindows(data, "train", TINY)


@pytest.mark.parametrize(("workers", "share"), [(0, 0.0), (1, 1.5), (1, float("nan"))])
def test_impossible_orders_for_conversations_are_refused(
    workers: int, share: float, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError):
        next(make_conversations(tmp_path, "train", 1, workers, share))


def test_missing_data_is_told(tmp_path: Path) -> None:
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


def test_learning_rate_warms_up_and_decays() -> None:
    config = TrainingConfig(steps=1000, warm_up_steps=100, learning_rate=1.0)
    rates = [learning_rate(step, config) for step in range(1000)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == pytest.approx(1.0)
    assert rates[-1] == pytest.approx(0.01, abs=1e-3)


def test_frames_being_made_do_not_see_the_next_block() -> None:
    """As in a stream: new frames see their block's end, clean ones the look-ahead beyond it."""
    transformer = tiny_generator().flow_transformer
    timestep = torch.full((1, TINY.window_frames), 400.0)
    timestep[:, :5] = 0.0
    horizon = streaming_horizon(timestep, TINY)
    assert horizon[0, :10].tolist() == [TINY.window_frames] * 5 + [9] * 5
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, TINY.window_frames, TINY.motion_dim, generator=generator)
    condition = torch.randn(1, TINY.window_frames, TINY.hidden_dim, generator=generator)

    def run() -> torch.Tensor:
        reference = torch.zeros(1, TINY.motion_dim)
        return transformer(x, timestep, reference, condition, horizon=horizon)[0]

    before = run()
    x[:, 10:] += 1.0
    condition[:, 10:] -= 1.0
    changed = (run() != before).any(dim=-1)[0]
    assert not changed[5:10].any()
    assert changed[10:].all()
    x[:, 5:10] += 1.0
    assert (run() != before).any(dim=-1)[0, 3:5].all()
