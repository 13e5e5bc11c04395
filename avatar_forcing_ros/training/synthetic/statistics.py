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
- Kendon 1970, Hadar 1985: listeners' heads move with the rhythm of the speaker's stresses.

What has no source is chosen so that a listener's motion is alive (`PEOPLE_MOVE`) and follows from
the partner far more than from chance.
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
GAZE_AT_PARTNER_LISTENING: Final = 0.75  # Argyle & Cook 1976: 0.75
GAZE_AT_PARTNER_SPEAKING: Final = 0.45  # 0.40
AVERSION_S: Final[Range] = (0.5, 1.6)
FIXATION_S: Final[Range] = (0.6, 2.6)
AVERSION_SIZE: Final[Range] = (0.30, 0.90)
FIXATION_JITTER: Final = 0.05
GAZE_DRIFT: Final = 0.012  # std; eyes at rest are not still
GAZE_DRIFT_BAND_HZ: Final[Range] = (0.3, 3.0)
LID_FOLLOWS_GAZE: Final = 0.3  # lowering of the lid per unit of downward gaze
TURN_START_AVERSION: Final = 0.55  # Kendon 1967
GAZE_UNIT_RAD: Final = 0.6  # eye rotation at gaze 1
EYE_COUNTER_ROTATION: Final = 0.75  # share of head rotation that the eyes take back

