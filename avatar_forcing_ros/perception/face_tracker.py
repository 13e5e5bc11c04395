"""The tracker of one face in a video: 478 landmarks, by MediaPipe behind a protocol.

MediaPipe is imported when a tracker is made, never before. Releases that still have the
`solutions` package carry their models inside the wheel; later ones need FaceLandmarker's model
file: one that is named, by an argument or by the environment variable
``AVATAR_FORCING_FACE_LANDMARKER``, or the fetched one (``landmarker_file.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.perception.dark_images import brightened
from avatar_forcing_ros.perception.face_backend import (
    SWITCH_RATIO,
    FaceBackend,
    LazyBackend,
    choose_face,
    only_face,
    same_face,
    same_size,
    width_px,
)
from avatar_forcing_ros.perception.face_backend import Landmarks as Landmarks
from avatar_forcing_ros.perception.face_backend import Pixels as Pixels
from avatar_forcing_ros.perception.landmarker_backend import LandmarkerBackend
from avatar_forcing_ros.perception.landmarker_file import (
    FETCH_COMMAND,
    MODEL_PATH_VARIABLE,
    fetched_file,
    named_file,
)
from avatar_forcing_ros.perception.mediapipe_import import import_mediapipe
from avatar_forcing_ros.perception.mouth_view import MouthView
from avatar_forcing_ros.perception.plausible_face import is_plausible
from avatar_forcing_ros.perception.small_faces import (
    NEAR_IMAGES,
    NEAR_SIZES,
    WHOLE_PART,
    FaceFollower,
    SmallFaceSearch,
)
from avatar_forcing_ros.perception.solutions_backend import SolutionsBackend

RESCAN_EVERY = 25  # images in which MediaPipe tracks as many faces as it can
MAX_RESCAN_FACES = 5  # that a rescan finds
LOOK_EVERY = 4  # images: so often others are looked for while a small face is followed


@dataclass(frozen=True)
class FaceObservation:
    """One face: `landmarks_px` ``[478, 3]`` float32, seen at `stamp_ns`.

    x to the right and y down in pixels of the image; z in the same pixels, smaller is nearer to
    the camera, zero near the head's centre. Where something covers the mouth, `mouth_visible` is
    False, and its landmarks are a guess.
    """

    landmarks_px: Landmarks
    stamp_ns: int
    mouth_visible: bool = True


class FaceTracker(Protocol):
    """Something that finds one face in each image of a sequence."""

    def track(self, frame: VideoFrame) -> FaceObservation | None:
        """The face in `frame`, or None where there is none."""

    def close(self) -> None:
        """Give back the tracker's threads and memory; it cannot track afterwards."""


