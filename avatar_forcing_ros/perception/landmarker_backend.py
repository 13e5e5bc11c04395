"""FaceLandmarker of mediapipe's tasks, whose model file the user names."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.perception.mediapipe_import import landmark_array, quiet_mediapipe

MODEL_PATH_VARIABLE = "AVATAR_FORCING_FACE_LANDMARKER"


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
                raise MediaError(
                    "face landmark model",
                    expected="a readable FaceLandmarker bundle (face_landmarker.task)",
                    got=f"{model_path} ({error})",
                    remedy=f"correct the model path or ${MODEL_PATH_VARIABLE}",
                ) from error
        self._mp, self._static, self._time_ms = mp, static, 0
        self._closed = False

    def faces(self, pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        image = self._mp.Image(image_format=self._mp.ImageFormat.SRGB, data=pixels)
        if self._static:
            result = self._landmarker.detect(image)
        else:
            self._time_ms += 40  # counted, as the camera's own stamps may repeat or go back
            result = self._landmarker.detect_for_video(image, self._time_ms)
        return [landmark_array(face) for face in result.face_landmarks]

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._landmarker.close()
