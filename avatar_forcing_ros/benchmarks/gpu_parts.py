"""What `gpu_session` measures: machine, stages, starts of conversations, layouts, compilation."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avatar_forcing_ros.benchmarks import paper_gpu
from avatar_forcing_ros.config import PRESETS, AnchorConfig, ModelConfig
from avatar_forcing_ros.model.checkpoint import load_checkpoint
from avatar_forcing_ros.model.kernel_fusion import can_fuse, fuse_chains
from avatar_forcing_ros.model.motion_autoencoder import Appearance, to_pixels
from avatar_forcing_ros.model.style_layers import Blur, ModulatedConv2d
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.runtime.avatar import Avatar
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.streaming.cuda_graphs import recorded
from avatar_forcing_ros.streaming.engine import BlockInput, MotionEngine
from avatar_forcing_ros.timebase import FRAME_PERIOD_S, SAMPLES_PER_FRAME

STARTS, START_BLOCKS = 3, 6
COMPACT_BLOCKS = 24
CONVERSATIONS = (1, 8, 16, 32, 48, 64)
LAYERS = ((32, 512), (128, 128), (512, 32))  # channels, side


@dataclass(frozen=True)
class Setting:
    """Where to run, and the folder that holds the stored vectors."""

    device: str
    vectors: Path

    @property
    def on_gpu(self) -> bool:
        return self.device.startswith("cuda")

    @property
    def model(self) -> ModelConfig:
        """The paper's on a GPU, a small one elsewhere."""
        return paper_gpu.PAPER.model if self.on_gpu else paper_gpu.SMALL

    @property
    def half(self) -> torch.dtype:
        """bfloat16 on a GPU; a CPU is slower with it."""
        return torch.bfloat16 if self.on_gpu else torch.float32

    def avatar(self, dtype: torch.dtype, *, graphs: bool) -> paper_gpu.Avatar:
        """Networks with random weights, the same each time."""
        return paper_gpu.Avatar(self.model, self.device, dtype, graphs=graphs)

    def median_ms(self, work: Callable[[], object], repeats: int = 20) -> float:
        """The median time of `work` and of all that it leaves to the device."""

        def whole() -> None:
            work()
            self.wait()

        return paper_gpu.timed(whole, repeats if self.on_gpu else 2)["median_ms"]

    def wait(self) -> None:
        """Until the device has nothing to do."""
        if self.on_gpu:
            torch.cuda.synchronize(self.device)


def machine(setting: Setting) -> dict[str, Any]:
    """Device and libraries, and what memory, arithmetic and the bus give."""
    found: dict[str, Any] = {"torch": torch.__version__, "numpy": np.__version__}
    if not setting.on_gpu:
        return found | {"device": "cpu", "model": "small (says nothing about the paper's)"}
    large = torch.empty(2**30, dtype=torch.int32, device=setting.device)
    copy = torch.empty_like(large)
    copy_ms = setting.median_ms(lambda: copy.copy_(large), 8)
    matrix = torch.randn(8192, 8192, device=setting.device, dtype=torch.bfloat16)
    product_ms = setting.median_ms(lambda: matrix @ matrix, 8)
    images = torch.empty(10, 512, 512, 3, dtype=torch.uint8, device=setting.device)
    pinned = torch.empty(images.shape, dtype=torch.uint8, pin_memory=True)
    return found | {
        "device": torch.cuda.get_device_name(setting.device),
        "cudnn": torch.backends.cudnn.version(),
        "copy_tb_s": round(2e-9 * large.nbytes / copy_ms, 2),
        "bfloat16_tflop_s": round(2e-9 * 8192**3 / product_ms),
        "images_to_host_ms": {
            "pageable": setting.median_ms(images.cpu),
            "pinned": setting.median_ms(lambda: pinned.copy_(images, non_blocking=True)),
        },
    }