# --- head -------------------------------------------------------------------------------------
# standard deviations, in the rig's units, at style 1: (posture, moving when speaking, listening)
SWAY: Final[dict[str, tuple[float, float, float]]] = {
    "head_yaw": (0.040, 0.060, 0.018),
    "head_pitch": (0.022, 0.038, 0.010),
    "head_roll": (0.026, 0.026, 0.010),
    "head_x": (0.018, 0.012, 0.004),
    "head_y": (0.012, 0.008, 0.003),
    "head_scale": (0.014, 0.008, 0.003),
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
EMPHASIS_NOD_PROBABILITY: Final = 0.40  # per primary stress of average loudness
EMPHASIS_NOD_RAD: Final[Range] = (0.03, 0.10)
EMPHASIS_PEAK_S: Final = 0.04  # after the middle of the stressed vowel: the stress comes first
EMPHASIS_BROW_PROBABILITY: Final = 0.28
EMPHASIS_BROW: Final[Range] = (0.20, 0.70)
BROW_SPEAKING: Final = 0.22  # std, before what is below rest is cut off
BROW_LISTENING: Final = 0.10
BROW_BAND_HZ: Final[Range] = (0.08, 1.0)
BROW_SINKS: Final = 0.30  # share of a raised brow that is lost while it is held
BROW_TREMOR: Final = 0.08  # relative

# --- listening --------------------------------------------------------------------------------
NOD_AT_PHRASE_END: Final[Range] = (0.75, 0.97)  # style
NOD_REST_S: Final[Range] = (1.3, 1.8)  # style; leaves 8-12 nods a minute of listening
NOD_DELAY_S: Final[Range] = (0.28, 0.40)
NOD_RAD: Final[Range] = (0.08, 0.15)
NOD_HZ: Final[Range] = (1.6, 2.8)
NOD_CYCLES: Final[tuple[int, int]] = (1, 2)
NOD_SPEED_RAD_S: Final = 0.9  # at most, so large nods are slow ones
NOD_CLEAR_OF_SPEECH_S: Final = 0.3  # who is about to speak does not nod
BEAT_PROBABILITY: Final = 0.35  # per primary stress of the partner: Kendon 1970, Hadar 1985
BEAT_DELAY_S: Final[Range] = (0.12, 0.28)
BEAT_RAD: Final[Range] = (0.008, 0.022)
ANSWER_DELAY_S: Final[Range] = (0.20, 0.60)  # from an act to one in kind: Dimberg 1998
NOD_BACK_DELAY_S: Final[Range] = (0.34, 0.48)
ANSWER_GAIN: Final[Range] = (0.70, 1.10)
SMILE_BACK_PROBABILITY: Final[Range] = (0.75, 0.98)  # style; of laughs, too
NOD_BACK_PROBABILITY: Final[Range] = (0.80, 0.98)  # style
BROW_BACK_PROBABILITY: Final[Range] = (0.60, 0.95)  # style
SEEN_BROW: Final = 0.55  # a smaller one is not answered
QUESTION_BROW_PROBABILITY: Final = 0.75
QUESTION_BROW_DELAY_S: Final[Range] = (0.20, 0.50)
QUESTION_BROW: Final[Range] = (0.30, 0.75)
TILT_PROBABILITY: Final = 0.25  # interest: a tilted head while the partner goes on speaking
TILT_DELAY_S: Final[Range] = (0.6, 1.8)  # from the start of the sentence
TILT_HOLD_S: Final[Range] = (0.8, 2.5)
TILT_RAD: Final[Range] = (0.05, 0.12)
MIRROR_GAIN: Final[Range] = (0.45, 0.85)  # style; Chartrand & Bargh 1999
MIRROR_LAG_S: Final[Range] = (0.4, 0.9)  # style
MIRROR_CUTOFF_HZ: Final = 0.6
MIRROR_BROW_CUTOFF_HZ: Final = 1.2
MIRROR_BROW_LAG_S: Final = 0.2
GAZE_FOLLOW_GAIN: Final = 0.9  # gaze units per head width of the partner's displacement

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
# style of the user, whom the avatar is to answer: at any time, without a cause
SILENT_SMILES_PER_MIN: Final[Range] = (1.0, 4.0)
UNASKED_NODS_PER_MIN: Final[Range] = (3.0, 8.0)
UNASKED_BROWS_PER_MIN: Final[Range] = (1.0, 4.0)
UNASKED_BROW: Final[Range] = (0.55, 0.95)
UNASKED_BROW_HOLD_S: Final[Range] = (0.1, 0.9)
BASE_SMILE: Final[Range] = (0.00, 0.12)  # style
SMILE_TREMOR: Final = 0.05  # relative, below 2 Hz: nobody holds a smile still
FURROWS_PER_MIN: Final = 2.5
FURROW_SIZE: Final[Range] = (0.15, 0.45)
FURROW_HOLD_S: Final[Range] = (0.4, 1.5)

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
FACE_HIDDEN_PROBABILITY: Final = 0.30  # of a conversation: the user is heard, never seen
TRACKER_LOST_PER_MIN: Final = 0.8
TRACKER_LOST_S: Final[Range] = (0.1, 3.0)
TRACKER_HOLD_S: Final = 0.2  # as perception does: held so long,
TRACKER_DECAY_S: Final = 1.0  # then led to neutral in this time


# --- what is aimed at -------------------------------------------------------------------------
# Standard deviations of motion in clips of people talking and listening, radians and rig units, as
# a face tracker sees them: rough ones of a few dozen clips, its noise among them. Mean speeds of
# the head were 12 degrees a second in listening and 30 in speaking.
PEOPLE_MOVE: Final[dict[str, dict[str, float]]] = {
    "listening": {"head_yaw": 0.058, "head_pitch": 0.044, "head_roll": 0.051},
    "speaking": {
        "head_yaw": 0.075, "head_pitch": 0.063, "head_roll": 0.035, "brow_up_left": 0.24,
    },
}  # fmt: skip


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
    nod_rest_s: float
    nod_back_probability: float
    brow_back_probability: float
    mirror_gain: float
    mirror_lag_s: float
    gaze_avoidance: float
    shifts_per_min: float = 0.0
    silent_smiles_per_min: float = 0.0
    unasked_nods_per_min: float = 0.0
    unasked_brows_per_min: float = 0.0


def draw_style(rng: np.random.Generator, restless: bool = False) -> PersonStyle:
    """A random person; a restless one also shifts posture, and smiles and nods unasked."""

    def restless_only(range_: Range) -> float:
        return rng.uniform(*range_) if restless else 0.0

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
        nod_rest_s=rng.uniform(*NOD_REST_S),
        nod_back_probability=rng.uniform(*NOD_BACK_PROBABILITY),
        brow_back_probability=rng.uniform(*BROW_BACK_PROBABILITY),
        mirror_gain=rng.uniform(*MIRROR_GAIN),
        mirror_lag_s=rng.uniform(*MIRROR_LAG_S),
        gaze_avoidance=rng.uniform(0.7, 1.3),
        shifts_per_min=restless_only(POSTURE_SHIFTS_PER_MIN),
        silent_smiles_per_min=restless_only(SILENT_SMILES_PER_MIN),
        unasked_nods_per_min=restless_only(UNASKED_NODS_PER_MIN),
        unasked_brows_per_min=restless_only(UNASKED_BROWS_PER_MIN),
    )
