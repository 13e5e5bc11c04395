"""The engine and the latent codec from frozen recordings give what they give directly."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from frozen import Freezer
from numpy.typing import NDArray
from tiny import TINY, TINY_LATENT, ada_square, part, talk, tiny_autoencoder, tiny_generator

from avatar_forcing_ros.config import AnchorConfig, ModelConfig, SamplingConfig
from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.perception.face_tracker import FaceObservation
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.streaming import latent_codec
from avatar_forcing_ros.streaming.engine import MotionEngine
from avatar_forcing_ros.streaming.latent_codec import LatentCodec
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS

SIZE = TINY_LATENT.autoencoder.image_size_px
BLOCKS = 7  # the first ones are of other shapes, and the second of a shape is recorded
CLOSE = 2e-5
PULLED = AnchorConfig(dead_band=0.01, mean_s=0.8, return_s=0.2)


@pytest.fixture(autouse=True)
def unfitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Coefficients are not tested here, and learning to read them takes most of the time."""
    monkeypatch.setattr(latent_codec, "fit_to_renders", lambda encoded: (None, None, {}))


def rolled(engine: MotionEngine, faces: NDArray[np.float32]) -> NDArray[np.float32]:
    """Latents ``[B, T, D]`` of a conversation for each face, all in one batch."""
    states = [engine.new_state(face, seed=k) for k, face in enumerate(faces)]
    given = [talk(200, seed=k, config=engine.config) for k in range(len(faces))]
    out, at = [], 0
    for _ in range(BLOCKS):
        end = at + engine.frames(states[0])
        blocks = engine.step_many(states, [part(inputs, at, end) for inputs in given])
        out.append(np.stack([block.latent for block in blocks]))
        at = end
    return np.concatenate(out, axis=1)


@pytest.mark.parametrize("config", [TINY, TINY_LATENT], ids=["rig", "latent"])
def test_a_batch_from_recordings_is_that_of_direct_work(config: ModelConfig) -> None:
    generator, freezer = tiny_generator(replace(config, blocks=1)), Freezer()
    sampling = SamplingConfig(nfe=3, guidance="separate", audio_guidance=2.0)
    direct = MotionEngine(generator, sampling, anchor=PULLED)
    replayed = MotionEngine(generator, sampling, anchor=PULLED, record=freezer.record)
    drawn = np.random.default_rng(0).normal(0, 0.3, (2, 2, config.motion_dim))
    for faces in drawn.astype(np.float32):  # other faces, later, from the same recordings
        expected = rolled(direct, faces)
        np.testing.assert_allclose(rolled(replayed, faces), expected, atol=CLOSE, rtol=0)
    assert freezer.recordings >= 2  # of the audio encoder and of the solver
    loose = MotionEngine(generator, sampling)
    assert not np.allclose(rolled(loose, faces), expected, atol=1e-3)  # the anchor was at work


def upside_down() -> Portrait:
    return Portrait(ada_square(SIZE).image[::-1].copy(), ada_square(SIZE).landmarks)


def drawn_afresh(face: Portrait, motion: NDArray[np.float32], size_px: int) -> NDArray[np.uint8]:
    """The images of a codec that never drew another face, nor at another size."""
    codec = LatentCodec(tiny_autoencoder(), face)
    codec.draw_at(size_px)
    return codec.decode(motion)


def test_images_from_recordings_show_the_face_and_size_that_were_asked_for() -> None:
    freezer = Freezer()
    codec = LatentCodec(tiny_autoencoder(), ada_square(SIZE), record=freezer.record)
    motion = codec.reference * np.linspace(0.5, 1.5, 3, dtype=np.float32)[:, None]
    expected, order = [], [2, 0, 1]
    for face in (ada_square(SIZE), upside_down()):
        codec.prepare_portrait(face)
        direct = {size: drawn_afresh(face, motion, size).astype(int) for size in (SIZE, SIZE // 2)}
        for size in (SIZE, SIZE // 2, SIZE):
            codec.draw_at(size)
            for _ in range(2):  # directly, then from a recording
                assert np.abs(codec.decode(motion) - direct[size]).max() <= 1
            assert np.abs(codec.decode(motion[order]) - direct[size][order]).max() <= 1
        expected += direct.values()
    assert freezer.recordings == 2  # one of each size, whatever the face
    for one, other in combinations(expected, 2):
        assert np.abs(one - other).max() > 1


class Still:
    """A tracker that finds ADA's landmarks in every image."""

    def track(self, frame: VideoFrame) -> FaceObservation:
        return FaceObservation(ada_square(SIZE).landmarks, frame.stamp_ns)

    def close(self) -> None: ...


def test_a_user_watched_from_recordings_is_the_same() -> None:
    freezer = Freezer()
    direct = LatentCodec(tiny_autoencoder(), ada_square(SIZE), Still)
    replayed = LatentCodec(tiny_autoencoder(), ada_square(SIZE), Still, record=freezer.record)
    last = np.zeros(TINY_LATENT.motion_dim, np.float32)
    for k, brightness in enumerate((1.0, 0.8, 0.6, 0.4)):
        pixels = (ada_square(SIZE).image * brightness).astype(np.uint8)
        frame = VideoFrame(pixels, k * FRAME_PERIOD_NS)
        values = replayed.encode_user(frame).values
        np.testing.assert_allclose(values, direct.encode_user(frame).values, atol=CLOSE, rtol=0)
        assert not np.allclose(values, last, atol=10 * CLOSE)
        last = values
    assert freezer.recordings == 1