def stages(setting: Setting) -> dict[str, Any]:
    """Each stage of a block and the whole, eager and recorded, in float32 and half precision."""
    ways = {"eager float32": (torch.float32, False), "eager half": (setting.half, False),
            "recorded half": (setting.half, True)}  # fmt: skip
    found: dict[str, Any] = {}
    for way, (dtype, graphs) in ways.items():
        if setting.on_gpu:
            torch.cuda.reset_peak_memory_stats(setting.device)
        avatar = setting.avatar(dtype, graphs=graphs)
        found[way] = paper_gpu.stages(avatar, 20 if setting.on_gpu else 1)
        if setting.on_gpu:
            peak = torch.cuda.max_memory_allocated(setting.device)
            found[way]["peak_gb"] = round(peak / 1e9, 2)
    return found


def recorded_is_eager(setting: Setting) -> dict[str, Any]:
    """The largest differences between recorded and eager work: all should be zero."""
    avatars = [setting.avatar(setting.half, graphs=graphs) for graphs in (False, True)]
    frames, rng = setting.model.block_frames, np.random.default_rng(0)
    found = {"images_levels": 0.0, "user_latents": 0.0, "motion": 0.0}

    def note(name: str, results: list[Any]) -> None:
        one, other = (np.asarray(result, np.float64) for result in results)
        found[name] = max(found[name], float(np.abs(one - other).max()))

    for k in range(4):
        motion = rng.normal(0, 0.3, (frames, setting.model.motion_dim)).astype(np.float32)
        note("images_levels", [a.codec.decode(motion) for a in avatars])
        faces = [a.faces[k : k + 1] for a in avatars]
        note("user_latents", [a.codec.encode(f) for a, f in zip(avatars, faces, strict=True)])
    states = [a.engine.new_state(seed=1) for a in avatars]
    for _ in range(6):
        inputs = avatars[0].inputs(avatars[0].engine.frames(states[0]))
        blocks = [a.engine.step(s, inputs) for a, s in zip(avatars, states, strict=True)]
        note("motion", [block.motion for block in blocks])
    return found


def starts(setting: Setting) -> dict[str, Any]:
    """The project's own warm-up, then how long each block of three conversations takes, ms."""
    networks = setting.avatar(setting.half, graphs=setting.on_gpu)
    session = Session(networks.engine, networks.codec)
    found: dict[str, Any] = {"paper": _starts(setting, session, START_BLOCKS)}
    checkpoint = load_checkpoint(shipped("models/compact/generator.safetensors"))
    engine = MotionEngine(
        checkpoint.generator.to(setting.device), PRESETS["compact"].sampling,
        anchor=AnchorConfig(), record=recorded)  # fmt: skip
    silence = BlockInput(np.zeros(engine.config.block_frames * SAMPLES_PER_FRAME, np.float32))
    rows = []
    for _ in range(STARTS):
        state, row = engine.new_state(), []
        for _ in range(COMPACT_BLOCKS if setting.on_gpu else 2):
            row.append(round(1000 * engine.step(state, silence).compute_s))
        rows.append(row)
    return found | {"compact": rows}


def _starts(setting: Setting, session: Session, blocks: int) -> dict[str, Any]:
    began_s = time.perf_counter()
    if setting.on_gpu:
        Avatar(session, lambda where, sentence: print(where, sentence)).warm_up()
    found: dict[str, Any] = {"warm_up_s": round(time.perf_counter() - began_s, 2)}
    for k in range(STARTS if setting.on_gpu else 1):
        row = []
        for _ in range(blocks if setting.on_gpu else 1):
            began_s = time.perf_counter()
            block = session.next_block()
            made_s = time.perf_counter()
            session.draw(block)
            drawn_s = time.perf_counter()
            row.append([round(1000 * (made_s - began_s)), round(1000 * (drawn_s - made_s))])
        session.reset()
        found[f"conversation {k + 1}, motion and images"] = row
    return found


def conversations(setting: Setting) -> list[dict[str, float]]:
    """Motion and images of k conversations in turns of a block, beside eager float32."""
    avatar = setting.avatar(setting.half, graphs=setting.on_gpu)
    block_ms = 1000 * setting.model.block_frames * FRAME_PERIOD_S
    rows: list[dict[str, float]] = []
    for k in CONVERSATIONS if setting.on_gpu else (1, 2):
        states, inputs = avatar.states(k), [avatar.inputs(setting.model.block_frames)] * k

        def turn() -> None:
            blocks = avatar.engine.step_many(states, inputs)  # noqa: B023
            for images in [avatar.codec.decode_later(block.motion) for block in blocks]:
                images()

        turn_ms = setting.median_ms(turn, 5)
        row = {"conversations": k, "turn_ms": turn_ms, "each_ms": round(turn_ms / k, 2),
               "real_time_factor": round(block_ms / turn_ms, 2)}  # fmt: skip
        if setting.on_gpu:
            row["reserved_gb"] = round(torch.cuda.memory_reserved(setting.device) / 1e9, 1)
        print(row, flush=True)
        rows.append(row)
        if turn_ms > block_ms:
            break
    return rows


