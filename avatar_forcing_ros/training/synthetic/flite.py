"""Speech from recorded people: the statistical voices of flite, when it is installed.

espeak-ng builds all sounds by rule, so its hundred voices share a way of speaking. flite's voices
were estimated from recordings (CMU Arctic); a share of them brings training nearer to real
voices. flite is a program (``apt install flite``, BSD-like licence) and an option: nothing uses it
unless asked. The voice slt is kept for tests and never used in training.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MissingDependencyError
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

TRAIN_VOICES = ("rms", "awb", "kal16")
Span = tuple[float, float, str]  # start_s, end_s, IPA
# the CMU dictionary's phone names, as flite prints them
IPA = {
    "aa": "ɑː", "ae": "æ", "ah": "ʌ", "ao": "ɔː", "aw": "aʊ", "ax": "ə", "ay": "aɪ", "b": "b",
    "ch": "tʃ", "d": "d", "dh": "ð", "eh": "ɛ", "er": "ɜː", "ey": "eɪ", "f": "f", "g": "ɡ",
    "hh": "h", "ih": "ɪ", "iy": "iː", "jh": "dʒ", "k": "k", "l": "l", "m": "m", "n": "n",
    "ng": "ŋ", "ow": "oʊ", "oy": "ɔɪ", "p": "p", "r": "ɹ", "s": "s", "sh": "ʃ", "t": "t",
    "th": "θ", "uh": "ʊ", "uw": "uː", "v": "v", "w": "w", "y": "j", "z": "z", "zh": "ʒ",
}  # fmt: skip
_STRESSED_MIN_S = 0.085  # flite prints no stress: a long full vowel counts as stressed
_STRESS = "\N{MODIFIER LETTER VERTICAL LINE}"


def is_installed() -> bool:
    """Whether the program flite is on the path."""
    return shutil.which("flite") is not None


def synthesise(
    text: str, voice: str, stretch: float = 1.0
) -> tuple[NDArray[np.float32], list[Span]]:
    """Samples ``[n]`` at 16 kHz and the phones on their clock, pauses left out.

    `stretch` lengthens all sounds. Raises MissingDependencyError without flite,
    CalledProcessError for a voice it lacks.
    """
    if not is_installed():
        raise MissingDependencyError(
            "speech from recorded voices",
            expected="the program flite (training only)",
            got="no such program",
            remedy="run `apt install flite` or use no natural voices",
        )
    plain = re.sub(r"\[\[.*?\]\]", "yeah", text)  # the other synthesiser's phoneme notation
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
    return samples, _spans(printed)


def _spans(printed: str) -> list[Span]:
    """From flite's "name:end ..." to spans in IPA."""
    spans: list[Span] = []
    start_s = 0.0
    for item in printed.split():
        name, end = item.split(":")
        end_s = float(end)
        if name in IPA:
            full = name[0] in "aeiou" and name not in ("ax", "ih")
            stressed = full and end_s - start_s >= _STRESSED_MIN_S
            spans.append((start_s, end_s, (_STRESS if stressed else "") + IPA[name]))
        start_s = end_s
    return spans
