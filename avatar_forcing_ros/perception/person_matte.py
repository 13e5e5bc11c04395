"""Where in a portrait the person is: MediaPipe's selfie segmentation, where its wheel has it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MissingDependencyError
from avatar_forcing_ros.perception.mediapipe_import import import_mediapipe, quiet_mediapipe


def person_matte(image: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """How much of each pixel of `image` ``[H, W, 3]`` uint8 RGB is person, ``[H, W]`` 0…1.

    None without mediapipe, or with a release whose wheel has no such model.
    """
    try:
        mp = import_mediapipe()
    except MissingDependencyError:
        return None
    if not hasattr(mp, "solutions"):
        return None
    with quiet_mediapipe():
        model = mp.solutions.selfie_segmentation.SelfieSegmentation(model_selection=0)
        with model:
            mask = model.process(np.ascontiguousarray(image)).segmentation_mask
    return None if mask is None else np.asarray(mask, np.float32)
