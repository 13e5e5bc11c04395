"""Protects motion files: what is written is read again, columns go by name, faults are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError, OutputError
from avatar_forcing_ros.media_files.motion_files import read_motion, write_motion
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.rig.coefficients import COUNT, HIGH, INDEX, LOW, NAMES

FRAMES = 60
HEADER = ("Timecode,BlendShapeCount,EyeBlinkLeft,EyeLookDownLeft,EyeLookInLeft,EyeLookOutLeft,"
          "EyeLookUpLeft,EyeSquintLeft,EyeWideLeft,EyeBlinkRight,EyeLookDownRight,EyeLookInRight,"
          "EyeLookOutRight,EyeLookUpRight,EyeSquintRight,EyeWideRight,JawForward,JawRight,JawLeft,"
          "JawOpen,MouthClose,MouthFunnel,MouthPucker,MouthRight,MouthLeft,MouthSmileLeft,"
          "MouthSmileRight,MouthFrownLeft,MouthFrownRight,MouthDimpleLeft,MouthDimpleRight,"
          "MouthStretchLeft,MouthStretchRight,MouthRollLower,MouthRollUpper,MouthShrugLower,"
          "MouthShrugUpper,MouthPressLeft,MouthPressRight,MouthLowerDownLeft,MouthLowerDownRight,"
          "MouthUpperUpLeft,MouthUpperUpRight,BrowDownLeft,BrowDownRight,BrowInnerUp,"
          "BrowOuterUpLeft,BrowOuterUpRight,CheekPuff,CheekSquintLeft,CheekSquintRight,"
          "NoseSneerLeft,NoseSneerRight,TongueOut,HeadYaw,HeadPitch,HeadRoll,LeftEyeYaw,"
          "LeftEyePitch,LeftEyeRoll,RightEyeYaw,RightEyePitch,RightEyeRoll")  # fmt: skip


def moving() -> NDArray[np.float32]:
    """Values ``[T, K]`` of all coefficients, but for those that ARKit has no shapes for."""
    share = np.random.default_rng(7).random((FRAMES, COUNT))
    values = np.asarray(LOW + share * (HIGH - LOW), np.float32)
    values[:, [INDEX[name] for name in ("head_x", "head_y", "head_scale")]] = 0.0
    return values


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("ending", [".csv", ".CSV", ".npz"])
def test_there_and_back_is_the_same_motion(tmp_path: Path, ending: str) -> None:
    values, path = moving(), tmp_path / f"motion{ending}"
    write_motion(path, values)
    back = read_motion(path)
    assert np.allclose(back.values, values, atol=1e-6)
    assert np.allclose(back.stamps_s, np.arange(FRAMES) / 25)
    assert (back.rate_hz, back.frames, back.notes) == (25.0, FRAMES, ())
    assert np.array_equal(back.even(), back.values)


def test_vrm_weights_there_and_back_keep_what_they_can_say(tmp_path: Path) -> None:
    values, path = moving(), tmp_path / "motion.vrm.json"
    values[:, INDEX["lips_close"]] = 0.0
    write_motion(path, values, rate_hz=30)
    document = json.loads(path.read_text())
    assert (document["format"], document["fps"]) == ("vrm-1.0-expressions", 30)
    assert len(document["weights"]) == len(document["head_euler_yxz_rad"]) == FRAMES
    back = read_motion(path)
    kept = [INDEX[name] for name in (
        "head_yaw", "head_pitch", "head_roll", "jaw_open", "mouth_wide", "mouth_pucker", "frown",
        "blink_left", "blink_right", "gaze_x", "gaze_y", "brow_furrow")]  # fmt: skip
    assert np.allclose(back.values[:, kept], values[:, kept], atol=1e-6)
    smiles = [INDEX["smile_left"], INDEX["smile_right"]]
    assert np.allclose(back.values[:, smiles].mean(1), values[:, smiles].mean(1), atol=1e-6)
    assert back.rate_hz == 30.0


def test_the_csv_has_the_columns_of_live_link_face(tmp_path: Path) -> None:
    path = tmp_path / "motion.csv"
    write_motion(path, moving())
    lines = path.read_text().splitlines()
    assert lines[0] == HEADER
    assert lines[1].startswith("00:00:00:00.000,61,")
    assert lines[1 + 26].startswith("00:00:01:01.000,61,")
    assert all(len(line.split(",")) == 63 for line in lines)


def test_columns_go_by_name_in_any_order(tmp_path: Path) -> None:
    path = write(
        tmp_path / "face.csv",
        "\ufefftimecode, blendShapeCount,mouthSmileLeft,JawOpen,EarWiggle,HeadYaw\n"
        "12:00:00:58.100,61,0.5,0.25,1,-0.1\n"
        "12:00:00:59.100,0\n"  # no face was seen
        "12:00:01:00.100,61,0.6,0.25,1,-0.1\n"
        "12:00:01:00.100,61,0.7,0.25,1,-0.1\n",
    )
    motion = read_motion(path)
    shown = [{n: round(float(v), 6) for n, v in zip(NAMES, row, strict=True) if v}
             for row in motion.values]  # fmt: skip
    assert shown == [{"head_yaw": -0.1, "jaw_open": 0.25, "smile_left": smile}
                     for smile in (0.5, 0.6)]  # fmt: skip
    assert motion.stamps_s == pytest.approx([0.0, 2 / 60])
    notes = " ".join(motion.notes)
    assert "not known were left out: EarWiggle" in notes
    assert "missing count as 0: eyeBlinkLeft" in notes
    assert "1 rows without values" in notes
    assert "1 rows whose timecode does not rise" in notes


@pytest.mark.parametrize(("rate", "assumed"), [(24, 24), (25, 25), (30, 30), (60, 60)])
def test_the_rate_of_timecodes_is_seen_where_a_second_ends(
    tmp_path: Path, rate: int, assumed: int
) -> None:
    rows = [f"23:59:{59 if i < rate else 60}:{i % rate:02d}.000,61,0.1" for i in range(2 * rate)]
    rows = [row.replace("23:59:60", "00:00:00") for row in rows]  # and a day
    path = write(tmp_path / "face.csv", "\n".join(["Timecode,BlendShapeCount,JawOpen", *rows]))
    motion = read_motion(path)
    assert motion.rate_hz == pytest.approx(assumed, abs=0.01)
    assert motion.stamps_s[-1] == pytest.approx((2 * rate - 1) / rate)


def test_without_a_whole_second_or_timecode_the_rate_is_assumed_and_said(tmp_path: Path) -> None:
    for head, row in (("Timecode,JawOpen", "00:00:00:03,0.1"), ("JawOpen", "0.1")):
        motion = read_motion(write(tmp_path / "face.csv", f"{head}\n{row}\n"))
        assert "assumed" in motion.notes[-1]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "", "got nothing"),
        ("a.csv", "time,x\n1,2\n", "ARKit's names"),
        ("a.csv", "Timecode,JawOpen\n", "at least one frame"),
        ("a.csv", "Timecode,JawOpen\n00:00:00:01,nan\n", "'nan' as JawOpen in line 2"),
        ("a.csv", "Timecode,JawOpen\n00:00:00:01,wide\n", "'wide' as JawOpen"),
        ("a.csv", "Timecode,JawOpen\nnow,0.1\n", "'now' in line 2"),
        ("a.csv", "Timecode,JawOpen,jawopen\n00:00:00:01,0.1,0.2\n", "every column once"),
        ("a.json", "{", "JSON"),
        ("a.json", "[]", "an object"),
        ("a.json", '{"names": 3}', "under 'names'"),
        ("a.json", '{"names": ["nod"], "fps": 25, "weights": []}', "VRM 1.0 expressions"),
        ("a.json", '{"names": ["aa"], "fps": 0, "weights": [[1]]}', "under 'fps'"),
        ("a.json", '{"names": ["aa"], "fps": 25, "weights": [[1, 2]]}', "under 'weights'"),
        ("a.json", '{"names": ["aa"], "fps": 25, "weights": [[NaN]]}', "finite"),
        ("a.json", '{"names": ["aa"], "fps": 25, "weights": []}', "at least one frame"),
        ("a.npz", "PK no archive", "'values' [T, K]"),
        ("a.txt", "", ".npz, .csv or .json"),
    ],
)
def test_what_is_no_motion_is_said(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(MediaError) as error:
        read_motion(write(tmp_path / name, text))
    assert said in str(error.value)


def test_a_file_that_is_not_there_or_has_no_format_is_said(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"nowhere\.csv"):
        read_motion(tmp_path / "nowhere.csv")
    with pytest.raises(OutputError, match=r"\.npz"):
        write_motion(tmp_path / "motion.txt", moving())


def test_an_archive_without_stamps_has_25_frames_a_second() -> None:
    motion = read_motion(shipped("models/demo/user_motion.npz"))
    assert (motion.rate_hz, motion.frames, motion.notes) == (25.0, 600, ())
    assert motion.values[:, INDEX["smile_left"]].max() > 0.3


def test_gaps_are_filled_with_the_row_before(tmp_path: Path) -> None:
    values: Any = moving()[:50]
    path = tmp_path / "motion.csv"
    write_motion(path, values)
    lines = path.read_text().splitlines()
    del lines[1 + 10 : 1 + 13]
    motion = read_motion(write(path, "\n".join(lines)))
    expected = values.copy()
    expected[10:13] = values[9]
    assert np.allclose(motion.even(), expected, atol=1e-6)
