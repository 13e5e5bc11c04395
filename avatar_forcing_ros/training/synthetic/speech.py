"""Speech with exact phoneme times, from espeak-ng's library in this process.

espeak-ng is GPL-3: a tool for making training data, never needed at run time, so it is imported
only when the first sentence is spoken (``pip install espeakng-loader``).

espeak's phoneme events are exact to the sample, with one exception that lip synchrony cares
about: for voiceless stops they mark the burst, and the silent closure before it is counted to the
sound before. :func:`_include_closures` gives that silence to the stop.
"""

from __future__ import annotations

import _ctypes
import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MissingDependencyError
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ
from avatar_forcing_ros.training.synthetic import flite
from avatar_forcing_ros.training.synthetic import statistics as stats

Phoneme = tuple[float, float, str]  # start_s, end_s, IPA (a leading stress mark is kept)
Samples = NDArray[np.float32]

ACCENTS = (
    "en-us",
    "en-us",
    "en-us",
    "en-gb",
    "en-gb",
    "en-gb-scotland",
    "en-gb-x-rp",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
    "en-029",
    "en-us-nyc",
)
TRAIN_VARIANTS = (
    "f1",
    "f2",
    "f3",
    "f5",
    "m1",
    "m2",
    "m3",
    "m4",
    "m6",
    "m7",
    "croak",
    "Alex",
    "Alicia",
    "Annie",
    "Denis",
    "Diogo",
    "Gene",
    "Jacky",
    "Lee",
    "Michael",
    "Mike",
    "Nguyen",
    "Reed",
    "Storm",
    "adam",
    "anika",
    "antonio",
    "aunty",
    "belinda",
    "benjamin",
    "boris",
    "caleb",
    "david",
    "ed",
    "edward",
    "grandma",
    "grandpa",
    "gustave",
    "ian",
    "iven",
    "iven2",
    "john",
    "kaukovalta",
    "klatt",
    "klatt2",
    "klatt4",
    "klatt6",
    "linda",
    "marcelo",
    "max",
    "michel",
    "miguel",
    "norbert",
    "pablo",
    "pedro",
    "quincy",
    "rob",
    "sandro",
    "shelby",
    "steph",
    "steph3",
    "travis",
    "whisper",
    "zac",
)
VALID_VARIANTS = ("f4", "m5", "Andrea", "Hugo", "paul", "steph2", "victor")
TEST_VARIANTS = ("m8", "Mario", "robert", "klatt3", "edward2", "mike2", "iven3")
VARIANTS = {"train": TRAIN_VARIANTS, "valid": VALID_VARIANTS, "test": TEST_VARIANTS}

_SYNCHRONOUS, _PHONEME_EVENTS_IN_IPA = 2, 3  # the words of espeak_Initialize and _Synth
_UTF8_AND_PHONEMES = 0x101  # text may hold phonemes, as [[m@]]
_EVENT_END, _EVENT_PHONEME = 0, 7
_RATE, _PITCH, _PITCH_RANGE = 1, 3, 4
_VOICELESS_STOPS = ("p", "t", "k", "tʃ")


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


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int), ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p), ("id", _EventId),
    )  # fmt: skip


class _Espeak:
    """The library in this process: text to samples and (sample, IPA) events.

    Its noise and its pitch wobble come from static state that no call resets, so a conversation
    that shall be the same every time begins by loading the library again (half a millisecond).
    """

    def __init__(self, seed: int) -> None:
        try:
            import espeakng_loader
        except ImportError as error:
            raise MissingDependencyError(
                "synthetic speech",
                expected="the package espeakng-loader (training only)",
                got="no such package",
                remedy="run `pip install espeakng-loader`",
            ) from error
        self._library: Any = ctypes.CDLL(espeakng_loader.get_library_path())
        data_folder = str(espeakng_loader.get_data_path()).encode()
        self.rate_hz = int(
            self._library.espeak_Initialize(_SYNCHRONOUS, 0, data_folder, _PHONEME_EVENTS_IN_IPA)
        )
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        self._chunks: list[NDArray[np.int16]] = []
        self._events: list[tuple[int, str]] = []
        signature = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
        )
        self._callback = signature(self._collect)  # kept: the library holds only its address
        self._library.espeak_SetSynthCallback(self._callback)

    def close(self) -> None:
        """Unload the library."""
        self._library.espeak_Terminate()
        _ctypes.dlclose(self._library._handle)

    def _collect(self, wave: Any, count: int, events: Any) -> int:
        if wave and count > 0:
            self._chunks.append(np.ctypeslib.as_array(wave, (count,)).copy())
        i = 0
        while events[i].type != _EVENT_END:
            if events[i].type == _EVENT_PHONEME:
                ipa = events[i].id.string.decode("utf8", "replace")
                self._events.append((events[i].sample, ipa))
            i += 1
        return 0

    def synthesise(self, text: str, voice: Voice) -> tuple[Samples, list[tuple[int, str]]]:
        self._chunks, self._events = [], []
        self._library.espeak_SetVoiceByName(voice.name.encode())
        for parameter, value in (
            (_RATE, voice.rate_wpm),
            (_PITCH, voice.pitch),
            (_PITCH_RANGE, voice.pitch_range),
        ):
            self._library.espeak_SetParameter(parameter, value, 0)
        data = text.encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, 0, 0, _UTF8_AND_PHONEMES, None, None)
        wave = np.concatenate(self._chunks) if self._chunks else np.zeros(0, np.int16)
        return wave.astype(np.float32) / 32768.0, self._events


_loaded: _Espeak | None = None


def restart(seed: int) -> None:
    """Bring the synthesiser into the state of `seed`: what follows depends on nothing before it.

    Raises MissingDependencyError without espeakng-loader.
    """
    global _loaded
    if _loaded is not None:
        _loaded.close()
    _loaded = None
    _loaded = _Espeak(seed)


def _espeak() -> _Espeak:
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
        name=f"flite:{rng.choice(flite.TRAIN_VOICES)}"
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
        wave, phones = flite.synthesise(text, voice.name[6:], 170.0 / voice.rate_wpm)
        spoken = [
            (round(a * SAMPLE_RATE_HZ), round(b * SAMPLE_RATE_HZ), ipa) for a, b, ipa in phones
        ]
        return wave, spoken, SAMPLE_RATE_HZ
    espeak = _espeak()
    wave, events = espeak.synthesise(text, voice)
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
