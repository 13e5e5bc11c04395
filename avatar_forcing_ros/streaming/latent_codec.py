"""Motion as latents of the motion autoencoder: learned pixels in, learned pixels out.

Rig coefficients are read off the opaque latents by ridge regression. The portrait warped by known
coefficients and encoded gives pairs of latent and coefficients; what the latents know of head
angles and mouth is linear enough to be read off, and how well is measured on held-out pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from avatar_forcing_ros.errors import GenerationError
from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.model.motion_autoencoder import (
    Appearance,
    MotionAutoencoder,
    from_pixels,
    to_pixels,
)
from avatar_forcing_ros.perception.face_crop import FaceCrop, cut
from avatar_forcing_ros.perception.face_tracker import FaceTracker
from avatar_forcing_ros.perception.user_motion import UserMotion, usable
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.rig.warp_renderer import WarpRenderer
from avatar_forcing_ros.streaming.codec import TrackingCodec
from avatar_forcing_ros.streaming.cuda_graphs import Work, directly
from avatar_forcing_ros.streaming.transfers import download, upload

HOLD_S = 0.2  # a face that is lost for so long was not lost: it blurred, or a hand passed
FADE_S = 1.0  # then its motion goes over into the absence of a user
ENCODED_TOGETHER = 8
DRAWN_TOGETHER = 10  # a first block of 50 would take five times the memory, and a recording
WARM_UP_IMAGES = 2  # a shape that comes again is recorded
MIN_SIZE_PX = 64  # of an image that still shows a face

FITTED_POSES, HELD_OUT_POSES = 64, 16
RANGE_SHARE = 0.7  # of each coefficient's range; the extremes of all at once are no face
RIDGE = 1e-2  # of the features' variance

Pixels = NDArray[np.uint8]
Array = NDArray[np.float64]


class LatentCodec(TrackingCodec):
    """The person's face crop to a latent; latents on the portrait's appearance to images.

    Work runs on the device and in the type of the autoencoder's weights.
    """

    def __init__(
        self,
        autoencoder: MotionAutoencoder,
        portrait: Portrait,
        make_tracker: Callable[[], FaceTracker] | None = None,
        *,
        record: Callable[[Work], Work] = directly,
    ) -> None:
        """`portrait` is a face's square as `face_crop.crop_portrait` cuts it.

        `record` may wrap the numeric work of drawing and tracking (see `BlockSampler`).
        """
        super().__init__(make_tracker)
        self.has_alpha = False  # the decoder draws face and background as one
        self.image_size_px = autoencoder.config.image_size_px  # whatever size is drawn at
        self._net = autoencoder
        self._record = record
        self._crop = FaceCrop()
        self._encoder = record(partial(_encode_tensors, autoencoder))
        self._decoders: dict[int, Work] = {}
        self._basis = autoencoder.dec.direction.basis.float().cpu().numpy()  # [D, directions]
        self._dim = autoencoder.dec.direction.basis.shape[0]
        self._levels = len(autoencoder.dec.to_rgbs)
        self._last = np.zeros(self._dim, np.float32)
        self._found_ns: int | None = None
        self.prepare_portrait(portrait)

    @property
    def drawable_sizes_px(self) -> list[int]:
        """Every level of the decoder from 64 pixels up, the full one first."""
        sizes = [self.image_size_px >> k for k in range(len(self._net.dec.to_rgbs))]
        return [size for size in sizes if size >= min(MIN_SIZE_PX, self.image_size_px // 2)]

    def draw_at(self, size_px: int) -> None:
        """Stop drawing at a smaller level. Raises ValueError for a size that is none."""
        sizes = self.drawable_sizes_px
        if size_px not in sizes:
            raise ValueError(f"expected one of {sizes} pixels, got {size_px}")
        self._levels = len(self._net.dec.to_rgbs) - sizes.index(size_px)

    @torch.inference_mode()
    def prepare_portrait(self, portrait: Portrait) -> None:
        """Encode the portrait, and learn to read rig coefficients off latents of its warps."""
        (code, features), motion = self._net.encode(self._as_input(portrait.image[None]))
        reference = motion[0].float().cpu().numpy()
        if not np.isfinite(reference).all():
            raise _not_finite("latent of the portrait")
        appearance = Appearance(code, tuple(_fast_layout(f) for f in features))
        renderer = WarpRenderer(portrait)
        direct = partial(_encode_tensors, self._net)  # a recording for this once would not pay

        def encoded(poses: NDArray[np.float32]) -> NDArray[np.float32]:
            parts = [
                self.encode(np.stack([renderer.render(pose) for pose in part]), direct)
                for part in np.array_split(poses, -(-len(poses) // ENCODED_TOGETHER))
            ]
            return np.concatenate(parts) @ self._basis

        fitted = fit_to_renders(encoded)
        # from here on nothing can fail: the face is either the old one or the new one
        self._regression, self._effect, self.fit = fitted
        self._appearance = appearance
        self.reference = reference
        self.portrait = portrait

    def encode_user(self, frame: VideoFrame) -> UserMotion:
        """The latent of the face in `frame`.

        Without a face the last latent holds, then fades to zeros within a second: all zeros is
        what the generator knows as nobody being there. Raises ValueError if made without a
        tracker.
        """
        face = self.track(frame)
        if face is None or not usable(face, frame.pixels.shape):
            return UserMotion(self._faded(frame.stamp_ns), False)
        square = self._crop.update(face.landmarks_px)
        latent = self.encode(cut(frame.pixels, square, self.image_size_px)[None])[0]
        if not np.isfinite(latent).all():  # a face that half precision cannot hold
            return UserMotion(self._faded(frame.stamp_ns), False)
        self._last, self._found_ns = latent, frame.stamp_ns
        return UserMotion(self._last.copy(), True)

    def coefficients(self, motion: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rig coefficients ``[T, K]`` as far as they can be read off the latents (see `fit`).

        All-zero latents mean that nobody is there: zeros.
        """
        visible = np.any(motion, axis=1, keepdims=True)
        return self._regression(motion @ self._basis) * visible

    def changed(
        self, motion: NDArray[np.float32], change: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Latents ``[T, D]`` moved as warps by `change` ``[T, K]`` move the portrait's."""
        return motion + (change @ self._effect @ self._basis.T).astype(np.float32)

    def decode(self, motion: NDArray[np.float32]) -> Pixels:
        """Draw latents ``[T, D]``: ``[T, S, S, 3]`` uint8 RGB; raises as `decode_later` does."""
        return self.decode_later(motion)()

    def drawn(self, motion: NDArray[np.float32]) -> Iterator[Pixels]:
        """The same one by one: some are copied from the device while it draws the next."""
        for part in self._begun(motion):
            yield from part()

    def decode_later(self, motion: NDArray[np.float32]) -> Callable[[], Pixels]:
        """Begin to draw; the call waits for the images, in memory of their own.

        It raises GenerationError where they are not finite: they would be black.
        """
        parts = self._begun(motion)
        return lambda: np.concatenate([part() for part in parts])

    @torch.inference_mode()
    def _begun(self, motion: NDArray[np.float32]) -> list[Callable[[], Pixels]]:
        if self._levels not in self._decoders:  # each size is recorded once, for all faces
            self._decoders[self._levels] = self._record(
                partial(_decode_tensors, self._net, self._levels)
            )
        decoder, (code, features) = self._decoders[self._levels], self._appearance
        latents = np.asarray(motion, np.float32)
        return [
            _images(
                decoder(
                    [
                        upload(latents[first : first + DRAWN_TOGETHER], self._like),
                        code,
                        *features[: self._levels],
                    ]
                )
            )
            for first in range(0, len(latents), DRAWN_TOGETHER)
        ]

    def warm_up(self) -> None:
        """Encode some images, as those of a user: alone, from wherever they are recorded."""
        for _ in range(WARM_UP_IMAGES):
            self.encode(self.portrait.image[None])

    def reset(self) -> None:
        """Begin with a new user."""
        self.close()
        self._crop.reset()
        self._last, self._found_ns = np.zeros(self._dim, np.float32), None

    @property
    def _like(self) -> Tensor:
        return self._net.dec.direction.basis

    def _faded(self, stamp_ns: int) -> NDArray[np.float32]:
        if self._found_ns is None:
            return self._last.copy()
        lost_s = (stamp_ns - self._found_ns) / 1e9
        part = min(1.0, max(0.0, (lost_s - HOLD_S) / FADE_S))
        return (self._last * (1.0 - part)).astype(np.float32)

    @torch.inference_mode()
    def encode(self, images: Pixels, work: Work | None = None) -> NDArray[np.float32]:
        """Latents ``[n, D]`` of face squares ``[n, S', S', 3]``, by `work` or as recorded."""
        latents = (work or self._encoder)([self._as_input(images)])[0]
        return np.asarray(latents.float().cpu().numpy(), np.float32)

    def _as_input(self, images: Pixels) -> Tensor:
        size = self.image_size_px, self.image_size_px
        if images.shape[1:3] != size:
            resized = [cv2.resize(i, size, interpolation=cv2.INTER_AREA) for i in images]
            images = np.stack(resized).astype(np.uint8, copy=False)
        on_device = upload(images, self._like.new_empty(0, dtype=torch.uint8))
        return _fast_layout(from_pixels(on_device).to(self._like.dtype))


def _fast_layout(images: Tensor) -> Tensor:
    """Channels last where that is what convolutions are fast with."""
    return images.contiguous(memory_format=torch.channels_last) if images.is_cuda else images


def _encode_tensors(net: MotionAutoencoder, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Images ``[n, 3, S, S]`` to latents ``[n, D]``."""
    _, motion = net.encode(tensors[0])
    return [motion]


def _decode_tensors(
    net: MotionAutoencoder, levels: int, tensors: Sequence[Tensor]
) -> list[Tensor]:
    """Latents ``[n, D]`` to images ``[n, S, S, 3]`` uint8, drawn as far as `levels`.

    The appearance's code and features come after the latents: a recording serves every face. The
    images are followed by whether all was finite, which images themselves cannot tell.
    """
    latents, code, *features = tensors
    drawn = net.decode(Appearance(code, tuple(features)), latents, levels)
    size_px, finite = net.config.image_size_px, drawn.isfinite().all()
    if drawn.shape[-1] != size_px:
        drawn = functional.interpolate(
            drawn.float(), size=size_px, mode="bicubic", align_corners=False
        )
    return [to_pixels(drawn), finite]


def _images(outputs: Sequence[Tensor]) -> Callable[[], Pixels]:
    """What `_decode_tensors` gave, once it has come; raises as `LatentCodec.decode_later`."""
    images, finite = (download(tensor) for tensor in outputs)

    def arrived() -> Pixels:
        if not finite():
            raise _not_finite("images")
        return images()

    return arrived


def _not_finite(what: str) -> GenerationError:
    return GenerationError(
        what,
        expected="finite numbers",
        got="NaN or infinity",
        remedy="use --precision float32; if that does not help, check the weights with "
        "'avatar-forcing weights check'",
    )


@dataclass(frozen=True)
class RigRegression:
    """An affine map from motion magnitudes ``[T, M]`` to coefficients ``[T, K]``."""

    mean: Array  # [M] of the magnitudes
    slope: Array  # [M, K]
    offset: Array  # [K]

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Coefficients ``[T, K]`` within the rig's ranges."""
        return coefficients.clip((features - self.mean) @ self.slope + self.offset)


def _ridge_slope(features: Array, values: Array) -> Array:
    """Of a ridge regression from `features` ``[n, M]`` to `values` ``[n, K]``: ``[M, K]``."""
    scale = np.maximum(features.std(axis=0), 1e-9)
    x = (features - features.mean(axis=0)) / scale
    gram = x.T @ x + RIDGE * len(x) * np.eye(x.shape[1])
    return np.linalg.solve(gram, x.T @ (values - values.mean(axis=0))) / scale[:, None]


def random_poses(count: int, seed: int = 0) -> NDArray[np.float32]:
    """Coefficients ``[count, K]`` for a fit: few move at a time, as in a face."""
    rng = np.random.default_rng(seed)
    span = rng.uniform(coefficients.LOW, coefficients.HIGH, (count, coefficients.COUNT))
    moved = rng.random(span.shape) < 0.5
    return (RANGE_SHARE * span * moved).astype(np.float32)


def fit_to_renders(
    encode: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    fitted: int = FITTED_POSES,
    held_out: int = HELD_OUT_POSES,
) -> tuple[RigRegression, Array, dict[str, float]]:
    """Magnitudes to coefficients, what coefficients do to magnitudes, and how good the first is.

    The second is a slope ``[K, M]``, the third the correlation of each coefficient on held-out
    poses. `encode` draws coefficients ``[n, K]`` and gives their motion magnitudes ``[n, M]``.
    """
    poses = random_poses(fitted + held_out)
    features, known = encode(poses).astype(np.float64), poses.astype(np.float64)
    shown, values = features[:fitted], known[:fitted]
    slope = _ridge_slope(shown, values)
    regression = RigRegression(shown.mean(axis=0), slope, values.mean(axis=0))
    effect = _ridge_slope(known, features)
    found = regression(features[fitted:].astype(np.float32))
    return (
        regression,
        effect,
        {
            name: _correlation(found[:, k], poses[fitted:, k])
            for k, name in enumerate(coefficients.NAMES)
        },
    )


def _correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Pearson's r; 0 where one of them does not move."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale > 1e-12 else 0.0
