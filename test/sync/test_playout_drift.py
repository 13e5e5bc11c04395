"""A speaker whose clock drifts, or that was held up: the audio stays in time, without clicks."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from playout_simulation import LOCAL_NS, MS, PIXELS, START_NS, contains, noise

from avatar_forcing_ros.sync.playout import Playout
from avatar_forcing_ros.timebase import (
    SAMPLE_RATE_HZ,
)


def test_a_speaker_held_up_in_a_word_makes_the_image_wait() -> None:
    audio = noise(SAMPLE_RATE_HZ * 4)
    playout = Playout(100)
    silence = np.zeros(SAMPLE_RATE_HZ // 2, np.float32)
    playout.push_audio(START_NS, np.concatenate([audio, silence]), LOCAL_NS)
    played, now_ns = [], LOCAL_NS
    for i in range(450):
        now_ns += (300 if i == 100 else 10) * MS
        played.append(playout.audio_for(now_ns, 160))
    assert contains(np.concatenate(played), audio)
    assert playout.rebuffers == 1
    assert playout.offset_ns is not None
    assert playout.offset_ns - (LOCAL_NS - START_NS) == pytest.approx(390 * MS, abs=20 * MS)


def simulate_an_hour(ppm: float, audio: NDArray[np.float32]) -> tuple[Playout, list[float]]:
    """A speaker that is `ppm` fast; returns how late the audio was at each block, in ms.

    Blocks are as long as the audio, and asked for up to 6 ms later than they should be.
    """
    playout, block, lateness_ms = Playout(100), len(audio), []
    jitter = np.random.default_rng(5).integers(0, 6 * MS, 20_000)
    now_ns = sent_ns = 0
    pulls = 0
    while now_ns < 3_600_000 * MS:
        now_ns = int(pulls * block / (1 + ppm * 1e-6) * 62_500)
        while sent_ns <= now_ns:
            playout.push_frame(START_NS + sent_ns, PIXELS, LOCAL_NS + sent_ns)
            lead_ns = block * 62_500  # asked for by blocks, so it may have to wait for one
            playout.push_audio(START_NS + sent_ns, audio, LOCAL_NS + sent_ns + lead_ns)
            sent_ns += block * 62_500
        playout.frame_at(playout.next_frame_ns or 0)
        playout.audio_for(LOCAL_NS + now_ns + int(jitter[pulls]), block)
        pulls += 1
        if playout.audio_position is not None and playout.offset_ns:
            place_ns = (playout.audio_position - block) * 62_500
            lateness_ms.append((LOCAL_NS + now_ns - place_ns - playout.offset_ns) / MS)
    return playout, lateness_ms


@pytest.mark.parametrize("ppm", [-100, 100])
@pytest.mark.parametrize("pauses", [True, False], ids=["pauses", "no pauses"])
def test_an_hour_with_a_speaker_clock_that_drifts(ppm: float, pauses: bool) -> None:
    audio = noise(3_200)
    if pauses:
        audio[:1_600] = 0
    playout, lateness_ms = simulate_an_hour(ppm, audio)
    assert len(lateness_ms) > 17_000
    assert np.abs(lateness_ms).max() <= 25
    assert abs(playout.av_offset_ms) <= 40
    assert playout.rebuffers == playout.resets == playout.missing_samples == 0


def test_a_word_is_stretched_without_a_step() -> None:
    """Correcting by single samples in a steady tone: no step is larger than the tone's own."""
    tone = np.sin(np.arange(SAMPLE_RATE_HZ * 8) * 2 * np.pi * 200 / SAMPLE_RATE_HZ) * 0.5
    playout = Playout(100)
    playout.push_audio(START_NS, tone.astype(np.float32), LOCAL_NS)
    played = []
    for i in range(760):
        ahead_ns = 0 if i < 100 else 22 * MS
        played.append(playout.audio_for(LOCAL_NS + i * 10 * MS + ahead_ns, 160))
    whole = np.concatenate(played)
    begin = int(np.flatnonzero(np.abs(whole) > 0)[0])
    steps = np.abs(np.diff(whole[begin:]))
    assert steps.max() <= np.abs(np.diff(tone)).max() * 1.02
    assert playout.av_offset_ms > -16
    assert playout.missing_samples == playout.rebuffers == 0
