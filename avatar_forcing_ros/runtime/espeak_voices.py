"""The voices that espeak-ng has, out of its own table."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass

from avatar_forcing_ros.runtime.speech_language import language_tag

MAX_VOICES = 500
MAX_LABEL_LENGTH = 80  # characters
TIMEOUT_S = 5.0
# priority, language, age and gender, name, file
_ROW = re.compile(r"\s*\d+\s+([A-Za-z][\w-]{0,63})\s+\S+\s+(\S+)\s+\S+", re.ASCII)


@dataclass(frozen=True)
class VoiceChoice:
    """A voice to choose: `name` for the program, `language` as BCP 47, `label` for people."""

    name: str
    language: str
    label: str


def listed_voices(program: str) -> tuple[VoiceChoice, ...]:
    """What ``espeak-ng --voices`` lists; nothing where it cannot be asked."""
    try:
        done = subprocess.run(
            [program, "--voices"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return parsed_voices(done.stdout.decode(errors="replace"))


def parsed_voices(table: str) -> tuple[VoiceChoice, ...]:
    """The rows of a table, by their labels; of several with one name the first."""
    found: dict[str, VoiceChoice] = {}
    for line in table.splitlines():
        row = _ROW.match(line)
        if row and row[1] not in found and len(found) < MAX_VOICES:
            label = row[2].replace("_", " ").strip()[:MAX_LABEL_LENGTH]
            found[row[1]] = VoiceChoice(row[1], language_tag(row[1]), label)
    return tuple(sorted(found.values(), key=lambda voice: (voice.label, voice.name)))
