"""Speech by another program: what it is given, and every way in which it may fail."""

from __future__ import annotations

import io
import sys
import threading
import wave
from pathlib import Path

import numpy as np
import pytest
from programs import is_alive, wait_until

from avatar_forcing_ros.config import SpeechConfig
from avatar_forcing_ros.errors import ConfigError, MediaError, MissingDependencyError
from avatar_forcing_ros.runtime import speech_synthesis
from avatar_forcing_ros.runtime.speech_synthesis import ProgramSynthesizer, Voice


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


def program(folder: Path, lines: str, name: str = "speaker") -> str:
    path = folder / name
    path.write_text(f"#!{sys.executable}\nimport os, sys, time\n{lines}\n")
    path.chmod(0o755)
    return str(path)


def speaking(command: str, timeout_s: float = 20.0) -> ProgramSynthesizer:
    return ProgramSynthesizer(SpeechConfig(speech_command=command, speech_timeout_s=timeout_s))


def test_espeak_speaks_sentence_by_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = tmp_path / "given"
    lines = (
        f"open({str(given)!r}, 'a').write(' '.join(sys.argv[1:]) + '|' + sys.stdin.read())\n"
        f"sys.stdout.buffer.write({endless_wav()!r})"
    )
    espeak = program(tmp_path, lines, "espeak-ng")
    monkeypatch.setattr(speech_synthesis, "PROGRAM", espeak)
    synthesizer = ProgramSynthesizer()
    assert synthesizer.is_available()
    speech = synthesizer.synthesize("-f /etc/passwd. Then more.")
    first = next(speech)
    assert given.read_text() == "-v en -s 175 --stdin --stdout|-f /etc/passwd.\n"
    assert (first.text, first.rate_hz, len(first.samples)) == ("-f /etc/passwd.", 16_000, 8_000)
    assert first.samples[4_000] == pytest.approx(5_000 / 32_768, rel=0.01)
    assert [sentence.text for sentence in speech] == ["Then more."]


@pytest.mark.parametrize(
    ("voice", "expected"),
    [
        (Voice(), "de+f3 200"),
        (Voice(language="fr"), "fr+f3 200"),
        (Voice(name="en-us", rate=0.5), "en-us 88"),
        (Voice("fr", "+m1"), "fr+m1 175"),
    ],
)
def test_a_text_may_name_its_voice(
    voice: Voice, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = tmp_path / "given"
    lines = (
        f"open({str(given)!r}, 'w').write(sys.argv[2] + ' ' + sys.argv[4])\n"
        f"sys.stdout.buffer.write({endless_wav()!r})"
    )
    monkeypatch.setattr(speech_synthesis, "PROGRAM", program(tmp_path, lines))
    config = SpeechConfig(speech_language="de", speech_voice="+f3")
    rate = voice.rate if voice.rate != 1 or voice.name else 200 / 175
    list(ProgramSynthesizer(config).synthesize("hi", Voice(voice.language, voice.name, rate)))
    assert given.read_text() == expected


def test_any_program_gets_its_arguments_without_a_shell(tmp_path: Path) -> None:
    given = tmp_path / "given"
    lines = (
        f"open({str(given)!r}, 'w').write('|'.join(sys.argv[1:]))\n"
        f"sys.stdout.buffer.write({endless_wav()!r})"
    )
    command = f"{program(tmp_path, lines)} 'a b' $HOME '; ls' m-{{language}}-{{voice}} {{rate}}"
    list(speaking(command).synthesize("hi", Voice("nl", "anna", 1.5)))
    assert given.read_text() == "a b|$HOME|; ls|m-nl-anna|1.5"
    for bad in (Voice("-w/tmp/x"), Voice("../x"), Voice(name="a b")):
        with pytest.raises(MediaError, match="a short name"):
            speaking(command).synthesize("hi", bad)
    for rate in (0.0, float("nan"), 11.0):
        with pytest.raises(MediaError, match="the rate"):
            speaking(command).synthesize("hi", Voice(rate=rate))
    with pytest.raises(ConfigError, match="quotation"):
        speaking("say 'this")


@pytest.mark.parametrize(
    ("lines", "got"),
    [
        ("sys.exit(3)", "exit code 3"),
        ("sys.exit('no voice of that name')", "exit code 1, and it says 'no voice of that name'"),
        ("print('Hello')", r"something else \('Hello"),
        ("os.write(1, os.urandom(5000).replace(b'R', b'x'))", "something else"),
        ("os.write(1, b'RIFF' + bytes(range(200)))", "readable audio"),
        ("sys.stderr.write('nothing to say')", "nothing, and it says 'nothing to say'"),
        ("os.close(0)", "nothing"),
        ("time.sleep(60)", "none after"),
        ("os.close(1); time.sleep(60)", "none after"),
        ("os.kill(os.getpid(), 9)", "exit code -9"),
        (f"os.write(1, {endless_wav()!r}); sys.exit(2)", "exit code 2"),
    ],
)
def test_a_program_that_fails_is_reported(lines: str, got: str, tmp_path: Path) -> None:
    timeout_s = 1.0 if "sleep" in lines else 20.0
    speech = speaking(program(tmp_path, lines), timeout_s).synthesize("hello")
    with pytest.raises(MediaError, match=got):
        next(speech)


def test_endless_data_is_not_collected_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech_synthesis, "MAX_WAV_BYTES", 1 << 20)
    lines = f"os.write(1, {endless_wav()!r})\nwhile True: os.write(1, bytes(65536))"
    with pytest.raises(MediaError, match="more than 1 MB"):
        next(speaking(program(tmp_path, lines)).synthesize("hello"))


