"""A face in a picture: 478 landmarks, by MediaPipe's FaceMesh behind a protocol of two methods.

MediaPipe is imported when a tracker is made, never before. Releases that still have the
`solutions` package carry their models inside the wheel; later ones need FaceLandmarker's model
file, named by an argument or by the environment variable ``AVATAR_FORCING_FACE_LANDMARKER``.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import FaceNotFoundError, MediaError, MissingDependencyError
from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.perception.quiet import quiet_mediapipe

MODEL_PATH_VARIABLE = "AVATAR_FORCING_FACE_LANDMARKER"
# the last release with its models; 0.10.18, with the same ones, is the last of them for arm64
RELEASE = "0.10.18" if platform.machine() == "aarch64" else "0.10.21"
INSTALL_COMMAND = f"pip install mediapipe=={RELEASE}"
SWITCH_RATIO = 1.3  # another face must be this much wider before the tracker leaves the old one
LOOK_AROUND_EVERY = 25  # pictures in which MediaPipe has all the faces that it can follow
MOST_FACES = 5  # that are looked at then

LONGEST_SIDE_PX = 1600  # a face is looked for in no larger picture
Pixels = NDArray[np.uint8]  # [H, W, 3] RGB
Landmarks = NDArray[np.float32]  # [478, 3] px


@dataclass(frozen=True)
class FaceObservation:
    """One face: `landmarks_px` ``[478, 3]`` float32, seen at `stamp_ns`.

    x to the right and y down in pixels of the picture; z in the same pixels, smaller is nearer to
    the camera, zero near the head's centre.
    """

    landmarks_px: Landmarks
    stamp_ns: int


class FaceTracker(Protocol):
    """Something that finds one face in each picture of a sequence."""

    def track(self, frame: VideoFrame) -> FaceObservation | None:
        """The face in `frame`, or None where there is none."""

    def close(self) -> None:
        """Give back the tracker's threads and memory; it cannot track afterwards."""


class FaceMeshTracker:
    """FaceTracker by MediaPipe: the largest face wins, with hysteresis while it stays in view.

    `static_image` treats every picture on its own. The same frames in the same order give the
    same landmarks from every fresh tracker.

    In a sequence MediaPipe follows the faces that it has and looks for others only while it has
    fewer than `max_faces`. Where it has all of 2 or more, this looks around once in a while, so
    that somebody who comes nearer than they are gets the floor. `max_faces` of 1 saves some time
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
        self._crowded = 0  # pictures in a row in which nobody new could be noticed
        self._backend = _make_backend(static_image, max_faces, min_confidence, model_path)
        self._around: _Backend | None = None
        self._make_around = partial(_make_backend, True, MOST_FACES, min_confidence, model_path)

    def track(self, frame: VideoFrame) -> FaceObservation | None:
        """The largest face in `frame`, or None; raises MediaError for anything but uint8 RGB."""
        pixels = _checked(frame.pixels)
        faces = _faces(self._backend, pixels)
        crowded = len(faces) >= self._max_faces > 1 and not self._static_image
        self._crowded = self._crowded + 1 if crowded else 0
        if self._crowded >= LOOK_AROUND_EVERY:
            self._crowded = 0
            faces = self._look_around(pixels, faces)
        self._last = _choose(faces, None if self._static_image else self._last)
        return None if self._last is None else FaceObservation(self._last, frame.stamp_ns)

    def close(self) -> None:
        """Give back MediaPipe's graphs; calling it twice is harmless."""
        self._backend.close()
        if self._around:
            self._around.close()

    def _look_around(self, pixels: Pixels, tracked: list[Landmarks]) -> list[Landmarks]:
        """The faces to go on with: those `tracked`, unless somebody else has the floor now."""
        if self._around is None:
            self._around = self._make_around()
        chosen = _choose(_faces(self._around, pixels), self._last)
        if chosen is None or any(_same(face, chosen) for face in tracked):
            return tracked
        self._backend.faces(np.zeros_like(pixels))  # it loses whom it has,
        return _faces(self._backend, _only(pixels, chosen)) or tracked  # and finds this one


