"""Speech that waits, by the clock: it adds up, runs out, and can be dropped; time is a number."""

from __future__ import annotations

from avatar_forcing_ros.runtime.speech_backlog import SpeechBacklog
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ


def test_speech_adds_up_and_runs_out_at_its_own_pace() -> None:
    now_s = 100.0
    backlog = SpeechBacklog(lambda: now_s)
    assert backlog.samples == 0
    backlog.add(2 * SAMPLE_RATE_HZ)
    backlog.add(SAMPLE_RATE_HZ)
    assert backlog.samples == 3 * SAMPLE_RATE_HZ
    now_s += 2.0
    assert backlog.samples == SAMPLE_RATE_HZ
    now_s += 5.0
    assert backlog.samples == 0
    backlog.add(SAMPLE_RATE_HZ)  # begins now, not when the last one ended
    assert backlog.samples == SAMPLE_RATE_HZ
    backlog.clear()
    assert backlog.samples == 0
