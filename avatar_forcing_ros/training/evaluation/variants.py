"""The generator as it ships, and what it is compared with."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path

from avatar_forcing_ros.config import ModelConfig, SamplingConfig
from avatar_forcing_ros.model.generator import MotionGenerator

EVALUATIONS = (3, 4, 6, 10)
BLOCKS = (2, 3, 5, 10)
GUIDANCES = (1.5, 2.0)
FULL = "full"
WITHOUT_USER = ("no_user_audio", "no_user_motion", "no_user")
BEFORE = "before_preference"


@dataclass(frozen=True)
class Variant:
    """One way of running the generator on the conversations."""

    name: str
    meaning: str
    weights: Path
    sampling: SamplingConfig
    user_audio: bool = True
    user_motion: bool = True
    block_frames: int | None = None
    """None: the checkpoint's own."""
    anchored: bool = True


def variants(
    weights: Path,
    before: Path | None,
    sampling: SamplingConfig,
    model: ModelConfig,
    wanted: str = "all",
) -> list[Variant]:
    """The full model first, then its ablations: "all", only those without the "user", or "none".

    A variant that would be the full model again is left out.
    """
    full = Variant(FULL, "the weights, as the avatar runs them", weights, sampling)
    made = [full]
    if wanted != "none":
        made += [
            replace(full, name="no_user_audio", meaning="deaf to the user", user_audio=False),
            replace(full, name="no_user_motion", meaning="blind to the user", user_motion=False),
            replace(
                full,
                name="no_user",
                meaning="deaf and blind to the user",
                user_audio=False,
                user_motion=False,
            ),
        ]
    if before:
        made.append(
            replace(full, name=BEFORE, meaning="before preference learning", weights=before)
        )
    if wanted == "all":
        made += _sampled(full) + _in_blocks(full, model)
    return made


def _sampled(full: Variant) -> list[Variant]:
    """Other guidance, other numbers of evaluations."""
    own = full.sampling
    made = []
    joint = replace(own, guidance="joint", audio_guidance=1.0)
    if own.guidance != "joint" or own.audio_guidance != 1.0:
        made.append(
            replace(full, name="no_guidance", meaning="conditions as they are", sampling=joint)
        )
    for scale in GUIDANCES:
        guided = replace(joint, audio_guidance=scale)
        if guided != own:
            meaning = f"all conditions {scale:g} times as strong"
            made.append(
                replace(full, name=f"guidance_{scale:g}", meaning=meaning, sampling=guided)
            )
    for count in EVALUATIONS:
        if count != own.nfe:
            steps = count - 2
            meaning = f"{steps} solver step{'s' * (steps > 1)} and the pass for the cache"
            sampling = replace(own, nfe=count)
            made.append(
                replace(full, name=f"evaluations_{count}", meaning=meaning, sampling=sampling)
            )
    return made


def _in_blocks(full: Variant, model: ModelConfig) -> list[Variant]:
    made = []
    for frames in BLOCKS:
        fits = model.look_ahead_frames <= frames < model.window_frames - model.look_ahead_frames
        if frames != model.block_frames and fits:
            meaning = f"blocks of {frames} frames, {40 * frames} ms"
            made.append(
                replace(full, name=f"block_{frames}", meaning=meaning, block_frames=frames)
            )
    return made


def in_blocks(generator: MotionGenerator, frames: int) -> MotionGenerator:
    """A copy of `generator` with the same weights that makes `frames` at a time.

    The first block is the smallest number of blocks that the look-ahead asks for.
    """
    config = generator.config
    least = config.look_ahead_frames + config.context_frames
    first = frames * -(-least // frames)
    made = copy.deepcopy(generator)
    changed = replace(config, block_frames=frames, first_block_frames=first)
    made.config = made.flow_transformer.config = changed
    return made
