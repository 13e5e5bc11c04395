"""The released layout in miniature: same files and names, networks small enough for tests."""

from __future__ import annotations

from pathlib import Path

import torch
from conformance.fill import values
from safetensors.torch import save_file

from avatar_forcing_ros.config import AutoencoderConfig, ModelConfig, SpeechEncoderConfig
from avatar_forcing_ros.model.checkpoint import empty_networks

Tensors = dict[str, torch.Tensor]

SMALL_PAPER = ModelConfig(
    motion_dim=16,
    audio_dim=16,
    hidden_dim=32,
    heads=2,
    blocks=1,
    condition_heads=2,
    motion_space="latent",
    audio_encoder="wav2vec2",
    speech_encoder=SpeechEncoderConfig(
        hidden_dim=32, layers=2, heads=2, feed_forward_dim=48, conv_dim=8, position_groups=4
    ),
    autoencoder=AutoencoderConfig(image_size_px=16, directions=4, channel_limit=8),
)
AUTOENCODER, TRANSFORMER = "motion_autoencoder.pth", "flow_transformer.pth"
SPEECH = "audio_encoder.wav2vec2."
WEIGHT_NORM = SPEECH + "encoder.pos_conv_embed.conv."
NEW_SPELLING = ("parametrizations.weight.original0", "parametrizations.weight.original1")
OLD_SPELLING = ("weight_g", "weight_v")


def parameters(config: ModelConfig = SMALL_PAPER) -> Tensors:
    """Every parameter of the release, by full name, with the conformance values."""
    names = empty_networks(config, autoencoder=True).tensors()
    return {
        name: torch.from_numpy(values(name, tensor.shape))
        for name, tensor in names.items()
        if name not in ("motion_mean", "motion_std")
    }


def split(tensors: Tensors) -> dict[str, Tensors]:
    """The two files' contents, with the buffers that the release stores and nobody needs."""
    first = {n: t for n, t in tensors.items() if n.startswith("motion_autoencoder.")}
    second = {n: t for n, t in tensors.items() if n not in first}
    for name in ("enc.net_app.convs.1.conv2.0.kernel", "dec.to_flows.0.upsample.kernel"):
        first["motion_autoencoder." + name] = torch.zeros(4, 4)
    for name in ("alignment_mask", "block_bidir_causal_lookahead_mask"):
        second["flow_transformer." + name] = torch.ones(50, 50, dtype=torch.bool)
    return {AUTOENCODER: first, TRANSFORMER: second}


def write_release(folder: Path, files: dict[str, Tensors] | None = None) -> Path:
    """The release, or other `files`, in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (files or split(parameters())).items():
        torch.save(content, folder / name)
    return folder


def speech_folder(folder: Path, speech: Tensors, name: str = "model.safetensors") -> None:
    """The speech encoder as Hugging Face lays it out, in the old spelling, beside a text head."""
    content = {n.removeprefix("audio_encoder."): t.contiguous() for n, t in speech.items()}
    for new, old in zip(NEW_SPELLING, OLD_SPELLING, strict=True):
        where = WEIGHT_NORM.removeprefix("audio_encoder.")
        content[where + old] = content.pop(where + new)
    content["lm_head.weight"] = torch.zeros(32, 32)
    path = folder / "wav2vec2-base-960h" / name
    path.parent.mkdir()
    if path.suffix == ".safetensors":
        save_file(content, path)
    else:
        torch.save(content, path)
