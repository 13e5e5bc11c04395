"""MediaPipe's two interfaces for tests, as far as they can run here."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from avatar_forcing_ros.perception.landmarker_file import FILE_NAME, MODEL_PATH_VARIABLE

# the model file is never part of the repository: it lies beside the checkout, or is named
_PLACES = (
    os.environ.get(MODEL_PATH_VARIABLE, ""),
    str(Path(__file__).parents[2] / "shared" / "models" / FILE_NAME),
)
LANDMARKER: str | None = next((place for place in _PLACES if os.path.isfile(place)), None)


def _has_solutions() -> bool:
    found = importlib.util.find_spec("mediapipe")
    return bool(found and found.origin and (Path(found.origin).parent / "python").is_dir())


SOLUTIONS = _has_solutions()
# which of them a tracker takes where none is named
TAKES_SOLUTIONS = SOLUTIONS and not os.environ.get(MODEL_PATH_VARIABLE)
# what to give to a tracker as `model_path`, by the interface that it then uses
MODEL_PATHS: dict[str, str | None] = {
    **({"solutions": None} if SOLUTIONS else {}),
    **({"landmarker": LANDMARKER} if LANDMARKER else {}),
}