def test_no_program_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_synthesis, "PROGRAM", "no-such-program")
    assert not ProgramSynthesizer().is_available()
    with pytest.raises(MissingDependencyError, match="sudo apt install"):
        next(ProgramSynthesizer().synthesize("hello"))
    with pytest.raises(MissingDependencyError, match="correct speech_command"):
        next(speaking("nor-this-one -x").synthesize("hello"))
    text = tmp_path / "text"
    text.write_text("no program")
    text.chmod(0o755)
    with pytest.raises(MediaError, match="Exec format"):
        next(speaking(str(text)).synthesize("hello"))


def test_what_is_cancelled_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    lines = (
        f"child = os.fork()\nopen({str(pids)!r}, 'a').write(f'{{os.getpid()}} ')\ntime.sleep(600)"
    )
    speech = speaking(program(tmp_path, lines), timeout_s=600).synthesize("One. Two.")
    made: list[object] = []
    thread = threading.Thread(target=lambda: made.extend(speech))
    thread.start()
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    speech.cancel()
    thread.join(60)
    assert not thread.is_alive()
    assert made == []
    wait_until(lambda: not any(is_alive(int(pid)) for pid in pids.read_text().split()))
    assert list(speech) == []


def espeak(folder: Path, given: Path, voices: str) -> str:
    """A program that lists `voices` and notes with which of them it speaks."""
    lines = (
        f"if sys.argv[1] == '--voices': print({voices!r}); sys.exit()\n"
        f"open({str(given)!r}, 'a').write(sys.argv[2] + ' ')\n"
        f"sys.stdout.buffer.write({endless_wav()!r})"
    )
    return program(folder, lines, "espeak-ng")


def test_a_text_in_another_script_is_spoken_in_a_language_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = tmp_path / "given"
    voices = " 5 ar --/M Arabic sem/ar\n 5 cmn --/M Chinese sit/cmn\n 5 en-us --/M English x"
    monkeypatch.setattr(speech_synthesis, "PROGRAM", espeak(tmp_path, given, voices))
    synthesizer = ProgramSynthesizer(SpeechConfig(speech_voice="+f3"))
    assert [voice.name for voice in synthesizer.voices()] == ["ar", "cmn", "en-us"]
    text = "Hello. صباح الخير! 早上好。Доброе утро."
    spoken = list(synthesizer.synthesize(text))
    assert given.read_text() == "en+f3 ar+f3 cmn+f3 en+f3 "  # it has no Russian
    assert [sentence.language for sentence in spoken] == ["en", "ar", "cmn", "en"]
    list(synthesizer.synthesize("早上好", Voice(name="en-us")))
    assert given.read_text().endswith("cmn ")


def test_piper_speaks_where_a_voice_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, file = tmp_path / "given", tmp_path / "anna.onnx"
    lines = (
        f"open({str(given)!r}, 'w').write('|'.join(sys.argv[1:]) + '|' + sys.stdin.read())\n"
        f"sys.stdout.buffer.write({endless_wav()!r})"
    )
    monkeypatch.setattr(speech_synthesis, "PIPER", program(tmp_path, lines, "piper"))
    synthesizer = ProgramSynthesizer(SpeechConfig(speech_piper_voice=str(file)))
    assert not synthesizer.is_available()
    file.touch()
    assert synthesizer.is_available()
    assert synthesizer.voices() == ()
    assert len(next(synthesizer.synthesize("Hello", Voice(rate=0.5))).samples) == 8_000
    assert given.read_text() == f"--model|{file}|--length_scale|2|--output_file|-|Hello\n"
    monkeypatch.setattr(speech_synthesis, "PIPER", "no-such-piper")
    with pytest.raises(MissingDependencyError, match="pip install piper-tts"):
        next(synthesizer.synthesize("hello"))
