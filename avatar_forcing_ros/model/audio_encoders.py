"""Audio features, one vector a video frame: by causal log-mel convolutions, or by wav2vec 2.0.

`MelEncoder` is that of the compact model. Mel frame m (10 ms) looks at the 25 ms of audio that end
with its own 10 ms, so four mel frames make one video frame and nothing later is needed.
`SpeechEncoder` is that of the released model (wav2vec 2.0, arXiv 2006.11477, by `transformers`):
the hidden states of all its layers go through one projection.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from avatar_forcing_ros.config import SpeechEncoderConfig
from avatar_forcing_ros.errors import MissingDependencyError, missing_package
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME

BANDS = 80
HOP_SAMPLES = 160
WINDOW_SAMPLES = 400
HISTORY_SAMPLES = WINDOW_SAMPLES - HOP_SAMPLES  # audio before a mel frame's own hop
FFT_SAMPLES = 512
MEL_PER_FRAME = SAMPLES_PER_FRAME // HOP_SAMPLES  # 4
LOW_HZ, HIGH_HZ = 60.0, 7600.0
POWER_FLOOR = 1e-7
LOG_MEAN, LOG_SCALE = -8.0, 4.0  # brings speech near zero mean, unit variance
_TAPER = np.hanning(WINDOW_SAMPLES).astype(np.float32)
WINDOW_POWER = float(np.sum(_TAPER**2))  # of a spectrum's bin, of noise of unit variance
SILENCE = (float(np.log(POWER_FLOOR)) - LOG_MEAN) / LOG_SCALE  # the value of silence


@lru_cache(maxsize=1)
def mel_filters() -> NDArray[np.float32]:
    """Triangular filters, evenly spaced on the mel scale: ``[FFT bins, 80]``."""

    def to_mel(hz: NDArray[np.float64] | float) -> NDArray[np.float64]:
        return 2595.0 * np.log10(1.0 + np.asarray(hz) / 700.0)

    edges = np.linspace(to_mel(LOW_HZ), to_mel(HIGH_HZ), BANDS + 2)
    bins = to_mel(np.fft.rfftfreq(FFT_SAMPLES, 1.0 / SAMPLE_RATE_HZ))[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


def spectra(samples: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Spectra ``[4 T, 257]`` of audio ``[240 + 640 T]``: 240 samples of history come first."""
    samples, size = np.ascontiguousarray(samples), samples.itemsize
    count = 1 + (len(samples) - WINDOW_SAMPLES) // HOP_SAMPLES
    # what sliding_window_view gives, at a tenth of its cost
    windows: NDArray[np.float32] = np.ndarray(
        (count, WINDOW_SAMPLES), samples.dtype, samples, 0, (HOP_SAMPLES * size, size)
    )
    return np.fft.rfft(windows * _TAPER, FFT_SAMPLES).astype(np.complex64)


def power_of(spectrum: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Squared magnitudes of `spectrum`, same shape."""
    return spectrum.real**2 + spectrum.imag**2


def mel_power(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mel power ``[n, 80]`` of squared magnitudes ``[n, 257]``."""
    return power / np.float32(WINDOW_SAMPLES) @ mel_filters()


def log_mel(power: NDArray[np.float32], gain: float) -> NDArray[np.float32]:
    """Normalised log-mel of mel power ``[n, 80]`` with an amplitude gain."""
    scaled = power * np.float32(gain**2)
    logarithm = np.log(np.maximum(scaled, np.float32(POWER_FLOOR)))
    return ((logarithm - np.float32(LOG_MEAN)) / np.float32(LOG_SCALE)).astype(np.float32)


class MelEncoder(nn.Module):
    """A small stack of causal convolutions: log-mel to one feature per video frame."""

    HISTORY_FRAMES = 7
    """Video frames of mel history that one output needs before its own frame."""

    def __init__(self, audio_dim: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv1d(BANDS, audio_dim, 5),
            nn.SiLU(),
            nn.Conv1d(audio_dim, audio_dim, 5),
            nn.SiLU(),
            nn.Conv1d(audio_dim, audio_dim, 8, stride=MEL_PER_FRAME),
            nn.SiLU(),
            nn.Conv1d(audio_dim, audio_dim, 3),
            nn.SiLU(),
            nn.Conv1d(audio_dim, audio_dim, 3),
        )
        self.norm = nn.LayerNorm(audio_dim)

    def forward(self, mel: Tensor) -> Tensor:
        """`mel` ``[B, 4 (7 + T), 80]`` to features ``[B, T, A]``; convolutions are unpadded."""
        return self.norm(self.convs(mel.transpose(1, 2)).transpose(1, 2))


def silent_mel(frames: int) -> NDArray[np.float32]:
    """The log-mel of `frames` video frames without audio: ``[4 frames, 80]``."""
    return np.full((frames * MEL_PER_FRAME, BANDS), SILENCE, np.float32)


class SpeechEncoder(nn.Module):
    """Normalised audio to one feature per video frame."""

    def __init__(self, config: SpeechEncoderConfig, audio_dim: int) -> None:
        super().__init__()
        self.wav2vec2 = _wav2vec2(config)
        self.audio_projection = nn.Sequential(
            nn.Linear(config.layers * config.hidden_dim, audio_dim),
            nn.LayerNorm(audio_dim),
            nn.SiLU(),
        )

    def forward(self, samples: Tensor) -> Tensor:
        """`samples` ``[B, 640 T]`` of about unit variance to features ``[B, T, A]``."""
        layers = self.hidden_states(samples)
        return self.audio_projection(torch.cat(layers, dim=-1))

    def hidden_states(self, samples: Tensor) -> list[Tensor]:
        """What each transformer layer gives out: ``[B, T, hidden]`` each."""
        net = self.wav2vec2
        frames = samples.shape[-1] // SAMPLES_PER_FRAME
        features = net.feature_extractor(samples)  # [B, 512, 2 T - 1]
        features = functional.interpolate(features, size=frames, mode="linear", align_corners=True)
        hidden, _ = net.feature_projection(features.transpose(1, 2))  # [B, T, hidden]
        hidden = net.encoder.layer_norm(hidden + net.encoder.pos_conv_embed(hidden))
        out = []
        for layer in net.encoder.layers:
            result = layer(hidden)
            hidden = result[0] if isinstance(result, tuple) else result  # transformers below 5
            out.append(hidden)
        return out


def _wav2vec2(config: SpeechEncoderConfig) -> Any:
    try:
        from transformers import Wav2Vec2Config, Wav2Vec2Model

        return Wav2Vec2Model(
            Wav2Vec2Config(
                hidden_size=config.hidden_dim,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                intermediate_size=config.feed_forward_dim,
                conv_dim=(config.conv_dim,) * 7,
                num_conv_pos_embedding_groups=config.position_groups,
            )
        )
    except ModuleNotFoundError as error:
        raise (missing_package(error) or error) from error
    except ImportError as error:  # transformers is there, and takes torch for absent
        raise MissingDependencyError(
            "the speech encoder",
            expected="a release of transformers that can use the torch here",
            got=f"torch {torch.__version__}, refused: {str(error).strip().splitlines()[0]}",
            remedy="install torch 2.5 or newer, or 'transformers<5' beside an older one",
        ) from error
