"""What a block of the full-size model costs on a GPU, stage by stage, beside the same work eager.

Weights are random: speed does not depend on them. On a machine without CUDA the same program runs
a small model on the CPU, which checks it and says nothing about a GPU.

    python -m avatar_forcing_ros.benchmarks.paper_gpu --json paper_gpu.json
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from avatar_forcing_ros.config import (
    PRESETS,
    AnchorConfig,
    AutoencoderConfig,
    ModelConfig,
    SpeechEncoderConfig,
)
from avatar_forcing_ros.model.generator import MotionGenerator
from avatar_forcing_ros.model.motion_autoencoder import MotionAutoencoder, channels_last
from avatar_forcing_ros.model.precision import use_exact_float32
from avatar_forcing_ros.runtime.load import load_face_square
from avatar_forcing_ros.streaming.cuda_graphs import directly, recorded
from avatar_forcing_ros.streaming.engine import BlockInput, MotionEngine
from avatar_forcing_ros.streaming.latent_codec import LatentCodec
from avatar_forcing_ros.timebase import FRAME_PERIOD_S, SAMPLES_PER_FRAME

PAPER = PRESETS["paper"]
SMALL = replace(
    PAPER.model,
    motion_dim=32,
    audio_dim=32,
    hidden_dim=64,
    heads=4,
    blocks=2,
    speech_encoder=SpeechEncoderConfig(64, 2, 4, 128, 32, 4),
    autoencoder=AutoencoderConfig(image_size_px=128, channel_limit=32),
)
WARM_UP_BLOCKS = 8  # the cache fills up, and every shape is recorded
# of random flow weights: a trained decoder moves features by some pixels, and its reads lie side
# by side; random ones are scattered all over the image
FLOW_SCALE = 0.05
# bf16 operations a second and bytes a second, by the makers' data sheets
PEAKS = {"H200": (989e12, 4.8e12), "H100": (989e12, 3.35e12), "A100": (312e12, 2.0e12),
         "Orin": (85e12, 0.205e12), "RTX PRO 6000": (503e12, 1.79e12)}  # fmt: skip


class Avatar:
    """The networks of one precision and way to run, and inputs to feed them."""

    def __init__(
        self, model: ModelConfig, device: str, dtype: torch.dtype, *, graphs: bool
    ) -> None:
        torch.manual_seed(0)
        self.model, self.graphs = model, graphs
        record = recorded if graphs else directly
        generator = MotionGenerator(model).eval().requires_grad_(False)
        net = MotionAutoencoder(model.autoencoder, model.motion_dim).eval().requires_grad_(False)
        for name, parameter in net.dec.to_flows.named_parameters():
            if name.endswith("conv.weight"):
                parameter.mul_(FLOW_SCALE)
        on_gpu = device.startswith("cuda")
        half = torch.float16 if on_gpu else dtype
        net = net.to(device, half if dtype is torch.bfloat16 else dtype)
        if on_gpu:
            channels_last(net)
        if dtype is torch.float32:
            use_exact_float32()
        self.engine = MotionEngine(
            generator.to(device, dtype), PAPER.sampling, anchor=AnchorConfig(), record=record
        )
        face = load_face_square(None, model.autoencoder.image_size_px)
        self.autoencoder = net
        self.codec = LatentCodec(net, face, record=record)
        self.faces = np.repeat(face.image[None], model.block_frames, axis=0)
        rng = np.random.default_rng(0)
        audio = 0.1 * rng.standard_normal((2, 64 * SAMPLES_PER_FRAME)).astype(np.float32)
        motion = 0.1 * rng.standard_normal((64, model.motion_dim)).astype(np.float32)
        self.audio, self.motion = audio, motion

    def inputs(self, frames: int) -> BlockInput:
        count = frames * SAMPLES_PER_FRAME
        return BlockInput(self.audio[0, :count], self.audio[1, :count], self.motion[:frames])

    def states(self, conversations: int) -> list[Any]:
        """Conversations whose caches are full."""
        states = [self.engine.new_state(seed=k) for k in range(conversations)]
        for _ in range(WARM_UP_BLOCKS):
            frames = self.engine.frames(states[0])
            self.engine.step_many(states, [self.inputs(frames)] * conversations)
        return states


def timed(work: Callable[[], object], repeats: int) -> dict[str, float]:
    """Milliseconds: median and p99; the work ends with its results on the host."""
    for _ in range(3):
        work()
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - start))
    median, p99 = np.percentile(taken, (50, 99))
    return {"median_ms": round(float(median), 3), "p99_ms": round(float(p99), 3)}


def stages(avatar: Avatar, repeats: int) -> dict[str, dict[str, float]]:
    """A block of one conversation in its parts, and as a whole."""
    frames = avatar.model.block_frames
    (state,) = avatar.states(1)
    inputs, codec = avatar.inputs(frames), avatar.codec
    latents = avatar.engine.step(state, inputs).motion

    def watch() -> None:
        for k in range(frames):  # one by one, as they come from a live camera
            codec.encode(avatar.faces[k : k + 1])

    def whole() -> None:
        watch()
        codec.decode(avatar.engine.step(state, inputs).motion)

    return {
        "user frames": timed(watch, repeats),
        "audio and motion": timed(lambda: avatar.engine.step(state, inputs), repeats),
        "images": timed(lambda: codec.decode(latents), repeats),
        "whole block": timed(whole, repeats),
    }


def conversations_at_real_time(
    avatar: Avatar, max_conversations: int, repeats: int
) -> list[dict[str, float]]:
    """Motion and images of k conversations in turns of a block, for growing k.

    All show one portrait, so the memory of k portraits is not in it. User frames are left out:
    they may be tracked elsewhere. Ends where a turn takes longer than the block lasts.
    """
    frames, rows, k = avatar.model.block_frames, [], 1
    block_ms = 1000 * frames * FRAME_PERIOD_S
    while k <= max_conversations:
        states, inputs = avatar.states(k), [avatar.inputs(frames)] * k

        def turn() -> None:
            blocks = avatar.engine.step_many(states, inputs)  # noqa: B023
            for images in [avatar.codec.decode_later(block.motion) for block in blocks]:
                images()

        row = {"conversations": k, **timed(turn, max(3, repeats // 5))}
        row["real_time_factor"] = round(block_ms / row["median_ms"], 2)
        rows.append(row)
        print(
            f"  {k:3d} conversations: {row['median_ms']:9.2f} ms a turn, "
            f"{row['real_time_factor']:.2f} x real time",
            flush=True,
        )
        if row["median_ms"] > block_ms:
            break
        k *= 2
    return rows


def work_of_a_block(avatar: Avatar) -> dict[str, float]:
    """Operations of a block with images, and the fewest bytes: every weight once a pass."""
    state = avatar.states(1)[0]
    inputs = avatar.inputs(avatar.model.block_frames)
    with FlopCounterMode(display=False) as counter:
        avatar.codec.decode(avatar.engine.step(state, inputs).motion)
    size = next(avatar.engine.generator.parameters()).element_size()
    passes = len(avatar.engine.sampler.steps) + 1

    def weights(net: torch.nn.Module) -> int:
        return sum(p.numel() for p in net.parameters()) * size

    generator = avatar.engine.generator
    read = passes * weights(generator.flow_transformer) + weights(generator.audio_encoder)
    return {"gflop": counter.get_total_flops() / 1e9,
            "weight_gb": (read + weights(avatar.autoencoder.dec)) / 1e9}  # fmt: skip


def floors(work: dict[str, float], device_name: str) -> dict[str, float] | None:
    """Milliseconds that the arithmetic and the weights alone need; None for an unknown device."""
    for name, (flops, bandwidth) in PEAKS.items():
        if name in device_name:
            return {"arithmetic_ms": round(1e12 * work["gflop"] / flops, 3),
                    "weights_ms": round(1e12 * work["weight_gb"] / bandwidth, 3)}  # fmt: skip
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--small", action="store_true", help="a small model; always so on a CPU")
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--max-conversations", type=int, default=64, help="conversations tried")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    on_gpu = options.device.startswith("cuda")
    model = PAPER.model if on_gpu and not options.small else SMALL
    name = (
        torch.cuda.get_device_name(options.device)
        if on_gpu
        else platform.processor() or platform.machine()
    )
    report: dict[str, Any] = {
        "device": name,
        "torch": torch.__version__,
        "model": "paper" if model is PAPER.model else "small (says nothing about the paper's)",
        "block_frames": model.block_frames,
        "nfe": PAPER.sampling.nfe,
        "image_px": model.autoencoder.image_size_px,
    }
    ways = {"eager float32": (torch.float32, False), "eager bfloat16": (torch.bfloat16, False),
            "recorded bfloat16": (torch.bfloat16, True)}  # fmt: skip
    if not on_gpu:
        ways = {"eager float32": ways["eager float32"]}
    print(json.dumps(report, indent=1))
    report["stages"] = {}
    avatar: Avatar | None = None
    for way, (dtype, graphs) in ways.items():
        avatar = None  # before its successor is made, or both would be counted
        gc.collect()
        if on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(options.device)
        avatar = Avatar(model, options.device, dtype, graphs=graphs)
        report["stages"][way] = stages(avatar, options.repeats)
        if on_gpu:
            peak = torch.cuda.max_memory_allocated(options.device) / 1e9
            report["stages"][way]["peak_memory_gb"] = round(peak, 2)
        print(way, json.dumps(report["stages"][way], indent=1), flush=True)
        if not graphs:
            report["work"] = work_of_a_block(avatar)
            report["floors"] = floors(report["work"], name)
    assert avatar
    report["conversations"] = conversations_at_real_time(
        avatar, options.max_conversations, options.repeats
    )
    print(json.dumps({key: report[key] for key in ("work", "floors")}, indent=1))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
