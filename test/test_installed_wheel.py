"""The wheel does the main job where no checkout is: in a new environment, from any folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[1]


def run(*command: str | Path, cwd: Path, **environment: str | None) -> str:
    """What `command` prints; `environment` changes ours, None takes away."""
    names = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    names |= {name: value for name, value in environment.items() if value is not None}
    for name in [name for name, value in environment.items() if value is None]:
        names.pop(name, None)
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=names,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="backslashreplace",
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new virtual environment with the wheel of what git tracks, and all that it asks for."""
    folder = tmp_path_factory.mktemp("Mein Röbötér 机器人 ")
    source = folder / "the source"
    for name in run("git", "ls-files", "-z", cwd=ROOT).split("\0"):
        if name and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    constraints = source / "constraints.txt"
    run(python, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, source, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    pip = [python, "-m", "pip", "install", "-q", "--no-compile", "-c", constraints]
    run(*pip, "torch", cwd=folder)
    run(*pip, f"{wheel}[mediapipe]", cwd=folder)
    shutil.rmtree(source)
    return folder


def test_the_wheel_does_the_main_job_anywhere(installed: Path) -> None:
    command = installed / "venv" / "bin" / "avatar-forcing"
    empty = installed / "leerer Ordner 空"
    empty.mkdir()
    # a service without a home, in the plainest locale
    run(command, "demo", cwd=empty, HOME=None, LANG="C", LC_ALL="C")
    metrics = json.loads((empty / "out" / "demo.json").read_text(encoding="utf-8"))
    assert metrics["mouth_speech_r"] > 0.6
    assert metrics["user_face_seen_frames"] > 0
    # a home that cannot be written, a portrait and a voice with names of their own
    share = installed / "venv" / "share" / "avatar_forcing_ros" / "models"
    portrait, voice = empty / "mein Gesicht é.png", empty / "stimme ü.wav"
    shutil.copy2(share / "portraits" / "ada.png", portrait)
    speech, rate_hz = soundfile.read(share / "demo" / "avatar_speech.wav", dtype="float32")
    soundfile.write(voice, speech[: 2 * rate_hz], rate_hz)
    video = empty / "ergebnis 結果.mp4"
    flags = ("--avatar-audio", voice, "--portrait", portrait, "-o", video)
    run(command, "render", *flags, cwd=empty, HOME="/sys", LANG="C", LC_ALL=None)
    assert video.stat().st_size > 10_000
    assert set(os.listdir(installed)) - {"venv", empty.name} == {
        path.name for path in installed.glob("*.whl")
    }
