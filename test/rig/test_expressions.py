"""Named expressions, and what valence and arousal make of them."""

from __future__ import annotations

import numpy as np
import pytest

from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.rig.coefficients import INDEX
from avatar_forcing_ros.rig.expressions import EXPRESSIONS, Expression


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_every_name_is_a_face_of_its_own_within_the_rigs_ranges(name: str) -> None:
    face = Expression(name).coefficients()
    assert np.array_equal(coefficients.clip(face), face)
    others = [Expression(other).coefficients() for other in EXPRESSIONS if other != name]
    assert min(np.abs(face - other).max() for other in others) >= 0.1
    assert Expression(name).is_neutral == (name == "neutral") == (not face.any())


def test_pleasure_smiles_displeasure_frowns_arousal_opens_sleep_closes() -> None:
    def shown(valence: float, arousal: float, name: str) -> float:
        face = Expression(valence=valence, arousal=arousal).coefficients()
        return float(face[INDEX[name]])

    assert shown(0.8, 0.4, "smile_left") > 0.6
    assert shown(-0.7, -0.4, "frown") > 0.5
    assert shown(0.2, 0.85, "brow_up_left") > 0.7
    assert shown(0.0, -1.0, "blink_left") > 0.8
    assert shown(0.05, 0.0, "smile_left") < 0.1


def test_nothing_is_neutral() -> None:
    assert Expression().is_neutral
    assert not Expression().coefficients().any()
    assert not Expression(valence=0.5).is_neutral


def test_unknown_names_and_strange_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="'hapy'; there are neutral, angry"):
        Expression("hapy")
    for wrong in (float("nan"), 1.5, -float("inf")):
        with pytest.raises(ValueError, match="expected -1 to 1"):
            Expression(valence=wrong)
        with pytest.raises(ValueError, match="expected -1 to 1"):
            Expression(arousal=wrong)
