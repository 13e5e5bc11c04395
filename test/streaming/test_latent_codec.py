"""The latent motion space behind the codec protocol, with small random networks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny import TINY_LATENT, ada_square, tiny_autoencoder

from avatar_forcing_ros.errors import GenerationError, MediaError
from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.perception.face_tracker import FaceObservation
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.streaming.codec import MotionCodec
from avatar_forcing_ros.streaming.latent_codec import LatentCodec
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS

SIZE = TINY_LATENT.autoencoder.image_size_px
DIM = TINY_LATENT.motion_dim


class SeesAda:
    """A tracker that finds ADA's landmarks wherever the image is not black."""

    def __init__(self, landmarks: NDArray[np.float32] | None = None) -> None:
        """`landmarks` that it finds instead."""
        self._landmarks = ada_square(SIZE).landmarks if landmarks is None else landmarks
        self.closed = False

    def track(self, frame: VideoFrame) -> FaceObservation | None:
        if not frame.pixels.any():
            return None
        return FaceObservation(self._landmarks, frame.stamp_ns)

    def close(self) -> None:
        self.closed = True


@pytest.fixture(scope="module")
def codec() -> LatentCodec:
    return LatentCodec(tiny_autoencoder(), ada_square(SIZE), SeesAda)


def frame(k: int, *, brightness: float = 1.0) -> VideoFrame:
    pixels = (ada_square(SIZE).image * brightness).astype(np.uint8)
    return VideoFrame(pixels, k * FRAME_PERIOD_NS)


def test_it_is_a_motion_codec(codec: LatentCodec) -> None:
    as_protocol: MotionCodec = codec
    assert as_protocol.image_size_px == SIZE
    assert as_protocol.reference.shape == (DIM,)
    assert np.abs(as_protocol.reference).max() > 0


def test_images_are_uint8_of_the_fixed_mapping(codec: LatentCodec) -> None:
    motion = np.stack([codec.reference, 1.5 * codec.reference])
    images = codec.decode(motion)
    assert images.shape == (2, SIZE, SIZE, 3)
    assert images.dtype == np.uint8
    assert not np.array_equal(images[0], images[1])
    net = tiny_autoencoder()
    face = torch.from_numpy(ada_square(SIZE).image)[None].permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.inference_mode():
        appearance, latent = net.encode(face)
        drawn = net.decode(appearance, latent)[0].permute(1, 2, 0).numpy()
    expected = np.round((np.clip(drawn, -1, 1) + 1) * 127.5)
    assert np.abs(images[0] - expected).max() <= 1


def test_one_image_at_a_time_gives_what_a_block_gives(codec: LatentCodec) -> None:
    motion = codec.reference * np.linspace(0.5, 1.5, 5, dtype=np.float32)[:, None]
    singly = np.concatenate([codec.decode(motion[k : k + 1]) for k in range(5)])
    assert np.abs(singly.astype(int) - codec.decode(motion).astype(int)).max() <= 1


def test_a_face_is_encoded_a_lost_one_fades_into_nobody(codec: LatentCodec) -> None:
    codec.reset()
    assert not codec.encode_user(frame(0, brightness=0.0)).values.any()
    found = codec.encode_user(frame(1))
    assert found.face_visible
    assert np.abs(found.values).max() > 0
    lost = [codec.encode_user(frame(k, brightness=0.0)) for k in range(2, 40)]
    assert not any(motion.face_visible for motion in lost)
    strength = [float(np.abs(motion.values).max()) for motion in lost]
    assert strength[3] == pytest.approx(float(np.abs(found.values).max()))  # a blur is no loss
    assert all(a >= b for a, b in pairwise(strength))
    assert strength[-1] == 0.0


def test_the_same_person_looks_the_same_after_a_reset(codec: LatentCodec) -> None:
    runs = []
    for _ in range(2):
        codec.reset()
        runs.append(np.stack([codec.encode_user(frame(k)).values for k in range(3)]))
    assert np.array_equal(*runs)


def test_a_lost_face_is_gone_after_a_fifth_of_a_second_and_a_second(codec: LatentCodec) -> None:
    codec.reset()
    found = codec.encode_user(frame(0)).values
    lost = np.stack([codec.encode_user(frame(k, brightness=0.0)).values for k in range(1, 40)])
    lost_s = 0.04 * np.arange(1, 40)
    left = np.clip((1.2 - lost_s) / 1.0, 0.0, 1.0)
    np.testing.assert_allclose(lost, left[:, None] * found, atol=1e-6)
    assert lost[lost_s < 1.19].any(axis=1).all()
    assert not lost[lost_s > 1.21].any()


def test_a_reset_forgets_where_the_last_face_was() -> None:
    """A crop that was locked on somebody near would cut too much around somebody far."""
    near = ada_square(SIZE).landmarks
    far = near * np.float32(0.5) + np.float32([20.0, 4.0, 0.0])
    landmarks = [far, near, far]
    codec = LatentCodec(tiny_autoencoder(), ada_square(SIZE), lambda: SeesAda(landmarks.pop(0)))
    runs = []
    for _ in range(3):
        runs.append(np.stack([codec.encode_user(frame(k)).values for k in range(12)]))
        codec.reset()
    assert np.array_equal(runs[0], runs[2])
    assert not np.allclose(runs[0], runs[1], atol=1e-3)


def test_a_users_motion_may_be_written_to(codec: LatentCodec) -> None:
    codec.reset()
    found = codec.encode_user(frame(0)).values
    kept = found.copy()
    found[:] = 99.0
    for k in (1, 2):  # held, and given out again
        held = codec.encode_user(frame(k, brightness=0.0)).values
        assert np.array_equal(held, kept)
        held[:] = -99.0
    codec.reset()
    codec.encode_user(frame(3, brightness=0.0)).values[:] = 99.0
    assert not codec.encode_user(frame(4, brightness=0.0)).values.any()


