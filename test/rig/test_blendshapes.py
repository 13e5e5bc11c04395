"""What the coefficients do to landmarks: signs, symmetry, scale, rotation, lips that meet."""

from collections.abc import Callable

import numpy as np
import pytest
from faces import displace

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.rig import blendshapes, coefficients
from avatar_forcing_ros.rig import face_landmarks as mesh
from avatar_forcing_ros.rig.portrait import Portrait

INDEX = {name: k for k, name in enumerate(coefficients.EXPRESSION_NAMES)}


@pytest.fixture(scope="module")
def basis(portrait: Portrait) -> np.ndarray:
    return blendshapes.displacement_basis(portrait.landmarks)


def test_basis_has_one_row_for_each_expression_coefficient(basis: np.ndarray) -> None:
    assert basis.shape == (17, 478, 3)
    assert basis.dtype == np.float32
    assert np.isfinite(basis).all()
    assert (np.abs(basis).max((1, 2)) > 0.5).all(), "a coefficient that does nothing"


def test_basis_scales_moves_and_turns_with_the_face(portrait: Portrait, basis: np.ndarray) -> None:
    turn = mesh.head_rotation(0.4, -0.2, 0.5)
    other = 1.7 * portrait.landmarks @ turn.T + np.float32([30.0, -12.0, 5.0])
    np.testing.assert_allclose(
        blendshapes.displacement_basis(other), 1.7 * basis @ turn.T, atol=0.02
    )


@pytest.mark.parametrize(
    ("name", "landmark", "axis", "sign"),
    [
        ("jaw_open", mesh.CHIN, 1, +1),
        ("jaw_open", 14, 1, +1),
        ("mouth_wide", mesh.MOUTH_LEFT, 0, +1),
        ("mouth_wide", mesh.MOUTH_RIGHT, 0, -1),
        ("mouth_pucker", mesh.MOUTH_LEFT, 0, -1),
        ("mouth_pucker", 13, 2, -1),  # towards the viewer
        ("smile_left", mesh.MOUTH_LEFT, 1, -1),
        ("smile_right", mesh.MOUTH_RIGHT, 1, -1),
        ("frown", mesh.MOUTH_LEFT, 1, +1),
        ("upper_lip_raise", 13, 1, -1),
        ("lower_lip_down", 14, 1, +1),
        ("blink_left", 386, 1, +1),
        ("blink_right", 159, 1, +1),
        ("gaze_x", 473, 0, +1),  # the person's left is the image's right
        ("gaze_x", 468, 0, +1),
        ("gaze_y", 473, 1, -1),
        ("brow_up_left", 334, 1, -1),
        ("brow_up_right", 105, 1, -1),
        ("brow_furrow", 55, 1, +1),
        ("cheek_raise", 280, 1, -1),
    ],
)
def test_signs_follow_the_person(
    basis: np.ndarray, name: str, landmark: int, axis: int, sign: int
) -> None:
    assert basis[INDEX[name], landmark, axis] * sign > 0.4


@pytest.mark.parametrize(
    ("name", "still"),
    [("smile_left", mesh.MOUTH_RIGHT), ("smile_right", mesh.MOUTH_LEFT), ("blink_left", 159),
     ("blink_right", 386), ("brow_up_left", 105), ("brow_up_right", 334)],
)  # fmt: skip
def test_one_side_leaves_the_other_alone(basis: np.ndarray, name: str, still: int) -> None:
    assert np.abs(basis[INDEX[name], still]).max() < 0.1


def test_a_full_blink_closes_the_eye(portrait: Portrait, basis: np.ndarray) -> None:
    closed = displace(portrait.landmarks, basis, _expression(blink_left=1.0))
    gap = np.abs(closed[mesh.EYE_LEFT.upper] - closed[mesh.EYE_LEFT.lower])
    assert gap.max() < 1e-3


def test_lips_close_seals_any_jaw(portrait: Portrait, basis: np.ndarray) -> None:
    gaps = [
        _gap(portrait, basis, jaw_open=0.7, lips_close=close).max() for close in (0, 0.3, 0.6, 1)
    ]
    assert gaps[0] > 8.0
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 1e-3


