"""Configuration is strict: unknown names, wrong types and impossible values raise errors.

Protects the precedence of files, flags and presets, and deprecated names.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from avatar_forcing_ros.config import (
    PAPER_MODEL,
    PRESETS,
    AvatarConfig,
    LiveConfig,
    ModelConfig,
    SamplingConfig,
    ServerConfig,
    merged_config,
)
from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.node_config import OutputConfig
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.strict import from_mapping, override, read_yaml
from avatar_forcing_ros.training.settings import PreferenceConfig, TrainingConfig


def test_unknown_key_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'guidence'.*nearest: 'guidance'"):
        from_mapping(AvatarConfig, {"sampling": {"guidence": "joint"}})


def test_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"one of compact.*nearest: 'compact'.*got 'compcat'"):
        AvatarConfig(preset="compcat")


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (SamplingConfig, {"nfe": 2}),
        (SamplingConfig, {"nfe": 4.5}),
        (SamplingConfig, {"nfe": True}),
        (SamplingConfig, {"guidance": "both"}),
        (SamplingConfig, {"audio_guidance": float("nan")}),
        (SamplingConfig, {"seed": -1}),
        (AvatarConfig, {"image_size_px": 511}),
        (AvatarConfig, {"sampling": 3}),
        (AvatarConfig, {"background": ""}),
        (AvatarConfig, {"background": "#00b14"}),
        (AvatarConfig, {"background": "#00b14g"}),
        (AvatarConfig, {"preset": "paper", "background": "#00b140"}),
        (AvatarConfig, {"image_size_px": 2050}),
        (AvatarConfig, {"cpu_threads": 0}),
        (AvatarConfig, {"anchor": {"mean_s": 0.0}}),
        (AvatarConfig, {"live": {"deadline_ms": -1.0}}),
        (ServerConfig, {"port": 0}),
        (ServerConfig, {"max_viewers": 17}),
        (OutputConfig, {"joint_names": "jaw"}),
        (ModelConfig, {"hidden_dim": 100, "heads": 8}),
        (ModelConfig, {"audio_dim": 30, "condition_heads": 4}),
        (ModelConfig, {"window_frames": 3}),
        (ModelConfig, {"first_block_frames": 1}),
        (ModelConfig, {"block_causal": False, "first_block_frames": 3}),
        (PreferenceConfig, {"beta": 0.0}),
        (ModelConfig, {"blocks": 0}),
        (ModelConfig, {"block_frames": 1}),
        (TrainingConfig, {"seed": -1}),
        (TrainingConfig, {"gradient_clip": 0.0}),
        (TrainingConfig, {"steps": 0}),
        (TrainingConfig, {"condition_dropout": 1.5}),
        (TrainingConfig, {"precision": "float16"}),
        (TrainingConfig, {"loss_weighting": "none"}),
    ],
)
def test_impossible_values_are_refused(kind: type, values: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        from_mapping(kind, values)


def test_whole_numbers_serve_as_floats() -> None:
    assert from_mapping(SamplingConfig, {"audio_guidance": 2}).audio_guidance == 2.0


def test_override_ignores_what_is_not_given_and_validates() -> None:
    assert override(SamplingConfig(), seed=None, nfe=7) == SamplingConfig(nfe=7)
    with pytest.raises(ConfigError):
        override(SamplingConfig(), nfe=1)


def test_a_preset_brings_its_own_sampling_whoever_asks() -> None:
    paper = PRESETS["paper"].sampling
    assert AvatarConfig(preset="paper").sampling == paper
    file = {"preset": "compact", "sampling": {"seed": 0}}
    assert merged_config(file, {"preset": "paper"}).sampling == paper
    mine = {"preset": "paper", "sampling": {"nfe": 4}}
    assert merged_config(mine, {}).sampling == override(paper, nfe=4)


def test_flags_win_over_the_file_in_every_section() -> None:
    file = {"anchor": {"mean_s": 5.0, "return_s": 2.0}, "live": {"gather_ms": 10.0}}
    flags = {"anchor": {"mean_s": 7.0}}
    config = merged_config(file, flags)
    assert (config.anchor.mean_s, config.anchor.return_s) == (7.0, 2.0)
    assert config.live == LiveConfig(gather_ms=10.0)


@pytest.mark.parametrize("preset", ["compact", "paper"])
def test_an_old_key_in_a_file_is_taken_with_a_warning(
    preset: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = merged_config({"preset": preset, "sampling": {"evaluations": 4}}, {})
    assert config.sampling == override(PRESETS[preset].sampling, nfe=4)
    assert "'evaluations' is now called 'nfe'" in caplog.text
    both = merged_config({"sampling": {"evaluations": 4}}, {"sampling": {"nfe": 5}})
    assert both.sampling.nfe == 5
    assert from_mapping(SamplingConfig, {"evaluations": 4}).nfe == 4


def test_shipped_training_settings_are_valid() -> None:
    import yaml

    path = shipped("config/train_compact.yaml")
    from_mapping(TrainingConfig, yaml.safe_load(path.read_text(encoding="utf-8")), path.name)


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2", "preset: \x00", "3"])
def test_files_that_are_no_settings_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="expected"):
        merged_config(read_yaml(path), {}, "file")


def test_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        merged_config(read_yaml(tmp_path / "none.yaml"), {}, "file")


def test_empty_file_means_defaults(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert merged_config(read_yaml(tmp_path / "empty.yaml"), {}, "file") == AvatarConfig()


def test_cache_lengths_follow_from_the_window() -> None:
    assert PAPER_MODEL.cache_frames == 38
    compact = PRESETS["compact"].model
    assert compact.cache_frames == compact.window_frames - compact.block_frames
