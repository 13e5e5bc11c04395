"""Recordings to training data: what is kept is right, the rest is reported."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny import TINY_LATENT, tiny_autoencoder, tiny_generator
from toy_people import FRAMES, ToyTracker, face_images, talk, write_pair, write_video

from avatar_forcing_ros.cli import main
from avatar_forcing_ros.config import PRESETS, Preset, SamplingConfig
from avatar_forcing_ros.errors import CheckpointError, ConfigError, MediaError
from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.model.checkpoint import save_checkpoint
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.rig.coefficients import INDEX, vector
from avatar_forcing_ros.rig.warp_renderer import WarpRenderer
from avatar_forcing_ros.runtime.load import load_portrait
from avatar_forcing_ros.timebase import frames_to_samples
from avatar_forcing_ros.training.dataset import (
    ConversationWindows,
    audio_features,
    load_conversation,
)
from avatar_forcing_ros.training.recordings import PrepareSettings, Report, prepare
from avatar_forcing_ros.training.recordings.checks import cut_windows
from avatar_forcing_ros.training.recordings.layouts import find_recordings
from avatar_forcing_ros.training.recordings.motion import rig_motion
from avatar_forcing_ros.training.recordings.prepare import split_of

COMPACT = PRESETS["compact"].model
JAW = INDEX["jaw_open"]
TRAIN_ONLY = PrepareSettings(valid_share=0.0)


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def run(recordings: Path, data: Path, settings: PrepareSettings = TRAIN_ONLY) -> Report:
    return prepare(recordings, data, settings, make_tracker=ToyTracker)


def windows(data: Path) -> list[str]:
    return sorted(path.name for path in data.glob("*.npz"))


def r(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def test_a_pair_becomes_two_conversations_that_training_reads(
    recordings: Path, data: Path
) -> None:
    write_pair(recordings)
    report = run(recordings, data)
    assert windows(data) == ["train-talk-0000-a.npz", "train-talk-0000-b.npz"]
    assert (report.results[0].windows, report.results[0].notes) == (1, [])
    stored = ConversationWindows(data, "train", COMPACT).conversations
    for avatar, user, made in ((0, 1, stored[0]), (1, 0, stored[1])):
        assert made.frames == FRAMES
        assert r(made.avatar_motion[:, JAW], talk().jaw[avatar]) > 0.95
        assert r(made.user_motion[:, JAW], talk().jaw[user]) > 0.95
        assert made.avatar_motion[:, JAW].max() > 0.5 * talk().jaw.max()
        assert not made.reference.any()
        for features, who in ((made.avatar_audio, avatar), (made.user_audio, user)):
            own, other = (audio_features(talk().audio[k]).astype(float) for k in (who, 1 - who))
            assert np.abs(features - own).mean() < 0.3 * np.abs(features - other).mean()


def test_rendered_faces_side_by_side_come_back(
    recordings: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Real pixels and the real tracker, by the command line."""
    frames = 110
    part = slice((FRAMES - frames) // 2, (FRAMES + frames) // 2)
    put = np.stack(
        [
            [
                vector(jaw_open=jaw, head_yaw=0.2 * np.sin(k / 9 + who))
                for k, jaw in enumerate(jaws)
            ]
            for who, jaws in enumerate(talk().jaw[:, part])
        ]
    )  # [2, T, K]
    renderers = [
        WarpRenderer(load_portrait(shipped(f"models/portraits/{name}.png"), 256))
        for name in ("ada", "ben")
    ]
    shown = [
        np.concatenate([draw.render(v) for draw, v in zip(renderers, both, strict=True)], axis=1)
        for both in put.swapaxes(0, 1)
    ]
    samples = slice(*(frames_to_samples(k) for k in (part.start, part.stop)))
    write_video(recordings / "table.mp4", shown, talk().audio[:, samples])
    arguments = [
        "prepare",
        str(recordings),
        "-o",
        str(data),
        "--valid-share",
        "1",
        "--workers",
        "1",
    ]
    assert main(arguments) == 0
    assert "kept 4.4 s in 1 windows" in capsys.readouterr().out
    for who, path in enumerate(sorted(data.glob("valid-table-0000-?.npz"))):
        made = load_conversation(path, COMPACT)
        assert r(made.avatar_motion[:, JAW], put[who, :, JAW]) > 0.9
        assert r(made.user_motion[:, JAW], put[1 - who, :, JAW]) > 0.9
        assert r(made.avatar_motion[:, 0], put[who, :, 0]) > 0.9
    found = json.loads((data / "report.json").read_text(encoding="utf-8"))
    assert min(found["recordings"][0]["mouth_r"]["own"]) > 0.5


def test_swapped_audio_are_rejected_with_what_to_do(recordings: Path, data: Path) -> None:
    write_pair(recordings, swapped=True)
    report = run(recordings, data)
    assert windows(data) == []
    assert "audio is swapped" in report.results[0].problem
    assert "exchange the two audio tracks" in report.summary


def test_the_resting_face_is_known_from_the_first_frame() -> None:
    """Who begins with an open mouth is not taken to rest so, however short the recording."""
    tracker = ToyTracker()
    jaw = np.where(np.arange(120) < 30, 0.5, 0.0)
    faces = [tracker.track(VideoFrame(p, 0)) for p in face_images(jaw)]
    values = rig_motion(faces, [(0, 120)])[:, JAW]
    assert values[:30].min() > 0.35
    assert np.abs(values[40:]).max() < 0.05


def test_flaws_split_a_recording_and_are_reported_with_their_times(
    recordings: Path, data: Path
) -> None:
    """A face that is hidden briefly is held; one that is lost, and a frozen video, are not."""
    write_pair(recordings)
    shown = face_images(talk().jaw[0])
    dark = np.zeros_like(shown[0])
    for k in [*range(30, 35), *range(70, 80)]:
        shown[k] = dark
    shown[150:170] = [shown[150]] * 20
    write_video(recordings / "talk_a.mp4", shown, talk().audio[0])
    report = run(recordings, data, PrepareSettings(valid_share=0.0, min_seconds=2.4))
    sizes = [len(np.load(data / f"train-talk-{k:04d}-a.npz")["avatar_motion"]) for k in (0, 1)]
    assert sizes[0] == 70
    assert 68 <= sizes[1] <= 72  # the first of the frozen frames is a good one
    found = [str(span) for span in report.results[0].rejected]
    assert found[0] == "0:02.8 to 0:03.2: no face of a is visible"
    assert "the video of a is frozen" in found[1]
    assert "good, but shorter than 2.4 s" in found[2]
    assert found[1].startswith("0:06.0")
    page = (data / "report.md").read_text(encoding="utf-8")
    assert all(line in page for line in found)


def test_a_jump_of_the_head_is_a_cut(
    recordings: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pair(recordings)
    track = ToyTracker.track

    def elsewhere(self: ToyTracker, frame):  # type: ignore[no-untyped-def]
        face = track(self, frame)
        if face and frame.stamp_ns >= 3e9:
            face.landmarks_px[:, 0] += 20.0
        return face

    monkeypatch.setattr(ToyTracker, "track", elsewhere)
    report = run(recordings, data)
    reasons = [span.reason for span in report.results[0].rejected]
    assert sum("jumps" in reason for reason in reasons) == 2  # of either person
    assert report.results[0].kept_s == pytest.approx(8.0 - 3.04)


def test_what_is_finished_is_not_done_again(recordings: Path, data: Path) -> None:
    for name in ("first", "second"):
        write_pair(recordings, name, frames=65)
    short = PrepareSettings(valid_share=0.0, min_seconds=2.4)
    before = run(recordings, data, short)
    kept = {path: path.stat().st_mtime_ns for path in data.glob("*.npz")}
    made = ToyTracker.made
    assert run(recordings, data, short) == before
    assert ToyTracker.made == made
    # killed before the last window: no mark, some windows, half a file
    (data / "recordings" / "second.json").unlink()
    for name in ("train-second-0007-a.npz", ".train-second-0000-b.abc.part.npz"):
        (data / name).write_text("left behind")
    assert run(recordings, data, short) == before
    assert {path.name for path in data.glob(".*")} == set()
    assert sorted(data.glob("*.npz")) == sorted(kept)
    for path, stamp in kept.items():
        assert (path.stat().st_mtime_ns == stamp) == ("first" in path.name)
    # other settings are other data
    run(recordings, data, PrepareSettings(valid_share=1.0, min_seconds=2.4))
    assert all(name.startswith("valid-") for name in windows(data))
    assert len(windows(data)) == 4


def test_a_damaged_file_is_reported_and_the_others_go_on(recordings: Path, data: Path) -> None:
    """In processes of their own, as several recordings are done."""
    write_pair(recordings, "good", frames=110)
    write_pair(recordings, "bad", frames=110)
    whole = (recordings / "bad_b.mp4").read_bytes()
    (recordings / "bad_b.mp4").write_bytes(whole[: len(whole) // 2])
    (recordings / "lonely_a.mp4").write_bytes(whole)
    report = prepare(recordings, data, TRAIN_ONLY, 2, make_tracker=ToyTracker)
    bad, good, lonely = report.results
    assert "bad_b.mp4: expected a readable video" in bad.problem
    assert "partner lonely_b.mp4 is missing" in lonely.problem
    assert (good.windows, good.problem) == (1, "")
    assert len(windows(data)) == 2
    for text in (report.summary, (data / "report.md").read_text(encoding="utf-8")):
        assert "Not used: " in text
        assert "training needs" in text  # nothing for validation


@pytest.mark.parametrize("rate", ["30", "variable"])
def test_other_frame_rates_do_not_drift(rate: str, recordings: Path, data: Path) -> None:
    """To the last second the jaw moves when it did, whatever the frames' times are."""
    rng, end_ms = np.random.default_rng(0), 1000 * FRAMES // 25
    steps_ms = np.full(400, 1000 / 30) if rate == "30" else rng.uniform(12.0, 55.0, 400)
    times_ms = np.concatenate(([0.0], np.cumsum(steps_ms)))
    stamps = times_ms[times_ms < end_ms].round().astype(int)
    for k, who in enumerate("ab"):
        jaw = np.interp(stamps / 40.0, np.arange(FRAMES), talk().jaw[k])
        path = recordings / f"talk_{who}.mp4"
        write_video(path, face_images(jaw), talk().audio[k], stamps.tolist())
    run(recordings, data)
    made = load_conversation(data / "train-talk-0000-b.npz", COMPACT).avatar_motion[:, JAW]
    assert FRAMES - 2 <= len(made) <= FRAMES
    true = talk().jaw[1][: len(made)]
    late = {lag: r(made[120 + lag : 190 + lag], true[120:190]) for lag in range(-3, 4)}
    assert max(late, key=lambda lag: late[lag]) in (0, 1)  # the newest frame, never a later one
    assert max(late.values()) > 0.85


def test_latents_are_those_of_the_motion_encoder(
    recordings: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = Preset(TINY_LATENT, SamplingConfig())
    monkeypatch.setitem(PRESETS, "paper", tiny)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    write_pair(recordings)
    shown = face_images(talk().jaw[0])
    shown[100:103] = [np.zeros_like(shown[0])] * 3
    write_video(recordings / "talk_a.mp4", shown, talk().audio[0])
    net = tiny_autoencoder()
    weights = tmp_path / "tiny.safetensors"
    save_checkpoint(weights, tiny_generator(TINY_LATENT), {}, torch.float32, net)
    run(recordings, data, PrepareSettings("paper", str(weights), 0.0))
    a, b = ConversationWindows(data, "train", TINY_LATENT).conversations
    assert a.kind == "wave"
    assert np.array_equal(a.avatar_motion, b.user_motion)
    assert not np.array_equal(a.avatar_motion, a.user_motion)
    assert np.abs(a.avatar_motion).max() > 0
    assert (a.avatar_motion[100:103] == a.avatar_motion[99]).all()  # held
    assert not (a.avatar_motion[103] == a.avatar_motion[99]).all()
    nearest = np.abs(b.avatar_motion - b.reference).sum(axis=1).argmin()
    assert talk().jaw[1][nearest] < 0.1  # the reference is a face at rest
    save_checkpoint(weights, tiny_generator(TINY_LATENT), {}, torch.float32)
    with pytest.raises(CheckpointError, match="motion autoencoder"):
        run(recordings, data, PrepareSettings("paper", str(weights), 0.0))


def test_names_give_the_layout(tmp_path: Path) -> None:
    for name in ("x_a.mp4", "x_b.MOV", "y_left.mkv", "y_right.mkv", "day-1.mp4", "odd.webm"):
        (tmp_path / name).touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "even one.mp4").touch()
    table = "a,b,split\nodd.webm, even one.mp4,\nday-1.mp4,day-1.mp4,valid\nz.mp4,z2.mp4,train\n"
    (tmp_path / "pairs.csv").write_text(table)
    found = {f.name: f for f in find_recordings(tmp_path)}
    assert {n: (f.a.path.name, f.a.half, f.b.path.name, f.split) for n, f in found.items()} == {
        "x": ("x_a.mp4", None, "x_b.MOV", ""),
        "y": ("y_left.mkv", None, "y_right.mkv", ""),
        "day-1": ("day-1.mp4", 0, "day-1.mp4", "valid"),
        "odd": ("odd.webm", None, "even one.mp4", ""),
        "z": ("z.mp4", None, "z2.mp4", "train"),
    }
    assert "z.mp4, z2.mp4, which is not there" in found["z"].problem
    (tmp_path / "x.mp4").touch()
    with pytest.raises(MediaError, match=r"x\.mp4, x_a\.mp4, x_b\.MOV; rename"):
        find_recordings(tmp_path)
    (tmp_path / "pairs.csv").write_text("first,second\nodd.webm,x_a.mp4\n")
    with pytest.raises(MediaError, match="columns a and b"):
        find_recordings(tmp_path)


def test_a_folder_without_recordings_is_answered_with_the_layouts(
    recordings: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", str(recordings), "-o", str(data)]) == 1
    found = capsys.readouterr().err
    assert all(part in found for part in ("_a.mp4", "side by side", "pairs.csv", "got no video"))
    assert found.count("\n") == 1


def test_settings_that_cannot_be_used_are_refused() -> None:
    for wrong in ({"preset": "papr"}, {"valid_share": 2.0}, {"min_seconds": 1.0}):
        with pytest.raises(ConfigError):
            PrepareSettings(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="--weights"):
        PrepareSettings("paper")


def test_long_stretches_become_equal_parts_and_silence_is_left_out() -> None:
    voiced = np.zeros(9000, bool)
    voiced[:3000:4] = True
    kept, left = cut_windows([(0, 1501), (1600, 1650), (4000, 5000)], voiced, 100)
    assert [stop - start for start, stop in kept] == [750, 751]
    assert [(flaw.start, flaw.reason.split()[0]) for flaw in left] == [
        (1600, "good,"),
        (4000, "nobody"),
    ]


def test_a_name_stays_on_its_side_of_the_split() -> None:
    names = [f"recording {k}" for k in range(2000)]
    valid = {name for name in names if split_of(name, 0.05) == "valid"}
    assert 60 < len(valid) < 140
    assert valid < {name for name in names if split_of(name, 0.1) == "valid"}
