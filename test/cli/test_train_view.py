"""``train view`` as a person meets it: files that are there, and one clear line for a mistake."""

from __future__ import annotations

import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

pytest.importorskip("espeakng_loader")
pytest.importorskip("matplotlib")

from tiny import tiny_generator

from avatar_forcing_ros.cli import main, train_view
from avatar_forcing_ros.model.checkpoint import save_checkpoint
from avatar_forcing_ros.training import contact_sheet


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(train_view, "FACE_PX", 128)
    monkeypatch.setattr(train_view, "MOUTH_FACE_PX", 128)
    monkeypatch.chdir(tmp_path)


def view(*arguments: object) -> int:
    return main(["train", "view", *map(str, arguments)])


def width_and_frames(path: Path) -> tuple[int, int]:
    with av.open(str(path)) as file:
        images = list(file.decode(video=0))
    return images[0].width, len(images)


def test_a_conversation_with_a_generator_and_the_page_of_mouths(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_checkpoint(tmp_path / "tiny.safetensors", tiny_generator(), {})
    mouths = tmp_path / "mouths.png"
    code = view(
        12,
        "--split",
        "valid",
        "--seconds",
        0.4,
        "--model",
        "tiny.safetensors",
        "--phonemes",
        mouths,
    )
    assert code == 0, capsys.readouterr().err
    assert "conversation-12.mp4: 10 frames" in capsys.readouterr().out
    width, frames = width_and_frames(tmp_path / "conversation-12.mp4")
    assert frames == 10
    assert width > 3 * 128
    assert cv2.imread(str(mouths)).std() > 5


def test_a_prepared_file_says_that_it_is_silent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contact_sheet, "curve_plots", lambda *_: [])  # slow, and tested elsewhere
    rng = np.random.default_rng(0)
    motion, mel = 0.1 * rng.random((10, 23), np.float32), np.zeros((40, 80), np.float16)
    np.savez(
        tmp_path / "stored.npz", avatar_motion=motion, user_motion=motion, reference=motion[0],
        avatar_mel=mel, user_mel=mel,
    )  # fmt: skip
    assert view("--data", "stored.npz", "--seconds", 0.2, "-o", "a.mp4", "--sheet", "a.png") == 0
    assert "silent" in capsys.readouterr().out
    assert width_and_frames(tmp_path / "a.mp4")[1] == 5
    assert cv2.imread("a.png").shape[0] > 5 * 2 * 120


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["abc"], "SEED"),
        (["-3"], "SEED"),
        ([], "neither"),
        (["3", "--data", "a.npz"], "both"),
        (["--data", "missing.npz"], "missing.npz"),
        (["--data", "words.npz"], "words.npz"),
        (["--data", "a.npz", "--model"], "--model"),
        (["3", "--model", "missing.safetensors"], "missing.safetensors"),
        (["3", "--seconds", "0"], "--seconds"),
        (["3", "--seconds", "nan"], "--seconds"),
        (["3", "-o", "a.avi"], ".mp4"),
        (["3", "--sheet", "a.gif"], ".png"),
        (["3", "--sheet", "a.png", "--phonemes", "a.png"], "taken"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "words.npz").write_text("no archive")
    assert view(*arguments) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith("avatar-forcing: ")
    assert error.count("\n") == 0
    assert named in error
    assert "expected" in error
    assert not list(tmp_path.glob("*.mp4"))


def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert view(12, "--seconds", 0.2) == 1
    error = capsys.readouterr().err.strip()
    assert "'matplotlib'" in error
    assert "avatar_forcing_ros[train]" in error
