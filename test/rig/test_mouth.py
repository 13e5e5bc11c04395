"""The mouth's inside, rims and corners: the picture's own light, and a warp that never folds."""

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from faces import displace

from avatar_forcing_ros.rig import blendshapes, coefficients
from avatar_forcing_ros.rig import face_landmarks as mesh
from avatar_forcing_ros.rig.coefficients import vector
from avatar_forcing_ros.rig.image_files import load_image
from avatar_forcing_ros.rig.landmark_files import load_landmark_file
from avatar_forcing_ros.rig.layers import split_layers
from avatar_forcing_ros.rig.lip_line import lips_parted, refine_lips
from avatar_forcing_ros.rig.mouth_light import mouth_light
from avatar_forcing_ros.rig.portrait import Portrait, frame_portrait
from avatar_forcing_ros.rig.warp_fields import GRID, WarpFields, build_fields
from avatar_forcing_ros.rig.warp_renderer import WarpRenderer
from avatar_forcing_ros.training.synthetic.visemes import MOUTH_NAMES, mouth_curves

PORTRAITS = Path(__file__).parents[2] / "models" / "portraits"
SIZE_PX = 256
OPEN = {"jaw_open": 0.7}
SOUNDS = ["ɑ", "æ", "i", "u", "o", "ɔ", "e", "y", "m", "f", "s", "ʃ", "w", "j", "l", "k"]


def _drawn(name: str, size_px: int = SIZE_PX) -> Portrait:
    landmarks, _ = load_landmark_file(PORTRAITS / f"{name}.landmarks.json")
    return frame_portrait(load_image(PORTRAITS / f"{name}.png"), landmarks, size_px)


def _parted(portrait: Portrait, gap: float, colour: tuple[int, int, int]) -> Portrait:
    """`portrait` with an opening of `gap` face heights painted between its lips."""
    closed = refine_lips(portrait).landmarks
    frame = mesh.face_frame(closed)
    landmarks = closed.copy()
    bow = np.sin(np.linspace(0.0, np.pi, 11))[:, None] * 0.5 * gap * frame.height_px
    for rows, sign in ((mesh.LIP_UPPER, -1.0), (mesh.LIP_LOWER, 1.0)):
        landmarks[rows[-1]] += sign * bow * frame.axes[1]
    fine = 8
    size = portrait.size_px * fine
    outline = np.concatenate([landmarks[mesh.INNER_UPPER], landmarks[mesh.INNER_LOWER][::-1]])
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [((outline[:, :2] + 0.5) * fine).round().astype(np.int32)], (255,))
    cover = cv2.resize(mask, (portrait.size_px,) * 2, interpolation=cv2.INTER_AREA) / 255.0
    cover = cv2.GaussianBlur(cover, (0, 0), 0.6)[..., None]
    image = portrait.image * (1 - cover) + np.float32(colour) * cover
    return Portrait(np.asarray(image + 0.5, np.uint8), landmarks)


def _generated() -> Iterator[np.ndarray]:
    """Mouths as the training data has them: sounds in any order, smiles and frowns over them."""
    random = np.random.default_rng(0)
    sounds = random.choice(SOUNDS, 120)
    phonemes = [(0.09 * k, 0.09 * (k + 1), "ˈ" + sound) for k, sound in enumerate(sounds)]
    loud = random.uniform(0.3, 2.0, 270)
    curves = mouth_curves(phonemes, 270, 1.25, loud)
    for index, mouth in enumerate(curves[::2]):
        values = vector(**dict(zip(MOUTH_NAMES, mouth.tolist(), strict=True)))
        rounded = values[coefficients.INDEX["mouth_pucker"]]
        smile = (index % 3) * 0.45 * (1.0 - 0.4 * rounded)
        values[coefficients.INDEX["smile_left"]] = 1.1 * smile
        values[coefficients.INDEX["smile_right"]] = 0.9 * smile
        values[coefficients.INDEX["mouth_wide"]] += 0.22 * smile * (1.0 - rounded)
        values[coefficients.INDEX["frown"]] = 0.35 * (index % 3 == 0)
        yield coefficients.clip(values)


def _extremes() -> Iterator[np.ndarray]:
    """Every mouth coefficient at its end, alone and with each other one."""
    names = [*MOUTH_NAMES, "smile_left", "smile_right", "frown"]
    for name in names:
        yield vector(**{name: 1.0})
    for first, second in combinations(names, 2):
        yield vector(**{first: 1.0, second: 1.0})
        yield vector(**{first: 1.0, second: 0.5})
        yield vector(**{first: 0.5, second: 1.0})


