"""Configuration to a ready session."""

from __future__ import annotations

from pathlib import Path

from avatar_forcing_ros.config import PRESETS, AvatarConfig
from avatar_forcing_ros.perception.face_tracker import FaceMeshTracker
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.runtime.load import load_avatar
from avatar_forcing_ros.runtime.portraits import load_face_square, load_portrait
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.streaming.codec import MotionCodec, RigCodec
from avatar_forcing_ros.streaming.cuda_graphs import recorded
from avatar_forcing_ros.streaming.engine import MotionEngine
from avatar_forcing_ros.streaming.latent_codec import LatentCodec


def build_session(
    config: AvatarConfig,
    *,
    landmarks: Path | None = None,
    user_audio: bool = True,
    user_video: bool = True,
) -> Session:
    """A session ready for its first block; the face tracker is made only for a user's video."""
    avatar = load_avatar(config)
    tracker = FaceMeshTracker if user_video else None
    codec: MotionCodec
    if avatar.motion_autoencoder:
        face = load_face(config, avatar.motion_autoencoder.config.image_size_px, landmarks)
        codec = LatentCodec(avatar.motion_autoencoder, face, tracker, record=recorded)
    else:
        codec = RigCodec(load_face(config, config.image_size_px, landmarks), tracker)
    engine = MotionEngine(avatar.generator, config.sampling, anchor=config.anchor, record=recorded)
    return Session(engine, codec, user_audio=user_audio, user_video=user_video)


def load_face(config: AvatarConfig, size_px: int, landmarks: Path | None = None) -> Portrait:
    """The face of `config`'s portrait, framed for its preset; raises as `load_portrait` does."""
    path = Path(config.portrait) if config.portrait else None
    latent = PRESETS[config.preset].model.motion_space == "latent"
    return (load_face_square if latent else load_portrait)(path, size_px, landmarks)
