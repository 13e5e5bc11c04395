"""What is evaluated: the generator as it ships, what it is compared with, and the long streams."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from avatar_forcing_ros.config import AnchorConfig, ModelConfig, SamplingConfig
from avatar_forcing_ros.model.checkpoint import load_checkpoint
from avatar_forcing_ros.model.flow_matching import guidance_rows
from avatar_forcing_ros.model.generator import MotionGenerator
from avatar_forcing_ros.streaming.engine import MotionEngine
from avatar_forcing_ros.timebase import FRAME_RATE_HZ

NFES = (3, 4, 6, 10)
BLOCKS = (2, 3, 5, 10)
USER_GUIDANCES = (1.0, 1.5, 2.0, 3.0)
FULL = "full"
WITHOUT_USER = ("no_user_audio", "no_user_motion", "no_user")
BEFORE = "before_preference"
DRIFT_STREAMS = 4
DRIFT_ENDS_S = 300.0


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
    listens: tuple[str, ...] = ()
    """To users whom it has "seen", or only "heard"."""

    def generator(self) -> MotionGenerator:
        """The weights, with blocks of the variant's length."""
        generator = load_checkpoint(self.weights).generator
        return with_blocks(generator, self.block_frames) if self.block_frames else generator

    def engine(self) -> MotionEngine:
        """An engine with the variant's weights, blocks, sampling and anchor."""
        anchor = AnchorConfig() if self.anchored else None
        return MotionEngine(self.generator(), self.sampling, anchor=anchor)


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
    both = ("seen", "heard")
    full = Variant(FULL, "the weights, as the avatar runs them", weights, sampling, listens=both)
    silent = replace(full, listens=())
    out = [full]
    if wanted != "none":
        without: tuple[tuple[str, str, bool, bool, tuple[str, ...]], ...] = (
            ("no_user_audio", "without the user's audio", False, True, ("heard",)),
            ("no_user_motion", "without the user's motion", True, False, ("seen",)),
            ("no_user", "without the user's audio and motion", False, False, ()),
        )
        for name, meaning, audio, motion, listens in without:
            variant = replace(full, name=name, meaning=meaning, listens=listens)
            out.append(replace(variant, user_audio=audio, user_motion=motion))
    if before:
        out.append(
            replace(full, name=BEFORE, meaning="before preference learning", weights=before)
        )
    if wanted == "all":
        out += _guidance_variants(full) + _effort_variants(silent)
        out += _block_variants(silent, model)
    return out


def _guidance_variants(full: Variant) -> list[Variant]:
    """Other strengths of the user, from none beyond what was learned."""
    out = []
    for scale in USER_GUIDANCES:
        guided = replace(full.sampling, guidance="user", user_guidance=scale)
        name, meaning = f"user_guidance_{scale:g}", f"the user {scale:g} times as strong"
        if scale == 1.0:
            guided = replace(full.sampling, guidance="joint", audio_guidance=1.0)
            name, meaning = "no_guidance", "conditions as they are"
        if _rows(guided) != _rows(full.sampling):
            out.append(replace(full, name=name, meaning=meaning, sampling=guided))
    return out


def _rows(sampling: SamplingConfig) -> object:
    return guidance_rows(sampling.guidance, sampling.audio_guidance, sampling.user_guidance)


def _effort_variants(full: Variant) -> list[Variant]:
    """Other numbers of function evaluations."""
    own, out = full.sampling, []
    for nfe in NFES:
        if nfe != own.nfe:
            steps = nfe - 2
            meaning = f"{steps} solver step{'s' * (steps > 1)} and the pass for the cache"
            sampling = replace(own, nfe=nfe)
            out.append(replace(full, name=f"nfe_{nfe}", meaning=meaning, sampling=sampling))
    return out


def _block_variants(full: Variant, model: ModelConfig) -> list[Variant]:
    fits = range(model.look_ahead_frames, model.window_frames - model.look_ahead_frames)
    return [
        replace(
            full,
            name=f"block_{frames}",
            meaning=f"blocks of {frames} frames, {40 * frames} ms",
            block_frames=frames,
        )
        for frames in BLOCKS
        if frames != model.block_frames and frames in fits
    ]


def with_blocks(generator: MotionGenerator, frames: int) -> MotionGenerator:
    """A copy of `generator` with the same weights that makes `frames` at a time.

    The first block is the smallest number of blocks that the look-ahead asks for.
    """
    config = generator.config
    first = frames * -(-(config.look_ahead_frames + config.context_frames) // frames)
    out = copy.deepcopy(generator)
    changed = replace(config, block_frames=frames, first_block_frames=first)
    out.config = out.flow_transformer.config = changed
    return out


class DriftPlan(NamedTuple):
    """Which conversations each long stream has, and how many frames at its ends are compared."""

    orders: tuple[tuple[int, ...], ...]
    window_frames: int


def drift_plan(
    conversations: int, conversation_frames: int, minutes: float, seed: int
) -> DriftPlan:
    """Streams of `minutes` or a little more.

    The first and the last five minutes (thirds, where it is short) hold the same conversations in
    another order: what differs between them is not what was said.
    """
    rng = np.random.default_rng(seed)
    slots = max(3, math.ceil(minutes * 60.0 * FRAME_RATE_HZ / conversation_frames))
    ends = max(1, min(slots // 3, round(DRIFT_ENDS_S * FRAME_RATE_HZ / conversation_frames)))
    orders = tuple(_order(rng, conversations, slots, ends) for _ in range(DRIFT_STREAMS))
    return DriftPlan(orders, ends * conversation_frames)


def _order(rng: np.random.Generator, count: int, slots: int, ends: int) -> tuple[int, ...]:
    shuffled = [int(i) for _ in range(slots // count + 1) for i in rng.permutation(count)]
    first, middle = shuffled[:ends], shuffled[ends : slots - ends]
    return (*first, *middle, *(int(i) for i in rng.permutation(first)))
