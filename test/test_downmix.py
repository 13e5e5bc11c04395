"""Channels to one: the mean, bit for bit, unless they cancel each other out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from avatar_forcing_ros.downmix import RESTORED_WINDOWS, WINDOW_S, Downmix

RATE = 16_000


def speech(seconds: float, seed: int = 1) -> NDArray[np.float32]:
    """Noise below 1 kHz that swells and fades."""
    rng = np.random.default_rng(seed)
    count = round(seconds * RATE)
    smooth = np.convolve(rng.standard_normal(count + 7), np.ones(8) / 8, "valid")
    swell = 1.2 + np.sin(np.arange(count) * 2 * np.pi * 3 / RATE)
    return (0.05 * smooth * swell).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 2, 8])
def test_usual_channels_are_averaged_bit_for_bit(channels: int) -> None:
    audio = np.stack([speech(2.0, seed) for seed in range(channels)], axis=1)  # unrelated ones
    mixed = Downmix(RATE, channels)(audio)
    assert mixed.tobytes() == audio.mean(axis=1, dtype=np.float32).tobytes()


def test_one_channel_alone_is_no_reason() -> None:
    audio = np.stack((speech(1.0), np.zeros(RATE, np.float32)), axis=1)
    downmix = Downmix(RATE, 2)
    assert np.array_equal(downmix(audio), audio[:, 0] / 2)
    assert not downmix.cancelled


@pytest.mark.parametrize("gain", [1.0, 0.9])
def test_opposite_channels_are_heard_after_a_moment_and_without_a_click(gain: float) -> None:
    tone = (0.5 * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)).astype(np.float32)
    downmix = Downmix(RATE, 2)
    mixed = downmix(np.stack((tone, -gain * tone), axis=1))
    assert downmix.cancelled
    assert np.array_equal(mixed[RATE // 10 :], tone[RATE // 10 :])
    assert np.abs(np.diff(mixed)).max() < 1.1 * np.abs(np.diff(tone)).max()


def test_the_mean_returns_once_it_has_been_sound_for_a_while() -> None:
    opposite, usual = speech(0.5), speech(4.0, 2)
    left = np.concatenate((opposite, usual))
    downmix = Downmix(RATE, 2)
    mixed = downmix(np.stack((left, np.concatenate((-opposite, 0.5 * usual))), axis=1))
    assert not downmix.cancelled
    alone = len(opposite) + round((RESTORED_WINDOWS - 1) * WINDOW_S * RATE)
    assert np.array_equal(mixed[len(opposite) : alone], left[len(opposite) : alone])
    assert np.allclose(mixed[-RATE:], 0.75 * left[-RATE:], atol=1e-6)


def test_silence_decides_nothing() -> None:
    downmix = Downmix(RATE, 2)
    assert not downmix(np.zeros((RATE, 2), np.float32)).any()
    hum = (1e-5 * np.sin(np.arange(RATE))).astype(np.float32)
    downmix(np.stack((hum, -hum), axis=1))
    assert not downmix.cancelled


def test_what_is_no_number_stays_what_it_is_and_decides_nothing() -> None:
    audio = np.stack((speech(1.0), speech(1.0)), axis=1)
    audio[100], audio[200, 0] = (np.inf, -np.inf), np.nan
    downmix = Downmix(RATE, 2)
    mixed = downmix(audio)
    assert np.flatnonzero(np.isnan(mixed)).tolist() == [100, 200]
    assert not downmix.cancelled


@settings(deadline=None, max_examples=40)
@given(cuts=st.lists(st.integers(0, 3 * RATE), max_size=30))
def test_any_cutting_gives_the_same_sound(cuts: list[int]) -> None:
    first, second = speech(3.0), speech(3.0, 2)
    second[:RATE] = -first[:RATE]
    audio = np.stack((first, second), axis=1)
    downmix, edges = Downmix(RATE, 2), [0, *sorted(cuts), len(audio)]
    pieces = [downmix(audio[begin:end]) for begin, end in itertools.pairwise(edges)]
    assert np.concatenate(pieces).tobytes() == Downmix(RATE, 2)(audio).tobytes()
