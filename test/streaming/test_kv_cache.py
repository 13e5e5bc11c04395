"""Caches of several conversations: joined for a batch, and each its own again after it."""

from __future__ import annotations

from dataclasses import replace

import torch
from tiny import TINY, talk, tiny_engine

from avatar_forcing_ros.model.attention import KeysValues
from avatar_forcing_ros.model.blocks import BlockKeys
from avatar_forcing_ros.streaming.kv_cache import KVCache, empty_cache, join, split


def cache_of(seed: int) -> KVCache:
    """Two guidance rows, two heads, three frames, four channels."""
    drawn = torch.Generator().manual_seed(seed)
    keys = KeysValues(*(torch.randn(2, 2, 3, 4, generator=drawn) for _ in range(2)))
    return replace(empty_cache(TINY), blocks=(BlockKeys(keys, keys),))


def owns_its_memory(cache: KVCache) -> bool:
    """Whether nobody else's keys stay alive with these."""
    return all(
        tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
        for tensor in cache.tensors()
    )


def test_split_is_the_reverse_of_join() -> None:
    caches = [cache_of(seed) for seed in range(3)]
    joined = join([cache.tensors() for cache in caches])
    for before, tensors in zip(caches, split(joined, 3), strict=True):
        after = before.with_tensors(tensors)
        for mine, theirs in zip(before.tensors(), after.tensors(), strict=True):
            assert torch.equal(mine, theirs)
        assert owns_its_memory(after)


def test_a_conversation_leaves_a_batch_with_memory_of_its_own() -> None:
    engine = tiny_engine()
    states = [engine.new_state(seed=k) for k in range(3)]
    for _ in range(3):
        engine.step_many(states, [talk(TINY.block_frames)] * 3)
    assert all(state.motion.cache.frames for state in states)
    assert all(owns_its_memory(state.motion.cache) for state in states)
