"""Configuration to a ready session."""

from __future__ import annotations

from pathlib import Path

import torch

from avatar_forcing_ros.config import AvatarConfig
from avatar_forcing_ros.errors import CheckpointError, ConfigError, MediaError
from avatar_forcing_ros.model.checkpoint import load_checkpoint
from avatar_forcing_ros.model.generator import MotionGenerator
from avatar_forcing_ros.perception.face_tracker import FaceMeshTracker, find_face
from avatar_forcing_ros.pipeline.session import Session
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.rig.portrait import (
    Portrait,
    frame_portrait,
    load_image,
    load_landmark_file,
)
from avatar_forcing_ros.streaming.codec import RigCodec
from avatar_forcing_ros.streaming.engine import MotionEngine

DEFAULT_PORTRAIT = "models/portraits/ada.png"
LANDMARK_SUFFIX = ".landmarks.json"


def load_portrait(path: Path | None, size_px: int, landmarks: Path | None = None) -> Portrait:
    """The face in the picture at `path` (the shipped one if None), framed for the renderer.

    Landmarks come from the file `landmarks`, or from ``NAME.landmarks.json`` beside the picture,
    or are found in the picture. Raises MediaError, or FaceNotFoundError where there is no face.
    """
    path = path or shipped(DEFAULT_PORTRAIT)
    image = load_image(path)
    beside = path.with_suffix(LANDMARK_SUFFIX)
    file = landmarks or (beside if beside.exists() else None)
    if file is None:
        return frame_portrait(image, find_face(image), size_px)
    points, (width, height) = load_landmark_file(file)
    if image.shape[:2] != (height, width):
        raise MediaError(
            f"landmarks {file}",
            expected=f"those of a picture of {image.shape[1]} x {image.shape[0]} pixels",
            got=f"{width} x {height}",
            remedy="remove the file to have the face found again",
        )
    return frame_portrait(image, points, size_px)


def load_generator(config: AvatarConfig) -> MotionGenerator:
    """The weights that `config` asks for, on its device; sets torch's number of threads.

    Raises CheckpointError, also for weights of another motion space than the rig's, and
    ConfigError for a device that is not there.
    """
    path = (
        Path(config.weights)
        if config.weights
        else shipped(f"models/{config.preset}/generator.safetensors")
    )
    generator, _ = load_checkpoint(path)
    if generator.config.motion_dim != coefficients.COUNT:
        raise CheckpointError(
            f"weights {path}",
            expected=f"motion of {coefficients.COUNT} rig coefficients",
            got=f"motion of width {generator.config.motion_dim}",
            remedy="give weights that were trained for the preset",
        )
    torch.set_num_threads(config.cpu_threads)
    try:
        return generator.to(config.device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            "device",
            expected="'cpu'" + (" or 'cuda'" if torch.cuda.is_available() else ""),
            got=f"'{config.device}'",
            remedy="choose one that this machine and this build of torch have",
        ) from error


def build_session(
    config: AvatarConfig,
    *,
    landmarks: Path | None = None,
    user_audio: bool = True,
    user_video: bool = True,
) -> Session:
    """A session ready for its first block; the face tracker is made only for a user's video."""
    portrait = load_portrait(
        Path(config.portrait) if config.portrait else None, config.image_size_px, landmarks
    )
    engine = MotionEngine(load_generator(config), config.sampling)
    codec = RigCodec(portrait, FaceMeshTracker if user_video else None)
    return Session(engine, codec, user_audio=user_audio, user_video=user_video)