@torch.inference_mode()
def layouts(setting: Setting) -> dict[str, Any]:
    """Layers of the decoder alone, channels first and channels last, ms."""
    found: dict[str, Any] = {}
    half = torch.float16 if setting.on_gpu else torch.float32
    layers = LAYERS if setting.on_gpu else ((4, 16),)
    formats = {"first": torch.contiguous_format, "last": torch.channels_last}
    for channels, side in layers:
        style = torch.randn(10, 512, device=setting.device, dtype=half)
        blur = Blur((1, 1), gain=4.0).to(setting.device, half)
        convs = {
            name: ModulatedConv2d(channels, channels, 3, 512, upsample=up).to(setting.device, half)
            for name, up in (("convolution", False), ("up-sampling", True))
        }
        for layout, memory_format in formats.items():
            x = torch.randn(10, channels, side, side, device=setting.device, dtype=half)
            x = x.contiguous(memory_format=memory_format)
            small = x[:, :, ::2, ::2].contiguous(memory_format=memory_format)
            row = {
                "copy": setting.median_ms(x.clone, 8),
                "blur": setting.median_ms(partial(blur, x), 8),
            }
            for name, conv in convs.items():
                given = small if conv.upsample else x
                row[name] = setting.median_ms(partial(conv, given, style), 8)
            found[f"{channels} channels, {side} px, channels {layout}"] = row
    return found


@torch.inference_mode()
def fused(setting: Setting) -> dict[str, Any] | str:
    """Ten images with the decoder's chains of small operations fused, beside separate ones."""
    if setting.on_gpu and not can_fuse():
        return "left out: no Triton"
    avatar = setting.avatar(setting.half, graphs=False)
    motion = np.random.default_rng(0).normal(0, 0.3, (10, setting.model.motion_dim))
    found: dict[str, Any] = {}
    images: list[NDArray[np.uint8]] = []
    try:
        for way in ("separate", "fused"):
            fuse_chains(fused=way == "fused")
            began_s = time.perf_counter()
            images.append(avatar.codec.decode(motion.astype(np.float32)))
            found[f"{way}, first_s"] = round(time.perf_counter() - began_s, 1)
            found[f"{way}, ms"] = setting.median_ms(
                lambda: avatar.codec.decode(motion.astype(np.float32))
            )
    finally:
        fuse_chains(fused=False)
    apart = np.abs(images[0].astype(int) - images[1])
    return found | {"max_levels": int(apart.max()), "mean_levels": round(float(apart.mean()), 4)}


@torch.inference_mode()
def compiled(setting: Setting) -> dict[str, Any] | str:
    """What `torch.compile` makes of the decoder."""
    if not setting.on_gpu:
        return "left out on a CPU"
    torch.manual_seed(0)
    avatar = setting.avatar(setting.half, graphs=False)
    net = avatar.autoencoder
    image = torch.rand(1, 3, *(2 * [avatar.codec.image_size_px]), device=setting.device) * 2 - 1
    appearance, latent = net.encode(image.to(torch.float16))
    motion = latent * torch.linspace(0.5, 1.5, 10, device=setting.device).half()[:, None]

    def draw(code: torch.Tensor, features: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return to_pixels(net.decode(Appearance(code, features), motion))

    eager, eager_ms = draw(*appearance), setting.median_ms(lambda: draw(*appearance))
    began_s = time.perf_counter()
    fast = torch.compile(draw)
    levels = int((fast(*appearance).int() - eager.int()).abs().max())
    compile_s = round(time.perf_counter() - began_s, 1)
    return {"eager_ms": eager_ms, "compiled_ms": setting.median_ms(lambda: fast(*appearance)),
            "compile_s": compile_s, "max_levels": levels}  # fmt: skip
