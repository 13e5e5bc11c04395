"""Text to speech: what can be spoken, and a program that does as espeak-ng does."""

from __future__ import annotations

import asyncio
import io
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from avatar_forcing_ros.errors import MediaError, MissingDependencyError
from avatar_forcing_ros.web import speech


def endless_wav() -> bytes:
    """Half a second at 8 kHz with the sizes that a pipe leaves."""
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(np.full(4_000, 5_000, np.int16).tobytes())
    wav = bytearray(data.getvalue())
    wav[4:8] = wav[40:44] = (0x7FFFF000).to_bytes(4, "little")
    return bytes(wav)


def program(folder: Path, lines: str) -> str:
    path = folder / "espeak-ng"
    path.write_text(f"#!{sys.executable}\nimport sys\n{lines}\n")
    path.chmod(0o755)
    return str(path)


def test_text_is_spoken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = tmp_path / "given"
    lines = (
        f"open({str(given)!r}, 'w').write(' '.join(sys.argv[1:]) + '|' + sys.stdin.read())\n"
        f"sys.stdout.buffer.write({endless_wav()!r})"
    )
    monkeypatch.setattr(speech, "PROGRAM", program(tmp_path, lines))
    samples = asyncio.run(speech.synthesize("-f /etc/passwd"))
    assert given.read_text() == "--stdin --stdout|-f /etc/passwd"
    assert len(samples) == 8_000
    assert samples[4_000] == pytest.approx(5_000 / 32_768, rel=0.01)


def test_a_program_that_fails_or_hangs_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech, "PROGRAM", program(tmp_path, "sys.exit(3)"))
    with pytest.raises(MediaError, match="exit code 3"):
        asyncio.run(speech.synthesize("hello"))
    monkeypatch.setattr(speech, "PROGRAM", program(tmp_path, "import time; time.sleep(60)"))
    monkeypatch.setattr(speech, "TIMEOUT_S", 0.1)
    with pytest.raises(MediaError, match="none after"):
        asyncio.run(speech.synthesize("hello"))


def test_no_program_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "PROGRAM", "no-such-program")
    assert not speech.is_available()
    with pytest.raises(MissingDependencyError, match="sudo apt install"):
        asyncio.run(speech.synthesize("hello"))


def test_only_what_can_be_said_is_left() -> None:
    assert speech.sanitized_text(" Hello,\x00\n\tyou \x1b[31m ") == "Hello, you [31m"
    for bad in (None, 5, "", "…", "a" * 1_001):
        with pytest.raises(MediaError, match="words"):
            speech.sanitized_text(bad)
