"""The paper preset from files to video, with small random weights in its layouts."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from released import write_release
from tiny import TINY_LATENT, tiny_autoencoder, tiny_generator

from avatar_forcing_ros.cli import main
from avatar_forcing_ros.config import PRESETS, AvatarConfig, merged_config
from avatar_forcing_ros.errors import CheckpointError
from avatar_forcing_ros.media_files.reading import read_audio
from avatar_forcing_ros.model.checkpoint import save_checkpoint
from avatar_forcing_ros.offline.render import RenderInputs, RenderResult, render
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.rig.coefficients import NAMES
from avatar_forcing_ros.runtime.load import build_session

FRAMES = 75  # a first block of 50 and more than two of 10


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("paper") / "weights.safetensors"
    save_checkpoint(path, tiny_generator(TINY_LATENT), {}, torch.float32, tiny_autoencoder())
    return path


@pytest.fixture(scope="module")
def config(weights: Path) -> AvatarConfig:
    return merged_config({}, {"preset": "paper", "weights": str(weights), "device": "cpu"})


def rendered(config: AvatarConfig, output: Path | None, *, watched: bool = True) -> RenderResult:
    video = shipped("models/demo/person.mp4") if watched else None
    voice = read_audio(shipped("models/demo/avatar_speech.wav"))[: FRAMES * 640]
    session = build_session(config, user_audio=True, user_video=watched)
    inputs = RenderInputs(voice, voice[::-1].copy(), video, FRAMES if watched else 0)
    return render(session, inputs, output)


def test_it_has_its_own_way_of_sampling(config: AvatarConfig) -> None:
    assert config.sampling == PRESETS["paper"].sampling
    assert config.sampling.guidance == "separate"
    assert (config.sampling.nfe, config.sampling.audio_guidance) == (10, 2.0)
    mine = merged_config({"preset": "paper", "sampling": {"nfe": 4}}, {})
    assert (mine.sampling.nfe, mine.sampling.guidance) == (4, "separate")
    assert merged_config({}, {"preset": "compact"}) == AvatarConfig()


def test_files_become_a_video(config: AvatarConfig, tmp_path: Path) -> None:
    result = rendered(config, tmp_path / "out.mp4")
    size = TINY_LATENT.autoencoder.image_size_px
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (size, size)
        assert sum(1 for _ in container.decode(video=0)) == FRAMES
    assert result.latent.shape == (FRAMES, TINY_LATENT.motion_dim)
    assert result.values.shape == result.user_values.shape == (FRAMES, len(NAMES))
    assert result.face_found_frames == result.tracked_frames >= FRAMES
    assert len(result.motion_s) == 4  # 50 frames, then 10 each
    assert np.isfinite(result.latent).all()


def test_the_same_inputs_give_the_same_motion_and_the_user_matters(config: AvatarConfig) -> None:
    first, again = rendered(config, None), rendered(config, None)
    assert np.array_equal(first.latent, again.latent)
    alone = rendered(config, None, watched=False)
    assert not np.allclose(first.latent, alone.latent, atol=1e-4)


def test_the_command_line_takes_it_and_tells_how_well_motion_is_read(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, motion = tmp_path / "out.mp4", tmp_path / "motion.npz"
    arguments = ["render", "--preset", "paper", "--weights", weights, "--nfe", "4",
                 "--avatar-audio", shipped("models/demo/avatar_speech.wav"),
                 "-o", out, "--motion", motion]  # fmt: skip
    assert main([str(argument) for argument in arguments]) == 0
    told = capsys.readouterr().out
    assert "r on known warps: head_yaw" in told
    with np.load(motion) as stored:
        assert stored["latent"].shape[1] == TINY_LATENT.motion_dim
        assert stored["values"].shape[1] == len(NAMES)


def test_without_weights_it_says_how_to_get_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "--preset", "paper"]) == 1
    error = capsys.readouterr().err
    assert "weights fetch" in error
    assert "CC BY-NC" in error


def test_weights_of_the_other_preset_are_refused(weights: Path) -> None:
    with pytest.raises(CheckpointError, match=r"23 rig coefficients.*latent motion of width 16"):
        build_session(AvatarConfig(weights=str(weights)))
    compact = shipped("models/compact/generator.safetensors")
    paper = merged_config({}, {"preset": "paper", "weights": str(compact)})
    with pytest.raises(CheckpointError, match="with its autoencoder, got rig motion of width 23"):
        build_session(paper)


def test_latents_without_an_autoencoder_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    save_checkpoint(path, tiny_generator(TINY_LATENT), {}, torch.float32)
    with pytest.raises(CheckpointError, match="autoencoder"):
        build_session(merged_config({}, {"preset": "paper", "weights": str(path)}))


def test_a_folder_of_another_size_is_refused_by_name(tmp_path: Path) -> None:
    """A folder is read as the released model: small tensors are told as misshaped."""
    folder = write_release(tmp_path / "release")
    paper = merged_config({}, {"preset": "paper", "weights": str(folder)})
    with pytest.raises(CheckpointError, match="weights check"):
        build_session(paper)


def test_the_benchmark_times_it_too(weights: Path, tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    arguments = ["benchmark", "--preset", "paper", "--weights", weights, "--nfe", "4",
                 "--repeats", "10", "--seconds", "0", "--json", figures]  # fmt: skip
    assert main([str(argument) for argument in arguments]) == 0
    told = json.loads(figures.read_text())
    assert (told["preset"], told["block_frames"], told["guidance_rows"]) == ("paper", 10, 3)
    assert all(row["median"] > 0 for row in told["stages_ms"].values())
    whole_ms = told["stages_ms"]["end_to_end_block"]["median"]
    assert told["real_time_factor"] == round(400.0 / whole_ms, 2)  # 10 frames last 400 ms
    blocks = [told["stages_ms"][f"block_motion{way}"]["median"] for way in ("_uncached", "")]
    assert told["uncached_to_cached_ratio"] == round(blocks[0] / blocks[1], 2)