def _least_area(portrait: Portrait, fields: WarpFields, values: np.ndarray) -> float:
    """Smallest area of a grid cell on its own side of the lips, in areas at rest."""
    p, frame = portrait.landmarks, mesh.face_frame(portrait.landmarks)
    expression = values[coefficients.EXPRESSION]
    moves = np.tensordot(expression, blendshapes.displacement_basis(p), axes=1)
    close = float(expression[coefficients.EXPRESSION_NAMES.index("lips_close")])
    seal = blendshapes.seal_lips(p + moves, frame.axes[1], close)
    shape = fields.nodes[fields.window].shape
    rims = (mesh.INNER_UPPER, mesh.INNER_LOWER)
    moved = []
    for layer, row in zip((fields.upper, fields.lower), rims, strict=True):
        weights = np.concatenate([expression, seal[row[1:-1]] @ frame.axes[1]])
        moved.append((weights.astype(np.float32) @ layer).reshape(shape))
    share = fields.free_share(moved)
    n = fields.nodes
    centres = 0.25 * (n[:-1, :-1] + n[1:, :-1] + n[:-1, 1:] + n[1:, 1:])
    least = np.inf
    for field, row, side in zip(moved, rims, (-1.0, 1.0), strict=True):
        places = n.copy()
        places[fields.window] += share * field
        across, down = np.diff(places, axis=1)[:-1], np.diff(places, axis=0)[:, :-1]
        area = across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]
        line = np.interp(centres[..., 0], p[row, 0], p[row, 1])
        mine = side * (centres[..., 1] - line) > 0.0
        least = min(least, float(area[mine].min()) * (GRID / portrait.size_px) ** 2)
    return least


@pytest.mark.parametrize(
    ("name", "gap"), [("ada", 0.0), ("ben", 0.0), ("ada", 0.03), ("ben", 0.06)]
)
def test_the_warp_is_one_to_one_for_every_mouth(name: str, gap: float) -> None:
    portrait = _drawn(name) if gap == 0.0 else _parted(_drawn(name), gap, (30, 20, 20))
    refined = refine_lips(portrait)
    basis = blendshapes.displacement_basis(refined.landmarks)
    fields = build_fields(refined, basis, split_layers(portrait).alpha)
    generated = [_least_area(refined, fields, values) for values in _generated()]
    extremes = [_least_area(refined, fields, values) for values in _extremes()]
    assert min(generated) > 0.3
    assert min(extremes) > 0.1


@pytest.mark.parametrize("name", ["ada", "ben"])
def test_a_grey_picture_has_a_grey_mouth(name: str) -> None:
    portrait = _drawn(name)
    grey = cv2.cvtColor(portrait.image, cv2.COLOR_RGB2GRAY)
    grey_portrait = Portrait(np.ascontiguousarray(np.dstack([grey] * 3)), portrait.landmarks)
    for values in (OPEN, {"jaw_open": 0.3, "upper_lip_raise": 0.6, "lower_lip_down": 0.6}):
        image = WarpRenderer(grey_portrait).render(vector(**values)).astype(int)
        assert np.ptp(image, axis=-1).max() <= 2


@pytest.mark.parametrize("brightness", [0.12, 0.4])
def test_a_dark_picture_has_a_dark_mouth(portrait: Portrait, brightness: float) -> None:
    """The same face in less light: the mouth loses its light with it."""
    dark = Portrait((portrait.image * brightness).astype(np.uint8), portrait.landmarks)
    values = vector(jaw_open=0.3, upper_lip_raise=0.8, lower_lip_down=0.5)
    bright_mouth = _mouth(WarpRenderer(portrait).render(values), portrait)
    dark_mouth = _mouth(WarpRenderer(dark).render(values), portrait)
    np.testing.assert_allclose(dark_mouth, bright_mouth * brightness, atol=8.0 * brightness + 6.0)


def test_teeth_have_the_colour_of_the_light(portrait: Portrait) -> None:
    frame = mesh.face_frame(portrait.landmarks)
    warm = Portrait(
        (portrait.image * np.float32([1.0, 0.82, 0.42])).astype(np.uint8), portrait.landmarks
    )
    enamel = mouth_light(warm, frame).enamel
    assert enamel[0] > enamel[1] > 1.15 * enamel[2]
    cold = Portrait(np.ascontiguousarray(warm.image[..., ::-1]), portrait.landmarks)
    enamel = mouth_light(cold, frame).enamel
    assert enamel[2] > 1.15 * enamel[0]


def test_grain_and_blur_of_the_picture_are_measured(portrait: Portrait) -> None:
    frame = mesh.face_frame(portrait.landmarks)
    noise = np.random.default_rng(0).normal(0.0, 6.0, (SIZE_PX, SIZE_PX, 1))
    grainy = np.clip(portrait.image + noise, 0, 255).astype(np.uint8)
    calm = mouth_light(portrait, frame).grain.std()
    assert calm < 2.0
    assert 4.0 < mouth_light(Portrait(grainy, portrait.landmarks), frame).grain.std() < 8.0
    for sigma in (1.5, 3.0):
        blurred = np.asarray(cv2.GaussianBlur(portrait.image, (0, 0), sigma), np.uint8)
        seen = mouth_light(Portrait(blurred, portrait.landmarks), frame).blur_px
        assert abs(seen - sigma) < 0.5 * sigma