class FaceMeshTracker:
    """FaceTracker by MediaPipe: the largest face wins, with hysteresis while it stays in view.

    `static_image` treats every image on its own. The same frames in the same order give the
    same landmarks from every fresh tracker.

    In a sequence MediaPipe tracks the faces that it has and searches for others only while it has
    fewer than `max_faces`. Where it has all of 2 or more, the image is rescanned once in a while,
    so that a person who comes nearer than they are is noticed. `max_faces` of 1 saves some time
    but keeps to the first face found, large or not.

    Dark images are smoothed and brightened first (``dark_images.py``).

    Faces that are too small to be found in the whole image are searched for in parts of it from
    the second image on, and then followed in a square around them (``small_faces.py``); not so
    with `static_image`.

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
        self._lost: Landmarks | None = None  # the face that was seen last, while there is none
        self._images = 0
        self._images_lost = 0  # in a row
        self._crowded = 0  # images in a row in which no new face could be noticed
        make = partial(make_backend, confidence=min_confidence, model_path=model_path)
        self._backend = make(static_image, max_faces)
        self._rescanner = LazyBackend(partial(make, True, MAX_RESCAN_FACES))
        self._search = SmallFaceSearch(self._rescanner)
        self._close_up = LazyBackend(partial(make, False, 1))
        self._follower = FaceFollower(self._close_up)
        self._mouth = MouthView()

    def track(self, frame: VideoFrame) -> FaceObservation | None:
        """The largest face in `frame`, or None; raises MediaError for anything but uint8 RGB."""
        known = self._last if not self._static_image else None
        pixels = brightened(check_pixels(frame.pixels), known)
        self._images += 1
        self._search.next_image()
        followed = self._follower.follow(pixels)
        faces = [] if followed is None else [followed]
        if followed is None or self._images % LOOK_EVERY == 0:
            faces = self._whole(pixels)
            if followed is not None and not any(same_face(face, followed) for face in faces):
                faces.append(followed)
        if not self._static_image and self._images > 1:
            small = self._small(pixels, faces)
            if small is not None:
                faces, followed = [small], small
        chosen = choose_face(faces, None) if self._static_image else self._chosen(pixels, faces)
        if chosen is not followed:
            self._follower.stop()
        self._remember(chosen)
        mouth_visible = self._static_image or self._mouth.visible(pixels, chosen)
        if chosen is None:
            return None
        return FaceObservation(chosen, frame.stamp_ns, mouth_visible)

    def close(self) -> None:
        """Give back MediaPipe's graphs; calling it twice is harmless."""
        for backend in (self._backend, self._rescanner, self._close_up):
            backend.close()

    def _chosen(self, pixels: Pixels, faces: list[Landmarks]) -> Landmarks | None:
        """The one of `faces` to go on with; a stranger has to be certain to be taken."""
        last = self._recent()
        while faces:
            chosen = choose_face(faces, self._last)
            if chosen is None or last is None or not _is_stranger(chosen, faces, last):
                return chosen
            held = any(same_face(face, last) for face in faces)  # then there is no hurry
            now = not held or self._images % LOOK_EVERY == 0
            if now and self._search.confirmed(pixels, chosen) is not None:
                return chosen
            faces = [face for face in faces if face is not chosen]
        return None

    def _recent(self) -> Landmarks | None:
        """The face seen last, if that was not long ago."""
        return self._lost if self._images_lost < NEAR_IMAGES else None

    def _remember(self, chosen: Landmarks | None) -> None:
        self._lost = chosen if chosen is not None else self._lost
        self._images_lost = 0 if chosen is not None else self._images_lost + 1
        self._last = chosen

    def _whole(self, pixels: Pixels) -> list[Landmarks]:
        """The faces that MediaPipe finds in the whole image, or tracks in it."""
        faces = _faces(self._backend, pixels)
        crowded = len(faces) >= self._max_faces > 1 and not self._static_image
        self._crowded = self._crowded + 1 if crowded else 0
        if self._crowded >= RESCAN_EVERY:
            self._crowded = 0
            faces = self._rescan(pixels, faces)
        return [face for face in faces if is_plausible(face)]

    def _rescan(self, pixels: Pixels, tracked: list[Landmarks]) -> list[Landmarks]:
        """The faces to go on with: those `tracked`, unless another one is larger by far."""
        chosen = choose_face(_faces(self._rescanner, pixels), self._last)
        if chosen is None or any(same_face(face, chosen) for face in tracked):
            return tracked
        self._backend.faces(np.zeros_like(pixels))  # it loses whom it has,
        return _faces(self._backend, only_face(pixels, chosen)) or tracked  # and finds this one

    def _small(self, pixels: Pixels, faces: list[Landmarks]) -> Landmarks | None:
        """A face that is followed from now on, beside `faces` that are in the whole image.

        A lost one is looked for where it was, once, or for a second where nobody else is, soon in
        every other image. A tile is searched in every image without a face, and in few of the
        others for a larger one.
        """
        found, last = None, self._recent()
        lost = last is not None and not any(same_face(face, last) for face in faces)
        turn = self._images_lost < len(NEAR_SIZES) or self._images_lost % 2
        if last is not None and lost and turn and (self._last is not None or not faces):
            found = self._search.near(pixels, last, self._images_lost)
        if found is None and not faces:
            found = self._search.next_tile(pixels)
        if found is None and faces and self._images % LOOK_EVERY == LOOK_EVERY // 2:
            widest = max(faces, key=width_px)
            if SWITCH_RATIO * width_px(widest) < WHOLE_PART * max(pixels.shape[:2]):
                found = self._search.next_tile(pixels, widest)
        return None if found is None else self._follower.start(pixels, found)


def _is_stranger(face: Landmarks, faces: list[Landmarks], last: Landmarks) -> bool:
    """Whether `face` is not `last`'s: that one is still there, or this one of another size."""
    if same_face(face, last):
        return False
    return not same_size(face, last) or any(same_face(other, last) for other in faces)


def _faces(backend: FaceBackend, pixels: Pixels) -> list[Landmarks]:
    """All faces in `pixels`, each ``[478, 3]`` px."""
    height, width = pixels.shape[:2]
    scale = np.array([width, height, width], np.float32)  # z shares the scale of x
    return [face * scale for face in backend.faces(pixels)]


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


def make_backend(
    static: bool, max_faces: int, confidence: float, model_path: str | None
) -> FaceBackend:
    """The named model file if there is one, else the models inside the wheel, else the fetched."""
    mp = import_mediapipe()
    path = named_file(model_path)
    if path is None and hasattr(mp, "solutions"):
        return SolutionsBackend(mp, static, max_faces, confidence)
    if path is None and fetched_file().is_file():
        path = str(fetched_file())
    if path is None:
        raise MediaError(
            "face tracker",
            expected="FaceLandmarker's model file, since this mediapipe brings no models",
            got=f"mediapipe {getattr(mp, '__version__', '?')} and no file",
            remedy=f"run: {FETCH_COMMAND}, or name the file by the setting face_landmarker or by "
            f"{MODEL_PATH_VARIABLE}",
        )
    return LandmarkerBackend(mp, static, max_faces, confidence, path)
