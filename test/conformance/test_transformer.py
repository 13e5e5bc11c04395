"""The condition encoder and the transformer give the reference's numbers (set D)."""

from __future__ import annotations

import torch
from conformance.conftest import close, samples_close, stored
from conformance.inputs import normal

from avatar_forcing_ros.model.attention import KeysValues, rotary_table, rotate
from avatar_forcing_ros.model.blocks import BlockKeys
from avatar_forcing_ros.model.flow_transformer import FlowTransformer
from avatar_forcing_ros.streaming.kv_cache import KVCache

MOST, RMS = 5e-5, 1e-5
CACHED, START = 38, 88  # frames in the cache, position of the first new token


def normal_tensor(seed: int, shape: tuple[int, ...], scale: float) -> torch.Tensor:
    return torch.from_numpy(normal(seed, shape, scale))


@torch.inference_mode()
def test_condition_encoder(transformer: FlowTransformer) -> None:
    shape = (2, 12, 512)
    out = transformer.embed_conditions(
        user_audio=normal_tensor(1300, shape, 0.5),
        user_motion=normal_tensor(1301, shape, 0.3),
        avatar_audio=normal_tensor(1302, shape, 0.5),
    )
    close(out, stored("D_transformer")["D1.out"], MOST, RMS)


@torch.inference_mode()
def test_a_window_without_cache(transformer: FlowTransformer) -> None:
    """The velocity, and what every sub-layer of every block adds before gate and residual."""
    expected, shape = stored("D_transformer"), (2, 50, 512)
    parts: dict[str, torch.Tensor] = {}

    def keep(name: str):
        def hook(module: object, given: object, out: torch.Tensor | tuple) -> None:
            parts[name] = out[0] if isinstance(out, tuple) else out

        return hook

    modules = {"t_embed": transformer.t_embedder, "x_embed": transformer.x_embedder}
    for i, block in enumerate(transformer.blocks):
        for name, part in (("attn", block.attn), ("cross", block.cross_attn), ("mlp", block.mlp)):
            modules[f"block{i}.{name}"] = part
        modules[f"block{i}.out"] = block
    hooks = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    condition = transformer.embed_conditions(
        user_audio=normal_tensor(1312, shape, 0.5),
        user_motion=normal_tensor(1313, shape, 0.3),
        avatar_audio=normal_tensor(1311, shape, 0.5),
    )
    x, reference = normal_tensor(1310, shape, 1.0), normal_tensor(1314, (2, 512), 0.3)
    velocity, _ = transformer(x, torch.from_numpy(expected["D2.t"]), reference, condition)
    for hook in hooks:
        hook.remove()
    close(velocity, expected["D2.out"], MOST, RMS)
    samples_close(parts.pop("t_embed").flatten(0, 1), expected, "D2.t_embed", MOST, RMS)
    checked = [name for name in parts if f"D2.{name}.val" in expected]
    assert len(checked) >= 4 * len(transformer.blocks)
    for name in checked:
        samples_close(parts[name], expected, f"D2.{name}", MOST, RMS)


@torch.inference_mode()
def test_a_window_with_caches(transformer: FlowTransformer) -> None:
    """Velocity beside full caches, and what the caches hold afterwards.

    The reference stores rotated keys at absolute positions, this cache unrotated ones.
    """
    expected = stored("D_transformer")
    turn = rotary_table(START + 12, 128, torch.zeros(1))
    back = turn._replace(sin=-turn.sin)
    at = slice(START - CACHED, START)

    def self_keys(layer: int) -> KeysValues:
        rotated = normal_tensor(1330 + layer, (3, 8, CACHED, 128), 1.0)
        key = rotate(rotated, type(back)(back.cos[at], back.sin[at]))
        return KeysValues(key, normal_tensor(1340 + layer, (3, 8, CACHED, 128), 1.0))

    def cross_keys(layer: int) -> KeysValues:
        return KeysValues(
            normal_tensor(1350 + layer, (3, 8, 2, 128), 1.0),
            normal_tensor(1360 + layer, (3, 8, 2, 128), 1.0),
        )

    blocks = tuple(BlockKeys(self_keys(i), cross_keys(i)) for i in range(8))
    cache = KVCache(CACHED, 2, 2, blocks=blocks)
    timestep = torch.tensor([0.0] * 2 + [750.0] * 10).expand(3, -1)
    reference = normal_tensor(1322, (1, 512), 0.3).expand(3, -1)
    velocity, keys = transformer(
        normal_tensor(1320, (3, 12, 512), 1.0),
        timestep,
        reference,
        normal_tensor(1321, (3, 12, 1024), 0.7),
        cache.peek(),
    )
    close(velocity, expected["D3.out"], MOST, RMS)
    after = cache.commit(keys, [0.0] * 12)
    at = slice(START + 12 - 2 - CACHED, START + 12 - 2)
    for i, block in enumerate(after.blocks):
        turned = rotate(block.self_attention.key, type(turn)(turn.cos[at], turn.sin[at]))
        for name, found in (
            ("self.k", turned),
            ("self.v", block.self_attention.value),
            ("cross.k", block.cross_attention.key),
            ("cross.v", block.cross_attention.value),
        ):
            samples_close(found, expected, f"D3.cache{i}.{name}", MOST, RMS)
