"""Motion as latents of the motion autoencoder, of face squares that stay where they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from avatar_forcing_ros.errors import CheckpointError
from avatar_forcing_ros.model.checkpoint import load_checkpoint
from avatar_forcing_ros.model.motion_autoencoder import MotionAutoencoder, from_pixels
from avatar_forcing_ros.model.released import load_released
from avatar_forcing_ros.perception.face_crop import Square, cut, face_square
from avatar_forcing_ros.training.recordings.layouts import Source
from avatar_forcing_ros.training.recordings.motion import Faces
from avatar_forcing_ros.training.recordings.watching import pictures

ENCODED_TOGETHER = 8

Latents = NDArray[np.float32]  # [n, D]
Window = tuple[int, int]


def load_autoencoder(path: Path, motion_dim: int) -> MotionAutoencoder:
    """The motion autoencoder in `path`, on CUDA where there is one.

    Raises CheckpointError for weights without one, or with latents of another width.
    """
    checkpoint = load_released(path) if path.is_dir() else load_checkpoint(path)
    net, width = checkpoint.motion_autoencoder, checkpoint.generator.config.motion_dim
    if net is None or width != motion_dim:
        raise CheckpointError(
            f"weights {path}",
            expected=f"a motion autoencoder with latents of {motion_dim} values",
            got="none" if net is None else f"one with {width}",
            remedy="give the paper preset's weights (see 'avatar-forcing weights')",
        )
    return net.to("cuda" if torch.cuda.is_available() else "cpu")


class LatentReader:
    """Reads latents of one person, as a stream's codec would of a face that stays in its square.

    In a stream the square is averaged over the first faces; of a window all its faces are known.
    """

    def __init__(self, net: MotionAutoencoder) -> None:
        self._net = net

    def read(
        self, source: Source, faces: Faces, windows: Sequence[Window], neutral_frame: int
    ) -> tuple[list[Latents], Latents]:
        """The latents ``[n, D]`` of each of `windows`, and the reference ``[D]``.

        `windows` are in order. The reference is what a portrait's latent is in a stream: that of
        the face at rest, in `neutral_frame`, in a square of its own. A frame without a face holds
        the latent before it.
        """
        squares = [_square(faces, window) for window in windows]
        inside = {frame: k for k, window in enumerate(windows) for frame in range(*window)}
        parts: list[list[Latents]] = [[] for _ in windows]
        pending: list[tuple[int, NDArray[np.uint8]]] = []
        reference: Latents | None = None
        size_px = self._net.config.image_size_px
        for frame, picture in enumerate(pictures(source)):
            face = faces[frame] if frame < len(faces) else None
            if frame == neutral_frame and face is not None:
                own = cut(picture.pixels, face_square(face.landmarks_px), size_px)
                reference = self._encode([own])[0]
            if frame in inside:
                pending.append(
                    (inside[frame], cut(picture.pixels, squares[inside[frame]], size_px))
                )
            if len(pending) == ENCODED_TOGETHER:
                self._flush(pending, parts)
        if pending:
            self._flush(pending, parts)
        assert reference is not None  # `most_neutral` chooses among seen frames
        held = [_held(np.concatenate(p), faces, w) for p, w in zip(parts, windows, strict=True)]
        return held, reference

    def _flush(
        self, pending: list[tuple[int, NDArray[np.uint8]]], parts: list[list[Latents]]
    ) -> None:
        for (window, _), latent in zip(
            pending, self._encode([crop for _, crop in pending]), strict=True
        ):
            parts[window].append(latent[None])
        pending.clear()

    @torch.inference_mode()
    def _encode(self, crops: Sequence[NDArray[np.uint8]]) -> Latents:
        """Latents ``[n, D]`` of face squares, each ``[S, S, 3]``."""
        like = self._net.dec.direction.basis
        images = from_pixels(torch.from_numpy(np.stack(crops)).to(like.device)).to(like.dtype)
        return np.asarray(self._net.encode(images)[1].float().cpu().numpy(), np.float32)


def _square(faces: Faces, window: Window) -> Square:
    """The mean of the face squares in `window`, as `FaceCrop` takes it of the first faces."""
    return Square(*np.mean(list(_squares(faces, window)), axis=0).tolist())


def _squares(faces: Faces, window: Window) -> Iterator[Square]:
    for face in faces[slice(*window)]:
        if face is not None:
            yield face_square(face.landmarks_px)


def _held(latents: Latents, faces: Faces, window: Window) -> Latents:
    """`latents` ``[n, D]``, those of frames without a face replaced by the last one before."""
    start, stop = window
    seen = [k for k in range(stop - start) if faces[start + k] is not None]
    last = np.maximum(np.searchsorted(seen, np.arange(stop - start), side="right") - 1, 0)
    return latents[np.array(seen)[last]]
