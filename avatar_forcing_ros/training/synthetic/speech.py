"""What one person says, with exact phoneme times: sentences by a synthesiser, and laughter.

espeak's phoneme events are exact to the sample, with one exception that lip synchrony cares
about: for voiceless stops they mark the burst, and the silent closure before it is counted to the
sound before. :func:`_include_closures` gives that silence to the stop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ
from avatar_forcing_ros.training.synthetic import statistics as stats
from avatar_forcing_ros.training.synthetic.synthesisers import (
    FLITE_TRAIN_VOICES,
    Espeak,
    Samples,
    flite_synthesise,
)

Phoneme = tuple[float, float, str]  # start_s, end_s, IPA (a leading stress mark is kept)

ACCENTS = (
    "en-us", "en-us", "en-us", "en-gb", "en-gb", "en-gb-scotland", "en-gb-x-rp",
    "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029", "en-us-nyc",
)  # fmt: skip
TRAIN_VARIANTS = (
    "f1", "f2", "f3", "f5", "m1", "m2", "m3", "m4", "m6", "m7", "croak", "Alex", "Alicia",
    "Annie", "Denis", "Diogo", "Gene", "Jacky", "Lee", "Michael", "Mike", "Nguyen", "Reed",
    "Storm", "adam", "anika", "antonio", "aunty", "belinda", "benjamin", "boris", "caleb",
    "david", "ed", "edward", "grandma", "grandpa", "gustave", "ian", "iven", "iven2", "john",
    "kaukovalta", "klatt", "klatt2", "klatt4", "klatt6", "linda", "marcelo", "max", "michel",
    "miguel", "norbert", "pablo", "pedro", "quincy", "rob", "sandro", "shelby", "steph",
    "steph3", "travis", "whisper", "zac",
)  # fmt: skip
VALID_VARIANTS = ("f4", "m5", "Andrea", "Hugo", "paul", "steph2", "victor")
TEST_VARIANTS = ("m8", "Mario", "robert", "klatt3", "edward2", "mike2", "iven3")
VARIANTS = {"train": TRAIN_VARIANTS, "valid": VALID_VARIANTS, "test": TEST_VARIANTS}

_VOICELESS_STOPS = ("p", "t", "k", "tʃ")
_LAUGH_FORMANTS = (
    (720.0, 110.0), (1250.0, 130.0), (2600.0, 200.0), (3500.0, 280.0), (4500.0, 350.0),
    (5500.0, 400.0), (6500.0, 450.0),
)  # Hz, bandwidth  # fmt: skip


@dataclass(frozen=True)
class Voice:
    """One speaker: synthesiser settings and the size of the vocal tract."""

    name: str  # espeak voice, such as en-gb+f2, or "flite:rms"
    rate_wpm: int
    pitch: int
    pitch_range: int
    vocal_tract_factor: float
    wander: tuple[tuple[float, float, float], ...] = ()  # tempo: (hz, depth, phase) of sines


@dataclass(frozen=True)
class Utterance:
    """Speech from its first to its last sound; float32 ``[n]`` at 16 kHz and phonemes from 0 s."""

    samples: Samples
    phonemes: tuple[Phoneme, ...]
    text: str

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SAMPLE_RATE_HZ


_loaded: Espeak | None = None


def restart(seed: int) -> None:
    """Bring the synthesiser into the state of `seed`: what follows depends on nothing before it.

    Raises MissingDependencyError without espeakng-loader.
    """
    global _loaded
    if _loaded is not None:
        _loaded.close()
    _loaded = None
    _loaded = Espeak(seed)


def _espeak() -> Espeak:
    if _loaded is None:
        restart(0)
    assert _loaded is not None
    return _loaded


def draw_voice(rng: np.random.Generator, split: str, natural_share: float = 0.0) -> Voice:
    """A random speaker; the voice variants of the splits are disjoint.

    `natural_share` is the probability of one of flite's voices, in "train" only.
    """
    natural = split == "train" and natural_share > 0 and rng.random() < natural_share
    return Voice(
        name=f"flite:{rng.choice(FLITE_TRAIN_VOICES)}"
        if natural
        else f"{rng.choice(ACCENTS)}+{rng.choice(VARIANTS[split])}",
        rate_wpm=round(rng.uniform(*stats.SPEAKING_RATE_WPM)),
        pitch=round(rng.uniform(*stats.PITCH)),
        pitch_range=round(rng.uniform(*stats.PITCH_RANGE)),
        vocal_tract_factor=float(rng.uniform(*stats.VOCAL_TRACT_FACTOR)),
        wander=tuple(
            (rng.uniform(low, high), rng.uniform(0.0, stats.TEMPO_WANDER), rng.uniform(0.0, 6.28))
            for low, high in ((0.3, 1.0), (1.0, 3.0))
        ),
    )


def speak(text: str, voice: Voice) -> Utterance:
    """`text` spoken by `voice`, trimmed to its phonemes, at the standard speech level.

    Raises MissingDependencyError without the synthesiser of the voice.
    """
    import soxr

    wave, spoken, own_rate_hz = _synthesise(text, voice)
    if not spoken:
        return Utterance(np.zeros(0, np.float32), (), text)
    first, last = max(spoken[0][0], 0), min(spoken[-1][1], len(wave))
    wave, warped = _warp(wave[first:last], own_rate_hz, voice)
    # played faster by the factor: formants (and pitch) rise, times shrink
    rate_hz = own_rate_hz * voice.vocal_tract_factor
    samples = soxr.resample(wave, rate_hz, SAMPLE_RATE_HZ).astype(np.float32)
    edges_s = warped(np.array([(a - first, b - first) for a, b, _ in spoken])) / rate_hz
    phonemes = tuple(
        (float(a), float(b), ipa) for (a, b), (_, _, ipa) in zip(edges_s, spoken, strict=True)
    )
    return Utterance(set_level(samples, stats.SPEECH_LEVEL_DBFS), phonemes, text)


def _synthesise(text: str, voice: Voice) -> tuple[Samples, list[tuple[int, int, str]], int]:
    """Samples, the sounds' spans in samples, pauses left out, and the rate in Hz."""
    if voice.name.startswith("flite:"):
        wave, phones = flite_synthesise(
            text, voice.name.removeprefix("flite:"), 170.0 / voice.rate_wpm
        )
        spoken = [
            (round(a * SAMPLE_RATE_HZ), round(b * SAMPLE_RATE_HZ), ipa) for a, b, ipa in phones
        ]
        return wave, spoken, SAMPLE_RATE_HZ
    espeak = _espeak()
    wave, events = espeak.synthesise(
        text, voice.name, voice.rate_wpm, voice.pitch, voice.pitch_range
    )
    spans = _include_closures(_spans(events, len(wave)), wave, espeak.rate_hz)
    return wave, [span for span in spans if span[2]], espeak.rate_hz


