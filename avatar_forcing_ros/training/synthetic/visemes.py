"""Phoneme timings to mouth coefficients, with co-articulation.

Each sound has a target for the six mouth coefficients and a *dominance* that says how much it
insists on it: /m b p/ insist on closed lips and hardly on anything else, rounded vowels on the
pucker, /k/ on nothing. A coefficient at time t is the mean of the targets around t, weighted by
dominance and by a Gaussian whose width is that of the articulator (lips close fast, rounding
spreads); that is the dominance blending of Cohen & Massaro (1993) with Gaussian dominance
functions. The Gaussian also lets the mouth open some 60-100 ms before the speech, as mouths do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from avatar_forcing_ros.timebase import FRAME_RATE_HZ
from avatar_forcing_ros.training.synthetic.speech import Phoneme

MOUTH_NAMES: Final = (
    "jaw_open",
    "lips_close",
    "mouth_wide",
    "mouth_pucker",
    "upper_lip_raise",
    "lower_lip_down",
)
FINE_RATE_HZ: Final = 200  # 8 steps a video frame
_FINE_PER_FRAME: Final = FINE_RATE_HZ // FRAME_RATE_HZ
# seconds; the lips' closure is the fastest gesture of the mouth, rounding the slowest
_WIDTH_S: Final = (0.032, 0.012, 0.050, 0.055, 0.030, 0.030)

# IPA: (jaw_open, lips_close, mouth_wide, mouth_pucker, upper_lip_raise, lower_lip_down)
_VOWELS: Final[dict[str, tuple[float, ...]]] = {
    "ɑ": (0.58, 0, 0.12, 0.00, 0.14, 0.28), "a": (0.56, 0, 0.22, 0.00, 0.16, 0.30),
    "æ": (0.54, 0, 0.38, 0.00, 0.20, 0.34), "ʌ": (0.42, 0, 0.12, 0.04, 0.12, 0.24),
    "ɐ": (0.36, 0, 0.12, 0.02, 0.10, 0.20), "ə": (0.24, 0, 0.10, 0.05, 0.08, 0.16),
    "ɛ": (0.40, 0, 0.34, 0.00, 0.18, 0.28), "e": (0.32, 0, 0.40, 0.00, 0.18, 0.26),
    "ɪ": (0.20, 0, 0.36, 0.00, 0.16, 0.22), "i": (0.15, 0, 0.55, 0.00, 0.20, 0.24),
    "ɔ": (0.46, 0, 0.00, 0.52, 0.06, 0.18), "ɒ": (0.48, 0, 0.02, 0.36, 0.10, 0.24),
    "o": (0.40, 0, 0.00, 0.70, 0.04, 0.12), "ʊ": (0.22, 0, 0.00, 0.66, 0.05, 0.12),
    "u": (0.16, 0, 0.00, 0.95, 0.02, 0.04), "ɜ": (0.30, 0, 0.08, 0.22, 0.12, 0.22),
    "ɚ": (0.26, 0, 0.06, 0.24, 0.12, 0.20), "y": (0.15, 0, 0.00, 0.75, 0.10, 0.14),
    "ø": (0.28, 0, 0.00, 0.55, 0.10, 0.18), "œ": (0.38, 0, 0.00, 0.45, 0.12, 0.22),
    "ᵻ": (0.20, 0, 0.28, 0.00, 0.14, 0.20),
}  # fmt: skip
_VOWEL_DOMINANCE: Final = (1.0, 1.0, 1.0, 1.6, 0.8, 0.8)
# (targets, dominances); a dominance near 0 takes the shape of the neighbours
_CONSONANTS: Final[dict[str, tuple[tuple[float, ...], tuple[float, ...]]]] = {
    "m": ((0.05, 1, 0.04, 0.05, 0.00, 0.00), (2.0, 5.5, 0.3, 0.2, 3.0, 3.0)),
    "b": ((0.05, 1, 0.04, 0.05, 0.00, 0.00), (2.0, 5.5, 0.3, 0.2, 3.0, 3.0)),
    "p": ((0.05, 1, 0.04, 0.05, 0.00, 0.00), (2.0, 5.5, 0.3, 0.2, 3.0, 3.0)),
    "f": ((0.08, 0.20, 0.12, 0.00, 0.60, 0.00), (2.0, 5, 0.3, 0.3, 3.0, 3.0)),
    "v": ((0.08, 0.20, 0.12, 0.00, 0.55, 0.00), (2.0, 5, 0.3, 0.3, 3.0, 3.0)),
    "θ": ((0.14, 0, 0.16, 0.00, 0.18, 0.24), (1.2, 1, 0.3, 0.2, 1.0, 1.0)),
    "s": ((0.06, 0, 0.26, 0.00, 0.20, 0.30), (2.2, 1, 0.6, 0.2, 1.0, 1.2)),
    "ʃ": ((0.08, 0, 0.00, 0.45, 0.26, 0.34), (2.2, 1, 0.6, 1.2, 1.2, 1.4)),
    "t": ((0.10, 0, 0.14, 0.00, 0.12, 0.18), (1.2, 1, 0.2, 0.1, 0.6, 0.6)),
    "d": ((0.12, 0, 0.14, 0.00, 0.12, 0.18), (1.0, 1, 0.2, 0.1, 0.6, 0.6)),
    "n": ((0.12, 0, 0.12, 0.00, 0.10, 0.16), (0.9, 1, 0.2, 0.1, 0.5, 0.5)),
    "l": ((0.18, 0, 0.12, 0.00, 0.12, 0.20), (0.7, 1, 0.2, 0.1, 0.5, 0.5)),
    "k": ((0.18, 0, 0.10, 0.00, 0.10, 0.16), (0.4, 1, 0.1, 0.1, 0.3, 0.3)),
    "h": ((0.26, 0, 0.10, 0.00, 0.10, 0.18), (0.3, 1, 0.1, 0.1, 0.3, 0.3)),
    "ɹ": ((0.15, 0, 0.00, 0.38, 0.18, 0.18), (0.9, 1, 0.4, 0.8, 0.6, 0.6)),
    "w": ((0.10, 0.10, 0.00, 0.85, 0.04, 0.08), (1.6, 1, 1.0, 2.0, 1.0, 1.0)),
    "j": ((0.12, 0, 0.46, 0.00, 0.16, 0.22), (1.0, 1, 0.8, 0.5, 0.6, 0.6)),
}  # fmt: skip
_SAME_AS: Final = {
    "ð": "θ", "z": "s", "ʒ": "ʃ", "ɡ": "k", "g": "k", "ŋ": "k", "x": "k", "ʔ": "k", "ɾ": "d",
    "r": "ɹ", "ɻ": "ɹ", "ɬ": "l", "ɫ": "l", "ʍ": "w", "ç": "j", "ɲ": "n", "c": "k", "β": "v",
    "ɝ": "ɜ", "ɘ": "ə", "ɵ": "ə", "ɨ": "ɪ", "ʉ": "u", "ɯ": "ʊ", "ɤ": "ʌ", "χ": "h", "ɦ": "h",
}  # fmt: skip
_CLOSING: Final = ("m", "b", "p")
_UNSTRESSED: Final = 0.80  # opening of an unstressed vowel, against a stressed one
_PUCKER: Final = MOUTH_NAMES.index("mouth_pucker")  # rounding does not shrink with stress
_BURST: Final = 0.65  # of a /p/, the lips are closed so long; then they let go of the breath
_SEEN: Final = slice(2, 6)  # of a frame's 8 steps, where a closure counts: its middle 20 ms


def sounds_of(ipa: str) -> list[str]:
    """The known elementary sounds in an IPA string: "ˈoʊ" is o, ʊ; "tʃ" is t, ʃ; marks go."""
    mapped = (_SAME_AS.get(letter, letter) for letter in ipa)
    return [letter for letter in mapped if letter in _VOWELS or letter in _CONSONANTS]


def closes_lips(ipa: str) -> bool:
    """Whether the sound is made with closed lips: /m b p/."""
    return ipa.lstrip("ˈˌ")[:1] in _CLOSING


def mouth_curves(
    phonemes: Iterable[Phoneme],
    frames: int,
    articulation: float = 1.0,
    loudness: NDArray[Any] | None = None,
) -> NDArray[np.float32]:
    """Mouth coefficients ``[T, 6]`` float32 in the order of `MOUTH_NAMES`.

    `articulation` scales all openings; `loudness` ``[T]`` (1 is this voice's average) opens the
    jaw wider in loud syllables. Frame i is the mean over its 40 ms, except `lips_close`, the
    maximum over its middle: a closure shorter than a frame is still seen. All zero away from any
    phoneme.
    """
    steps = frames * _FINE_PER_FRAME
    target, dominance = _score(phonemes, steps, articulation)
    out = np.empty((steps, len(MOUTH_NAMES)))
    for k, width_s in enumerate(_WIDTH_S):
        sigma = width_s * FINE_RATE_HZ
        weight = gaussian_filter1d(dominance[:, k], sigma, mode="nearest", truncate=3.0)
        blend = gaussian_filter1d(
            dominance[:, k] * target[:, k], sigma, mode="nearest", truncate=3.0
        )
        out[:, k] = blend / weight
    fine = out.reshape(frames, _FINE_PER_FRAME, len(MOUTH_NAMES))  # [T, 8, 6]
    mouth = fine.mean(axis=1)  # [T, 6]
    mouth[:, 1] = fine[:, _SEEN, 1].max(axis=1)
    if loudness is not None:
        gain = np.clip(loudness, 0.3, 2.0) ** 0.35
        mouth[:, [0, 4, 5]] *= gain[:, None]
    mouth[mouth < 1e-3] = 0.0
    return np.clip(mouth, 0.0, 1.0).astype(np.float32)


def _score(
    phonemes: Iterable[Phoneme], steps: int, articulation: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Targets and dominances ``[steps, 6]``; silence has target 0 and dominance 1."""
    target = np.zeros((steps, len(MOUTH_NAMES)))
    dominance = np.ones((steps, len(MOUTH_NAMES)))
    for start_s, end_s, ipa in phonemes:
        sounds = sounds_of(ipa)
        edges = np.linspace(start_s, end_s, len(sounds) + 1) * FINE_RATE_HZ
        for i, sound in enumerate(sounds):
            length = _BURST if sound == "p" else 1.0
            end = edges[i] + length * (edges[i + 1] - edges[i])
            span = slice(max(round(edges[i]), 0), max(round(end), 0))
            values, weights = _gesture(sound, ipa, articulation)
            target[span], dominance[span] = values, weights
    return target, dominance


def _gesture(sound: str, ipa: str, articulation: float) -> tuple[Sequence[float], Sequence[float]]:
    if sound in _CONSONANTS:
        return _CONSONANTS[sound]
    stressed = ipa[:1] in ("ˈ", "ˌ")
    size = articulation * (1.0 if stressed else _UNSTRESSED)
    values = [size * value for value in _VOWELS[sound]]
    values[_PUCKER] = _VOWELS[sound][_PUCKER]
    return values, _VOWEL_DOMINANCE
