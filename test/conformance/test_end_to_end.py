"""Audio and images in, images out, all networks in a row: the reference's numbers (set G)."""

from __future__ import annotations

import numpy as np
import torch
from conformance import inputs
from conformance.conftest import (
    AVATAR_WAVE,
    PORTRAIT,
    USER,
    USER_WAVE,
    close,
    images,
    stored,
    whole_clip,
)
from conformance.test_sampler import sampled

from avatar_forcing_ros.model.audio_encoders import SpeechEncoder
from avatar_forcing_ros.model.flow_transformer import FlowTransformer
from avatar_forcing_ros.model.motion_autoencoder import MotionAutoencoder

FRAMES = 12


@torch.inference_mode()
def test_end_to_end(
    autoencoder: MotionAutoencoder, speech_encoder: SpeechEncoder, transformer: FlowTransformer
) -> None:
    expected = stored("G_inference")

    def encoded(samples: int, pattern: dict) -> torch.Tensor:
        wave = torch.from_numpy(inputs.wave(samples, pattern))[None]
        return speech_encoder(whole_clip(wave, FRAMES))

    portrait, reference = autoencoder.encode(images([0], PORTRAIT))
    magnitudes = torch.cat([autoencoder.enc(images([k], USER))[1] for k in range(FRAMES)])
    conditions = {
        "avatar_wa": encoded(7680, AVATAR_WAVE).numpy(),
        "user_wa": encoded(7380, USER_WAVE).numpy(),
        "user_lam": magnitudes.numpy(),
    }
    close(conditions["avatar_wa"], expected["avatar_wa"], 5e-5, 1e-5)
    close(conditions["user_wa"], expected["user_wa"], 5e-5, 1e-5)
    close(conditions["user_lam"], expected["user_lam"], 2e-5, 2e-5)
    motion = sampled(transformer, conditions, reference.numpy(), 4, 1604)
    close(motion, expected["motion"], 1e-4, 1e-5)
    video = np.concatenate(
        [autoencoder.decode(portrait, torch.from_numpy(m)).numpy() for m in motion[0][:, None]]
    )
    area = inputs.area64(video[expected["frames"]]) - expected["image_area64"]
    assert np.quantile(np.abs(area), 0.999) <= 1e-3
    assert np.sqrt(np.square(area).mean()) <= 1e-4
    assert list(video.shape) == expected["image.shape"].tolist()
    # single pixels move by rounding alone, because the warp amplifies it: only the rms is checked
    error = video.ravel()[expected["image.idx"]] - expected["image.val"]
    assert np.sqrt(np.square(error).mean()) <= 5e-4