@pytest.mark.parametrize("flaw", ["NaN", "infinite", "a point", "gigantic"])
def test_landmarks_that_are_no_face_are_nobody(flaw: str) -> None:
    """And leave the crop where it was."""
    face = ada_square(SIZE).landmarks
    broken = {
        "NaN": np.where(np.arange(len(face))[:, None] == 7, np.nan, face),
        "infinite": np.where(np.arange(len(face))[:, None] == 7, np.inf, face),
        "a point": np.zeros_like(face),
        "gigantic": face * 200.0,
    }[flaw].astype(np.float32)
    landmarks = [face, broken, face]
    codec = LatentCodec(tiny_autoencoder(), ada_square(SIZE), lambda: SeesAda(landmarks.pop(0)))
    found = codec.encode_user(frame(0))
    codec.close()  # the next frame gets the next tracker
    lost = codec.encode_user(frame(1))
    codec.close()
    again = codec.encode_user(frame(2))
    assert found.face_visible
    assert not lost.face_visible
    assert np.array_equal(lost.values, found.values)
    undisturbed = LatentCodec(tiny_autoencoder(), ada_square(SIZE), lambda: SeesAda(face))
    undisturbed.encode_user(frame(0))
    assert np.array_equal(again.values, undisturbed.encode_user(frame(2)).values)


def test_a_refused_portrait_leaves_the_face_as_it_was(codec: LatentCodec) -> None:
    ada = ada_square(SIZE)
    unmoved = LatentCodec(tiny_autoencoder(), ada)
    broken = Portrait(ada.image[::-1].copy(), np.full_like(ada.landmarks, np.nan))
    with pytest.raises(MediaError, match="NaN or inf"):
        unmoved.prepare_portrait(broken)
    motion = np.stack([codec.reference, 1.5 * codec.reference])
    assert unmoved.portrait is ada
    assert np.array_equal(unmoved.reference, codec.reference)
    assert unmoved.fit == codec.fit
    assert np.array_equal(unmoved.coefficients(motion), codec.coefficients(motion))
    assert np.array_equal(unmoved.decode(motion), codec.decode(motion))


def test_coefficients_are_read_with_a_stated_fit(codec: LatentCodec) -> None:
    values = codec.coefficients(np.stack([codec.reference, 2 * codec.reference]))
    assert values.shape == (2, coefficients.COUNT)
    assert ((values >= coefficients.LOW) & (values <= coefficients.HIGH)).all()
    assert set(codec.fit) == set(coefficients.NAMES)
    assert all(-1.0 <= r <= 1.0 for r in codec.fit.values())


def test_smaller_drawing_keeps_the_size_of_the_image(codec: LatentCodec) -> None:
    motion = codec.reference[None]
    whole = codec.decode(motion)
    codec.draw_at(SIZE // 2)
    half = codec.decode(motion)
    codec.draw_at(SIZE)
    assert half.shape == whole.shape
    assert not np.array_equal(half, whole)
    assert np.array_equal(codec.decode(motion), whole)
    with pytest.raises(ValueError, match=f"{SIZE}, {SIZE // 2}.*got 100"):
        codec.draw_at(100)


@pytest.fixture
def overflowing() -> Iterator[LatentCodec]:
    """A codec whose numbers stop being finite once its `break_down` is called."""
    net = tiny_autoencoder()
    codec = LatentCodec(net, ada_square(SIZE), SeesAda)
    codec.encode_user(frame(0))
    for parameter in net.parameters():
        parameter.mul_(1e30)
    return codec


def test_images_that_are_not_finite_are_an_error(overflowing: LatentCodec) -> None:
    """They would be black."""
    with pytest.raises(GenerationError, match="images: expected finite numbers"):
        overflowing.decode(overflowing.reference[None])
    with pytest.raises(GenerationError, match="images: expected finite numbers"):
        next(overflowing.drawn(overflowing.reference[None]))


def test_a_latent_that_is_not_finite_is_nobody(overflowing: LatentCodec) -> None:
    lost = overflowing.encode_user(frame(10))
    assert not lost.face_visible
    assert np.isfinite(lost.values).all()


def test_images_of_a_long_block_are_those_of_short_ones(codec: LatentCodec) -> None:
    """And one by one the same; what is drawn next leaves them alone."""
    motion = np.linspace(0.5, 1.5, 23, dtype=np.float32)[:, None] * codec.reference
    expected = np.concatenate([codec.decode(motion[k : k + 10]) for k in (0, 10, 20)])
    pending = codec.decode_later(motion)
    other = codec.decode_later(motion[::-1].copy())()
    assert np.array_equal(pending(), expected)
    assert np.array_equal(np.stack(list(codec.drawn(motion))), expected)
    assert not np.array_equal(other, expected)


def test_without_a_tracker_nobody_can_be_watched() -> None:
    codec = LatentCodec(tiny_autoencoder(), ada_square(SIZE))
    with pytest.raises(ValueError, match="without a face tracker"):
        codec.encode_user(frame(0))


def test_another_portrait_has_another_face_and_reference(codec: LatentCodec) -> None:
    before, image = codec.reference, codec.decode(codec.reference[None])
    other = LatentCodec(tiny_autoencoder(), ada_square(SIZE))
    flipped = ada_square(SIZE)
    other.prepare_portrait(type(flipped)(flipped.image[::-1].copy(), flipped.landmarks))
    assert not np.array_equal(before, other.reference)
    assert not np.array_equal(image, other.decode(before[None]))
