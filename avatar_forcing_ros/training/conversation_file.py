"""One conversation on disk: what was heard and seen of both people, as the networks take it.

A NumPy archive of ``avatar_motion`` and ``user_motion`` ``[T, D]``, the sound of both as
``avatar_mel`` and ``user_mel`` ``[4 T, 80]`` or ``avatar_wave`` and ``user_wave`` ``[640 T]``
(which of them is the audio encoder's choice), and in latent spaces the portrait's ``reference``
``[D]``, which in the rig's space is a face at rest.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.atomic_write import atomic_write
from avatar_forcing_ros.config import ModelConfig
from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.model.audio_encoders import BANDS, MEL_PER_FRAME, MelEncoder
from avatar_forcing_ros.streaming.audio_window import WAVE_FRAMES, MelWindow, WaveWindow
from avatar_forcing_ros.timebase import SAMPLES_PER_FRAME

SOUND_KIND = {"mel": "mel", "wav2vec2": "wave"}  # by the configuration's audio encoder


@dataclass(frozen=True)
class StoredConversation:
    """T frames of two people; `kind` says what the sounds are, "mel" or "wave"."""

    kind: str
    avatar_sound: NDArray[np.float16]  # [4 T, 80] or [640 T]
    user_sound: NDArray[np.float16]  # the same
    avatar_motion: NDArray[np.float32]  # [T, D]
    user_motion: NDArray[np.float32]  # [T, D]
    reference: NDArray[np.float32]  # [D]

    @property
    def frames(self) -> int:
        return len(self.avatar_motion)


def sound_features(samples: NDArray[np.float32], kind: str = "mel") -> NDArray[np.float16]:
    """What a stream would hear of a whole clip ``[640 T]``, levelled: see the module."""
    if kind == "mel":
        window = MelWindow().push(samples)
        return window[MelEncoder.HISTORY_FRAMES * MEL_PER_FRAME :].astype(np.float16)
    # the window is never shorter than its 2.4 s: what it holds from before is cut off
    heard = np.concatenate(
        [np.zeros(WAVE_FRAMES * SAMPLES_PER_FRAME, np.float32), samples.astype(np.float32)]
    )
    return WaveWindow().push(heard)[-len(samples) :].astype(np.float16)


def save_conversation(path: Path, talk: StoredConversation) -> None:
    """Write `talk` to `path`, whole or not at all."""
    with atomic_write(path) as part, part.open("wb") as file:
        np.savez(
            file,
            **{f"avatar_{talk.kind}": talk.avatar_sound, f"user_{talk.kind}": talk.user_sound},
            avatar_motion=talk.avatar_motion,
            user_motion=talk.user_motion,
            reference=talk.reference,
        )


def load_conversation(path: Path, config: ModelConfig) -> StoredConversation:
    """The conversation in `path`, checked against the networks that it is to train.

    Raises MediaError for a damaged file and for one made for other networks.
    """
    kind = SOUND_KIND[config.audio_encoder]
    try:
        with np.load(path) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise _unusable(path, f"one that cannot be read ({type(error).__name__})") from error
    frames = len(np.atleast_1d(arrays.get("avatar_motion", ())))
    heard = (frames * MEL_PER_FRAME, BANDS) if kind == "mel" else (frames * SAMPLES_PER_FRAME,)
    wanted = {
        "avatar_motion": (frames, config.motion_dim),
        "user_motion": (frames, config.motion_dim),
        "reference": (config.motion_dim,),
        f"avatar_{kind}": heard,
        f"user_{kind}": heard,
    }
    for name, shape in wanted.items():
        if name not in arrays:
            raise _unusable(path, f"no array '{name}'")
        if arrays[name].shape != shape:
            raise _unusable(path, f"'{name}' of shape {arrays[name].shape}, not {shape}")
        if arrays[name].dtype.kind != "f" or not np.isfinite(arrays[name]).all():
            raise _unusable(path, f"'{name}' with values that are not numbers")
    return StoredConversation(
        kind,
        arrays[f"avatar_{kind}"],
        arrays[f"user_{kind}"],
        *(
            arrays[name].astype(np.float32)
            for name in ("avatar_motion", "user_motion", "reference")
        ),
    )


def _unusable(path: Path, got: str) -> MediaError:
    return MediaError(
        f"conversation {path}",
        expected="a file made for this preset by 'avatar-forcing train data' or 'prepare'",
        got=got,
        remedy="remove it and run that command again",
    )
