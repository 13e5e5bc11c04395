"""The state of a stream as bytes: every audio encoder's memory, and nothing but plain values."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import torch
from safetensors.torch import save
from tiny import TINY, TINY_LATENT, part, talk, tiny_engine

from avatar_forcing_ros.config import ModelConfig
from avatar_forcing_ros.errors import ConversationError
from avatar_forcing_ros.streaming import snapshot
from avatar_forcing_ros.streaming.snapshot import STREAM_CLASSES, fields_of, from_bytes, to_bytes

FIELDS = {cls: fields_of(cls) for cls in STREAM_CLASSES}


@pytest.mark.parametrize("config", [TINY, TINY_LATENT])
def test_a_state_goes_on_bit_for_bit(config: ModelConfig) -> None:
    if config is TINY_LATENT:
        pytest.importorskip("transformers")
    engine = tiny_engine(config=config)
    state, given, at = engine.new_state(seed=3), talk(90, config=config), 0
    while at < 70:
        frames = engine.frames(state)
        engine.step(state, part(given, at, at + frames))
        at += frames
    data = to_bytes(state, engine.identity, STREAM_CLASSES)
    moved = from_bytes(data, engine.identity, FIELDS)
    rest = part(given, at, at + config.block_frames)
    mine, theirs = engine.step(state, rest), engine.step(moved, rest)
    assert mine.latent.tobytes() == theirs.latent.tobytes()
    assert (theirs.block_index, theirs.first_frame) == (mine.block_index, mine.first_frame)


def test_numbers_arrays_and_their_types_come_back() -> None:
    value = {
        "numbers": (1, 0.1, np.float64(1 / 3), np.int64(7), True, None, "ä"),
        "arrays": [np.arange(6.0).reshape(2, 3)[:, ::2], np.zeros((0, 4), np.float32)],
        "complex": np.array([[1 + 2j]], np.complex64),
        "half": torch.ones(2, dtype=torch.bfloat16),
    }
    back = from_bytes(to_bytes(value, {}, ()), {}, {})
    assert back["numbers"] == value["numbers"]
    for mine, theirs in zip(value["arrays"], back["arrays"], strict=True):
        assert mine.dtype == theirs.dtype
        assert np.array_equal(mine, theirs)
    assert back["complex"].dtype == np.complex64
    assert np.array_equal(back["complex"], value["complex"])
    assert back["half"].dtype == torch.bfloat16


@pytest.mark.parametrize("value", [object(), {1: 2}, {"x": print}, np.float32(1.0)])
def test_anything_else_is_not_written(value: object) -> None:
    with pytest.raises(TypeError, match="a snapshot has no"):
        to_bytes(value, {}, ())


def forged(tree: object) -> bytes:
    """A snapshot with a valid checksum and whatever tree."""
    body = json.dumps({"version": snapshot.VERSION, "model": {}, "value": tree})
    content = save({"0": torch.zeros(1)}, {"tree": body})
    whole = to_bytes(None, {}, ())
    digest = hashlib.blake2b(content, digest_size=snapshot.DIGEST_BYTES).digest()
    assert whole.startswith(snapshot.MAGIC)
    return snapshot.MAGIC + digest + content


@pytest.mark.parametrize(
    "tree",
    [
        [1, 2],
        {"kind": "Popen", "fields": {"args": "true"}},
        {"kind": "HighPass", "fields": {"state": 1, "more": 2}},
        {"kind": "tensor", "name": "1"},
        {"kind": "complex64", "name": "0"},
        {"fields": {}},
    ],
)
def test_whoever_forges_one_makes_nothing_but_an_error(tree: object) -> None:
    with pytest.raises(ConversationError, match="damaged"):
        from_bytes(forged(tree), {}, FIELDS)
    assert from_bytes(forged({"kind": "tensor", "name": "0"}), {}, FIELDS).shape == (1,)


def test_another_version_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(snapshot, "VERSION", 2)
        data = to_bytes(1, {}, ())
    with pytest.raises(ConversationError, match="expected version 1, got version 2"):
        from_bytes(data, {}, {})
