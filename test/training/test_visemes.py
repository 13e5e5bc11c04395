"""Phoneme timings to mouth shapes, without any synthesiser."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from avatar_forcing_ros.training.synthetic.visemes import (
    MOUTH_NAMES,
    closes_lips,
    mouth_curves,
    sounds_of,
)

DATA = Path(__file__).resolve().parents[1] / "data"
JAW, LIPS, WIDE, PUCKER, UPPER, LOWER = range(len(MOUTH_NAMES))


def curves(*phonemes: tuple[float, float, str], frames: int = 50) -> np.ndarray:
    return mouth_curves(phonemes, frames)


def test_silence_is_a_closed_calm_mouth() -> None:
    assert not curves().any()


def test_the_mouth_opens_shortly_before_the_vowel_and_not_earlier() -> None:
    jaw = curves((1.0, 1.3, "ˈɑː"))[:, JAW]
    assert jaw[28] > 0.4  # 1.12-1.16 s
    assert jaw[24] > 0.02  # 40 ms before
    assert not jaw[:21].any()  # more than 160 ms before
    assert not jaw[38:].any()


def test_a_bilabial_closes_between_vowels() -> None:
    mouth = curves((0.6, 0.9, "ˈɑː"), (0.9, 0.97, "b"), (0.97, 1.3, "ˈɑː"))
    assert mouth[23, LIPS] > 0.9
    assert mouth[23, JAW] < 0.6 * mouth[19, JAW]
    assert mouth[19, LIPS] == 0.0
    assert mouth[28, LIPS] == 0.0


def test_a_short_closure_is_never_missed() -> None:
    """Whatever its phase to the frames, a 45 ms closure is seen."""
    for start_s in np.arange(0.9, 0.94, 0.005):
        mouth = curves(
            (0.6, start_s, "ˈæ"), (start_s, start_s + 0.045, "m"), (start_s + 0.045, 1.3, "ˈæ")
        )
        assert mouth[20:27, LIPS].max() > 0.8


def test_labiodentals_nearly_close_and_show_teeth() -> None:
    mouth = curves((0.6, 0.9, "ˈɛ"), (0.9, 1.0, "f"), (1.0, 1.3, "ˈɛ"))
    assert 0.1 < mouth[23, LIPS] < 0.4
    assert mouth[23, UPPER] > 0.15


def test_vowels_have_their_shapes() -> None:
    shape = {ipa: curves((0.8, 1.2, ipa))[25] for ipa in ("ˈiː", "ˈuː", "ˈɑː")}
    assert shape["ˈiː"][WIDE] > 0.4 > shape["ˈɑː"][WIDE]
    assert shape["ˈuː"][PUCKER] > 0.6 > shape["ˈiː"][PUCKER]
    assert shape["ˈɑː"][JAW] > 2 * shape["ˈiː"][JAW]


def test_rounding_spreads_over_the_consonant_before() -> None:
    rounded = curves((0.8, 0.9, "t"), (0.9, 1.2, "ˈuː"))[21, PUCKER]
    spread = curves((0.8, 0.9, "t"), (0.9, 1.2, "ˈiː"))[21, PUCKER]
    assert rounded > spread + 0.2


def test_loud_syllables_open_wider() -> None:
    loudness = np.full(50, 1.8)
    phonemes = [(0.8, 1.2, "ˈɑː")]
    loud, normal = mouth_curves(phonemes, 50, loudness=loudness), mouth_curves(phonemes, 50)
    assert loud[25, JAW] > 1.15 * normal[25, JAW]


def test_words_of_ipa() -> None:
    assert sounds_of("ˈoʊ") == ["o", "ʊ"]
    assert sounds_of("tʃ") == ["t", "ʃ"]
    assert sounds_of("") == []
    assert closes_lips("b")
    assert not closes_lips("ˈæ")


def test_phonemes_outside_the_clip_are_ignored() -> None:
    assert np.isfinite(curves((-1.0, 0.1, "ˈɑː"), (1.9, 3.0, "ˈɑː"))).all()


@pytest.mark.skipif(not (DATA / "unseen_voice.json").exists(), reason="no recording")
def test_the_reference_of_the_unseen_voice_fits_its_sound() -> None:
    soundfile = pytest.importorskip("soundfile")
    document = json.loads((DATA / "unseen_voice.json").read_text(encoding="utf-8"))
    samples, rate_hz = soundfile.read(DATA / "unseen_voice.wav")
    jaw = np.array(document["jaw_open"])
    assert rate_hz == 16000
    assert len(samples) == 640 * len(jaw)
    loudness = np.log(np.sqrt((samples.reshape(-1, 640) ** 2).mean(axis=1)) + 1e-3)
    scores = [np.corrcoef(loudness[5:-5], np.roll(jaw, -lag)[5:-5])[0, 1] for lag in range(-4, 5)]
    assert abs(int(np.argmax(scores)) - 4) <= 1
    mouth = mouth_curves([tuple(p) for p in document["phonemes"]], len(jaw))
    assert np.corrcoef(mouth[:, JAW], jaw)[0, 1] > 0.95
