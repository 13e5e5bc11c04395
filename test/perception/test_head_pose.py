"""The head's pose and the canonical face: exact on placed faces, symmetric, never mirrored."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from avatar_forcing_ros.perception.head_pose import (
    angles_from_rotation,
    canonical_face,
    estimate_pose,
    fit_similarity,
)
from avatar_forcing_ros.rig.face_landmarks import (
    EAR_LEFT,
    EAR_RIGHT,
    MOUTH_LEFT,
    MOUTH_RIGHT,
    head_rotation,
)

TOOL = runpy.run_path(str(Path(__file__).parents[2] / "tools" / "make_canonical_face.py"))


@pytest.mark.parametrize("angles", [(0.3, 0.2, -0.1), (-0.5, 0.0, 0.0), (0.0, -0.4, 0.4)])
def test_angles_and_rotation_agree_with_the_renderer(angles):
    rotation = head_rotation(*angles).astype(np.float64)
    np.testing.assert_allclose(angles_from_rotation(rotation), angles, atol=1e-6)


def test_a_similarity_is_found_exactly():
    rng = np.random.default_rng(1)
    source = rng.standard_normal((20, 3))
    rotation = head_rotation(0.4, -0.2, 0.9).astype(np.float64)
    target = 2.5 * source @ rotation.T + [3.0, -1.0, 7.0]
    found, scale, shift = fit_similarity(source, target)
    np.testing.assert_allclose(found, rotation, atol=1e-9)
    np.testing.assert_allclose([scale, *shift], [2.5, 3.0, -1.0, 7.0], atol=1e-9)


def test_a_mirrored_face_is_never_matched_by_a_reflection():
    face = canonical_face()
    rotation, _, _ = fit_similarity(face, face * [1.0, 1.0, -1.0])
    assert np.linalg.det(rotation) == pytest.approx(1.0)


def test_pose_is_read_off_a_placed_face_and_taken_out_again():
    face = canonical_face()
    rotation = head_rotation(0.3, -0.2, 0.1).astype(np.float64)
    seen = 150.0 * face @ rotation.T + [320.0, 200.0, 5.0]
    pose = estimate_pose(seen, face)
    np.testing.assert_allclose(pose.angles_rad, [0.3, -0.2, 0.1], atol=1e-6)
    np.testing.assert_allclose(pose.centre_px, [320.0, 200.0, 5.0], atol=1e-6)
    assert pose.width_px == pytest.approx(150.0)
    np.testing.assert_allclose(pose.to_face(seen), face, atol=1e-6)


def test_the_canonical_face_is_symmetric_and_in_its_own_units():
    face = canonical_face()
    pairs = TOOL["mirror_indices"](face)
    assert pairs[MOUTH_LEFT] == MOUTH_RIGHT
    np.testing.assert_array_equal(pairs[pairs], np.arange(478))
    np.testing.assert_allclose(face[pairs] * [-1.0, 1.0, 1.0], face, atol=1e-6)
    np.testing.assert_allclose(face[EAR_LEFT], [0.5, 0.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(face[EAR_RIGHT], [-0.5, 0.0, 0.0], atol=1e-6)
    assert not face.flags.writeable


def test_a_canonical_face_is_made_from_turned_and_crooked_ones():
    rng = np.random.default_rng(2)
    faces = []
    for yaw, roll in ((0.2, -0.1), (-0.15, 0.2)):
        crooked = canonical_face() + rng.normal(0.0, 0.003, (478, 3))
        faces.append(200.0 * crooked @ head_rotation(yaw, 0.0, roll).T + [400.0, 300.0, 0.0])
    made = TOOL["make_canonical_face"](faces)
    assert np.abs(made - canonical_face()).mean() < 0.01