def test_lips_never_cross(portrait: Portrait, basis: np.ndarray) -> None:
    assert _gap(portrait, basis, lips_close=1.0).min() > -1e-3
    assert _gap(portrait, basis, lips_close=1.0, frown=1.0, mouth_pucker=1.0).min() > -1e-3


def test_head_rotation_follows_the_sign_convention() -> None:
    nose, crown = np.float32([0, 0, -1]), np.float32([0, -1, 0])
    assert (mesh.head_rotation(0.3, 0, 0) @ nose)[0] > 0.2  # to the person's left
    assert (mesh.head_rotation(0, 0.3, 0) @ nose)[1] > 0.2  # down
    assert (mesh.head_rotation(0, 0, 0.3) @ crown)[0] < -0.2  # to the right shoulder
    both = mesh.head_rotation(0.3, 0.2, 0.1)
    np.testing.assert_allclose(
        both,
        mesh.head_rotation(0.3, 0, 0)
        @ mesh.head_rotation(0, 0.2, 0)
        @ mesh.head_rotation(0, 0, 0.1),
        atol=1e-6,
    )


def _mirrored(points: np.ndarray) -> np.ndarray:
    return points * [-1.0, 1.0, 1.0]


def _line(points: np.ndarray) -> np.ndarray:
    return np.linspace(0.0, 200.0, len(points))[:, None] * [1.0, 0.9, 0.3]


def _noise(points: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).uniform(0.0, 256.0, points.shape)


def _moved(landmark: int, place: int, offset_px: float = 0.0) -> Callable[..., np.ndarray]:
    def move(points: np.ndarray) -> np.ndarray:
        out = points.copy()
        out[landmark] = points[place] + np.float32(offset_px)
        return out

    return move


@pytest.mark.parametrize(
    ("change", "flaw"),
    [
        (lambda points: points[:468], "468"),
        (lambda points: np.full_like(points, np.nan), "NaN"),
        (np.zeros_like, "a point"),
        (_line, "not apart|on a line"),
        (_noise, "not apart|on a line|order|width|mirrored|far away"),
        (_mirrored, "mirrored"),
        (lambda points: points * [1.0, 1.0, -1.0], "depths of the other sign"),
        (_moved(mesh.CHIN, mesh.FOREHEAD_TOP), "on a line"),
        (_moved(mesh.EAR_LEFT, mesh.EAR_RIGHT), "not apart"),
        (_moved(mesh.EYE_LEFT.outer, mesh.EYE_LEFT.inner), "eyes without width"),
        (_moved(mesh.MOUTH_LEFT, mesh.MOUTH_RIGHT), "mouth without width"),
        (_moved(mesh.NOSE_BASE, mesh.CHIN), "another order"),
        (_moved(5, 5, 170.0), "far away"),
    ],
)
def test_points_that_are_no_face_are_refused(
    portrait: Portrait, change: Callable[..., np.ndarray], flaw: str
) -> None:
    with pytest.raises(MediaError, match=rf"expected .* got .*({flaw})"):
        blendshapes.displacement_basis(change(portrait.landmarks))


@pytest.mark.parametrize("angles", [(1.2, 0.0, 0.0), (-0.9, 0.4, 0.0), (0.0, -0.8, 3.0)])
def test_a_turned_or_flat_face_is_still_a_face(
    portrait: Portrait, angles: tuple[float, float, float]
) -> None:
    turned = portrait.landmarks @ mesh.head_rotation(*angles).T
    for points in (turned, portrait.landmarks * np.float32([1.0, 1.0, 0.0])):
        np.testing.assert_array_equal(mesh.check_landmarks(points), points)
        assert np.isfinite(blendshapes.displacement_basis(points)).all()


def _expression(**values: float) -> np.ndarray:
    return coefficients.vector(**values)[coefficients.EXPRESSION]


def _gap(portrait: Portrait, basis: np.ndarray, **values: float) -> np.ndarray:
    moved = displace(portrait.landmarks, basis, _expression(**values))
    down = mesh.face_frame(portrait.landmarks).axes[1]
    return np.asarray((moved[mesh.INNER_LOWER] - moved[mesh.INNER_UPPER]) @ down)
