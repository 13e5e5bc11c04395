"""Training with every block after its clean past is what a stream does, block by block."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny import TINY_CAUSAL, tiny_generator

from avatar_forcing_ros.model.attention import condition_mask
from avatar_forcing_ros.model.flow_transformer import FlowTransformer
from avatar_forcing_ros.streaming.kv_cache import empty_cache

CONFIG = replace(TINY_CAUSAL, condition_history_frames=20)
LENGTH = CONFIG.block_frames
FRAMES = CONFIG.cache_frames  # all that is remembered; the last block is not whole


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.fixture
def transformer() -> FlowTransformer:
    net = tiny_generator(CONFIG).flow_transformer
    assert net.c_embedder.age_bias is not None
    net.c_embedder.age_bias.copy_(random(*net.c_embedder.age_bias.shape))
    return net


def conditions() -> list[torch.Tensor]:
    return [random(1, FRAMES, width) for width in (CONFIG.audio_dim, 23, CONFIG.audio_dim + 1)]


def test_a_stream_computes_what_training_shows(transformer: FlowTransformer) -> None:
    """Velocities of every block, conditions and remembered keys included."""
    clean, noisy = random(1, FRAMES, 23), random(1, FRAMES, 24)[..., :23]
    inputs = conditions()
    inputs[2] = inputs[2][..., : CONFIG.audio_dim]
    timestep = torch.linspace(900, 100, FRAMES)[None].clone()
    for start in range(0, FRAMES, LENGTH):
        timestep[:, start : start + LENGTH] = timestep[:, start : start + 1].clone()
    reference = random(1, 23)
    device = clean.device
    mask = condition_mask(FRAMES, LENGTH, CONFIG.condition_history_frames, device)
    condition = transformer.embed_conditions(*inputs, mask=mask)
    at_once = transformer.parallel(clean, noisy, timestep, reference, condition, LENGTH)

    cache = empty_cache(CONFIG)
    for start in range(0, FRAMES, LENGTH):
        block = slice(start, min(start + LENGTH, FRAMES))
        count = block.stop - start
        first = max(0, start - CONFIG.condition_history_frames)
        window = [part[:, first : block.stop] for part in inputs]
        seen = condition_mask(
            block.stop - first, LENGTH, CONFIG.condition_history_frames, device, first % LENGTH
        )
        here = transformer.embed_conditions(*window, mask=seen)[:, -count:]
        past = cache.peek()
        velocity, _ = transformer(noisy[:, block], timestep[:, block], reference, here, past)
        torch.testing.assert_close(velocity, at_once[:, block], rtol=1e-4, atol=1e-5)
        still = torch.zeros(1, count)
        _, keys = transformer(clean[:, block], still, reference, here, past)
        cache = cache.commit(keys, [0.0] * count)


def test_no_block_sees_its_own_answer_or_what_comes_later(transformer: FlowTransformer) -> None:
    clean, noisy = random(1, FRAMES, 23), random(1, FRAMES, 24)[..., :23]
    condition, reference = random(1, FRAMES, CONFIG.hidden_dim), random(1, 23)
    timestep = torch.full((1, FRAMES), 500.0)

    def run() -> torch.Tensor:
        return transformer.parallel(clean, noisy, timestep, reference, condition, LENGTH)

    before = run()
    start = 2 * LENGTH
    clean[:, start : start + LENGTH] += 1.0
    changed = (run() != before).any(dim=-1)[0]
    assert not changed[: start + LENGTH].any()
    assert changed[start + LENGTH :].all()
    before = run()
    noisy[:, start : start + LENGTH] += 1.0
    changed = (run() != before).any(dim=-1)[0]
    assert changed.nonzero()[:, 0].tolist() == list(range(start, start + LENGTH))
    before = run()
    condition[:, start:] += 1.0
    assert not (run() != before).any(dim=-1)[0, :start].any()


def test_how_old_something_is_can_matter(transformer: FlowTransformer) -> None:
    """Without ages an order of the user's frames is as good as another; with them it is not."""
    inputs = conditions()
    inputs[2] = inputs[2][:, :1, : CONFIG.audio_dim].expand(1, FRAMES, -1)
    backwards = [inputs[0].flip(1), inputs[1].flip(1), inputs[2]]
    plain = tiny_generator(replace(CONFIG, condition_ages=False)).flow_transformer
    assert torch.allclose(
        plain.embed_conditions(*inputs), plain.embed_conditions(*backwards), atol=1e-5
    )
    difference = transformer.embed_conditions(*inputs) - transformer.embed_conditions(*backwards)
    assert float(difference.abs().max()) > 1e-3
