"""Text to speech by another program, sentence by sentence: espeak-ng, piper or any other.

The program gets a sentence on its standard input and writes a WAV file to its standard output. It
is started without a shell, in a session of its own, and killed with all that it started where it
takes too long, writes too much, or is not wanted any more.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.config import SpeechConfig
from avatar_forcing_ros.errors import ConfigError, MediaError, MissingDependencyError
from avatar_forcing_ros.media_files.reading import decode_audio
from avatar_forcing_ros.runtime.espeak_voices import VoiceChoice, listed_voices
from avatar_forcing_ros.runtime.speech_language import language_tag, spoken_language
from avatar_forcing_ros.runtime.speech_text import sentences
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

PROGRAM = "espeak-ng"
PIPER = "piper"
WORDS_PER_MINUTE = 175  # its own
MAX_SENTENCE_S = 90.0
MAX_WAV_BYTES = 32 << 20
MAX_NOTES_BYTES = 4096  # of what it writes to stderr
_CHECK_PERIOD_S = 0.05
# what is put into a command line: no option, no path
_NAME = re.compile(r"\+?[A-Za-z0-9][\w+.-]{0,63}")


@dataclass(frozen=True)
class Voice:
    """How a text is to be spoken; what is empty is as the settings say."""

    language: str = ""
    name: str = ""
    rate: float = 1.0
    """1 is the program's own pace."""


@dataclass(frozen=True)
class SpokenSentence:
    """A sentence and its audio: `samples` ``[n]`` float32 in -1…1, mono, at `rate_hz`.

    `language` (BCP 47) is empty where it is not known.
    """

    text: str
    samples: NDArray[np.float32]
    rate_hz: int = SAMPLE_RATE_HZ
    language: str = ""


class Speech(Protocol):
    """One text, made into audio one sentence after the other, each when it is asked for."""

    def __iter__(self) -> Iterator[SpokenSentence]: ...

    def __next__(self) -> SpokenSentence:
        """The next one; raises MediaError or MissingDependencyError where it cannot be made."""

    def cancel(self) -> None:
        """Make no more: the iteration ends at once. From any thread."""


class SpeechSynthesizer(Protocol):
    """What the page and the nodes speak with."""

    @property
    def program(self) -> str:
        """Its name, or its path."""

    def voices(self) -> tuple[VoiceChoice, ...]:
        """Those that a text may name; none where there is no choice. May take a while."""

    def is_available(self) -> bool:
        """Whether it can be used on this machine."""

    def synthesize(self, text: str, voice: Voice = ...) -> Speech:
        """`text` as speech. Raises MediaError for a voice that cannot be."""


class ProgramSynthesizer:
    """Speaks with the program that the settings name."""

    def __init__(self, config: SpeechConfig | None = None) -> None:
        """Raises ConfigError for a command that no shell would read either."""
        self._config = config or SpeechConfig()
        self._voices: tuple[VoiceChoice, ...] | None = None
        try:
            self._words = shlex.split(self._config.speech_command)
        except ValueError as error:
            raise ConfigError(
                "speech_command",
                expected="a program and its arguments",
                got=f"{self._config.speech_command!r}: {error}",
                remedy="close its quotation marks",
            ) from error

    @property
    def program(self) -> str:
        """Its name, or its path."""
        if self._words:
            return self._words[0]
        return PIPER if self._config.speech_piper_voice else PROGRAM

    def is_available(self) -> bool:
        """Whether the program is installed, and has the voice file that it is to speak with."""
        file = "" if self._words else self._config.speech_piper_voice
        return shutil.which(self.program) is not None and (not file or Path(file).is_file())

    def voices(self) -> tuple[VoiceChoice, ...]:
        """espeak-ng's, asked for once; other programs have no list."""
        if self._voices is None and self.program == PROGRAM and (path := shutil.which(PROGRAM)):
            self._voices = listed_voices(path)
        return self._voices or ()

    def synthesize(self, text: str, voice: Voice = Voice()) -> Speech:
        """`text` as speech, 16 kHz; nothing is started yet.

        Raises MediaError for a language, voice or rate that cannot be.
        """
        command = partial(self._command, self._resolved(voice))
        return _ProgramSpeech(command, sentences(text), self._config.speech_timeout_s)

    def _resolved(self, voice: Voice) -> Voice:
        """`voice` with what the settings say; MediaError for one that cannot be."""
        config = self._config
        language = voice.language or config.speech_language
        name = voice.name
        # the voice of the settings speaks the language of the settings
        if not name and (language == config.speech_language or config.speech_voice[:1] == "+"):
            name = config.speech_voice
        for what, given in (("language", language), ("voice", name)):
            if given and not _NAME.fullmatch(given):
                raise MediaError(
                    f"the {what} of a text",
                    expected="a short name, such as en or en-us+f3",
                    got=repr(given[:40]),
                    remedy=f"'{PROGRAM} --voices' lists those of {PROGRAM}",
                )
        if not 0.1 <= voice.rate <= 10.0:
            raise MediaError(
                "the rate of a text",
                expected="0.1 to 10 times the usual pace",
                got=f"{voice.rate:g}",
                remedy="1 is the usual pace",
            )
        return replace(voice, language=language, name=name)

    def _command(self, voice: Voice, sentence: str) -> tuple[list[str], str]:
        """The program and its arguments for a sentence, and the language it is spoken in."""
        if self._words:
            values = {
                "{language}": voice.language, "{voice}": voice.name, "{rate}": f"{voice.rate:g}"
            }  # fmt: skip
            said = language_tag(voice.language) if "{language}" in " ".join(self._words) else ""
            return [_filled(word, values) for word in self._words], said
        if file := self._config.speech_piper_voice:
            scale = f"{1.0 / voice.rate:g}"  # of lengths
            return [PIPER, "--model", file, "--length_scale", scale, "--output_file", "-"], ""
        is_variant = voice.name.startswith("+")
        chosen = voice.language + voice.name if is_variant else voice.name or voice.language
        language = spoken_language(sentence, chosen)
        if language != chosen and any(language == known.name for known in self.voices()):
            chosen = language + (voice.name if is_variant else "")
        pace = str(round(WORDS_PER_MINUTE * voice.rate))
        words = [PROGRAM, "-v", chosen, "-s", pace, "--stdin", "--stdout"]
        return words, language_tag(chosen)


