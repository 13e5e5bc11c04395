"""The paper model on a GPU against stored numbers of the reference, in every precision.

The numbers, and the weights that they belong to, are those of `test/conformance`; without that
folder these parts are left out.
"""

from __future__ import annotations

import copy
import importlib
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avatar_forcing_ros.config import PAPER_MODEL, PRESETS
from avatar_forcing_ros.model.flow_transformer import FlowTransformer
from avatar_forcing_ros.model.motion_autoencoder import MotionAutoencoder, channels_last
from avatar_forcing_ros.model.precision import use_exact_float32
from avatar_forcing_ros.streaming.block_sampler import BlockSampler
from avatar_forcing_ros.streaming.cuda_graphs import directly, recorded
from avatar_forcing_ros.streaming.state import Conditions, MotionState

if TYPE_CHECKING:
    from avatar_forcing_ros.benchmarks.gpu_parts import Setting

FRAMES, NOISE_SEED = 90, 1601  # of the stored sampling with 10 evaluations
SLOW_FRAMES, SLOW_STEP = 6, 0.004  # of the latent's length, from one frame to the next
HALF_IMAGE_PX = 256.0  # a flow of 1
Errors = dict[str, float]


def transformer(setting: Setting) -> dict[str, Any] | str:
    """Sampled motion against the stored one, and recorded against eager."""
    vectors = _Vectors.of(setting)
    if vectors is None:
        return "left out: it wants a GPU and the folder 'conformance'"
    use_exact_float32()
    net = vectors.filled(FlowTransformer(PAPER_MODEL), "flow_transformer.").to(setting.device)
    expected = vectors.stored("F_sample")["nfe10"]
    found: dict[str, Any] = {}
    for dtype in (torch.float32, torch.bfloat16):
        net = net.to(dtype)
        eager = vectors.sampled(net, dtype, setting.device, graphs=False)
        replayed = vectors.sampled(net, dtype, setting.device, graphs=True)
        found[str(dtype)] = {"to the vectors": errors(eager, expected),
                             "recorded to eager": errors(replayed, eager)}  # fmt: skip
    return found


@torch.inference_mode()
def images(setting: Setting) -> dict[str, Any] | str:
    """Images of each precision: error, warp, and how much slow motion shimmers."""
    vectors = _Vectors.of(setting)
    if vectors is None:
        return "left out: it wants a GPU and the folder 'conformance'"
    use_exact_float32()
    plain = MotionAutoencoder(PAPER_MODEL.autoencoder, PAPER_MODEL.motion_dim)
    plain = vectors.filled(plain, "motion_autoencoder.")
    plain.load_state_dict(plain.state_dict())  # the directions are made of the weights
    told, pattern = vectors.stored("B_decoder"), vectors.conftest.PORTRAIT
    portrait = vectors.conftest.images([0], pattern)
    motion = torch.from_numpy(told["r_d"])
    slow = torch.cat([motion[:1] * (1.0 + SLOW_STEP * k) for k in range(SLOW_FRAMES)])
    ways = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    found: dict[str, Any] = {}
    exact: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    for name, dtype in ways.items():
        net = copy.deepcopy(plain).to(setting.device, dtype)
        if dtype is not torch.float32:
            channels_last(net)
        pixels, warp = _drawn(net, portrait, motion)
        exact = exact or (pixels, warp)
        moving, moving_warp = _drawn(net, portrait, slow)
        area = vectors.inputs.area64(pixels.astype(np.float32))
        found[name] = {
            "64 x 64 areas to the vectors": errors(area, told["image_area64"]),
            "pixels to float32": errors(pixels, exact[0]),
            "warp to float32, px": errors(warp, exact[1]),
            "jitter of slow motion, px": _rms(np.diff(moving_warp, 2, axis=0)),
            "jitter of its pixels": _rms(np.diff(moving, 2, axis=0)),
        }
    return found


def errors(found: NDArray[Any], expected: NDArray[Any]) -> Errors:
    """Root mean square and largest difference."""
    error = np.asarray(found, np.float64) - expected
    return {"rms": _rms(error), "most": float(np.abs(error).max())}


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.square(values).mean()))


def _drawn(
    net: MotionAutoencoder, portrait: Tensor, motion: Tensor
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Images ``[T, 3, S, S]`` and the flow of the finest level ``[T, 2, S, S]`` in pixels."""
    like, flows = net.dec.direction.basis, list[Tensor]()
    given = portrait.to(like).contiguous(memory_format=torch.channels_last)
    appearance, _ = net.encode(given)
    hook = net.dec.to_flows[-1].register_forward_hook(lambda *args: flows.append(args[2][2]))
    pixels = net.decode(appearance, motion.to(like))
    hook.remove()
    warp = flows[0][:, :2].float().tanh() * HALF_IMAGE_PX
    return pixels.double().cpu().numpy(), warp.double().cpu().numpy()


class _Vectors:
    """The stored numbers, their inputs and their weights."""

    def __init__(self) -> None:
        self.conftest = importlib.import_module("conformance.conftest")
        self.inputs = importlib.import_module("conformance.inputs")

    @classmethod
    def of(cls, setting: Setting) -> _Vectors | None:
        """None on a CPU, where the tests check them, and where they are not."""
        if not (setting.on_gpu and (setting.vectors / "conformance").is_dir()):
            return None
        sys.path.insert(0, str(setting.vectors.resolve()))
        return cls()

    def stored(self, name: str) -> dict[str, NDArray[Any]]:
        return dict(self.conftest.stored(name))

    def filled(self, net: nn.Module, prefix: str) -> Any:
        return self.conftest.filled(net, prefix)

    @torch.inference_mode()
    def sampled(
        self, net: FlowTransformer, dtype: torch.dtype, device: str, *, graphs: bool
    ) -> NDArray[np.float32]:
        """Motion ``[1, 90, 512]`` of set F."""
        sampling = replace(PRESETS["paper"].sampling, nfe=10)
        sampler = BlockSampler(net, sampling, record=recorded if graphs else directly)
        told, noise = self.stored("F_sample"), self.inputs.NoiseSource(NOISE_SEED)
        user_motion = (told["user_lam"] @ self.stored("A_motion_encoder")["Q"].T)[None]
        padded = [
            torch.from_numpy(np.pad(part, ((0, 0), (0, 60), (0, 0)), "edge")).to(device, dtype)
            for part in (told["avatar_wa"], told["user_wa"], user_motion)
        ]
        reference = torch.from_numpy(told["r_s"]).to(device, dtype)
        state, out = MotionState.empty(PAPER_MODEL, reference), []
        while state.frame < FRAMES:
            count = sampler.frames(state)
            here = Conditions(*(part[:, state.frame : state.frame + count] for part in padded))
            drawn = torch.from_numpy(noise(1, count, PAPER_MODEL.motion_dim)).to(device)
            block, (state,) = sampler.next_blocks([state], reference, here, drawn)
            out.append(block.float().cpu())
        return torch.cat(out, 1)[:, :FRAMES].numpy()
