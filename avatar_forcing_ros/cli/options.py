"""The flags that every command which runs an avatar shares."""

from __future__ import annotations

import argparse
from typing import Any

from avatar_forcing_ros.config import (
    GUIDANCE_MODES,
    PRECISIONS,
    PRESETS,
    AvatarConfig,
    merged_config,
)
from avatar_forcing_ros.resources import user_path
from avatar_forcing_ros.strict import read_yaml


def add_avatar_options(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the flags that `avatar_config` reads."""
    group = parser.add_argument_group("avatar")
    group.add_argument(
        "--config",
        type=user_path,
        metavar="YAML",
        help="settings file; flags given here win over it",
    )
    group.add_argument("--portrait", metavar="P", help="image with a face (default: shipped)")
    group.add_argument("--preset", help=f"model preset: {', '.join(sorted(PRESETS))}")
    group.add_argument(
        "--weights",
        metavar="F",
        help="checkpoint, or folder of released files (default: the preset's own)",
    )
    group.add_argument("--device", help="cpu, cuda, cuda:0 … or auto (default: auto)")
    group.add_argument("--precision", help=f"{', '.join(PRECISIONS)} (default: auto)")
    group.add_argument("--seed", type=int, help="fixes all randomness (default: 0)")
    group.add_argument(
        "--steps", type=int, metavar="N", help="function evaluations a block, 3 or more"
    )
    group.add_argument("--guidance", help=f"{' or '.join(GUIDANCE_MODES)} conditions")
    group.add_argument("--audio-guidance", type=float, help="strength of the voice")
    group.add_argument("--user-guidance", type=float, help="strength of the user (separate)")


def avatar_config(options: argparse.Namespace) -> AvatarConfig:
    """The settings file, if one was named, and what the flags change in it."""
    sampling = {
        "seed": options.seed,
        "evaluations": options.steps,
        "guidance": options.guidance,
        "audio_guidance": options.audio_guidance,
        "user_guidance": options.user_guidance,
    }
    flags = {
        "preset": options.preset,
        "portrait": options.portrait,
        "weights": options.weights,
        "device": options.device,
        "precision": options.precision,
    }
    return merged_config(
        read_yaml(options.config) if options.config else {},
        {**_given(flags), "sampling": _given(sampling)},
        options.config.name if options.config else "flags",
    )


def _given(flags: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in flags.items() if value is not None}
