"""The speech encoder's library: what it refuses is said in a sentence."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from avatar_forcing_ros.config import SpeechEncoderConfig
from avatar_forcing_ros.errors import MissingDependencyError
from avatar_forcing_ros.model.audio_encoders import SpeechEncoder


class WithoutTorch:
    """What transformers has in the place of a network where it takes torch for absent."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        raise ImportError("\nWav2Vec2Model requires the PyTorch library\nbut it was not found")


def test_a_torch_that_is_too_old_for_transformers_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = ModuleType("transformers")
    library.Wav2Vec2Config = dict  # type: ignore[attr-defined]
    library.Wav2Vec2Model = WithoutTorch  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "transformers", library)
    with pytest.raises(MissingDependencyError, match=r"torch 2\.5 or newer") as caught:
        SpeechEncoder(SpeechEncoderConfig(), 8)
    assert "requires the PyTorch library" in str(caught.value)
