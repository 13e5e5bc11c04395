"""Speech synthesis with phoneme times: espeak-ng's library, and the program flite.

espeak-ng is GPL-3: a tool for making training data, never needed at run time, so it is loaded
only when the first sentence is spoken (``pip install espeakng-loader``). It builds all sounds by
rule, so its hundred voices share a way of speaking. flite's voices were estimated from recordings
(CMU Arctic); a share of them brings training nearer to real voices. flite is an option (``apt
install flite``, BSD-like licence) and nothing uses it unless asked.
"""

from __future__ import annotations

import _ctypes
import ctypes
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MissingDependencyError
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

Samples = NDArray[np.float32]

# the constants of espeak_Initialize, espeak_Synth and espeak_SetParameter
_SYNCHRONOUS, _PHONEME_EVENTS_IN_IPA = 2, 3
_UTF8_AND_PHONEMES = 0x101  # text may hold phonemes, as [[m@]]
_EVENT_END, _EVENT_PHONEME = 0, 7
_RATE, _PITCH, _PITCH_RANGE = 1, 3, 4

FLITE_TRAIN_VOICES = ("rms", "awb", "kal16")  # slt is kept for tests
# the CMU dictionary's phone names, as flite prints them
_IPA = {
    "aa": "ɑː", "ae": "æ", "ah": "ʌ", "ao": "ɔː", "aw": "aʊ", "ax": "ə", "ay": "aɪ", "b": "b",
    "ch": "tʃ", "d": "d", "dh": "ð", "eh": "ɛ", "er": "ɜː", "ey": "eɪ", "f": "f", "g": "ɡ",
    "hh": "h", "ih": "ɪ", "iy": "iː", "jh": "dʒ", "k": "k", "l": "l", "m": "m", "n": "n",
    "ng": "ŋ", "ow": "oʊ", "oy": "ɔɪ", "p": "p", "r": "ɹ", "s": "s", "sh": "ʃ", "t": "t",
    "th": "θ", "uh": "ʊ", "uw": "uː", "v": "v", "w": "w", "y": "j", "z": "z", "zh": "ʒ",
}  # fmt: skip
_STRESSED_MIN_S = 0.085  # flite prints no stress: a long full vowel counts as stressed
_STRESS = "\N{MODIFIER LETTER VERTICAL LINE}"


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int), ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p), ("id", _EventId),
    )  # fmt: skip


class Espeak:
    """espeak-ng's library in this process: text to samples and (sample, IPA) events.

    Its noise and its pitch wobble come from static state that no call resets, so a conversation
    that has to be reproducible begins by loading the library again (half a millisecond).
    """

    def __init__(self, seed: int) -> None:
        """Raises MissingDependencyError without espeakng-loader."""
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

    def synthesise(
        self, text: str, voice: str, rate_wpm: int, pitch: int, pitch_range: int
    ) -> tuple[Samples, list[tuple[int, str]]]:
        """Samples ``[n]`` at `rate_hz`, and at which sample each phoneme begins."""
        self._chunks, self._events = [], []
        self._library.espeak_SetVoiceByName(voice.encode())
        for parameter, value in ((_RATE, rate_wpm), (_PITCH, pitch), (_PITCH_RANGE, pitch_range)):
            self._library.espeak_SetParameter(parameter, value, 0)
        data = text.encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, 0, 0, _UTF8_AND_PHONEMES, None, None)
        wave = np.concatenate(self._chunks) if self._chunks else np.zeros(0, np.int16)
        return wave.astype(np.float32) / 32768.0, self._events


def flite_installed() -> bool:
    """Whether the program flite is on the path."""
    return shutil.which("flite") is not None


def flite_synthesise(
    text: str, voice: str, stretch: float = 1.0
) -> tuple[Samples, list[tuple[float, float, str]]]:
    """Samples ``[n]`` at 16 kHz and (start_s, end_s, IPA) of each phone, without pauses.

    `stretch` lengthens all sounds. Raises MissingDependencyError without flite,
    CalledProcessError for a voice it lacks.
    """
    if not flite_installed():
        raise MissingDependencyError(
            "speech from recorded voices",
            expected="the program flite (training only)",
            got="no such program",
            remedy="run `apt install flite` or use no natural voices",
        )
    plain = re.sub(r"\[\[.*?\]\]", "yeah", text)  # espeak's phoneme notation
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "speech.wav"
        command = ["flite", "-voice", voice, "-psdur", "--setf", f"duration_stretch={stretch:.3f}"]
        command += ["-t", plain, "-o", str(wav)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        data = wav.read_bytes()
    # a plain 44-byte header; the rate is that of all the voices named above
    rate_hz = int.from_bytes(data[24:28], "little")
    if rate_hz != SAMPLE_RATE_HZ:
        raise ValueError(f"flite voice {voice}: expected 16000 Hz, got {rate_hz}; use slt or rms")
    samples = np.frombuffer(data[44:], np.int16).astype(np.float32) / 32768.0
    return samples, _flite_phones(printed)


def _flite_phones(printed: str) -> list[tuple[float, float, str]]:
    """From flite's "name:end ..." to (start_s, end_s, IPA)."""
    spans: list[tuple[float, float, str]] = []
    start_s = 0.0
    for item in printed.split():
        name, end = item.split(":")
        end_s = float(end)
        if name in _IPA:
            full = name[0] in "aeiou" and name not in ("ax", "ih")
            stressed = full and end_s - start_s >= _STRESSED_MIN_S
            spans.append((start_s, end_s, (_STRESS if stressed else "") + _IPA[name]))
        start_s = end_s
    return spans
