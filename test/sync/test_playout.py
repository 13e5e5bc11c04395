"""What is shown and played, and when: in good order, late, drifting, and after jumps."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from avatar_forcing_ros.sync.playout import Playout
from avatar_forcing_ros.timebase import (
    FRAME_PERIOD_NS,
    SAMPLE_RATE_HZ,
    SAMPLES_PER_FRAME,
    frame_stamp_ns,
)

MS = 1_000_000
START_NS = 1_760_000_000 * 1_000_000_000  # media time as ROS stamps it
LOCAL_NS = 5_000 * MS
PIXELS = np.zeros((2, 2, 3), np.uint8)


def noise(samples: int, seed: int = 0) -> NDArray[np.float32]:
    """Loud all the time, and no two places alike."""
    sound = np.random.default_rng(seed).uniform(0.1, 0.9, samples)
    return sound.astype(np.float32)


@dataclass
class Stage:
    """A sender, a screen that looks every millisecond and a speaker, all in simulated time.

    The sender gives a frame and its sound every 40 ms; the local time of the screen is
    `LOCAL_NS` at the stamp `START_NS` plus transport.
    """

    playout: Playout
    sound: NDArray[np.float32]
    jitter_ns: list[int]  # of frame i and its sound
    block: int = 160
    transport_ns: int = 7 * MS
    shown: list[tuple[int, int]] = field(default_factory=list)  # stamp, local time
    played: list[NDArray[np.float32]] = field(default_factory=list)

    def arrivals(self) -> list[tuple[int, int]]:
        return [
            (LOCAL_NS + frame_stamp_ns(i) + self.transport_ns + jitter, i)
            for i, jitter in enumerate(self.jitter_ns)
        ]

    def run(self, extra_ms: int = 700) -> None:
        block_ns = self.block * 62_500
        coming = sorted(self.arrivals())
        next_pull_ns = LOCAL_NS
        for ms in range((coming[-1][0] - LOCAL_NS) // MS + extra_ms):
            now_ns = LOCAL_NS + ms * MS
            while coming and coming[0][0] <= now_ns:
                self._push(*coming.pop(0), lead_ns=block_ns)
            while next_pull_ns <= now_ns:
                self.played.append(self.playout.sound_for(next_pull_ns, self.block))
                next_pull_ns += block_ns
            frame = self.playout.frame_at(now_ns)
            if frame is not None:
                self.shown.append((frame.stamp_ns, now_ns))

    def _push(self, arrival_ns: int, i: int, lead_ns: int) -> None:
        stamp_ns = START_NS + frame_stamp_ns(i)
        part = self.sound[SAMPLES_PER_FRAME * i : SAMPLES_PER_FRAME * (i + 1)]
        self.playout.push_frame(stamp_ns, PIXELS, arrival_ns)
        if len(part):
            # what comes between two looks is used at the next one, at most 1 ms later
            self.playout.push_sound(stamp_ns, part, arrival_ns + lead_ns + MS)

    @property
    def heard(self) -> NDArray[np.float32]:
        return np.concatenate(self.played)

    def heard_at_ns(self, value: np.float32) -> int:
        """Local time at which a sample was heard."""
        return LOCAL_NS + int(np.flatnonzero(self.heard == value)[0]) * 62_500


def contains(whole: NDArray[np.float32], part: NDArray[np.float32]) -> bool:
    """Whether `part` stands in `whole`, sample for sample."""
    begins = np.flatnonzero(whole == part[0])
    return any(np.array_equal(whole[at : at + len(part)], part) for at in begins)


@settings(max_examples=40, deadline=None)
@given(
    delay_ms=st.integers(0, 300),
    shares=st.lists(st.floats(0, 1), min_size=20, max_size=60),
    block=st.sampled_from([64, 160, 441, 1024]),
)
def test_jitter_within_the_margin_is_not_seen_or_heard(
    delay_ms: int, shares: list[float], block: int
) -> None:
    # in order, as DDS delivers: nothing overtakes what was sent before
    jitter, latest = [], 0
    for i, share in enumerate(shares):
        latest = max(latest, frame_stamp_ns(i) + int(share * delay_ms * MS))
        jitter.append(latest - frame_stamp_ns(i))
    sound = noise(SAMPLES_PER_FRAME * len(shares))
    playout = Playout(delay_ms)
    stage = Stage(playout, sound, jitter, block)
    stage.run()

    assert [stamp for stamp, _ in stage.shown] == [
        START_NS + frame_stamp_ns(i) for i in range(len(shares))
    ]
    offset_ns = playout.offset_ns
    assert offset_ns is not None
    assert all(0 <= now - stamp - offset_ns < MS for stamp, now in stage.shown)
    assert contains(stage.heard, sound)
    late_ns = stage.heard_at_ns(sound[0]) - (START_NS + offset_ns)
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


def test_a_screen_that_looks_seldom_sees_the_newest_frame_and_the_rest_are_counted() -> None:
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
    once = Stage(Playout(40), noise(0), [0] * 30 + [60 * MS] + [0] * 30)
    once.run()
    assert (once.playout.late_frames, once.playout.rebuffers) == (1, 0)
    assert len(once.shown) == 61 - once.playout.skipped_frames

    often = Stage(Playout(40), noise(0), [0] * 30 + [60 * MS] * 60)
    often.run()
    assert often.playout.rebuffers == 1
    assert often.playout.late_frames == 5
    # from then on every frame has its 40 ms again
    times = np.diff([now for _, now in often.shown])[-40:]
    assert np.all(np.abs(times - FRAME_PERIOD_NS) <= MS)


def test_late_sound_pauses_and_goes_on_where_it_stopped() -> None:
    sound = noise(SAMPLES_PER_FRAME * 100)
    stage = Stage(Playout(40), sound, [0] * 40 + [150 * MS] * 60)
    stage.run()
    playout, heard = stage.playout, stage.heard
    assert playout.rebuffers == 1
    assert playout.missing_samples > 0
    # nothing was lost: without the silence and the ramps beside it, it is what was sent
    cut = SAMPLES_PER_FRAME * 40
    assert contains(heard, sound[:cut])
    assert contains(heard, sound[cut + 40 :])
    # picture and sound go on together
    assert playout.offset_ns is not None
    due_ns = START_NS + frame_stamp_ns(90) + playout.offset_ns
    assert abs(stage.heard_at_ns(sound[SAMPLES_PER_FRAME * 90]) - due_ns) <= 62_500
    shown = dict(stage.shown)
    assert abs(shown[START_NS + frame_stamp_ns(90)] - due_ns) <= MS


def test_the_silence_of_a_hole_has_soft_edges() -> None:
    stage = Stage(Playout(40), np.full(SAMPLES_PER_FRAME * 80, 0.5, np.float32), [0] * 40)
    stage.jitter_ns += [150 * MS] * 40
    stage.run()
    inside = stage.heard[np.flatnonzero(stage.heard)[0] :]
    steps = np.abs(np.diff(inside))
    assert (inside == 0).any()
    assert steps.max() < 0.05


def test_a_larger_offset_waits_for_a_pause_between_words() -> None:
    """Frames are late, sound is not: the word ends before silence is put in."""
    playout = Playout(40)
    word = noise(SAMPLE_RATE_HZ // 4)
    sound = np.concatenate([word, np.zeros(1600, np.float32), word])
    playout.push_sound(START_NS, sound, LOCAL_NS)
    heard, grown_at = [], None
    for i in range(100):
        now_ns = LOCAL_NS + i * 10 * MS
        if i >= 8 and i % 4 == 0 and playout.rebuffers == 0:
            playout.push_frame(START_NS + (now_ns - LOCAL_NS) - 100 * MS, PIXELS, now_ns)
        before = playout.offset_ns
        heard.append(playout.sound_for(now_ns, 160))
        if playout.offset_ns != before:
            grown_at = i
    whole = np.concatenate(heard)
    assert playout.rebuffers == 1
    assert grown_at is not None
    first, last = np.flatnonzero(whole == word[0])
    assert np.array_equal(whole[first : first + len(word)], word)
    assert np.array_equal(whole[last : last + len(word)], word)
    assert last - first > len(word) + 1600
    assert grown_at * 160 >= first + len(word)


def test_without_a_pause_a_larger_offset_waits_half_a_second_and_loses_nothing() -> None:
    playout = Playout(40)
    sound = noise(SAMPLE_RATE_HZ * 2)
    playout.push_sound(START_NS, sound, LOCAL_NS)
    for i in range(8):
        playout.sound_for(LOCAL_NS + i * 10 * MS, 160)
    playout.set_delay_ms(140)
    heard = [playout.sound_for(LOCAL_NS + i * 10 * MS, 160) for i in range(8, 220)]
    whole = np.concatenate(heard)
    silence = np.flatnonzero(whole == 0)
    gap = silence[silence < len(sound) - SAMPLE_RATE_HZ // 4]
    assert 1500 <= len(gap) <= 1600
    assert contains(whole, sound[-SAMPLE_RATE_HZ // 2 :])
    assert np.count_nonzero(whole) >= len(sound) - 8 * 160


def test_spare_time_is_given_back_slowly_and_only_out_of_pauses() -> None:
    rhythm = np.tile(np.r_[np.full(12_000, 0.5), np.zeros(4_000)], 40).astype(np.float32)
    frames = len(rhythm) // SAMPLES_PER_FRAME
    jitter = [max(0, 200 - 40 * i) * MS for i in range(frames)]  # a slow first block
    stage = Stage(Playout(60), rhythm, jitter)
    offsets: list[int] = []
    pull = stage.playout.sound_for

    def watched(now_ns: int, count: int) -> NDArray[np.float32]:
        played = pull(now_ns, count)
        if stage.playout.offset_ns is not None:
            offsets.append(stage.playout.offset_ns)
        return played

    stage.playout.sound_for = watched  # type: ignore[method-assign]
    stage.run()
    final_ms = (offsets[-1] - (LOCAL_NS - START_NS) - stage.transport_ns) / MS
    assert 60 <= final_ms <= 60 + 50
    steps_ms = -np.diff(offsets) / MS
    assert steps_ms.max() <= 100
    assert np.count_nonzero(stage.heard) == np.count_nonzero(rhythm)
    assert stage.playout.rebuffers == 0
    assert stage.playout.missing_samples == 0


@pytest.mark.parametrize("step_s", [-3600, 3600])
def test_a_jump_of_stamps_begins_anew(step_s: int) -> None:
    stage = Stage(Playout(50), noise(SAMPLES_PER_FRAME * 20), [0] * 20)
    stage.run(extra_ms=100)
    moved_ns = START_NS + step_s * 1000 * MS
    now_ns = LOCAL_NS + 2_000 * MS
    playout = stage.playout
    playout.push_frame(moved_ns, PIXELS, now_ns)
    playout.push_sound(moved_ns, noise(640, seed=1), now_ns)
    assert playout.resets == 1
    assert playout.frame_at(now_ns + 49 * MS) is None
    frame = playout.frame_at(now_ns + 50 * MS)
    assert frame is not None
    assert frame.stamp_ns == moved_ns
    again = playout.sound_for(now_ns + 50 * MS, 640)
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


def test_sound_that_comes_twice_is_played_once() -> None:
    playout, sound = Playout(0), noise(1280)
    for _ in range(2):
        playout.push_sound(START_NS, sound, LOCAL_NS)
    assert np.array_equal(playout.sound_for(LOCAL_NS, 1280), sound)
    assert playout.dropped_samples == 1280
    assert playout.rebuffers == 0


def test_of_sound_that_overlaps_the_new_part_is_played() -> None:
    playout, sound = Playout(0), noise(1920)
    playout.push_sound(START_NS, sound[:1280], LOCAL_NS)
    playout.push_sound(START_NS + 40 * MS, sound[640:], LOCAL_NS)
    assert np.array_equal(playout.sound_for(LOCAL_NS, 1920), sound)
    assert playout.dropped_samples == 640


def test_a_speaker_that_starts_late_plays_what_is_due() -> None:
    playout, sound = Playout(100), noise(640 * 1000)
    for i in range(1000):
        part = sound[640 * i : 640 * (i + 1)]
        playout.push_sound(START_NS + frame_stamp_ns(i), part, LOCAL_NS + frame_stamp_ns(i))
        playout.frame_at(LOCAL_NS + frame_stamp_ns(i))
    now_ns = LOCAL_NS + frame_stamp_ns(999)
    due = 640 * 999 - SAMPLE_RATE_HZ // 10
    assert np.array_equal(playout.sound_for(now_ns, 320), sound[due : due + 320])
    assert playout.dropped_samples == playout.missing_samples == 0


def test_sound_that_was_lost_is_silence_and_counted() -> None:
    playout, sound = Playout(0), noise(640)
    playout.push_sound(START_NS, sound, LOCAL_NS)
    playout.push_sound(START_NS + 80 * MS, sound, LOCAL_NS)
    heard = playout.sound_for(LOCAL_NS, 1920)
    assert np.array_equal(heard[:640], sound)
    assert np.array_equal(heard[1280 + 40 :], sound[40:])
    assert playout.missing_samples == 640


def test_a_stream_that_ends_is_not_missed() -> None:
    playout = Playout(0)
    playout.push_sound(START_NS, noise(640), LOCAL_NS)
    for i in range(200):
        playout.sound_for(LOCAL_NS + i * 40 * MS, 640)
    assert playout.missing_samples == 0
    assert not playout.sound_is_playing


def test_stamps_that_are_a_little_off_still_join() -> None:
    playout, sound = Playout(100), noise(640 * 20)
    wobble = np.random.default_rng(3).integers(-3 * MS, 3 * MS, 20)
    for i in range(20):
        stamp_ns = START_NS + frame_stamp_ns(i) + int(wobble[i])
        playout.push_sound(stamp_ns, sound[640 * i : 640 * (i + 1)], LOCAL_NS)
    heard = [playout.sound_for(LOCAL_NS + i * 10 * MS, 160) for i in range(120)]
    assert contains(np.concatenate(heard), sound)


def test_memory_is_bounded() -> None:
    playout = Playout(0)
    for i in range(5_000):
        playout.push_frame(START_NS + i * MS, PIXELS, LOCAL_NS)
        playout.push_sound(START_NS + i * MS, noise(16), LOCAL_NS)
    assert len(playout._frames) <= 150
    playout = Playout(0)
    playout.push_sound(START_NS, noise(SAMPLE_RATE_HZ * 60), LOCAL_NS)
    assert playout.dropped_samples == SAMPLE_RATE_HZ * 50
    for i in range(1000):  # a speaker that never asks
        playout.push_sound(START_NS + frame_stamp_ns(i), noise(640), LOCAL_NS + frame_stamp_ns(i))
    held = sum(len(piece) for _, piece in playout._sound._pieces)
    assert held <= 10 * SAMPLE_RATE_HZ


def test_a_speaker_held_up_in_a_word_makes_the_picture_wait() -> None:
    sound = noise(SAMPLE_RATE_HZ * 4)
    playout = Playout(100)
    silence = np.zeros(SAMPLE_RATE_HZ // 2, np.float32)
    playout.push_sound(START_NS, np.concatenate([sound, silence]), LOCAL_NS)
    heard, now_ns = [], LOCAL_NS
    for i in range(450):
        now_ns += (300 if i == 100 else 10) * MS
        heard.append(playout.sound_for(now_ns, 160))
    assert contains(np.concatenate(heard), sound)
    assert playout.rebuffers == 1
    assert playout.offset_ns is not None
    assert playout.offset_ns - (LOCAL_NS - START_NS) == pytest.approx(390 * MS, abs=20 * MS)


def simulate_an_hour(ppm: float, sound: NDArray[np.float32]) -> tuple[Playout, list[float]]:
    """A speaker that is `ppm` fast; returns how late the sound was at each block, in ms.

    Blocks are as long as the sound, and asked for up to 6 ms later than they should be.
    """
    playout, block, lateness_ms = Playout(100), len(sound), []
    jitter = np.random.default_rng(5).integers(0, 6 * MS, 20_000)
    now_ns = sent_ns = 0
    pulls = 0
    while now_ns < 3_600_000 * MS:
        now_ns = int(pulls * block / (1 + ppm * 1e-6) * 62_500)
        while sent_ns <= now_ns:
            playout.push_frame(START_NS + sent_ns, PIXELS, LOCAL_NS + sent_ns)
            lead_ns = block * 62_500  # asked for by blocks, so it may have to wait for one
            playout.push_sound(START_NS + sent_ns, sound, LOCAL_NS + sent_ns + lead_ns)
            sent_ns += block * 62_500
        playout.frame_at(playout.next_frame_ns or 0)
        playout.sound_for(LOCAL_NS + now_ns + int(jitter[pulls]), block)
        pulls += 1
        if playout.sound_is_playing and playout._cursor is not None and playout.offset_ns:
            place_ns = (playout._cursor - playout._pause - block) * 62_500
            lateness_ms.append((LOCAL_NS + now_ns - place_ns - playout.offset_ns) / MS)
    return playout, lateness_ms


@pytest.mark.parametrize("ppm", [-100, 100])
@pytest.mark.parametrize("pauses", [True, False], ids=["pauses", "no pauses"])
def test_an_hour_with_a_speaker_clock_that_strays(ppm: float, pauses: bool) -> None:
    sound = noise(3_200)
    if pauses:
        sound[:1_600] = 0
    playout, lateness_ms = simulate_an_hour(ppm, sound)
    assert len(lateness_ms) > 17_000
    assert np.abs(lateness_ms).max() <= 25
    assert abs(playout.av_offset_ms) <= 40
    assert playout.rebuffers == playout.resets == playout.missing_samples == 0


def test_a_word_is_stretched_without_a_step() -> None:
    """Mending by single samples in a steady tone: no step is larger than the tone's own."""
    tone = np.sin(np.arange(SAMPLE_RATE_HZ * 8) * 2 * np.pi * 200 / SAMPLE_RATE_HZ) * 0.5
    playout = Playout(100)
    playout.push_sound(START_NS, tone.astype(np.float32), LOCAL_NS)
    heard = []
    for i in range(760):
        ahead_ns = 0 if i < 100 else 22 * MS
        heard.append(playout.sound_for(LOCAL_NS + i * 10 * MS + ahead_ns, 160))
    whole = np.concatenate(heard)
    begin = int(np.flatnonzero(np.abs(whole) > 0)[0])
    steps = np.abs(np.diff(whole[begin:]))
    assert steps.max() <= np.abs(np.diff(tone)).max() * 1.02
    assert playout._clock.behind_samples < SAMPLE_RATE_HZ * 0.016
    assert playout.missing_samples == playout.rebuffers == 0


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["frame", "sound", "look", "pull", "delay"]),
            st.integers(-3_000, 3_000),  # ms that a stamp is off, or a delay
            st.integers(0, 400),  # ms that pass
            st.integers(0, 2_000),  # samples
        ),
        max_size=120,
    )
)
def test_whatever_comes_frames_go_forward_and_sound_is_as_long_as_asked(
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
        elif what == "sound":
            playout.push_sound(stamp_ns, noise(samples), now_ns)
        elif what == "delay":
            playout.set_delay_ms(abs(off_ms) % 2_001)
        elif what == "pull":
            played = playout.sound_for(now_ns, samples)
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
    assert sent == shown + playout.skipped_frames + len(playout._frames)
    assert playout._pause >= 0


def test_samples_that_are_not_finite_become_silence() -> None:
    playout = Playout(0)
    playout.push_sound(START_NS, np.array([0.5, np.nan, np.inf, 0.5], np.float32), LOCAL_NS)
    assert playout.sound_for(LOCAL_NS, 4).tolist() == [0.5, 0, 0, 0.5]


def test_a_speaker_that_stops_asking_does_not_hold_the_picture_up() -> None:
    playout = Playout(0)
    playout.push_sound(START_NS, noise(32_000), LOCAL_NS)
    playout.sound_for(LOCAL_NS, 160)
    assert playout.sound_is_playing
    playout.set_delay_ms(200)
    playout.push_frame(START_NS + 1_500 * MS, PIXELS, LOCAL_NS + 1_400 * MS)
    assert playout.frame_at(LOCAL_NS + 1_600 * MS) is None
    assert not playout.sound_is_playing
    assert playout.frame_at(LOCAL_NS + 1_700 * MS) is not None


def test_after_a_reset_by_hand_the_next_arrival_sets_the_offset() -> None:
    playout = Playout(10)
    playout.push_frame(START_NS, PIXELS, LOCAL_NS)
    playout.reset()
    assert playout.offset_ns is None
    assert playout.next_frame_ns is None
    assert playout.frame_at(LOCAL_NS) is None
    assert not playout.sound_for(LOCAL_NS, 8).any()
    playout.push_frame(START_NS, PIXELS, LOCAL_NS + 500 * MS)
    assert playout.next_frame_ns == LOCAL_NS + 510 * MS
