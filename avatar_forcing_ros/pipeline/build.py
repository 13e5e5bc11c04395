"""Configuration to a ready session."""

from __future__ import annotations

from pathlib import Path

from avatar_forcing_ros.config import AvatarConfig
from avatar_forcing_ros.perception.face_tracker import FaceMeshTracker
from avatar_forcing_ros.pipeline.load import load_avatar
from avatar_forcing_ros.pipeline.portraits import load_face_square, load_portrait
from avatar_forcing_ros.pipeline.session import Session
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
    portrait = Path(config.portrait) if config.portrait else None
    tracker = FaceMeshTracker if user_video else None
    codec: MotionCodec
    if avatar.motion_autoencoder:
        size_px = avatar.motion_autoencoder.config.image_size_px
        face = load_face_square(portrait, size_px, landmarks)
        codec = LatentCodec(avatar.motion_autoencoder, face, tracker, record=recorded)
    else:
        codec = RigCodec(load_portrait(portrait, config.image_size_px, landmarks), tracker)
    engine = MotionEngine(avatar.generator, config.sampling, anchor=config.anchor, record=recorded)
    return Session(engine, codec, user_audio=user_audio, user_video=user_video)
