#!/usr/bin/env python3

"""Make the canonical face, which observed faces are compared with to find the head's pose.

    python tools/make_canonical_face.py IMAGE...

writes ``avatar_forcing_ros/perception/canonical_face.npy`` ``[478, 3]``: the mean over FaceMesh's
output on frontal images, each turned upright and symmetrised. Its axes are those of an image of a
face that looks into the camera: x to the right, y down, z away from the camera; its unit is the
head width (ear to ear, landmarks 234 and 454), its origin the middle between these two. A profile
has no line that is level by nature: level is the mean of the images, whose faces look straight
into the camera.

The file in the package is the mean over the two drawn portraits in ``models/portraits`` and the
public-domain photograph of an astronaut that scikit-image brings.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from avatar_forcing_ros.perception.find_face import find_face
from avatar_forcing_ros.perception.head_pose import CANONICAL_FILE, fit_similarity
from avatar_forcing_ros.rig.face_landmarks import EAR_LEFT, EAR_RIGHT
from avatar_forcing_ros.rig.image_files import load_image

Points = NDArray[np.float64]  # [478, 3]


def make_canonical_face(faces: Sequence[NDArray[np.floating[Any]]]) -> Points:
    """The symmetric, upright mean ``[478, 3]`` of landmark sets `faces`, each ``[478, 3]`` px."""
    upright = [_upright(np.asarray(face, np.float64)) for face in faces]
    return _upright(np.mean(upright, axis=0))


def mirror_indices(face: NDArray[np.floating[Any]]) -> NDArray[np.intp]:
    """For each landmark of `face` ``[478, 3]`` its counterpart on the other side, ``[478]``.

    Found by the one-to-one assignment that brings the mirrored face nearest to itself.
    """
    points = np.asarray(face, np.float64)
    image = points * [-1.0, 1.0, 1.0]
    placed = image + (points.mean(0) - image.mean(0))  # the head is nearly upright to begin with
    pairs = np.full(len(points), -1)
    for _ in range(10):
        # distances [478, 478] between where a landmark's image falls and every landmark
        distance = np.linalg.norm(placed[:, None] - points[None], axis=2)
        found = linear_sum_assignment(distance)[1]
        if np.array_equal(found, pairs):
            break
        pairs = found
        rotation, scale, shift = fit_similarity(image, points[pairs])
        placed = scale * image @ rotation.T + shift
    return pairs


def _upright(face: Points) -> Points:
    """`face` symmetrised, with yaw and roll removed, in the canonical origin and unit."""
    pairs = mirror_indices(face)
    mirrored = face[pairs] * [-1.0, 1.0, 1.0]
    rotation, scale, shift = fit_similarity(mirrored, face)
    mean = (face + scale * mirrored @ rotation.T + shift) / 2  # symmetric about some plane
    # the plane's normal is the mean direction from each landmark to its counterpart
    across = mean[pairs] - mean
    across[np.sum(across * (mean[EAR_LEFT] - mean[EAR_RIGHT]), axis=1) < 0] *= -1
    right = _unit(across.sum(0))
    down = np.array([0.0, 1.0, 0.0])
    down = _unit(down - right * (down @ right))  # turned and tipped back, its pitch kept
    away = np.cross(right, down)
    axes = np.stack([right, down, away])  # [3, 3], rows: the face's axes in the image's
    width = np.linalg.norm(mean[EAR_LEFT] - mean[EAR_RIGHT])
    centre = (mean[EAR_LEFT] + mean[EAR_RIGHT]) / 2
    return np.asarray((mean - centre) @ axes.T / width, np.float64)


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vector / np.linalg.norm(vector), np.float64)


def main() -> None:
    """Make ``canonical_face.npy`` from images of frontal faces."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("images", nargs="+", type=Path, help="neutral frontal faces, or nearly so")
    parser.add_argument("--output", type=Path, default=CANONICAL_FILE)
    options = parser.parse_args()
    faces = [find_face(load_image(path)) for path in options.images]
    np.save(options.output, make_canonical_face(faces).astype(np.float32))


if __name__ == "__main__":
    main()
