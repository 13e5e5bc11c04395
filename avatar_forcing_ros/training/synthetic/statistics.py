"""Every number of the synthetic conversations, in one place, with the human range it comes from.

A row is either a scalar or a ``(low, high)`` range from which one value is drawn uniformly, per
person (style), per clip or per event as the name says. Sources, by the short names used below:

- Bentivoglio 1997: blinks 17/min at rest, 26/min in conversation, 4.5/min when reading.
- VanderWerf 2003: a blink closes in about 75-100 ms and opens in about 200 ms.
- Stivers 2009: gaps between turns, mean about 200 ms over ten languages, most within +-500 ms.
- Kendon 1967, Argyle & Cook 1976: listeners look at the partner 75 % of the time, speakers 40 %;
  speakers look away at the start of a turn and back at its end.
- Hadar 1983, McClave 2000: head movement in speech has its power below 2.5 Hz; stressed
  syllables come with rapid nods of a few degrees.
- Maynard 1987, Yngve 1970: listeners nod about 6-10 times a minute, mostly at phrase ends.
- Dimberg 1998, Hess & Bourgeois 2010: a smile is mirrored within 300-600 ms.
- Bachorowski 2001: laughter has about 4-5 calls a second, each some 100-200 ms long.
- Chartrand & Bargh 1999: posture is mimicked with lags of seconds and small gains.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

Range = tuple[float, float]

# --- speech -----------------------------------------------------------------------------------
SPEAKING_RATE_WPM: Final[Range] = (135.0, 215.0)
PITCH: Final[Range] = (25.0, 75.0)  # of the synthesiser, 0..100
PITCH_RANGE: Final[Range] = (30.0, 85.0)
VOCAL_TRACT_FACTOR: Final[Range] = (0.87, 1.16)  # formants times this; adults differ by +-15 %
SPEECH_LEVEL_DBFS: Final = -23.0
TEMPO_WANDER: Final = 0.06  # largest relative change of tempo (and pitch) by a slow sine
BREATH_LEVEL_DB: Final[Range] = (-50.0, -22.0)  # aspiration noise, under the speech
STOP_CLOSURE_MAX_S: Final = 0.09  # how far before its burst a voiceless stop may have closed

# --- turns ------------------------------------------------------------------------------------
GAP_MEAN_S: Final = 0.20  # Stivers 2009
GAP_STD_S: Final = 0.35
GAP_LIMITS_S: Final[Range] = (-0.5, 1.4)
LONG_PAUSE_PROBABILITY: Final = 0.16
LONG_PAUSE_S: Final[Range] = (1.5, 4.5)
SENTENCE_PAUSE_S: Final[Range] = (0.25, 0.80)
BACKCHANNEL_PROBABILITY: Final = 0.22  # at each phrase end of the speaker
BACKCHANNEL_DELAY_S: Final[Range] = (0.10, 0.45)
LAUGH_PROBABILITY: Final = 0.12  # at the end of a turn, of either person
LAUGH_CALLS: Final[tuple[int, int]] = (3, 8)
LAUGH_CALLS_PER_S: Final[Range] = (4.2, 5.6)  # Bachorowski 2001
PHRASE_PAUSE_S: Final = 0.12  # a silence inside a turn that ends a phrase

# --- eyes -------------------------------------------------------------------------------------
BLINKS_PER_MIN: Final[Range] = (11.0, 22.0)  # Bentivoglio 1997, base rate of a person
BLINK_MIN_INTERVAL_S: Final = 0.5
BLINK_AT_PHRASE_END: Final = 0.22
BLINK_WITH_GAZE_SHIFT: Final = 0.25
BLINK_CLOSE_S: Final[Range] = (0.08, 0.11)  # VanderWerf 2003
BLINK_HOLD_S: Final[Range] = (0.03, 0.06)
BLINK_OPEN_S: Final[Range] = (0.16, 0.24)
GAZE_AT_PARTNER_LISTENING: Final = 0.85  # Argyle & Cook 1976 (0.75), a little keener
GAZE_AT_PARTNER_SPEAKING: Final = 0.55
AVERSION_S: Final[Range] = (0.5, 1.6)
FIXATION_S: Final[Range] = (0.6, 2.6)
AVERSION_SIZE: Final[Range] = (0.20, 0.55)
FIXATION_JITTER: Final = 0.035
GAZE_DRIFT: Final = 0.012  # std; eyes at rest are not still
GAZE_DRIFT_BAND_HZ: Final[Range] = (0.3, 3.0)
LID_FOLLOWS_GAZE: Final = 0.3  # lowering of the lid per unit of downward gaze
TURN_START_AVERSION: Final = 0.55  # Kendon 1967
GAZE_UNIT_RAD: Final = 0.6  # eye rotation at gaze 1
EYE_COUNTER_ROTATION: Final = 0.75  # share of head rotation that the eyes take back

# --- head -------------------------------------------------------------------------------------
# standard deviations, in the rig's units, at style 1: (posture, moving when speaking, listening)
SWAY: Final[dict[str, tuple[float, float, float]]] = {
    "head_yaw": (0.035, 0.034, 0.007),
    "head_pitch": (0.022, 0.024, 0.006),
    "head_roll": (0.024, 0.022, 0.006),
    "head_x": (0.020, 0.010, 0.003),
    "head_y": (0.012, 0.007, 0.002),
    "head_scale": (0.014, 0.007, 0.002),
}
POSTURE_BAND_HZ: Final[Range] = (0.02, 0.25)
MOVING_BAND_HZ: Final[Range] = (0.25, 2.2)  # Hadar 1983
POSTURE_SHIFTS_PER_MIN: Final[Range] = (2.0, 6.0)  # style of the user; the avatar has none
POSTURE_SHIFT: Final = (0.07, 0.05, 0.05, 0.05, 0.03, 0.05)  # std of a new posture, pose order
POSTURE_SHIFT_LIMIT: Final = 2.0  # standard deviations
POSTURE_SHIFT_S: Final[Range] = (0.7, 1.6)
BREATH_HZ: Final[Range] = (0.22, 0.32)
BREATH_HEAD_Y: Final = 0.003
BREATH_PITCH_RAD: Final = 0.0025
NEVER_STILL_RAD: Final = 0.005  # std of yaw, pitch and roll whatever happens
NEVER_STILL_BAND_HZ: Final[Range] = (0.2, 1.0)
EMPHASIS_NOD_PROBABILITY: Final = 0.30  # per primary stress of average loudness
EMPHASIS_NOD_RAD: Final[Range] = (0.025, 0.075)
EMPHASIS_PEAK_S: Final = 0.04  # after the middle of the stressed vowel: the stress comes first
EMPHASIS_BROW_PROBABILITY: Final = 0.14
EMPHASIS_BROW: Final[Range] = (0.15, 0.50)
BROW_SINKS: Final = 0.30  # share of a raised brow that is lost while it is held
BROW_TREMOR: Final = 0.08  # relative

# --- listening --------------------------------------------------------------------------------
NOD_AT_PHRASE_END: Final[Range] = (0.25, 0.70)  # style; gives 6-10 nods a minute of listening
NOD_DELAY_S: Final[Range] = (0.20, 0.60)
NOD_RAD: Final[Range] = (0.06, 0.14)
NOD_HZ: Final[Range] = (1.6, 2.8)
NOD_CYCLES: Final[tuple[int, int]] = (1, 3)
NOD_SPEED_RAD_S: Final = 0.9  # at most, so large nods are slow ones
NOD_CLEAR_OF_SPEECH_S: Final = 0.3  # who is about to speak does not nod
SMILE_BACK_PROBABILITY: Final[Range] = (0.70, 0.97)  # style
SMILE_BACK_DELAY_S: Final[Range] = (0.20, 0.60)  # Dimberg 1998
SMILE_BACK_GAIN: Final[Range] = (0.60, 1.00)
QUESTION_BROW_PROBABILITY: Final = 0.65
QUESTION_BROW_DELAY_S: Final[Range] = (0.20, 0.50)
QUESTION_BROW: Final[Range] = (0.25, 0.60)
TILT_PROBABILITY: Final = 0.25  # interest: a tilted head while the partner goes on speaking
TILT_DELAY_S: Final[Range] = (0.6, 1.8)  # from the start of the sentence
TILT_HOLD_S: Final[Range] = (0.8, 2.5)
TILT_RAD: Final[Range] = (0.05, 0.12)
MIRROR_GAIN: Final[Range] = (0.25, 0.65)  # style; Chartrand & Bargh 1999
MIRROR_LAG_S: Final[Range] = (0.5, 1.2)  # style
MIRROR_CUTOFF_HZ: Final = 0.35
GAZE_FOLLOW_GAIN: Final = 0.55  # gaze units per head width of the partner's displacement

# --- expression -------------------------------------------------------------------------------
SMILES_PER_MIN: Final[Range] = (1.5, 5.0)  # style, spontaneous, while speaking or at turn ends
SMILE_SIZE: Final[Range] = (0.25, 0.70)
SMILE_WHILE_SPEAKING: Final = 0.65  # what is left of a smile in speech
SMILE_ON_CLOSED_LIPS: Final = 0.70  # and where lips are pressed together
SMILE_RISE_S: Final[Range] = (0.35, 0.70)
SMILE_HOLD_S: Final[Range] = (0.8, 3.0)
SMILE_FALL_S: Final[Range] = (0.8, 1.6)
SMILE_GENUINE_PROBABILITY: Final = 0.75
CHEEK_OF_SMILE: Final = 0.75
SILENT_SMILES_PER_MIN: Final[Range] = (0.5, 3.0)  # style of the user: smiles while not talking
BASE_SMILE: Final[Range] = (0.00, 0.12)  # style
SMILE_TREMOR: Final = 0.05  # relative, below 2 Hz: nobody holds a smile still
FURROWS_PER_MIN: Final = 2.5
FURROW_SIZE: Final[Range] = (0.15, 0.45)

# --- style and tracking -----------------------------------------------------------------------
EXPRESSIVENESS: Final[Range] = (0.65, 1.35)
ARTICULATION: Final[Range] = (0.88, 1.12)
TRACKER_NOISE_POSE: Final[Range] = (0.0008, 0.004)
TRACKER_NOISE_EXPRESSION: Final[Range] = (0.003, 0.020)
TRACKER_GAIN: Final[Range] = (0.80, 1.20)
TRACKER_LEAK: Final = 0.02  # std of one expression's part in another
TRACKER_SMILE_LEAK: Final = 0.25  # at most so much of a stretched mouth is taken for a smile
TRACKER_POSE_OFFSET: Final = (0.03, 0.05, 0.02, 0.03, 0.03, 0.03)  # std, pose order
TRACKER_NEUTRAL_ERROR: Final = 0.015  # std
TRACKER_SMOOTHING: Final[Range] = (0.5, 1.0)  # share of the new frame in a running mean
TRACKER_LOST_PER_MIN: Final = 0.8
TRACKER_LOST_S: Final[Range] = (0.1, 3.0)
TRACKER_HOLD_S: Final = 0.2  # as perception does: held so long,
TRACKER_DECAY_S: Final = 1.0  # then led to neutral in this time


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
        expressiveness=rng.uniform(*EXPRESSIVENESS),
        articulation=rng.uniform(*ARTICULATION),
        sway=rng.uniform(0.7, 1.3),
        blinks_per_min=rng.uniform(*BLINKS_PER_MIN),
        smiles_per_min=rng.uniform(*SMILES_PER_MIN),
        base_smile=rng.uniform(*BASE_SMILE),
        smile_asymmetry=rng.normal(0.0, 0.05),
        smile_back_probability=rng.uniform(*SMILE_BACK_PROBABILITY),
        nod_probability=rng.uniform(*NOD_AT_PHRASE_END),
        mirror_gain=rng.uniform(*MIRROR_GAIN),
        mirror_lag_s=rng.uniform(*MIRROR_LAG_S),
        gaze_avoidance=rng.uniform(0.7, 1.3),
        shifts_per_min=rng.uniform(*POSTURE_SHIFTS_PER_MIN) if restless else 0.0,
        silent_smiles_per_min=rng.uniform(*SILENT_SMILES_PER_MIN) if restless else 0.0,
    )
