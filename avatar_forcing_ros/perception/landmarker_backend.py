"""FaceLandmarker of mediapipe's tasks, whose model file lies outside the wheel."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError, MissingDependencyError
from avatar_forcing_ros.perception.landmarker_file import MODEL_PATH_VARIABLE
from avatar_forcing_ros.perception.mediapipe_import import landmark_array, quiet_mediapipe

# Time between two images as it is told to MediaPipe, which smooths the landmarks of a single face
# over time: a smile would come late and half. After so long it takes each image as it is.
STEP_MS = 1_000_000


class LandmarkerBackend:
    """The faces in one image after another."""

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
                raise _refused(error, model_path) from error
        self._mp, self._static, self._time_ms = mp, static, 0
        self._seen_face = False
        # also at the interpreter's end, where MediaPipe's own clean-up comes too late
        self._release = weakref.finalize(self, self._landmarker.close)

    def faces(self, pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        image = self._mp.Image(image_format=self._mp.ImageFormat.SRGB, data=pixels)
        if self._seen_face:
            result = self._detect(image)
        else:  # the first face logs one more message
            with quiet_mediapipe():
                result = self._detect(image)
        found = [landmark_array(face) for face in result.face_landmarks]
        self._seen_face = self._seen_face or bool(found)
        return found

    def _detect(self, image: Any) -> Any:
        if self._static:
            return self._landmarker.detect(image)
        self._time_ms += STEP_MS  # counted, as the camera's own stamps may repeat or go back
        return self._landmarker.detect_for_video(image, self._time_ms)

    def close(self) -> None:
        with quiet_mediapipe():
            self._release()


def _refused(error: Exception, model_path: str) -> Exception:
    """What a landmarker that could not be made lacks: a library of the system, or its model."""
    if "shared object" in str(error):
        return MissingDependencyError(
            "face tracking",
            expected="the system's libraries that mediapipe needs",
            got=str(error),
            remedy="on Debian and Ubuntu run: sudo apt install libegl1 libgles2",
        )
    return MediaError(
        "face landmark model",
        expected="a readable FaceLandmarker bundle (face_landmarker.task)",
        got=f"{model_path} ({error})",
        remedy=f"correct the setting face_landmarker or {MODEL_PATH_VARIABLE}",
    )
