"""Appearance parameters of the drawn portraits.

Lengths are in *points*: the picture is 1024 x 1024 points, x to the right, y down. Offsets named
"half" are given for the right half of the picture, relative to the middle line, and mirrored.
Colours are sRGB triples in 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[float, float, float]
Points = tuple[tuple[float, float], ...]

CENTRE_X = 512.0
EYE_Y = 440.0
EYE_DX = 90.0
MOUTH_Y = 633.0


@dataclass(frozen=True)
class Appearance:
    """Everything that makes one drawn person differ from another."""

    name: str
    seed: int
    # Skin.
    skin: Colour
    skin_red: Colour
    blush: float
    freckles: float
    stubble: float
    gloss: float
    # Shape.
    outline_half: Points
    relief: float
    nose_width: float
    neck_half: float
    shoulder_half: float
    # Eyes and brows.
    iris: Colour
    iris_inner: Colour
    eye_open: float
    eye_width: float
    lash: float
    eye_shadow: float
    brow_half: Points
    brow_thickness: float
    brow_colour: Colour
    # Mouth.
    lip: Colour
    lip_fullness: float
    lip_gloss: float
    mouth_half_width: float
    smile: float
    # Hair: a style drawn by ``portrait_hair``.
    hair_style: str
    hair_dark: Colour
    hair_mid: Colour
    hair_light: Colour
    # Clothes and background.
    garment: str
    cloth: Colour
    cloth_inner: Colour
    background: Colour
    background_glow: Colour
    # What only some of the drawn people have.
    mouth_gap: float = 0.0
    """Height of the opening between parted lips in their middle."""
    teeth: float = 0.0
    """Part of the opening that the upper teeth fill, 0 for nothing but shadow."""
    wrinkles: float = 0.0
    glasses: str = ""
    """A pair drawn by ``portrait_extras``."""
    backdrop: str = "studio"
    """Drawn by ``portrait_backdrops``."""


ADA = Appearance(
    name="ada",
    seed=11,
    skin=(0.88, 0.70, 0.60),
    skin_red=(0.83, 0.45, 0.40),
    blush=0.55,
    freckles=0.35,
    stubble=0.0,
    gloss=0.75,
    outline_half=(
        (0, 136),
        (110, 158),
        (176, 228),
        (203, 320),
        (206, 400),
        (204, 470),
        (195, 535),
        (171, 604),
        (136, 664),
        (94, 713),
        (50, 743),
        (0, 752),
    ),
    relief=0.98,
    nose_width=0.9,
    neck_half=84.0,
    shoulder_half=350.0,
    iris=(0.33, 0.42, 0.33),
    iris_inner=(0.62, 0.55, 0.30),
    eye_open=1.02,
    eye_width=1.04,
    lash=1.0,
    eye_shadow=0.5,
    brow_half=((37, 396), (66, 383), (104, 374), (134, 379), (157, 395)),
    brow_thickness=11.0,
    brow_colour=(0.27, 0.16, 0.11),
    lip=(0.78, 0.39, 0.38),
    lip_fullness=1.0,
    lip_gloss=1.0,
    mouth_half_width=76.0,
    smile=17.0,
    hair_style="bob",
    hair_dark=(0.10, 0.05, 0.035),
    hair_mid=(0.40, 0.22, 0.13),
    hair_light=(0.86, 0.62, 0.42),
    garment="blazer",
    cloth=(0.13, 0.33, 0.38),
    cloth_inner=(0.90, 0.84, 0.76),
    background=(0.44, 0.55, 0.60),
    background_glow=(0.83, 0.87, 0.86),
)

BEN = Appearance(
    name="ben",
    seed=29,
    skin=(0.56, 0.37, 0.26),
    skin_red=(0.50, 0.22, 0.16),
    blush=0.22,
    freckles=0.0,
    stubble=0.75,
    gloss=0.65,
    outline_half=(
        (0, 140),
        (112, 160),
        (178, 226),
        (205, 320),
        (209, 400),
        (207, 470),
        (200, 545),
        (186, 618),
        (158, 686),
        (116, 736),
        (58, 762),
        (0, 768),
    ),
    relief=1.02,
    nose_width=1.16,
    neck_half=112.0,
    shoulder_half=415.0,
    iris=(0.26, 0.14, 0.07),
    iris_inner=(0.42, 0.24, 0.10),
    eye_open=0.93,
    eye_width=1.0,
    lash=0.15,
    eye_shadow=0.0,
    brow_half=((34, 397), (66, 385), (106, 377), (136, 382), (161, 397)),
    brow_thickness=20.0,
    brow_colour=(0.07, 0.045, 0.035),
    lip=(0.52, 0.27, 0.23),
    lip_fullness=1.12,
    lip_gloss=0.5,
    mouth_half_width=80.0,
    smile=12.0,
    hair_style="crop",
    hair_dark=(0.02, 0.016, 0.015),
    hair_mid=(0.13, 0.095, 0.08),
    hair_light=(0.36, 0.29, 0.25),
    garment="sweater",
    cloth=(0.74, 0.48, 0.16),
    cloth_inner=(0.78, 0.84, 0.90),
    background=(0.34, 0.36, 0.46),
    background_glow=(0.72, 0.68, 0.70),
)

PEOPLE = {person.name: person for person in (ADA, BEN)}
