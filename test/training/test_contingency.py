"""What counts as an answer to the user: planted answers do, those of chance do not."""

from __future__ import annotations

import numpy as np
import pytest

from avatar_forcing_ros.rig.coefficients import COUNT, INDEX
from avatar_forcing_ros.training.metrics.contingency import (
    CHANNELS,
    CONTINGENCIES,
    ListeningClip,
    control_correlation,
    peak_correlation,
    phrase_ends,
    response_rates,
    similarity,
)

FRAMES, CLIPS, DELAY = 1500, 6, 15
KINDS = {kind.name: kind for kind in CONTINGENCIES}
SHAPES = {  # name: coefficients, height
    "smile": (("smile_left", "smile_right"), 0.6),
    "brow": (("brow_up_left", "brow_up_right"), 0.8),
    "nod": (("head_pitch",), 0.12),
    "roll": (("head_roll",), 0.12),
    "lean": (("head_x",), 0.08),
}


def moving(kind: str, at: list[int]) -> np.ndarray:
    """Motion ``[T, K]`` with a bump of 0.6 s that begins at each frame of `at`."""
    out = np.zeros((FRAMES, COUNT), np.float32)
    names, height = SHAPES[kind]
    shape = height * np.sin(np.linspace(0.0, np.pi, 16)) ** 2
    for frame in at:
        for name in names:
            out[frame : frame + 16, INDEX[name]] += shape
    return out


def moments(rng: np.random.Generator) -> list[int]:
    return [int(f) for f in np.arange(100, FRAMES - 200, 120) + rng.integers(0, 40, 10)]


def clips(kind: str, answered: bool) -> list[ListeningClip]:
    out = []
    for seed in range(CLIPS):
        rng = np.random.default_rng(seed)
        causes = moments(rng)
        alone = sorted(int(f) for f in rng.integers(50, FRAMES - 50, 8))
        answers = [f + DELAY for f in causes] if answered else alone
        quiet = np.zeros(FRAMES, bool)
        out.append(ListeningClip(moving(kind, causes), moving(kind, answers), quiet))
    return out


@pytest.mark.parametrize("kind", list(SHAPES))
def test_planted_answers_are_counted_and_chance_is_not(kind: str) -> None:
    contingency = KINDS[f"{kind}_to_{kind}"]
    given = clips(kind, answered=True)
    rate, base = response_rates(contingency, given)
    assert rate.value > 0.9
    assert base.value < 0.05
    assert abs(peak_correlation(contingency, given)) > 0.9
    assert control_correlation(contingency, given) < 0.4
    alone = clips(kind, answered=False)
    rate, base = (measure.value for measure in response_rates(contingency, alone))
    assert abs(rate - base) < 0.25
    assert abs(peak_correlation(contingency, alone)) < 0.5


def test_an_answer_that_comes_too_late_is_none() -> None:
    causes = moments(np.random.default_rng(0))
    late = ListeningClip(
        moving("smile", causes), moving("smile", [f + 45 for f in causes]), np.zeros(FRAMES, bool)
    )
    assert response_rates(KINDS["smile_to_smile"], [late])[0].value < 0.1


def test_phrases_end_in_pauses_and_not_in_the_middle() -> None:
    speaking = np.zeros(200, bool)
    speaking[20:60] = speaking[63:100] = speaking[150:155] = True  # a short gap; a short sound
    assert phrase_ends(speaking) == [100 / 25]


def test_nods_at_phrase_ends_are_answers_to_the_voice() -> None:
    speaking = np.zeros(FRAMES, bool)
    ends = [200, 400, 600, 800, 1000]
    for end in ends:
        speaking[end - 60 : end] = True
    unseen = np.zeros((FRAMES, COUNT), np.float32)
    clip = ListeningClip(unseen, moving("nod", [end + 8 for end in ends]), speaking)
    kind = KINDS["phrase_end_to_nod"]
    assert kind.heard
    rate, base = response_rates(kind, [clip])
    assert rate.value == 1.0
    assert base.value < 0.1


def test_laughs_are_given_and_answered_with_bared_teeth() -> None:
    avatar = np.zeros((FRAMES, COUNT), np.float32)
    avatar[118:140, INDEX["upper_lip_raise"]] = np.sin(np.linspace(0, np.pi, 22)) * 0.5
    still = np.zeros((FRAMES, COUNT), np.float32)
    clip = ListeningClip(still, avatar, np.zeros(FRAMES, bool), [4.0, 20.0])
    assert response_rates(KINDS["laugh_to_laugh"], [clip])[0].value == 0.5


def test_without_events_there_is_no_rate() -> None:
    still = np.zeros((FRAMES, COUNT), np.float32)
    clip = ListeningClip(still, still, np.zeros(FRAMES, bool))
    assert np.isnan(response_rates(KINDS["nod_to_nod"], [clip])[0].value)
    assert peak_correlation(KINDS["nod_to_nod"], [clip]) == 0.0


def test_similarity_is_one_for_the_same_motion_and_none_for_noise() -> None:
    rng = np.random.default_rng(0)
    same = rng.standard_normal((300, COUNT)).astype(np.float32)
    for name in CHANNELS:
        assert similarity([same] * 3, name) == pytest.approx(1.0)
        other = [rng.standard_normal((300, COUNT)).astype(np.float32) for _ in range(6)]
        assert np.abs(similarity(other, name)).max() < 0.15
