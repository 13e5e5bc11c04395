"""The command line as users meet it: real renders, and one clear line for each mistake.

Protects exit codes, messages, and that nothing half-written is left.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import soundfile
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from skimage.data import astronaut
from tiny import TINY, tiny_generator

from avatar_forcing_ros.cli import main
from avatar_forcing_ros.cli.terminal import stop_event
from avatar_forcing_ros.config import PRESETS
from avatar_forcing_ros.errors import missing_package
from avatar_forcing_ros.media_files.reading import read_audio
from avatar_forcing_ros.model.checkpoint import save_checkpoint
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.rig.coefficients import NAMES

FRAMES = 13
DELAY = PRESETS["compact"].model.avatar_audio_delay_frames


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """Half a second of the demo's speech at another rate, in stereo."""
    samples, rate_hz = soundfile.read(shipped("models/demo/avatar_speech.wav"))
    cut = samples[rate_hz : rate_hz + FRAMES * rate_hz // 25]
    path = tmp_path / "speech.wav"
    soundfile.write(path, np.stack((cut, cut), 1), rate_hz)
    return path


def run(*arguments: object) -> int:
    return main([str(a) for a in arguments])


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The error, which must be a single line with all three parts."""
    text = capsys.readouterr().err.strip()
    assert text.startswith("avatar-forcing: ")
    assert text.count("\n") == 0, text
    assert "expected" in text
    assert "got" in text
    assert ";" in text
    return text


def test_render_makes_a_video_with_sound_and_the_motion(speech: Path, tmp_path: Path) -> None:
    video, motion, report = tmp_path / "a.mp4", tmp_path / "a.npz", tmp_path / "a.json"
    files = ("-o", video, "--motion", motion, "--json", report)
    assert run("render", "--avatar-audio", speech, *files) == 0
    assert json.loads(report.read_text())["face_seen_share"] is None  # there was no video
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert container.streams.audio[0].codec_context.name == "aac"
        assert (stream.width, stream.height, stream.average_rate) == (512, 512, 25)
        assert sum(1 for _ in container.decode(video=0)) == FRAMES + DELAY
    with np.load(motion) as stored:
        assert stored["names"].tolist() == list(NAMES)
        assert stored["values"].shape == (FRAMES + DELAY, len(NAMES))
        assert len(stored["latent"]) == FRAMES + DELAY
        assert stored["stamp_s"].tolist() == [i / 25 for i in range(FRAMES + DELAY)]


def test_the_last_word_is_heard(tmp_path: Path) -> None:
    """Audio in the last 40 ms alone: speech is shown later than it came, but all of it."""
    samples = np.zeros(640 * FRAMES)
    samples[-640:] = 0.5 * np.sin(np.arange(640) * 0.3)
    soundfile.write(tmp_path / "late.wav", samples, 16_000)
    out = tmp_path / "out.mp4"
    assert run("render", "--avatar-audio", tmp_path / "late.wav", "-o", out) == 0
    level = np.abs(read_audio(out))
    start = (FRAMES - 1 + DELAY) * 640
    assert level[start + 100 : start + 600].max() > 0.3
    assert level[: start - 2000].max() < 0.05


def test_same_seed_same_motion_other_seed_other_motion(speech: Path, tmp_path: Path) -> None:
    motions = []
    for k, seed in enumerate((4, 4, 5)):
        out = tmp_path / f"{k}.npz"
        arguments = ("--avatar-audio", speech, "-o", tmp_path / f"{k}.mp4", "--motion", out)
        assert run("render", *arguments, "--seed", seed) == 0
        with np.load(out) as stored:
            motions.append(stored["values"])
    assert motions[0].tobytes() == motions[1].tobytes()
    assert motions[0].tobytes() != motions[2].tobytes()


def test_a_photo_and_a_persons_video_are_taken(speech: Path, tmp_path: Path) -> None:
    """A real photograph as portrait; the shipped person beside it."""
    photo = tmp_path / "photo.jpg"
    cv2.imwrite(str(photo), astronaut()[..., ::-1])
    person = tmp_path / "person.mp4"
    with (
        av.open(str(shipped("models/demo/person.mp4"))) as source,
        av.open(str(person), "w") as copy,
    ):
        stream = copy.add_stream("libx264", 25)
        stream.width = stream.height = 480
        for _, frame in zip(range(10), source.decode(video=0), strict=False):
            plain = av.VideoFrame.from_ndarray(frame.to_ndarray(format="rgb24"), format="rgb24")
            copy.mux(stream.encode(plain))
        copy.mux(stream.encode(None))
    out = tmp_path / "out.mp4"
    report = tmp_path / "report.json"
    user = ("--user-audio", speech, "--user-video", person, "--beside")
    flags = ("--seed", 3, "--json", report, "-o", out)
    assert run("render", "--portrait", photo, "--avatar-audio", speech, *user, *flags) == 0
    values = json.loads(report.read_text())
    assert values.pop("real_time_factor") > 0.0
    frames = FRAMES + DELAY
    assert values == {"frames": frames, "seed": 3, "face_seen_share": 1.0, "damage": []}
    with av.open(str(out)) as container:
        assert container.streams.video[0].width == 1024


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--preset", "papper"], "one of compact"),
        (["--nfe", "2"], "3 to 1000"),
        (["--image-size-px", "511"], "in steps of 2"),
        (["--guidance", "all"], "one of separate, joint"),
        (["--weights", "none.safetensors"], "nothing at none.safetensors"),
        (["--config", "none.yaml"], "No such file"),
        (["--portrait", "none.png"], "none.png"),
        (["--user-video", "none.mp4"], "none at none.mp4"),
        (["--user-audio", "none.wav"], "none at none.wav"),
        (["--landmarks", "none.json"], "none.json"),
        (["--beside"], "a person's video to show"),
    ],
)
def test_each_wrong_flag_gets_one_line(
    flags: list[str],
    reason: str,
    speech: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out.mp4"
    assert run("render", "--avatar-audio", speech, "-o", out, *flags) == 1
    assert reason in one_line(capsys)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["speech.wav"]


def test_an_image_without_a_face_is_reported(
    speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "noise.png"), noise)
    arguments = ("--portrait", tmp_path / "noise.png", "--avatar-audio", speech)
    assert run("render", *arguments, "-o", tmp_path / "out.mp4") == 1
    assert "face" in one_line(capsys)
    assert not (tmp_path / "out.mp4").exists()


def test_weights_of_another_shape_are_reported(
    speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(path, tiny_generator(), {})
    with safe_open(path, framework="pt") as stored:
        metadata = stored.metadata()
    tensors = load_file(path)
    tensors["motion_std"] = tensors["motion_std"][:20].clone()
    save_file(tensors, path, metadata)
    out = tmp_path / "out.mp4"
    assert run("render", "--weights", path, "--avatar-audio", speech, "-o", out) == 1
    assert "motion_std has shape [20] instead of [23]" in one_line(capsys)
    save_checkpoint(path, tiny_generator(replace(TINY, motion_dim=24)), {})
    assert run("render", "--weights", path, "--avatar-audio", speech, "-o", out) == 1
    assert "motion of width 24" in one_line(capsys)


def test_a_device_that_is_not_there_is_reported(
    speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.yaml").write_text("device: gpu\n")
    out = tmp_path / "out.mp4"
    arguments = ("--config", tmp_path / "a.yaml", "--avatar-audio", speech, "-o", out)
    assert run("render", *arguments) == 1
    assert "expected 'auto', 'cpu'" in one_line(capsys)


def test_an_output_that_cannot_be_written_is_reported(
    speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "out.mp4"
    assert run("render", "--avatar-audio", speech, "-o", target) == 1
    assert "can be written" in one_line(capsys)


def test_a_transparent_head_is_rendered(
    speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--avatar-audio", speech, "--image-size-px", 128, "--background", "transparent")
    assert run("render", *flags, "-o", tmp_path / "out.mp4") == 1
    assert "can be transparent: .webm" in one_line(capsys)
    assert run("render", *flags, "-o", tmp_path / "frames" / "%02d.png") == 0
    names = sorted(path.name for path in (tmp_path / "frames").iterdir())
    assert names == [*(f"{k:02d}.png" for k in range(FRAMES + DELAY)), "audio.wav"]
    last = cv2.imread(str(tmp_path / "frames" / names[-2]), cv2.IMREAD_UNCHANGED)
    assert last is not None
    assert last.shape == (128, 128, 4)
    assert (last[0, 0, 3], last[64, 64, 3]) == (0, 255)


@pytest.mark.parametrize("name", ["out.avi", "out"])
def test_only_known_formats_are_written(
    name: str, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("render", "--avatar-audio", speech, "-o", tmp_path / name) == 1
    assert "ends in .mp4" in one_line(capsys)


def test_inputs_are_not_overwritten(
    speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = speech.read_bytes()
    out = tmp_path / "out.mp4"
    assert run("render", "--avatar-audio", speech, "-o", out, "--motion", speech) == 1
    assert "another file than the inputs" in one_line(capsys)
    assert speech.read_bytes() == before
    assert run("render", "--avatar-audio", speech, "-o", out, "--motion", out) == 1
    assert "the other output" in one_line(capsys)


def test_a_motion_file_that_cannot_be_written_is_reported_before_any_work(
    speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, folder = tmp_path / "out.mp4", tmp_path / "motion.npz"
    folder.mkdir()
    assert run("render", "--avatar-audio", speech, "-o", out, "--motion", folder) == 1
    assert "can be written" in one_line(capsys)
    assert not out.exists()


def test_a_video_without_frames_is_reported(
    speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty.mp4"
    with av.open(str(empty), "w") as container:
        stream = container.add_stream("libx264", 25)
        stream.width = stream.height = 64
        container.start_encoding()
    out = tmp_path / "out.mp4"
    assert run("render", "--avatar-audio", speech, "--user-video", empty, "-o", out) == 1
    assert "without a" in one_line(capsys)


def test_a_video_that_breaks_off_is_used_as_far_as_it_goes(
    speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half a film whose table of contents, at its beginning, speaks of all of it."""
    film = tmp_path / "cut.mp4"
    with (
        av.open(str(shipped("models/demo/person.mp4"))) as source,
        av.open(str(film), "w", options={"movflags": "faststart"}) as copy,
    ):
        stream = copy.add_stream("libx264", 25, {"preset": "ultrafast", "g": "1"})
        stream.width = stream.height = 480
        for _, frame in zip(range(40), source.decode(video=0), strict=False):
            plain = av.VideoFrame.from_ndarray(frame.to_ndarray(format="rgb24"), format="rgb24")
            copy.mux(stream.encode(plain))
        copy.mux(stream.encode(None))
    whole = film.read_bytes()
    film.write_bytes(whole[: len(whole) // 2])
    out, report = tmp_path / "out.mp4", tmp_path / "r.json"
    flags = ("--user-video", film, "--beside", "--json", report, "-o", out)
    assert run("render", "--avatar-audio", speech, *flags) == 0
    (sentence,) = json.loads(report.read_text())["damage"]
    assert f"Note: {sentence}" in capsys.readouterr().err
    used, of = re.findall(r"(\d\.\d) s", sentence)
    assert 0.3 < float(used) < 1.5
    assert of == "1.6"
    with av.open(str(out)) as container:
        assert container.streams.video[0].frames >= FRAMES + DELAY


def test_very_short_sound_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(tmp_path / "short.wav", np.zeros(100), 16_000)
    assert run("render", "--avatar-audio", tmp_path / "short.wav", "-o", tmp_path / "o.mp4") == 1
    assert "40 ms" in one_line(capsys)


def test_a_missing_package_is_reported(
    speech: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on a robot where ROS is there but torch is not."""
    places = ("avatar_forcing_ros.offline", "avatar_forcing_ros.media_files")
    for name in [n for n in sys.modules if n.startswith(places)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "soundfile", None)
    assert run("render", "--avatar-audio", speech, "-o", tmp_path / "out.mp4") == 1
    assert "pip install" in one_line(capsys)


def test_being_terminated_leaves_nothing_half_written(
    speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM in the middle of a render, as a launch file sends it."""
    half_written = []

    def interrupt(self: object, done: int, total: int) -> None:
        half_written.extend(p.name for p in tmp_path.glob(".out.*"))
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("avatar_forcing_ros.cli.terminal.ProgressBar.__call__", interrupt)
    with pytest.raises(SystemExit) as stop:
        run("render", "--avatar-audio", speech, "-o", tmp_path / "out.mp4")
    assert stop.value.code == 128 + signal.SIGTERM
    assert len(half_written) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["speech.wav"]
    assert signal.getsignal(signal.SIGTERM) == before


def test_rig_page_is_drawn(tmp_path: Path) -> None:
    assert run("rig", "-o", tmp_path / "rig.png") == 0
    page = cv2.imread(str(tmp_path / "rig.png"))
    assert min(page.shape[:2]) > 500


def test_benchmark_reports_every_stage(tmp_path: Path) -> None:
    given = ("--repeats", 10, "--seconds", 2, "--json", tmp_path / "b.json")
    assert run("benchmark", *given) == 0
    metrics = json.loads((tmp_path / "b.json").read_text())
    assert set(metrics["stages_ms"]) == {
        "audio_features",
        "transformer_evaluation",
        "block_motion",
        "block_motion_uncached",
        "renderer_frame",
        "tracker_frame",
        "end_to_end_block",
    }
    for row in metrics["stages_ms"].values():
        assert 0 < row["median"] <= row["p95"] <= row["p99"]
    assert metrics["uncached_to_cached_ratio"] > 0
    assert ("reaction" in metrics) == (metrics["real_time_factor"] > 1)
    live = metrics.get("reaction", {"reaction_ms": {}, "parts_ms": {}})
    for row in (live["reaction_ms"], *live["parts_ms"].values()):
        assert list(row.values()) == sorted(row.values())


def test_too_few_repeats_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("benchmark", "--repeats", 2) == 1
    assert "3 or more" in one_line(capsys)


def test_help_names_every_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "avatar_forcing_ros.cli", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    for command in ("demo", "render", "rig", "benchmark", "train", "weights"):
        assert command in done.stdout


@pytest.mark.parametrize(("package", "extra"), [("aiohttp", "web"), ("nowhere", "all")])
def test_a_missing_package_names_the_extra_that_brings_it(package: str, extra: str) -> None:
    missing = missing_package(ImportError("", name=f"{package}.core"))
    assert f"avatar_forcing_ros[{extra}]" in str(missing)


@pytest.mark.parametrize(
    "words",
    [
        ("node", "avatar_node"),
        ("launch", "avatar"),
        ("topic", "list"),
        ("bag", "play", "x"),
        ("bag", "record", "-a"),
    ],
)
def test_where_no_ros_is_one_sentence_tells_how_to_get_it(words: tuple[str, ...]) -> None:
    """As on a machine that never had it."""
    hide = "import sys; sys.modules['rclpy'] = None\n"
    code = f"{hide}from avatar_forcing_ros.cli import main\nsys.exit(main({list(words)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "make ros" in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


def test_a_signal_that_comes_to_another_thread_ends_a_wait_of_the_main_thread() -> None:
    """Python's handlers run in the main thread, which the signal does not wake."""

    def send() -> None:
        time.sleep(0.1)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    thread = threading.Thread(target=send)
    with stop_event() as stop:
        assert not stop.wait(0.01)
        thread.start()
        assert stop.wait(30.0)
    thread.join()
