"""The page of all coefficients."""

import numpy as np

from avatar_forcing_ros.rig.coefficient_sheet import (
    MOUTH_SHAPES,
    coefficient_sheet,
    expression_sheet,
)
from avatar_forcing_ros.rig.portrait import Portrait


def test_sheet_shows_every_coefficient(portrait: Portrait) -> None:
    page = coefficient_sheet(portrait)
    assert page.dtype == np.uint8
    assert page.ndim == 3
    assert set(MOUTH_SHAPES) == set("aiuomf")
    # images, not paper, fill most of the page
    assert (np.abs(page.astype(int) - page[0, 0]).max(-1) > 6).mean() > 0.6


def test_sheet_of_expressions_shows_faces_that_differ(portrait: Portrait) -> None:
    page = expression_sheet(portrait)
    neutral, angry = page[28:208, 28:208], page[28:208, 214:394]
    assert np.abs(neutral.astype(int) - angry)[:150].mean() > 1.0
    assert (np.abs(page.astype(int) - page[0, 0]).max(-1) > 6).mean() > 0.6