class _ProgramSpeech:
    """For each of the `sentences` its `command` is run."""

    def __init__(
        self,
        command: Callable[[str], tuple[list[str], str]],
        sentences: list[str],
        timeout_s: float,
    ) -> None:
        self._command_for, self._timeout_s = command, timeout_s
        self._command: list[str] = []
        self._sentences = iter(sentences)
        self._lock = threading.Lock()  # around the process, which others may kill
        self._process: subprocess.Popen[bytes] | None = None
        self._cancelled = False

    def __iter__(self) -> Iterator[SpokenSentence]:
        return self

    def __next__(self) -> SpokenSentence:
        text = next(self._sentences)
        self._command, language = self._command_for(text)
        try:
            wav = self._run(text)
            if self._cancelled:
                raise StopIteration
            samples = decode_audio(wav, MAX_SENTENCE_S)
            return SpokenSentence(text, samples, language=language)
        except MediaError:
            if self._cancelled:  # what was killed has written half of a file
                raise StopIteration from None
            raise

    def cancel(self) -> None:
        """Kill what runs and start no more."""
        with self._lock:
            self._cancelled = True
            if self._process is not None:
                _kill(self._process)

    def _run(self, text: str) -> bytes:
        """What the program writes for `text`; MediaError unless that may be a WAV file."""
        process = self._start()
        try:
            wav, notes = self._communicate(process, text)
        finally:
            with self._lock:  # once it is reaped its number may become another's
                _kill(process)
                self._process = None
            process.wait()
        if process.returncode:
            raise self._failed(f"exit code {process.returncode}{_quoted(notes)}")
        if wav[:4] not in (b"RIFF", b"RF64", b"RIFX"):
            got = f"something else ({_shown(wav[:40])})" if wav else f"nothing{_quoted(notes)}"
            raise self._failed(got)
        return wav

    def _start(self) -> subprocess.Popen[bytes]:
        path = shutil.which(self._command[0])
        if path is None:
            raise _missing(self._command[0])
        with self._lock:
            if self._cancelled:
                raise StopIteration
            try:
                self._process = subprocess.Popen(
                    [path, *self._command[1:]],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                )
            except OSError as error:
                raise self._failed(error.strerror or str(error)) from error
            return self._process

    def _communicate(self, process: subprocess.Popen[bytes], text: str) -> tuple[bytes, bytes]:
        """What it writes to stdout and, at the end, to stderr; it has ended then."""
        assert process.stdin
        assert process.stdout
        assert process.stderr
        end_s = time.monotonic() + self._timeout_s
        with contextlib.suppress(BrokenPipeError):  # less than a pipe holds: it never blocks
            process.stdin.write(f"{text}\n".encode())
            process.stdin.close()
        wav, notes = bytearray(), bytearray()
        with selectors.DefaultSelector() as selector, process.stdout, process.stderr:
            selector.register(process.stdout, selectors.EVENT_READ, wav)
            selector.register(process.stderr, selectors.EVENT_READ, notes)
            # stderr may be held open by what it has left behind
            while process.stdout in (key.fileobj for key in selector.get_map().values()):
                for key, _ in selector.select(_CHECK_PERIOD_S):
                    data = os.read(key.fd, 1 << 16)
                    if not data:
                        selector.unregister(key.fileobj)
                    key.data.extend(data)
                del notes[:-MAX_NOTES_BYTES]
                self._check(len(wav), end_s)
        while True:
            try:
                process.wait(_CHECK_PERIOD_S)
            except subprocess.TimeoutExpired:
                self._check(len(wav), end_s)
            else:
                return bytes(wav), bytes(notes)

    def _check(self, count: int, end_s: float) -> None:
        if self._cancelled:
            raise StopIteration
        if count > MAX_WAV_BYTES:
            raise self._failed(f"more than {MAX_WAV_BYTES >> 20} MB, without an end")
        if time.monotonic() > end_s:
            raise self._failed(f"none after {self._timeout_s:g} s")

    def _failed(self, got: str) -> MediaError:
        return MediaError(
            f"the program {self._command[0]}",
            expected="a WAV file on its standard output, for a sentence on its standard input",
            got=got,
            remedy=f"try it: echo hello | {shlex.join(self._command)} > hello.wav",
        )


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The process, and what it has started and left behind."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _missing(program: str) -> MissingDependencyError:
    installs = {
        PROGRAM: f"install it (Debian, Ubuntu: sudo apt install {PROGRAM}), or send audio",
        PIPER: "install it (pip install piper-tts), or leave speech_piper_voice empty",
    }
    return MissingDependencyError(
        f"the program {program}",
        expected="it to be installed, for text to speech",
        got="none of that name",
        remedy=installs.get(program, "correct speech_command"),
    )


def _filled(word: str, values: dict[str, str]) -> str:
    for mark, value in values.items():
        word = word.replace(mark, value)
    return word


def _shown(data: bytes) -> str:
    return repr(data.decode(errors="replace"))


def _quoted(notes: bytes) -> str:
    """The last line of what the program says about itself."""
    lines = notes.decode(errors="replace").split("\n")
    said = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f", and it says {said[:200]!r}" if said else ""