def _warp(
    wave: Samples, rate_hz: int, voice: Voice
) -> tuple[Samples, Callable[[NDArray[np.int64]], NDArray[np.float64]]]:
    """`wave` with its tempo wandering, and the map from old to new sample positions.

    The synthesiser's rhythm and pitch are too regular; two slow sines per voice loosen both.
    """
    count = len(wave)
    place = np.arange(count, dtype=np.float64)
    moved = place.copy()
    for hz, depth, phase in voice.wander:
        omega = 2 * np.pi * hz
        wave_of_time = np.sin(omega / rate_hz * place + phase) - np.sin(phase)
        moved += rate_hz * depth / omega * wave_of_time
    new_count = max(int(moved[-1]), 1) if count else 0
    out = np.interp(np.arange(new_count), moved, wave).astype(np.float32)
    return out, lambda old: np.interp(old, place, moved)


def set_level(samples: Samples, level_dbfs: float) -> Samples:
    """`samples` scaled so that the root mean square of the parts with sound is `level_dbfs`."""
    loud = samples[np.abs(samples) > 0.01 * max(float(np.abs(samples).max(initial=0.0)), 1e-6)]
    rms = float(np.sqrt(np.mean(loud**2))) if len(loud) else 1.0
    return (samples * (10 ** (level_dbfs / 20) / max(rms, 1e-6))).astype(np.float32)


