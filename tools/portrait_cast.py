"""The test set of drawn portraits: each has a difficulty of real photos."""

from __future__ import annotations

from dataclasses import dataclass, replace

import portrait_photo as photo
from portrait_photo import Cut, Look
from portrait_spec import ADA, BEN, Appearance

WHOLE = Cut()


@dataclass(frozen=True)
class Subject:
    """One picture of the set: who, how cut, how it looks, and what is to be seen."""

    name: str
    person: Appearance | None
    """None for the cat, which has no human face."""
    shows: str
    cut: Cut = WHOLE
    look: Look = photo.plain
    quality: int = 74


PALE = {
    "skin": (0.87, 0.69, 0.59),
    "skin_red": (0.80, 0.42, 0.36),
    "lip": (0.72, 0.42, 0.38),
}
FAIR_HAIR = {
    "hair_dark": (0.34, 0.22, 0.11),
    "hair_mid": (0.70, 0.53, 0.30),
    "hair_light": (0.98, 0.88, 0.66),
    "brow_colour": (0.42, 0.29, 0.17),
}
BLACK_HAIR = {
    "hair_dark": (0.012, 0.011, 0.014),
    "hair_mid": (0.050, 0.046, 0.052),
    "hair_light": (0.20, 0.20, 0.23),
    "brow_colour": (0.06, 0.045, 0.04),
}
GREY_HAIR = {
    "hair_dark": (0.25, 0.25, 0.26),
    "hair_mid": (0.62, 0.62, 0.62),
    "hair_light": (0.96, 0.96, 0.96),
    "brow_colour": (0.50, 0.49, 0.47),
}
STONE = {
    "skin": (0.80, 0.80, 0.79),
    "skin_red": (0.72, 0.72, 0.71),
    "lip": (0.76, 0.76, 0.75),
    "iris": (0.60, 0.60, 0.60),
    "iris_inner": (0.66, 0.66, 0.66),
    "hair_dark": (0.36, 0.36, 0.36),
    "hair_mid": (0.66, 0.66, 0.65),
    "hair_light": (0.90, 0.90, 0.89),
    "brow_colour": (0.62, 0.62, 0.61),
    "cloth": (0.74, 0.74, 0.73),
    "cloth_inner": (0.80, 0.80, 0.79),
    "background": (0.20, 0.20, 0.21),
    "background_glow": (0.42, 0.42, 0.43),
}
WARM_ROOM = {"background": (0.16, 0.11, 0.08), "background_glow": (0.42, 0.30, 0.19)}

LENA = replace(
    ADA, name="lena", seed=11, **FAIR_HAIR, iris=(0.30, 0.42, 0.55), iris_inner=(0.50, 0.58, 0.62),
    freckles=0.1, cloth=(0.42, 0.16, 0.20), background=(0.52, 0.48, 0.44),
    background_glow=(0.86, 0.82, 0.76),
)  # fmt: skip
TOM = replace(
    BEN, name="tom", seed=29, hair_style="swept", **PALE, stubble=0.45,
    iris=(0.34, 0.38, 0.36), iris_inner=(0.50, 0.46, 0.34),
    hair_dark=(0.09, 0.05, 0.03), hair_mid=(0.30, 0.19, 0.12), hair_light=(0.66, 0.50, 0.36),
    brow_colour=(0.18, 0.12, 0.08), brow_thickness=15.0, cloth=(0.20, 0.24, 0.34),
)  # fmt: skip
MIRA = replace(
    ADA, name="mira", seed=11, **BLACK_HAIR, skin=(0.76, 0.56, 0.44), skin_red=(0.66, 0.33, 0.27),
    iris=(0.24, 0.14, 0.08), iris_inner=(0.38, 0.22, 0.11), freckles=0.0, lip=(0.66, 0.30, 0.30),
)  # fmt: skip
OTTO = replace(
    TOM, name="otto", **GREY_HAIR, wrinkles=1.0, stubble=0.2, eye_open=0.84, brow_thickness=18.0,
    mouth_half_width=76.0, smile=6.0, lip_fullness=0.8,
)  # fmt: skip

