"""What is shown and played, and when: in good order, late, and after jumps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from playout_simulation import LOCAL_NS, MS, PIXELS, START_NS, Simulation, contains, noise

from avatar_forcing_ros.sync.playout import Playout
from avatar_forcing_ros.timebase import (
    FRAME_PERIOD_NS,
    SAMPLE_RATE_HZ,
    SAMPLES_PER_FRAME,
    frame_stamp_ns,
)


@settings(max_examples=40, deadline=None)
@given(
    delay_ms=st.integers(0, 300),
    shares=st.lists(st.floats(0, 1), min_size=20, max_size=60),
    block=st.sampled_from([64, 160, 441, 1024]),
)
def test_jitter_within_the_margin_changes_nothing(
    delay_ms: int, shares: list[float], block: int
) -> None:
    # in order, as DDS delivers: nothing overtakes what was sent before
    jitter, latest = [], 0
    for i, share in enumerate(shares):
        latest = max(latest, frame_stamp_ns(i) + int(share * delay_ms * MS))
        jitter.append(latest - frame_stamp_ns(i))
    audio = noise(SAMPLES_PER_FRAME * len(shares))
    playout = Playout(delay_ms)
    simulation = Simulation(playout, audio, jitter, block)
    simulation.run()

    assert [stamp for stamp, _ in simulation.shown] == [
        START_NS + frame_stamp_ns(i) for i in range(len(shares))
    ]
    offset_ns = playout.offset_ns
    assert offset_ns is not None
    assert all(0 <= now - stamp - offset_ns < MS for stamp, now in simulation.shown)
    assert contains(simulation.played, audio)
    late_ns = simulation.played_at_ns(audio[0]) - (START_NS + offset_ns)
    assert abs(late_ns) <= 62_500
    assert playout.late_frames == playout.skipped_frames == playout.rebuffers == 0
    assert playout.missing_samples == playout.dropped_samples == playout.resets == 0


def test_the_offset_is_the_largest_delay_of_the_first_moments_and_the_margin() -> None:
    playout = Playout(100)
    playout.push_frame(START_NS, PIXELS, LOCAL_NS + 10 * MS)
    playout.push_frame(START_NS + 40 * MS, PIXELS, LOCAL_NS + 75 * MS)  # 35 ms under way
    playout.push_frame(START_NS + 80 * MS, PIXELS, LOCAL_NS + 100 * MS)
    assert playout.offset_ns == LOCAL_NS - START_NS + 135 * MS
    assert playout.frame_at(LOCAL_NS + 134 * MS) is None
    assert playout.next_frame_ns == LOCAL_NS + 135 * MS
    frame = playout.frame_at(LOCAL_NS + 135 * MS)
    assert frame is not None
    assert frame.stamp_ns == START_NS
    assert playout.frame_at(LOCAL_NS + 135 * MS) is None


def test_a_screen_that_asks_seldom_gets_the_newest_frame_and_the_rest_are_counted() -> None:
    playout = Playout(0)
    for i in range(5):
        playout.push_frame(START_NS + frame_stamp_ns(i), PIXELS, LOCAL_NS + frame_stamp_ns(i))
    frame = playout.frame_at(LOCAL_NS + 130 * MS)
    assert frame is not None
    assert frame.stamp_ns == START_NS + frame_stamp_ns(3)
    assert (playout.shown_frames, playout.skipped_frames) == (1, 3)


def test_a_frame_out_of_order_is_put_in_order_and_one_too_late_is_skipped() -> None:
    playout = Playout(100)
    for i in (0, 2, 1):
        playout.push_frame(START_NS + frame_stamp_ns(i), PIXELS, LOCAL_NS + 40 * MS)
    assert playout.offset_ns is not None
    shown = [playout.frame_at(START_NS + playout.offset_ns + frame_stamp_ns(i)) for i in range(3)]
    assert [f and f.stamp_ns - START_NS for f in shown] == [0, 40 * MS, 80 * MS]
    playout.push_frame(START_NS + 10 * MS, PIXELS, LOCAL_NS + 300 * MS)
    assert playout.frame_at(LOCAL_NS + 400 * MS) is None
    assert playout.skipped_frames == 1


def test_one_late_frame_is_shown_at_once_and_many_make_the_offset_grow() -> None:
    once = Simulation(Playout(40), noise(0), [0] * 30 + [60 * MS] + [0] * 30)
    once.run()
    assert (once.playout.late_frames, once.playout.rebuffers) == (1, 0)
    assert len(once.shown) == 61 - once.playout.skipped_frames

    often = Simulation(Playout(40), noise(0), [0] * 30 + [60 * MS] * 60)
    often.run()
    assert often.playout.rebuffers == 1
    assert often.playout.late_frames == 5
    # from then on every frame has its 40 ms again
    times = np.diff([now for _, now in often.shown])[-40:]
    assert np.all(np.abs(times - FRAME_PERIOD_NS) <= MS)


def test_late_audio_pauses_and_goes_on_where_it_stopped() -> None:
    audio = noise(SAMPLES_PER_FRAME * 100)
    simulation = Simulation(Playout(40), audio, [0] * 40 + [150 * MS] * 60)
    simulation.run()
    playout, played = simulation.playout, simulation.played
    assert playout.rebuffers == 1
    assert playout.missing_samples > 0
    # nothing was lost: without the silence and the ramps beside it, it is what was sent
    cut = SAMPLES_PER_FRAME * 40
    assert contains(played, audio[:cut])
    assert contains(played, audio[cut + 40 :])
    # image and audio go on together
    assert playout.offset_ns is not None
    due_ns = START_NS + frame_stamp_ns(90) + playout.offset_ns
    assert abs(simulation.played_at_ns(audio[SAMPLES_PER_FRAME * 90]) - due_ns) <= 62_500
    shown = dict(simulation.shown)
    assert abs(shown[START_NS + frame_stamp_ns(90)] - due_ns) <= MS


def test_the_silence_of_a_hole_has_soft_edges() -> None:
    simulation = Simulation(
        Playout(40), np.full(SAMPLES_PER_FRAME * 80, 0.5, np.float32), [0] * 40
    )
    simulation.jitter_ns += [150 * MS] * 40
    simulation.run()
    inside = simulation.played[np.flatnonzero(simulation.played)[0] :]
    steps = np.abs(np.diff(inside))
    assert (inside == 0).any()
    assert steps.max() < 0.05


def test_a_larger_offset_waits_for_a_pause_between_words() -> None:
    """Frames are late, audio is not: the word ends before silence is put in."""
    playout = Playout(40)
    word = noise(SAMPLE_RATE_HZ // 4)
    audio = np.concatenate([word, np.zeros(1600, np.float32), word])
    playout.push_audio(START_NS, audio, LOCAL_NS)
    played, grown_at = [], None
    for i in range(100):
        now_ns = LOCAL_NS + i * 10 * MS
        if i >= 8 and i % 4 == 0 and playout.rebuffers == 0:
            playout.push_frame(START_NS + (now_ns - LOCAL_NS) - 100 * MS, PIXELS, now_ns)
        before = playout.offset_ns
        played.append(playout.audio_for(now_ns, 160))
        if playout.offset_ns != before:
            grown_at = i
    whole = np.concatenate(played)
    assert playout.rebuffers == 1
    assert grown_at is not None
    first, last = np.flatnonzero(whole == word[0])
    assert np.array_equal(whole[first : first + len(word)], word)
    assert np.array_equal(whole[last : last + len(word)], word)
    assert last - first > len(word) + 1600
    assert grown_at * 160 >= first + len(word)


def test_without_a_pause_a_larger_offset_waits_half_a_second_and_loses_nothing() -> None:
    playout = Playout(40)
    audio = noise(SAMPLE_RATE_HZ * 2)
    playout.push_audio(START_NS, audio, LOCAL_NS)
    for i in range(8):
        playout.audio_for(LOCAL_NS + i * 10 * MS, 160)
    playout.set_delay_ms(140)
    played = [playout.audio_for(LOCAL_NS + i * 10 * MS, 160) for i in range(8, 220)]
    whole = np.concatenate(played)
    silence = np.flatnonzero(whole == 0)
    gap = silence[silence < len(audio) - SAMPLE_RATE_HZ // 4]
    assert 1500 <= len(gap) <= 1600
    assert contains(whole, audio[-SAMPLE_RATE_HZ // 2 :])
    assert np.count_nonzero(whole) >= len(audio) - 8 * 160


def test_spare_time_is_given_back_slowly_and_only_out_of_pauses() -> None:
    rhythm = np.tile(np.r_[np.full(12_000, 0.5), np.zeros(4_000)], 40).astype(np.float32)
    frames = len(rhythm) // SAMPLES_PER_FRAME
    jitter = [max(0, 200 - 40 * i) * MS for i in range(frames)]  # a slow first block
    simulation = Simulation(Playout(60), rhythm, jitter)
    offsets: list[int] = []
    pull = simulation.playout.audio_for

    def recorded(now_ns: int, count: int) -> NDArray[np.float32]:
        played = pull(now_ns, count)
        if simulation.playout.offset_ns is not None:
            offsets.append(simulation.playout.offset_ns)
        return played

    simulation.playout.audio_for = recorded  # type: ignore[method-assign]
    simulation.run()
    final_ms = (offsets[-1] - (LOCAL_NS - START_NS) - simulation.transport_ns) / MS
    assert 60 <= final_ms <= 60 + 50
    steps_ms = -np.diff(offsets) / MS
    assert steps_ms.max() <= 100
    assert np.count_nonzero(simulation.played) == np.count_nonzero(rhythm)
    assert simulation.playout.rebuffers == 0
    assert simulation.playout.missing_samples == 0


@pytest.mark.parametrize("step_s", [-3600, 3600])
def test_a_jump_of_stamps_begins_anew(step_s: int) -> None:
    simulation = Simulation(Playout(50), noise(SAMPLES_PER_FRAME * 20), [0] * 20)
    simulation.run(extra_ms=100)
    moved_ns = START_NS + step_s * 1000 * MS
    now_ns = LOCAL_NS + 2_000 * MS
    playout = simulation.playout
    playout.push_frame(moved_ns, PIXELS, now_ns)
    playout.push_audio(moved_ns, noise(640, seed=1), now_ns)
    assert playout.resets == 1
    assert playout.frame_at(now_ns + 49 * MS) is None
    frame = playout.frame_at(now_ns + 50 * MS)
    assert frame is not None
    assert frame.stamp_ns == moved_ns
    again = playout.audio_for(now_ns + 50 * MS, 640)
    assert np.array_equal(again[40:], noise(640, seed=1)[40:])


def test_a_pause_of_the_sender_is_no_jump() -> None:
    playout = Playout(50)
    playout.push_frame(START_NS, PIXELS, LOCAL_NS)
    assert playout.frame_at(LOCAL_NS + 50 * MS) is not None
    playout.push_frame(START_NS + 30_000 * MS, PIXELS, LOCAL_NS + 30_000 * MS)
    assert playout.frame_at(LOCAL_NS + 30_049 * MS) is None
    assert playout.frame_at(LOCAL_NS + 30_050 * MS) is not None
    assert playout.resets == 0


def test_a_clip_that_loops_starts_again_each_time() -> None:
    playout, shown = Playout(20), 0
    for i in range(200):
        now_ns = LOCAL_NS + frame_stamp_ns(i)
        playout.push_frame(START_NS + frame_stamp_ns(i % 50), PIXELS, now_ns)
        shown += playout.frame_at(now_ns + 30 * MS) is not None
    assert playout.resets == 3
    assert shown == 200


def test_audio_that_comes_twice_is_played_once() -> None:
    playout, audio = Playout(0), noise(1280)
    for _ in range(2):
        playout.push_audio(START_NS, audio, LOCAL_NS)
    assert np.array_equal(playout.audio_for(LOCAL_NS, 1280), audio)
    assert playout.dropped_samples == 1280
    assert playout.rebuffers == 0


def test_of_audio_that_overlaps_the_new_part_is_played() -> None:
    playout, audio = Playout(0), noise(1920)
    playout.push_audio(START_NS, audio[:1280], LOCAL_NS)
    playout.push_audio(START_NS + 40 * MS, audio[640:], LOCAL_NS)
    assert np.array_equal(playout.audio_for(LOCAL_NS, 1920), audio)
    assert playout.dropped_samples == 640


def test_a_speaker_that_starts_late_plays_what_is_due() -> None:
    playout, audio = Playout(100), noise(640 * 1000)
    for i in range(1000):
        part = audio[640 * i : 640 * (i + 1)]
        playout.push_audio(START_NS + frame_stamp_ns(i), part, LOCAL_NS + frame_stamp_ns(i))
        playout.frame_at(LOCAL_NS + frame_stamp_ns(i))
    now_ns = LOCAL_NS + frame_stamp_ns(999)
    due = 640 * 999 - SAMPLE_RATE_HZ // 10
    assert np.array_equal(playout.audio_for(now_ns, 320), audio[due : due + 320])
    assert playout.dropped_samples == playout.missing_samples == 0


def test_audio_that_was_lost_is_silence_and_counted() -> None:
    playout, audio = Playout(0), noise(640)
    playout.push_audio(START_NS, audio, LOCAL_NS)
    playout.push_audio(START_NS + 80 * MS, audio, LOCAL_NS)
    played = playout.audio_for(LOCAL_NS, 1920)
    assert np.array_equal(played[:640], audio)
    assert np.array_equal(played[1280 + 40 :], audio[40:])
    assert playout.missing_samples == 640


def test_a_stream_that_ends_is_not_missed() -> None:
    playout = Playout(0)
    playout.push_audio(START_NS, noise(640), LOCAL_NS)
    for i in range(200):
        playout.audio_for(LOCAL_NS + i * 40 * MS, 640)
    assert playout.missing_samples == 0
    assert playout.audio_position is None


def test_stamps_that_are_a_little_off_still_join() -> None:
    playout, audio = Playout(100), noise(640 * 20)
    wobble = np.random.default_rng(3).integers(-3 * MS, 3 * MS, 20)
    for i in range(20):
        stamp_ns = START_NS + frame_stamp_ns(i) + int(wobble[i])
        playout.push_audio(stamp_ns, audio[640 * i : 640 * (i + 1)], LOCAL_NS)
    played = [playout.audio_for(LOCAL_NS + i * 10 * MS, 160) for i in range(120)]
    assert contains(np.concatenate(played), audio)


def test_memory_is_bounded() -> None:
    playout = Playout(0)
    for i in range(5_000):
        playout.push_frame(START_NS + i * MS, PIXELS, LOCAL_NS)
        playout.push_audio(START_NS + i * MS, noise(16), LOCAL_NS)
    assert playout.waiting_frames <= 150
    playout = Playout(0)
    playout.push_audio(START_NS, noise(SAMPLE_RATE_HZ * 60), LOCAL_NS)
    assert playout.dropped_samples == SAMPLE_RATE_HZ * 50
    for i in range(1000):  # a speaker that never asks
        playout.push_audio(START_NS + frame_stamp_ns(i), noise(640), LOCAL_NS + frame_stamp_ns(i))
    assert playout.waiting_samples <= 10 * SAMPLE_RATE_HZ


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["frame", "audio", "show", "pull", "delay"]),
            st.integers(-3_000, 3_000),  # ms that a stamp is off, or a delay
            st.integers(0, 400),  # ms that pass
            st.integers(0, 2_000),  # samples
        ),
        max_size=120,
    )
)
def test_whatever_comes_frames_go_forward_and_audio_is_as_long_as_asked(
    steps: list[tuple[str, int, int, int]],
) -> None:
    playout, now_ns, last_ns, resets = Playout(), LOCAL_NS, -1, 0
    sent = shown = 0
    for what, off_ms, passed_ms, samples in steps:
        now_ns += passed_ms * MS
        stamp_ns = START_NS + (now_ns - LOCAL_NS) + off_ms * MS
        if what == "frame":
            playout.push_frame(stamp_ns, PIXELS, now_ns)
            sent += 1
        elif what == "audio":
            playout.push_audio(stamp_ns, noise(samples), now_ns)
        elif what == "delay":
            playout.set_delay_ms(abs(off_ms) % 2_001)
        elif what == "pull":
            played = playout.audio_for(now_ns, samples)
            assert played.shape == (samples,)
            assert played.dtype == np.float32
            assert np.abs(played).max(initial=0) <= 1
        if playout.resets != resets:
            last_ns, resets = -1, playout.resets
        frame = playout.frame_at(now_ns)
        if frame is not None:
            shown += 1
            assert frame.stamp_ns > last_ns
            last_ns = frame.stamp_ns
    assert sent == shown + playout.skipped_frames + playout.waiting_frames


def test_samples_that_are_not_finite_become_silence() -> None:
    playout = Playout(0)
    playout.push_audio(START_NS, np.array([0.5, np.nan, np.inf, 0.5], np.float32), LOCAL_NS)
    assert playout.audio_for(LOCAL_NS, 4).tolist() == [0.5, 0, 0, 0.5]


def test_a_speaker_that_stops_asking_does_not_hold_the_image_up() -> None:
    playout = Playout(0)
    playout.push_audio(START_NS, noise(32_000), LOCAL_NS)
    playout.audio_for(LOCAL_NS, 160)
    assert playout.audio_position is not None
    playout.set_delay_ms(200)
    playout.push_frame(START_NS + 1_500 * MS, PIXELS, LOCAL_NS + 1_400 * MS)
    assert playout.frame_at(LOCAL_NS + 1_600 * MS) is None
    assert playout.audio_position is None
    assert playout.frame_at(LOCAL_NS + 1_700 * MS) is not None


def test_after_a_reset_by_hand_the_next_arrival_sets_the_offset() -> None:
    playout = Playout(10)
    playout.push_frame(START_NS, PIXELS, LOCAL_NS)
    playout.reset()
    assert playout.offset_ns is None
    assert playout.next_frame_ns is None
    assert playout.frame_at(LOCAL_NS) is None
    assert not playout.audio_for(LOCAL_NS, 8).any()
    playout.push_frame(START_NS, PIXELS, LOCAL_NS + 500 * MS)
    assert playout.next_frame_ns == LOCAL_NS + 510 * MS
