"""Reading between pixels is the same whatever way this OpenCV wants its places."""

from __future__ import annotations

import numpy as np
import pytest

from avatar_forcing_ros.rig import image_ops
from avatar_forcing_ros.rig.image_ops import remap, sample


@pytest.mark.parametrize("one_array", [False, True])
def test_places_are_read_by_x_and_y(one_array: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if one_array and not image_ops.READS_ONE_ARRAY:
        pytest.skip("this OpenCV misreads one array, which is why it is not used")
    monkeypatch.setattr(image_ops, "READS_ONE_ARRAY", one_array)
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    places = np.array([[[0.5, 0.0], [3.0, 1.5]], [[-2.0, 2.0], [9.0, 9.0]]], np.float32)  # x, y
    assert remap(values, places).tolist() == [[0.5, 9.0], [8.0, 11.0]]
    image = np.repeat((20 * values).astype(np.uint8)[..., None], 3, axis=2)
    assert sample(image, places)[..., 0].tolist() == [[10, 180], [160, 220]]
