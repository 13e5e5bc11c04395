"""The figures on motion with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from avatar_forcing_ros.rig import figures
from avatar_forcing_ros.rig.coefficients import COUNT, INDEX


def still(frames: int) -> np.ndarray:
    return np.zeros((frames, COUNT), np.float32)


def bump(frames: int, at: int, width: float, height: float) -> np.ndarray:
    return height * np.exp(-(((np.arange(frames) - at) / width) ** 2))


def test_lag_of_a_shifted_copy_is_found() -> None:
    told = np.random.default_rng(0).standard_normal(200)
    for lag in (-3, 0, 4):
        r, found = figures.best_lag(np.roll(told, lag), told)
        assert found == lag
        assert r > 0.95


def test_constant_series_correlate_with_nothing() -> None:
    assert figures.pearson(np.ones(10), np.arange(10.0)) == 0.0


def test_loudness_of_a_sine_is_three_db_below_its_peak() -> None:
    sine = np.sin(2 * np.pi * 200 * np.arange(6400) / 16_000).astype(np.float32)
    assert figures.loudness(sine) == pytest.approx(-3.01, abs=0.01)


def test_mouth_that_opens_with_the_audio_correlates() -> None:
    level = np.abs(np.sin(np.arange(100) / 4.0)) ** 2
    audio = (0.3 * level).repeat(640).astype(np.float32)
    audio *= np.random.default_rng(0).choice([-1.0, 1.0], len(audio)).astype(np.float32)
    values = still(100)
    values[:, INDEX["jaw_open"]] = level
    r, lag = figures.mouth_speech_r(values, audio)
    assert r > 0.8
    assert lag == 0
    assert abs(figures.mouth_speech_r(still(100), audio)[0]) < 1e-6


def test_closed_lips_close_the_mouth() -> None:
    values = still(1)
    values[0, INDEX["jaw_open"]] = 0.5
    open_by = figures.mouth_opening(values)[0]
    values[0, INDEX["lips_close"]] = 1.0
    assert open_by == pytest.approx(0.5)
    assert figures.mouth_opening(values)[0] == 0.0


def test_one_bump_is_one_onset() -> None:
    series = bump(100, 50, 5.0, 0.5)
    found = figures.onsets(series, 0.12)
    assert len(found) == 1
    assert 40 <= found[0] <= 47
    assert figures.onsets(0.2 * series, 0.12) == []


def test_an_answered_smile_is_a_reaction_and_an_unanswered_one_is_not() -> None:
    user, avatar = still(200), still(200)
    sides = [INDEX["smile_left"], INDEX["smile_right"]]
    user[:, sides] = (bump(200, 50, 5.0, 0.6) + bump(200, 150, 5.0, 0.6))[:, None]
    avatar[:, sides] = bump(200, 60, 5.0, 0.5)[:, None]
    found = figures.smile_reactions(user, avatar)
    assert len(found) == 1
    assert found[0].delay_ms == pytest.approx(400.0, abs=81.0)
    assert figures.smile_reactions(avatar, user) == []  # the cause must come first


def test_nods_and_blinks_are_counted() -> None:
    values = still(250)
    values[:, INDEX["head_pitch"]] = bump(250, 60, 3.0, 0.1) + bump(250, 160, 3.0, 0.02)
    assert len(figures.nods(values)) == 1
    assert figures.nods(values)[0] == pytest.approx(60 / 25, abs=0.05)
    for at in (40, 90):
        values[at : at + 4, [INDEX["blink_left"], INDEX["blink_right"]]] = 0.9
    values[200:204, INDEX["blink_left"]] = 0.9  # a wink
    assert figures.blinks(values) == [40 / 25, 90 / 25]