def find_face(image: Pixels, *, model_path: str | None = None) -> Landmarks:
    """Landmarks ``[478, 3]`` px of the largest face in a portrait `image` ``[H, W, 3]`` uint8 RGB.

    Tight faces are looked for again with the border extended, small ones in overlapping parts of
    the picture. Raises FaceNotFoundError, and what FaceMeshTracker raises.
    """
    pixels = _checked(image)
    shrink = min(1.0, LONGEST_SIDE_PX / max(pixels.shape[:2]))  # padded views cost their square
    small = (
        pixels
        if shrink == 1.0
        else cv2.resize(pixels, _size(pixels, shrink), interpolation=cv2.INTER_AREA)
    )
    for view, scale, offset_px in _views(np.asarray(small, np.uint8)):
        found = _settled(view, model_path)
        if found is not None:
            shift = np.array([*offset_px, 0.0], np.float32)
            return np.asarray((found / np.float32(scale) + shift) / shrink, np.float32)
    height, width = pixels.shape[:2]
    raise FaceNotFoundError(
        "portrait",
        expected="a picture of one face, seen from the front, at least 64 pixels wide",
        got=f"{width}x{height} pixels in which no face was found",
        remedy="take a sharper or closer picture, or give the landmarks in a file beside it",
    )


def _settled(view: Pixels, model_path: str | None) -> Landmarks | None:
    """Landmarks after three passes over one still: each pass cuts the face out by the last one."""
    tracker = FaceMeshTracker(max_faces=4, min_confidence=0.4, model_path=model_path)
    try:
        found = None
        for index in range(3):
            found = tracker.track(VideoFrame(view, index * 40_000_000))
            if found is None:
                return None
        return None if found is None else found.landmarks_px
    finally:
        tracker.close()


def _views(image: Pixels) -> Iterator[tuple[Pixels, float, tuple[float, float]]]:
    """The picture, then variants of it: (pixels, scale, corner in the picture's pixels)."""
    height, width = image.shape[:2]
    scale = max(1.0, min(256.0 / min(height, width), LONGEST_SIDE_PX / max(height, width)))
    yield _scaled(image, scale), scale, (0.0, 0.0)
    for part in (0.4, 1.0):  # a face that fills the picture
        pad = int(part * max(height, width))
        padded = cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
        yield _scaled(np.asarray(padded, np.uint8), scale), scale, (-float(pad), -float(pad))
    for part in (0.6, 0.35):  # a face that is small in the picture
        side = max(64, int(part * max(height, width)))
        for top in _starts(height, side):
            for left in _starts(width, side):
                cut = image[top : top + side, left : left + side]
                zoom = max(1.0, 512.0 / max(cut.shape[:2]))
                yield _scaled(cut, zoom), zoom, (float(left), float(top))


def _starts(length: int, side: int) -> list[int]:
    """Starts of half-overlapping windows of `side` that cover `length`, the middle one first."""
    last = max(0, length - side)
    count = 1 + -(-2 * last // side)
    starts = sorted({round(i * last / max(1, count - 1)) for i in range(count)})
    return sorted(starts, key=lambda start: abs(start - last / 2))


def _scaled(image: Pixels, scale: float) -> Pixels:
    if scale == 1.0:
        return np.ascontiguousarray(image)
    resized = cv2.resize(image, _size(image, scale), interpolation=cv2.INTER_CUBIC)
    return np.asarray(resized, np.uint8)


def _size(image: Pixels, scale: float) -> tuple[int, int]:
    """Width and height of `image` at `scale`; of a narrow strip at least a pixel remains."""
    return max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))


def _faces(backend: _Backend, pixels: Pixels) -> list[Landmarks]:
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


def _checked(pixels: Pixels) -> Pixels:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise MediaError(
            "video frame",
            expected="uint8 RGB pixels [H, W, 3]",
            got=f"{pixels.dtype} {list(pixels.shape)}",
            remedy="convert the picture to 8-bit RGB first",
        )
    return np.ascontiguousarray(pixels)


def _choose(faces: list[Landmarks], last: Landmarks | None) -> Landmarks | None:
    """The widest of `faces`, unless the one seen `last` is still there and nearly as wide."""
    if not faces:
        return None
    widest = max(faces, key=_width_px)
    if last is None:
        return widest
    same = min(faces, key=lambda face: _distance_px(face, last))
    stayed = _same(same, last)
    return same if stayed and _width_px(widest) < SWITCH_RATIO * _width_px(same) else widest


def _same(face: Landmarks, last: Landmarks) -> bool:
    return _distance_px(face, last) < 0.5 * _width_px(last)


def _width_px(face: Landmarks) -> float:
    return float(np.ptp(face[:, 0]) + np.ptp(face[:, 1])) / 2