def _spans(events: list[tuple[int, str]], end: int) -> list[tuple[int, int, str]]:
    starts = [start for start, _ in events] + [end]
    return [(start, max(starts[i + 1], start), ipa) for i, (start, ipa) in enumerate(events)]


def _include_closures(
    spans: list[tuple[int, int, str]], wave: Samples, rate_hz: int
) -> list[tuple[int, int, str]]:
    """Start each voiceless stop where its silence starts, and end the sound before it there."""
    hop = rate_hz // 200  # 5 ms
    limit = int(stats.STOP_CLOSURE_MAX_S * rate_hz)
    out = list(spans)
    for i in range(1, len(out)):
        start, end, ipa = out[i]
        if ipa.lstrip("ˈˌ") not in _VOICELESS_STOPS:
            continue
        before = out[i - 1][0]
        closed = start
        while closed - hop >= max(start - limit, before) and (
            np.abs(wave[closed - hop : closed]).max(initial=0.0) < 0.006
        ):
            closed -= hop
        out[i - 1] = (before, closed, out[i - 1][2])
        out[i] = (closed, end, ipa)
    return out


def laugh(rng: np.random.Generator, voice: Voice) -> Utterance:
    """A burst of laughter by `voice`; its phonemes are "h" and "a" in turn.

    A train of breathy "ha" calls: a glottal pulse train through vowel resonances.
    """
    calls = int(rng.integers(stats.LAUGH_CALLS[0], stats.LAUGH_CALLS[1] + 1))
    period_s = 1.0 / rng.uniform(*stats.LAUGH_CALLS_PER_S)
    pitch_hz = (110.0 + 2.6 * voice.pitch) * voice.vocal_tract_factor * rng.uniform(1.1, 1.6)
    pieces: list[NDArray[np.float64]] = []
    phonemes: list[Phoneme] = []
    now_s = 0.0
    for i in range(calls):
        breath_s = period_s * rng.uniform(0.35, 0.50)
        voiced_s = period_s * rng.uniform(0.45, 0.60)
        level = 0.93**i * rng.uniform(0.8, 1.2)
        call = _laugh_call(rng, breath_s, voiced_s, pitch_hz * 0.97**i * rng.uniform(0.95, 1.05))
        pieces.append(level * call)
        phonemes.append((now_s, now_s + breath_s, "h"))
        now_s += len(call) / SAMPLE_RATE_HZ
        phonemes.append((phonemes[-1][1], now_s, "a"))
    wave = np.concatenate(pieces)
    for hz, width_hz in _LAUGH_FORMANTS:
        wave = _resonate(wave, hz * voice.vocal_tract_factor, width_hz)
    wave = np.diff(wave, prepend=0.0)  # sound radiates from the lips as the change of the flow
    samples = set_level(wave.astype(np.float32), stats.SPEECH_LEVEL_DBFS)
    return Utterance(samples, tuple(phonemes), "(laughs)")


def _laugh_call(
    rng: np.random.Generator, breath_s: float, voiced_s: float, pitch_hz: float
) -> NDArray[np.float64]:
    breath, voiced = int(breath_s * SAMPLE_RATE_HZ), int(voiced_s * SAMPLE_RATE_HZ)
    fall = np.linspace(1.08, 0.85, voiced)
    phase = np.cumsum(pitch_hz * fall) / SAMPLE_RATE_HZ
    pulses = np.r_[np.zeros(breath), np.diff(np.floor(phase), prepend=0.0) * np.hanning(voiced)]
    pulses = lfilter([1.0], [1.0, -0.95], pulses)  # the glottis' fall of about 6 dB/octave
    noise = 0.05 * rng.normal(size=breath + voiced)
    noise *= np.r_[np.hanning(2 * breath)[:breath] ** 0.5, np.linspace(1.0, 0.15, voiced)]
    return pulses + noise


def _resonate(wave: NDArray[np.float64], hz: float, width_hz: float) -> NDArray[np.float64]:
    radius = np.exp(-np.pi * width_hz / SAMPLE_RATE_HZ)
    angle = 2 * np.pi * min(hz, 7500.0) / SAMPLE_RATE_HZ
    poles = [1.0, -2 * radius * np.cos(angle), radius**2]
    return lfilter([sum(poles)], poles, wave)
