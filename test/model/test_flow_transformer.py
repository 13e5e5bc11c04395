"""The transformer: names and shapes of the released model, who sees whom, and rotation."""

from __future__ import annotations

import pytest
import torch
from tiny import TINY, tiny_generator

from avatar_forcing_ros.config import PAPER_MODEL
from avatar_forcing_ros.model.attention import (
    cross_attention_mask,
    rotary_table,
    rotate,
    self_attention_mask,
)
from avatar_forcing_ros.model.flow_transformer import FlowTransformer

# of the released model, from its published layout
PAPER_SHAPES = {
    "x_embedder.proj.weight": (1024, 1024),
    "t_embedder.mlp.0.weight": (1024, 256),
    "c_embedder.motion_embedder.4.bias": (512,),
    "c_embedder.dual_modal_attn.in_proj_weight": (1536, 512),
    "c_embedder.to_cond_user.weight": (1024, 512),
    "adaLN_modulation.1.weight": (6144, 1024),
    "blocks.7.attn.qkv.weight": (3072, 1024),
    "blocks.7.cross_attn.kv.bias": (2048,),
    "blocks.7.mlp.fc1.weight": (4096, 1024),
    "final_layer.adaLN_modulation.1.bias": (2048,),
    "final_layer.linear.weight": (512, 1024),
}


def test_paper_sizes_give_the_released_names_and_shapes() -> None:
    with torch.device("meta"):
        model = FlowTransformer(PAPER_MODEL)
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    assert {name: shapes[name] for name in PAPER_SHAPES} == PAPER_SHAPES
    assert sum(p.numel() for p in model.parameters()) == 148_764_160
    assert len(shapes) == 150 - 4  # the audio projection's four are counted with the audio encoder


def run(x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
    transformer = tiny_generator().flow_transformer
    timestep = torch.full(x.shape[:2], 300.0)
    velocity, _ = transformer(x, timestep, torch.zeros(1, TINY.motion_dim), condition)
    return velocity


@pytest.mark.parametrize("what", ["motion", "condition"])
def test_a_frame_sees_two_ahead_and_no_further(what: str) -> None:
    """Change frame 10 of 20: one layer reaches 2 frames back, so two layers reach 4."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 20, TINY.motion_dim, generator=generator)
    condition = torch.randn(1, 20, TINY.hidden_dim, generator=generator)
    before = run(x, condition)
    (x if what == "motion" else condition)[0, 10] += 1.0
    changed = (run(x, condition) != before).any(dim=-1)[0]
    assert not changed[: 10 - 2 * TINY.blocks].any()
    assert changed[8:].all() if what == "motion" else changed[8:13].all()


def test_masks_follow_positions() -> None:
    query, key = torch.arange(48, 60), torch.arange(10, 60)
    seen = self_attention_mask(query, key, 2)
    assert seen.sum(dim=1).tolist() == [41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 50, 50]
    near = cross_attention_mask(query, torch.arange(46, 60), 2)
    assert near.sum(dim=1).tolist() == [5] * 10 + [4, 3]


def test_only_the_distance_of_positions_matters() -> None:
    generator = torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 1, 1, 1, 16, generator=generator)
    table = rotary_table(200, 16, query)

    def meet(p: int, q: int) -> torch.Tensor:
        at = [type(table)(table.cos[i : i + 1], table.sin[i : i + 1]) for i in (p, q)]
        return (rotate(query, at[0]) * rotate(key, at[1])).sum()

    torch.testing.assert_close(meet(7, 3), meet(197, 193), atol=1e-5, rtol=0)
    assert abs(float(meet(7, 3) - meet(8, 3))) > 1e-3
