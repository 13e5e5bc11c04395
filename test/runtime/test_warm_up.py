"""After the warm-up a GPU has nothing left to record: a conversation is not interrupted for it."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import FakeCodec
from frozen import Tape
from tiny import (
    TINY,
    TINY_CAUSAL,
    TINY_LATENT,
    ada_square,
    talk,
    tiny_autoencoder,
    tiny_generator,
)

from avatar_forcing_ros.config import ModelConfig, SamplingConfig
from avatar_forcing_ros.media import AudioChunk, VideoFrame
from avatar_forcing_ros.perception.face_tracker import FaceObservation
from avatar_forcing_ros.runtime.avatar import Avatar
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.streaming import latent_codec
from avatar_forcing_ros.streaming.engine import MotionEngine
from avatar_forcing_ros.streaming.latent_codec import LatentCodec
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, SAMPLE_RATE_HZ

SIZE = TINY_LATENT.autoencoder.image_size_px


class SeesAda:
    """A tracker that finds ADA's landmarks in every image."""

    def track(self, frame: VideoFrame) -> FaceObservation:
        return FaceObservation(ada_square(SIZE).landmarks, frame.stamp_ns)

    def close(self) -> None: ...


def recorded_session(config: ModelConfig, tape: Tape) -> Session:
    engine = MotionEngine(tiny_generator(config), SamplingConfig(nfe=5), record=tape.record)
    if config is not TINY_LATENT:
        return Session(engine, FakeCodec())  # type: ignore[arg-type]
    return Session(
        engine, LatentCodec(tiny_autoencoder(), ada_square(SIZE), SeesAda, record=tape.record)
    )


def converse(session: Session, blocks: int) -> None:
    """`blocks` of a conversation with a user who is heard and seen, drawn as a live one is."""
    config = session.engine.config
    frames = config.first_block_frames + (blocks - 1) * config.block_frames
    given = talk(frames, config=config)
    session.push_avatar_audio(AudioChunk(given.avatar_audio, SAMPLE_RATE_HZ, 0))
    session.push_user_audio(AudioChunk(given.user_audio, SAMPLE_RATE_HZ, 0))  # type: ignore[arg-type]
    for k in range(0, frames, config.block_frames):
        session.push_user_frame(VideoFrame(ada_square(SIZE).image, k * FRAME_PERIOD_NS))
    for _ in range(blocks):
        assert len(list(session.drawn(session.next_block())))
    session.reset()


@pytest.mark.parametrize(
    "config", [TINY, TINY_CAUSAL, TINY_LATENT], ids=["rig", "causal", "latent"]
)
def test_a_conversation_records_nothing_after_the_warm_up(
    config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor at any quality that a slow device may go down to."""
    monkeypatch.setattr(latent_codec, "fit_to_renders", lambda encoded: (None, None, {}))
    monkeypatch.setattr(
        LatentCodec, "coefficients", lambda codec, motion: np.zeros((len(motion), 23))
    )
    tape = Tape()
    session = recorded_session(config, tape)
    Avatar(session, lambda where, sentence: None).warm_up()
    warm = list(tape.recorded)
    assert warm
    full, *less = session.quality_levels()
    assert session.engine.sampling.nfe == full.nfe
    until_steady = session.engine.warm_up_blocks[0]
    for quality in (full, *less):
        session.set_quality(quality)
        converse(session, until_steady + 2)
    assert tape.recorded == warm