def _distance_px(a: Landmarks, b: Landmarks) -> float:
    return float(np.linalg.norm(a[:, :2].mean(0) - b[:, :2].mean(0)))


class _Backend(Protocol):
    def faces(self, pixels: Pixels) -> list[Landmarks]:
        """All faces, each ``[478, 3]`` in parts of the picture's width and height."""

    def close(self) -> None: ...


class _SolutionsBackend:
    """FaceMesh of mediapipe 0.10, whose models are inside the wheel."""

    def __init__(self, mp: Any, static: bool, max_faces: int, confidence: float) -> None:
        with quiet_mediapipe():
            self._mesh = mp.solutions.face_mesh.FaceMesh(
                static_image_mode=static,
                max_num_faces=max_faces,
                refine_landmarks=True,
                min_detection_confidence=confidence,
                min_tracking_confidence=confidence,
            )
            # the networks load, and talk, in threads of their own: this waits for them
            self._mesh.process(np.zeros((64, 64, 3), np.uint8))
        self._seen_face = False
        self._closed = False

    def faces(self, pixels: Pixels) -> list[Landmarks]:
        if self._seen_face:
            result = self._mesh.process(pixels)
        else:  # the first face draws one more remark
            with quiet_mediapipe():
                result = self._mesh.process(pixels)
        found = [_array(face.landmark) for face in result.multi_face_landmarks or []]
        self._seen_face = self._seen_face or bool(found)
        return found

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            with quiet_mediapipe():
                self._mesh.close()


class _LandmarkerBackend:
    """FaceLandmarker of mediapipe's tasks, whose model file the user names."""

    def __init__(
        self, mp: Any, static: bool, max_faces: int, confidence: float, model_path: str
    ) -> None:
        vision = mp.tasks.vision
        modes = vision.RunningMode
        options = vision.FaceLandmarkerOptions(
            base_options=mp.tasks.BaseOptions(model_asset_path=model_path),
            running_mode=modes.IMAGE if static else modes.VIDEO,
            num_faces=max_faces,
            min_face_detection_confidence=confidence,
            min_tracking_confidence=confidence,
        )
        with quiet_mediapipe():
            try:
                self._landmarker = vision.FaceLandmarker.create_from_options(options)
            except (ValueError, RuntimeError, OSError) as error:
                raise MediaError(
                    "face landmark model",
                    expected="a readable FaceLandmarker bundle (face_landmarker.task)",
                    got=f"{model_path} ({error})",
                    remedy=f"correct the model path or ${MODEL_PATH_VARIABLE}",
                ) from error
        self._mp, self._static, self._time_ms = mp, static, 0
        self._closed = False

    def faces(self, pixels: Pixels) -> list[Landmarks]:
        image = self._mp.Image(image_format=self._mp.ImageFormat.SRGB, data=pixels)
        if self._static:
            result = self._landmarker.detect(image)
        else:
            self._time_ms += 40  # counted, as the camera's own stamps may repeat or go back
            result = self._landmarker.detect_for_video(image, self._time_ms)
        return [_array(face) for face in result.face_landmarks]

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._landmarker.close()


def _array(points: Any) -> Landmarks:
    return np.array([(p.x, p.y, p.z) for p in points], np.float32)  # [478, 3]


def _make_backend(
    static: bool, max_faces: int, confidence: float, model_path: str | None
) -> _Backend:
    """The named model file if there is one, else the models inside the wheel."""
    mp = _import_mediapipe()
    path = model_path or os.environ.get(MODEL_PATH_VARIABLE)
    if path:
        return _LandmarkerBackend(mp, static, max_faces, confidence, path)
    if not hasattr(mp, "solutions"):
        raise MediaError(
            "face tracker",
            expected="mediapipe with its own models, or a FaceLandmarker model file",
            got=f"mediapipe {getattr(mp, '__version__', '?')} and no model file",
            remedy=f"{INSTALL_COMMAND}, or set {MODEL_PATH_VARIABLE} to face_landmarker.task",
        )
    return _SolutionsBackend(mp, static, max_faces, confidence)


def _import_mediapipe() -> Any:
    os.environ.setdefault("GLOG_minloglevel", "2")  # read once, when the library is loaded
    try:
        with quiet_mediapipe():
            import mediapipe
    except ImportError as error:
        raise MissingDependencyError(
            "face tracking",
            expected="the package mediapipe",
            got=str(error),
            remedy=INSTALL_COMMAND,
        ) from error
    return mediapipe