def test_teeth_are_as_grainy_as_the_skin(portrait: Portrait) -> None:
    noise = np.random.default_rng(0).normal(0.0, 6.0, (SIZE_PX, SIZE_PX, 1))
    grainy = Portrait(np.clip(portrait.image + noise, 0, 255).astype(np.uint8), portrait.landmarks)
    values = vector(upper_lip_raise=1.0, lower_lip_down=1.0, jaw_open=0.3)
    teeth = [_teeth_patch(WarpRenderer(p).render(values), p) for p in (portrait, grainy)]
    assert _roughness(teeth[1]) > _roughness(teeth[0]) + 1.0


@pytest.mark.parametrize("colour", [(24, 14, 14), (225, 218, 205)], ids=["shadow", "teeth"])
@pytest.mark.parametrize("gap", [0.016, 0.03])
def test_an_old_opening_vanishes_when_the_lips_close(
    colour: tuple[int, int, int], gap: float
) -> None:
    """Between sealed lips there is lip, neither the old shadow nor the old teeth."""
    parted = _parted(_drawn("ada"), gap, colour)
    image = WarpRenderer(parted).render(vector(lips_close=1.0, jaw_open=0.1)).astype(int)
    x = int(parted.landmarks[13, 0])
    top, base = (int(parted.landmarks[k, 1]) for k in (13, 14))
    between = image[top + 1 : base + 2, x - 6 : x + 7]
    assert between.mean(-1).min() > 75
    assert (between[..., 1] < 0.8 * between[..., 0]).all()


@pytest.mark.parametrize("gap", [0.016, 0.03])
@pytest.mark.parametrize("jaw", [0.5, 0.8])
def test_an_old_opening_leaves_no_second_lip_line(gap: float, jaw: float) -> None:
    """From the upper lip down to amid the opening there is one lip, whatever showed at rest."""
    parted = _parted(_drawn("ada"), gap, (24, 14, 14))
    image = WarpRenderer(parted).render(vector(jaw_open=jaw)).astype(int)
    height = mesh.face_frame(parted.landmarks).height_px
    x, y = parted.landmarks[13, :2]
    column = image[int(y - 0.03 * height) : int(y + 0.1 * jaw * height), int(x)]
    lip = (column[:, 0] - column[:, 1] > 45) & (column[:, 0] > 110)
    assert np.diff(np.pad(lip.astype(int), 1)).clip(0).sum() == 1


def test_rims_are_found_where_the_picture_shows_them() -> None:
    """Landmarks that lie off both rims are moved onto them."""
    parted = _parted(_drawn("ada", 512), 0.03, (24, 14, 14))
    frame = mesh.face_frame(parted.landmarks)
    wrong = parted.landmarks.copy()
    shift = -0.012
    step = shift * frame.height_px * frame.axes[1]
    wrong[np.concatenate([mesh.INNER_UPPER[1:-1], mesh.INNER_LOWER[1:-1]])] += step
    found = refine_lips(Portrait(parted.image, wrong)).landmarks
    for row in (mesh.INNER_UPPER, mesh.INNER_LOWER):
        off = np.abs((found - parted.landmarks)[row[3:8]] @ frame.axes[1])
        assert off.mean() < 0.6 * abs(shift) * frame.height_px


def test_only_parted_lips_are_taken_apart(portrait: Portrait) -> None:
    for name in ("ada", "ben"):
        closed = refine_lips(_drawn(name)).landmarks
        assert not lips_parted(closed, mesh.face_frame(closed))
    slight = refine_lips(_parted(portrait, 0.014, (24, 14, 14))).landmarks
    assert lips_parted(slight, mesh.face_frame(slight))


def test_a_slight_opening_shows_hardly_any_teeth(portrait: Portrait) -> None:
    renderer = WarpRenderer(portrait)
    levels = [
        _mouth_levels(renderer.render(vector(jaw_open=jaw)), portrait, jaw).max()
        for jaw in (0.1, 0.6)
    ]
    assert levels[0] < 0.75 * levels[1]


def _mouth_levels(image: np.ndarray, portrait: Portrait, jaw: float) -> np.ndarray:
    """Grey levels ``[n]`` down the middle of the opening."""
    basis = blendshapes.displacement_basis(portrait.landmarks)
    moved = displace(portrait.landmarks, basis, vector(jaw_open=jaw)[coefficients.EXPRESSION])
    x, top = moved[13, :2].round().astype(int)
    base = int(moved[14, 1])
    return np.asarray(image[top : base + 1, x].mean(-1))


def _mouth(image: np.ndarray, portrait: Portrait) -> np.ndarray:
    """The pixels around the lips, float."""
    x, y = portrait.landmarks[14, :2].round().astype(int)
    return image[y - 12 : y + 16, x - 18 : x + 19].astype(float)


def _teeth_patch(image: np.ndarray, portrait: Portrait) -> np.ndarray:
    x, y = portrait.landmarks[13, :2].round().astype(int)
    return image[y - 2 : y + 3, x - 9 : x + 10].mean(-1)


def _roughness(patch: np.ndarray) -> float:
    return float(np.abs(np.diff(patch, 2, axis=0)).mean())