SUBJECTS = (
    Subject(
        "parted_teeth", replace(LENA, mouth_gap=10.5, teeth=0.72),
        "lips parted by a few pixels, upper teeth between them",
    ),
    Subject(
        "parted_shadow", replace(BEN, mouth_gap=8.5),
        "lips parted by a few pixels, nothing but shadow between them",
    ),
    Subject(
        "smile",
        replace(
            MIRA, mouth_gap=29.0, teeth=0.82, mouth_half_width=94.0, smile=25.0, eye_open=0.86,
            backdrop="bokeh", background=(0.10, 0.10, 0.16), background_glow=(0.30, 0.25, 0.30),
        ),
        "an open smile with teeth, lights out of focus behind the head",
    ),
    Subject(
        "tight", replace(TOM, mouth_gap=7.0, teeth=0.5),
        "a tight crop: the upper edge cuts the hair, the chin is close to the lower edge",
        Cut(190.0, 130.0, 648.0, 648.0),
    ),
    Subject(
        "hair_to_edge", LENA,
        "the hair touches the upper edge, shoulders below",
        Cut(40.0, 80.0, 944.0, 944.0),
    ),
    Subject(
        "low_chin", BEN,
        "the chin is close to the lower edge, room above the hair",
        Cut(118.0, 0.0, 788.0, 788.0),
    ),
    Subject(
        "grey", replace(TOM, mouth_gap=9.5, teeth=0.7, backdrop="bokeh", **WARM_ROOM),
        "a black-and-white photo, lips parted with teeth",
        Cut(90.0, 0.0, 844.0, 1024.0, 448), photo.grey,
    ),
    Subject(
        "dark", replace(MIRA, **WARM_ROOM),
        "a photo of 12 % brightness with a sensor's noise",
        look=photo.dark, quality=78,
    ),
    Subject(
        "glasses_thick", replace(BEN, glasses="thick"),
        "glasses with thick dark rims that run close above the lids",
    ),
    Subject(
        "glasses_thin", replace(LENA, glasses="thin"),
        "glasses with thin rims that run across the lids",
    ),
    Subject(
        "wrinkled",
        replace(OTTO, background=(0.14, 0.14, 0.15), background_glow=(0.30, 0.29, 0.28)),
        "an old face with much contrast and many lines",
        look=photo.harsh,
    ),
    Subject(
        "blinds",
        replace(
            TOM, backdrop="blinds", background=(0.80, 0.78, 0.72),
            background_glow=(0.95, 0.95, 0.90),
        ),
        "level slats and upright cords of blinds behind the head",
    ),
    Subject(
        "shelves", replace(LENA, backdrop="shelves", background=(0.45, 0.30, 0.18)),
        "upright books and level boards behind the head",
    ),
    Subject(
        "dark_hair",
        replace(
            MIRA, background=(0.035, 0.033, 0.036), background_glow=(0.075, 0.07, 0.075),
            cloth=(0.06, 0.06, 0.07),
        ),
        "black hair before a black background",
    ),
    Subject(
        "marble", replace(BEN, **STONE, stubble=0.0, lash=0.0, gloss=0.9, mouth_gap=6.5),
        "a statue of pale stone, lips a little open",
        look=photo.marble,
    ),
    Subject(
        "pencil", replace(ADA, background=(0.72, 0.72, 0.72), background_glow=(0.95, 0.95, 0.95)),
        "a drawing in pencil: lines and hatching on paper",
        look=photo.pencil, quality=66,
    ),
    Subject(
        "painting", replace(ADA, **WARM_ROOM, cloth=(0.30, 0.10, 0.08), mouth_gap=6.5, teeth=0.0),
        "an old painting: warm varnish, a canvas' weave, cracks, lips just parted",
        Cut(70.0, 0.0, 884.0, 1024.0, 448), photo.painting,
    ),
    Subject(
        "upside_down", TOM, "the photo is turned by 180 degrees", Cut(turn_deg=180.0),
    ),
    Subject(
        "scan", replace(LENA, backdrop="shelves", background=(0.40, 0.42, 0.44)),
        "a print that leans on a white page, as scanned: slanted white border",
        Cut(60.0, 20.0, 904.0, 1000.0, 512, turn_deg=7.0, border=0.06), photo.plain,
    ),
    Subject(
        "cat", None,
        "the face of a cat, cut so that an eye of it passes for a face at first sight",
        Cut(157.0, 153.0, 495.0, 495.0, 384),
    ),
)  # fmt: skip
