"""The tracker of one face in a video: 478 landmarks, by MediaPipe behind a protocol.

MediaPipe is imported when a tracker is made, never before. Releases that still have the
`solutions` package carry their models inside the wheel; later ones need FaceLandmarker's model
file, named by an argument or by the environment variable ``AVATAR_FORCING_FACE_LANDMARKER``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.perception.landmarker_backend import MODEL_PATH_VARIABLE, LandmarkerBackend
from avatar_forcing_ros.perception.mediapipe_import import INSTALL_COMMAND, import_mediapipe
from avatar_forcing_ros.perception.solutions_backend import SolutionsBackend

SWITCH_RATIO = 1.3  # another face must be this much wider before the tracker leaves the old one
RESCAN_EVERY = 25  # images in which MediaPipe tracks as many faces as it can
MAX_RESCAN_FACES = 5  # that a rescan finds

Pixels = NDArray[np.uint8]  # [H, W, 3] RGB
Landmarks = NDArray[np.float32]  # [478, 3] px


@dataclass(frozen=True)
class FaceObservation:
    """One face: `landmarks_px` ``[478, 3]`` float32, seen at `stamp_ns`.

    x to the right and y down in pixels of the image; z in the same pixels, smaller is nearer to
    the camera, zero near the head's centre.
    """

    landmarks_px: Landmarks
    stamp_ns: int


class FaceTracker(Protocol):
    """Something that finds one face in each image of a sequence."""

    def track(self, frame: VideoFrame) -> FaceObservation | None:
        """The face in `frame`, or None where there is none."""

    def close(self) -> None:
        """Give back the tracker's threads and memory; it cannot track afterwards."""


class FaceBackend(Protocol):
    """What finds all faces in an image: one of MediaPipe's two interfaces."""

    def faces(self, pixels: Pixels) -> list[Landmarks]:
        """All faces, each ``[478, 3]`` in parts of the image's width and height."""

    def close(self) -> None: ...


class FaceMeshTracker:
    """FaceTracker by MediaPipe: the largest face wins, with hysteresis while it stays in view.

    `static_image` treats every image on its own. The same frames in the same order give the
    same landmarks from every fresh tracker.

    In a sequence MediaPipe tracks the faces that it has and searches for others only while it has
    fewer than `max_faces`. Where it has all of 2 or more, the image is rescanned once in a while,
    so that a person who comes nearer than they are is noticed. `max_faces` of 1 saves some time
    but keeps to the first face found, large or not.

    Raises MissingDependencyError without mediapipe, and MediaError where mediapipe has no models
    of its own and no model file is named, or the named one cannot be read.
    """

    def __init__(
        self,
        static_image: bool = False,
        *,
        max_faces: int = 2,
        min_confidence: float = 0.5,
        model_path: str | None = None,
    ) -> None:
        self._static_image, self._max_faces = static_image, max_faces
        self._last: Landmarks | None = None
        self._crowded = 0  # images in a row in which no new face could be noticed
        self._backend = make_backend(static_image, max_faces, min_confidence, model_path)
        self._rescanner: FaceBackend | None = None
        self._make_rescanner = partial(
            make_backend, True, MAX_RESCAN_FACES, min_confidence, model_path
        )

    def track(self, frame: VideoFrame) -> FaceObservation | None:
        """The largest face in `frame`, or None; raises MediaError for anything but uint8 RGB."""
        pixels = check_pixels(frame.pixels)
        faces = _faces(self._backend, pixels)
        crowded = len(faces) >= self._max_faces > 1 and not self._static_image
        self._crowded = self._crowded + 1 if crowded else 0
        if self._crowded >= RESCAN_EVERY:
            self._crowded = 0
            faces = self._rescan(pixels, faces)
        self._last = choose_face(faces, None if self._static_image else self._last)
        return None if self._last is None else FaceObservation(self._last, frame.stamp_ns)

    def close(self) -> None:
        """Give back MediaPipe's graphs; calling it twice is harmless."""
        self._backend.close()
        if self._rescanner:
            self._rescanner.close()

    def _rescan(self, pixels: Pixels, tracked: list[Landmarks]) -> list[Landmarks]:
        """The faces to go on with: those `tracked`, unless another one is larger by far."""
        if self._rescanner is None:
            self._rescanner = self._make_rescanner()
        chosen = choose_face(_faces(self._rescanner, pixels), self._last)
        if chosen is None or any(same_face(face, chosen) for face in tracked):
            return tracked
        self._backend.faces(np.zeros_like(pixels))  # it loses whom it has,
        return _faces(self._backend, _only(pixels, chosen)) or tracked  # and finds this one


def _faces(backend: FaceBackend, pixels: Pixels) -> list[Landmarks]:
    """All faces in `pixels`, each ``[478, 3]`` px."""
    height, width = pixels.shape[:2]
    scale = np.array([width, height, width], np.float32)  # z shares the scale of x
    return [face * scale for face in backend.faces(pixels)]


def _only(pixels: Pixels, face: Landmarks) -> Pixels:
    """`pixels`, black but for `face` and half a face around it."""
    low, high = face[:, :2].min(0), face[:, :2].max(0)
    margin = 0.5 * (high - low)
    left, top = np.maximum(0, low - margin).astype(int)
    right, bottom = np.ceil(high + margin).astype(int)
    out = np.zeros_like(pixels)
    out[top:bottom, left:right] = pixels[top:bottom, left:right]
    return out


def check_pixels(pixels: Pixels) -> Pixels:
    """`pixels`, contiguous; raises MediaError for anything but uint8 RGB."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise MediaError(
            "video frame",
            expected="uint8 RGB pixels [H, W, 3]",
            got=f"{pixels.dtype} {list(pixels.shape)}",
            remedy="convert the image to 8-bit RGB first",
        )
    return np.ascontiguousarray(pixels)


def choose_face(faces: list[Landmarks], last: Landmarks | None) -> Landmarks | None:
    """The widest of `faces`, unless the one seen `last` is still there and nearly as wide."""
    if not faces:
        return None
    widest = max(faces, key=_width_px)
    if last is None:
        return widest
    same = min(faces, key=lambda face: _distance_px(face, last))
    stayed = same_face(same, last)
    return same if stayed and _width_px(widest) < SWITCH_RATIO * _width_px(same) else widest


def same_face(face: Landmarks, last: Landmarks) -> bool:
    """Whether `face` is near enough to where `last` was to be the same person's."""
    return _distance_px(face, last) < 0.5 * _width_px(last)


def _width_px(face: Landmarks) -> float:
    return float(np.ptp(face[:, 0]) + np.ptp(face[:, 1])) / 2


def _distance_px(a: Landmarks, b: Landmarks) -> float:
    return float(np.linalg.norm(a[:, :2].mean(0) - b[:, :2].mean(0)))


def make_backend(
    static: bool, max_faces: int, confidence: float, model_path: str | None
) -> FaceBackend:
    """The named model file if there is one, else the models inside the wheel."""
    mp = import_mediapipe()
    path = model_path or os.environ.get(MODEL_PATH_VARIABLE)
    if path:
        return LandmarkerBackend(mp, static, max_faces, confidence, path)
    if not hasattr(mp, "solutions"):
        raise MediaError(
            "face tracker",
            expected="mediapipe with its own models, or a FaceLandmarker model file",
            got=f"mediapipe {getattr(mp, '__version__', '?')} and no model file",
            remedy=f"{INSTALL_COMMAND}, or set {MODEL_PATH_VARIABLE} to face_landmarker.task",
        )
    return SolutionsBackend(mp, static, max_faces, confidence)
