"""FaceMesh of mediapipe's `solutions` package, whose models are inside the wheel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.perception.mediapipe_import import landmark_array, quiet_mediapipe


class SolutionsBackend:
    """The faces in one image after another."""

    def __init__(self, mp: Any, static: bool, max_faces: int, confidence: float) -> None:
        with quiet_mediapipe():
            self._mesh = mp.solutions.face_mesh.FaceMesh(
                static_image_mode=static,
                max_num_faces=max_faces,
                refine_landmarks=True,
                min_detection_confidence=confidence,
                min_tracking_confidence=confidence,
            )
            # the networks load, and log, in threads of their own: this waits for them
            self._mesh.process(np.zeros((64, 64, 3), np.uint8))
        self._seen_face = False
        self._closed = False

    def faces(self, pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        if self._seen_face:
            result = self._mesh.process(pixels)
        else:  # the first face logs one more message
            with quiet_mediapipe():
                result = self._mesh.process(pixels)
        found = [landmark_array(face.landmark) for face in result.multi_face_landmarks or []]
        self._seen_face = self._seen_face or bool(found)
        return found

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            with quiet_mediapipe():
                self._mesh.close()
