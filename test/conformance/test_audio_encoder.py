"""Speech features give the reference's numbers (set C)."""

from __future__ import annotations

import pytest
import torch
from conformance import inputs
from conformance.conftest import AVATAR_WAVE, USER_WAVE, close, samples_close, stored, whole_clip

from avatar_forcing_ros.model.audio_encoders import SpeechEncoder

CASES = {
    "two_s": (32_000, 50, AVATAR_WAVE),
    "three_s": (48_000, 75, USER_WAVE),
    "padded": (30_000, 47, AVATAR_WAVE),
}


@pytest.mark.parametrize("case", CASES)
def test_features(speech_encoder: SpeechEncoder, case: str) -> None:
    samples, frames, pattern = CASES[case]
    expected = stored("C_audio")
    wave = torch.from_numpy(inputs.wave(samples, pattern))[None]
    with torch.inference_mode():
        clip = whole_clip(wave, frames)
        features = speech_encoder(clip)
        layers = speech_encoder.hidden_states(clip)
    close(features, expected[f"{case}.features"], 5e-5, 1e-5)
    kept = [n for n in range(1, 13) if f"{case}.layer{n}.val" in expected]
    assert kept
    for n in kept:
        samples_close(layers[n - 1], expected, f"{case}.layer{n}", 5e-5, 1e-5)
