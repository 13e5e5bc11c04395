"""What makes one person differ from another, drawn once per person and conversation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avatar_forcing_ros.training.synthetic import statistics as stats


@dataclass(frozen=True)
class PersonStyle:
    """Rates and gains of one person; 1 is the average for gains, other units in the names."""

    expressiveness: float
    articulation: float
    sway: float
    blinks_per_min: float
    smiles_per_min: float
    base_smile: float
    smile_asymmetry: float
    smile_back_probability: float
    nod_probability: float
    mirror_gain: float
    mirror_lag_s: float
    gaze_avoidance: float
    shifts_per_min: float = 0.0
    silent_smiles_per_min: float = 0.0


def draw_style(rng: np.random.Generator, restless: bool = False) -> PersonStyle:
    """A random person; a restless one also shifts posture and smiles unasked."""
    return PersonStyle(
        expressiveness=rng.uniform(*stats.EXPRESSIVENESS),
        articulation=rng.uniform(*stats.ARTICULATION),
        sway=rng.uniform(0.7, 1.3),
        blinks_per_min=rng.uniform(*stats.BLINKS_PER_MIN),
        smiles_per_min=rng.uniform(*stats.SMILES_PER_MIN),
        base_smile=rng.uniform(*stats.BASE_SMILE),
        smile_asymmetry=rng.normal(0.0, 0.05),
        smile_back_probability=rng.uniform(*stats.SMILE_BACK_PROBABILITY),
        nod_probability=rng.uniform(*stats.NOD_AT_PHRASE_END),
        mirror_gain=rng.uniform(*stats.MIRROR_GAIN),
        mirror_lag_s=rng.uniform(*stats.MIRROR_LAG_S),
        gaze_avoidance=rng.uniform(0.7, 1.3),
        shifts_per_min=rng.uniform(*stats.POSTURE_SHIFTS_PER_MIN) if restless else 0.0,
        silent_smiles_per_min=rng.uniform(*stats.SILENT_SMILES_PER_MIN) if restless else 0.0,
    )
