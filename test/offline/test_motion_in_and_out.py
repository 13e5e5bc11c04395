"""Protects motion files of ``render`` and ``rig``: the person's in, the avatar's out."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import soundfile

from avatar_forcing_ros.cli import main
from avatar_forcing_ros.config import AvatarConfig
from avatar_forcing_ros.media_files.motion_files import read_motion, write_motion
from avatar_forcing_ros.offline.render import read_inputs, render
from avatar_forcing_ros.rig.coefficients import COUNT, INDEX, NAMES
from avatar_forcing_ros.runtime.load import build_session

FRAMES = 12


@pytest.fixture
def silence(tmp_path: Path) -> Path:
    path = tmp_path / "silence.wav"
    soundfile.write(path, np.zeros(640 * FRAMES), 16_000)
    return path


@pytest.fixture
def smiling(tmp_path: Path) -> Path:
    """A person whose smile grows, 60 rows a second for two seconds, as Live Link Face has them."""
    values = np.zeros((120, COUNT), np.float32)
    values[:, INDEX["smile_left"]] = values[:, INDEX["smile_right"]] = np.linspace(0, 0.9, 120)
    values[:, INDEX["head_yaw"]] = 0.2
    path = tmp_path / "person.csv"
    write_motion(path, values, rate_hz=60)
    return path


def run(*arguments: object) -> int:
    return main([str(a) for a in arguments])


def test_the_persons_motion_comes_from_a_file_by_its_stamps(silence: Path, smiling: Path) -> None:
    inputs = read_inputs(silence, None, None, smiling)
    with closing(build_session(AvatarConfig(), user_audio=False)) as session:
        result = render(session, inputs, None)
    assert result.frames == 50  # the motion is the longer one
    assert result.damage == ()
    # a frame gets the first row of its own 40 ms
    rows = np.ceil(np.arange(50) * 60 / 25 - 1e-6 - 0.008 * 60).clip(0).astype(int)
    expected = read_motion(smiling).values[rows]
    assert np.allclose(result.user_values, expected, atol=1e-6)
    assert np.ptp(result.values[:, INDEX["smile_left"]]) > 0.0


def test_render_writes_the_motion_by_the_ending(
    silence: Path, smiling: Path, tmp_path: Path
) -> None:
    motions = {}
    for ending in (".npz", ".csv", ".vrm.json"):
        path = tmp_path / f"avatar{ending}"
        out = ("-o", tmp_path / "out.mp4", "--motion", path, "--image-size-px", 128)
        assert run("render", "--avatar-audio", silence, "--user-motion", smiling, *out) == 0
        motions[ending] = read_motion(path).values
    kept = [INDEX[name] for name in NAMES if name not in ("head_x", "head_y", "head_scale")]
    assert np.allclose(motions[".csv"][:, kept], motions[".npz"][:, kept], atol=1e-6)
    kept = [INDEX[name] for name in ("head_yaw", "gaze_x", "blink_left", "brow_furrow")]
    assert np.allclose(motions[".vrm.json"][:, kept], motions[".npz"][:, kept], atol=1e-6)


def test_what_a_motion_file_lacks_is_told(
    silence: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    person = tmp_path / "person.csv"
    person.write_text("Timecode,JawOpen,Nod\n00:00:00:00,0.1,1\n", encoding="utf-8")
    out = ("-o", tmp_path / "out.mp4", "--image-size-px", 128)
    assert run("render", "--avatar-audio", silence, "--user-motion", person, *out) == 0
    said = capsys.readouterr().err
    assert "left out: Nod" in said
    assert "count as 0: eyeBlinkLeft" in said


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--user-motion", "person.csv", "--user-video", "v.mp4"), "got both"),
        (("--user-motion", "person.csv", "--preset", "paper"), "takes latents of a video"),
        (("--user-motion", "nowhere.csv"), "nowhere.csv"),
        (("--motion", "out.txt"), ".npz, .csv"),
        (("--user-motion", "person.csv", "--motion", "person.csv"), "another file"),
    ],
)
def test_flags_that_cannot_be_are_one_sentence(
    silence: Path,
    smiling: Path,
    flags: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(smiling.parent)
    assert run("render", "--avatar-audio", silence, "-o", "out.mp4", *flags) == 1
    text = capsys.readouterr().err.strip()
    assert said in text
    assert text.count("\n") == 0


def test_rig_converts_files_at_their_own_rate(
    smiling: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    middle, back = tmp_path / "person.npz", tmp_path / "back.csv"
    assert run("rig", "--convert", smiling, middle) == 0
    assert "120 frames at 60 a second" in capsys.readouterr().out
    assert run("rig", "--convert", middle, back) == 0
    assert back.read_text() == smiling.read_text()
    assert run("rig", "--convert", back, tmp_path / "person.json") == 0
    assert read_motion(tmp_path / "person.json").rate_hz == 60.0
    capsys.readouterr()
    assert run("rig", "--convert", back, tmp_path / "person.txt") == 1
    assert ".json" in capsys.readouterr().err


def test_rig_prints_the_names_of_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("rig", "--names") == 0
    text = capsys.readouterr().out
    for word in (*NAMES, "mouthSmileLeft", "AU12", "happy"):
        assert word in text
