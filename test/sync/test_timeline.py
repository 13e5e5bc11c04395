"""Tracks: gaps become counted silence, late sound is dropped and counted, order is by stamp."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar_forcing_ros.media import AudioChunk, VideoFrame
from avatar_forcing_ros.sync.image_track import (
    KEPT_PICTURES,
    KEPT_VALUES,
    MotionTrack,
    PictureTrack,
)
from avatar_forcing_ros.sync.timeline import SoundTrack, missing
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS

RATE = 16_000


def chunk(samples: np.ndarray, start: int) -> AudioChunk:
    return AudioChunk(np.asarray(samples, np.float32), RATE, round(start * 1e9 / RATE))


def test_sound_comes_out_as_it_went_in() -> None:
    sound = np.arange(3200, dtype=np.float32)
    track = SoundTrack()
    track.push(chunk(sound, 0))
    assert track.has(4)
    assert not track.has(5)
    assert np.array_equal(track.take(5), sound)
    assert track.filled_samples == track.dropped_samples == 0


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=20))
def test_any_cut_gives_the_same_sound(lengths: list[int]) -> None:
    sound = np.arange(1, sum(lengths) + 1, dtype=np.float32)
    track, at = SoundTrack(), 0
    for length in lengths:
        track.push(chunk(sound[at : at + length], at))
        at += length
    frames = -(-at // 640)
    assert np.array_equal(track.take(frames)[:at], sound)
    assert track.filled_samples == frames * 640 - at


def test_a_gap_is_silence_and_counted() -> None:
    track = SoundTrack()
    track.push(chunk(np.ones(640), 0))
    track.push(chunk(np.ones(640), 1280))
    out = track.take(3)
    assert out[:640].all()
    assert not out[640:1280].any()
    assert out[1280:].all()
    assert track.filled_samples == 640


def test_late_sound_is_dropped_and_counted() -> None:
    track = SoundTrack()
    track.push(chunk(np.ones(640), 0))
    assert track.take(3)[640:].sum() == 0
    track.push(chunk(np.ones(1280), 1280))  # its first half is already over
    assert track.take(1).all()
    assert track.dropped_samples == 640


def test_jitter_of_stamps_makes_no_gap() -> None:
    track = SoundTrack()
    for k in range(10):
        track.push(chunk(np.ones(640), k * 640 + (-1) ** k * 200))
    assert track.take(10).all()
    assert track.filled_samples == track.dropped_samples == 0


def test_broken_samples_become_silence() -> None:
    track = SoundTrack()
    track.push(chunk(np.array([1.0, np.nan, np.inf, -1.0] * 160), 0))
    out = track.take(1)
    assert np.isfinite(out).all()
    assert track.mended_samples == 320


def test_another_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="44100"):
        SoundTrack().push(AudioChunk(np.zeros(10, np.float32), 44_100, 0))


def test_motion_is_that_of_the_frames_own_period() -> None:
    track = MotionTrack(1)
    for stamp_frames, value in ((0.0, 1.0), (2.5, 3.0), (1.2, 2.0)):  # out of order
        track.push(np.array([value], np.float32), round(stamp_frames * FRAME_PERIOD_NS))
    assert track.has(2)
    assert not track.has(3)
    assert track.take(4)[:, 0].tolist() == [1.0, 2.0, 3.0, 3.0]
    assert track.filled_frames == 1
    track.push(np.array([9.0], np.float32), 2 * FRAME_PERIOD_NS)  # older than what was given
    assert track.dropped_values == 1
    assert track.take(1)[0, 0] == 3.0


@pytest.mark.parametrize("rate_hz", [10, 25, 30, 60])
def test_motion_is_the_same_live_and_at_once(rate_hz: int) -> None:
    """Taking each frame as soon as it is settled gives what taking all at the end gives."""
    stamps = [round(i * 1e9 / rate_hz) for i in range(3 * rate_hz)]
    at_once, live = MotionTrack(1), MotionTrack(1)
    for i, stamp in enumerate(stamps):
        at_once.push(np.array([i], np.float32), stamp)
    given = []
    for i, stamp in enumerate(stamps):
        live.push(np.array([i], np.float32), stamp)
        while live.has(len(given)):
            given.append(live.take(1)[0])
    assert np.array_equal(np.stack(given), at_once.take(len(given)))
    assert len(given) > 70


def test_an_absurd_stamp_is_refused() -> None:
    track = SoundTrack()
    with pytest.raises(ValueError, match="after what came"):
        track.push(AudioChunk(np.zeros(640, np.float32), RATE, 1_700_000_000 * 10**9))
    assert track.end_sample == 0


def test_no_motion_is_neutral_and_no_loss() -> None:
    track = MotionTrack(3)
    assert not track.take(2).any()
    assert track.filled_frames == 0
    assert not track.ever


@given(st.permutations(range(12)))
def test_the_order_of_arrival_does_not_matter(order: list[int]) -> None:
    """As long as everything comes before it is taken."""
    sound = np.arange(1, 12 * 400 + 1, dtype=np.float32)
    tracks = SoundTrack(), SoundTrack(continuous=False)
    pictures = PictureTrack()
    for k in order:
        for track in tracks:
            track.push(chunk(sound[400 * k : 400 * (k + 1)], 400 * k))
        pictures.push(VideoFrame(np.full((1, 1, 3), k, np.uint8), k * FRAME_PERIOD_NS))
    for track in tracks:
        assert np.array_equal(track.take(7), sound[: 7 * 640])
        assert track.filled_samples == track.dropped_samples == 0
    assert [int(p.pixels[0, 0, 0]) for p in pictures.take(12)] == list(range(12))


def test_a_hole_is_waited_for() -> None:
    """What comes after a hole does not hide it: only the missing piece completes the track."""
    track = SoundTrack()
    track.push(chunk(np.ones(640), 0))
    track.push(chunk(np.ones(640), 1280))
    assert track.has(0)
    assert not track.has(1)
    assert not track.has(2)
    track.push(chunk(np.ones(640), 640))
    assert track.has(2)


@pytest.mark.parametrize("rate_hz", [15, 25, 30, 60])
def test_a_missing_picture_is_waited_for_at_the_cameras_own_rate(rate_hz: int) -> None:
    track = PictureTrack()

    def push(k: int) -> None:
        stamp_ns = round(k * 1e9 / rate_hz)
        track.push(VideoFrame(np.zeros((1, 1, 3), np.uint8), stamp_ns))

    for k in range(2 * rate_hz):
        push(k)
    for frame in range(48):
        assert track.has(frame)
        track.take(1)
    missing = 2 * rate_hz + 2
    for k in range(2 * rate_hz, 3 * rate_hz):
        if k != missing:
            push(k)
    assert not track.has(72)
    push(missing)
    assert track.has(72)


def test_speech_that_comes_too_fast_waits_for_its_turn() -> None:
    """A synthesiser sends three seconds at once, in pieces stamped with the time of sending."""
    track = SoundTrack(continuous=False)
    sound = np.arange(1, 30 * 1600 + 1, dtype=np.float32)
    for k in range(30):
        track.push(chunk(sound[1600 * k : 1600 * (k + 1)], 10 * k))
    assert np.array_equal(np.concatenate([track.take(5) for _ in range(15)]), sound)
    assert track.dropped_samples == track.filled_samples == 0


def test_a_voice_that_comes_late_is_said_late() -> None:
    track = SoundTrack(continuous=False)
    track.take(5)
    track.push(chunk(np.ones(640), 0))
    assert track.take(1).all()
    assert track.dropped_samples == 0


def test_who_is_live_and_who_is_not() -> None:
    voice, mic, pictures = SoundTrack(continuous=False), SoundTrack(), PictureTrack()
    assert not any(track.live(0) for track in (voice, mic, pictures))
    for track in (voice, mic):
        track.push(chunk(np.ones(6400), 0))
    pictures.push(VideoFrame(np.zeros((1, 1, 3), np.uint8), 0))
    assert all(track.live(5) for track in (voice, mic, pictures))
    assert voice.live(14)
    assert not voice.live(15)  # an utterance is over after a pause
    assert mic.live(30)
    assert not mic.live(40)  # a second later nobody waits for a microphone either
    assert pictures.live(24)
    assert not pictures.live(25)
    assert not missing([voice, mic, pictures], 40, 44)
    assert missing([voice, mic, pictures], 5, 9) == [pictures]


def test_what_waits_is_bounded() -> None:
    track = PictureTrack()
    for k in range(200):
        track.push(VideoFrame(np.zeros((1, 1, 3), np.uint8), k * FRAME_PERIOD_NS))
    assert track.dropped_pictures == 200 - KEPT_PICTURES


def test_cleared_sound_is_gone_and_counted() -> None:
    track = SoundTrack(continuous=False)
    track.push(chunk(np.ones(6400), 0))
    track.take(2)
    assert track.clear() == 6400 - 1280
    assert not track.take(5).any()
    track.push(chunk(np.ones(640), 7 * 640))
    assert track.take(1).all()


def test_a_piece_of_a_voice_that_is_lost_is_counted_a_pause_is_not() -> None:
    """Wherever the borders of what is taken lie."""
    voice = SoundTrack(continuous=False)
    for k in range(20):
        if k not in (4, 12):
            voice.push(chunk(np.ones(640), 640 * k))
    voice.push(chunk(np.ones(640), 640 * 40))  # the next utterance
    for _ in range(10):
        voice.take(5)
    assert voice.filled_samples == 2 * 640


@pytest.mark.parametrize("ppm", [500, -500])
def test_a_microphone_with_another_clock_is_stretched_not_torn(ppm: int) -> None:
    """And a block that is complete has nothing missing, although chunks change their length."""
    track, step = SoundTrack(), 2 * np.pi * 200 / RATE
    count, sent, taken = 320, 0, []
    while sent < 60 * RATE:
        start = round(sent * (1 - ppm / 1e6))
        track.push(chunk(np.sin(step * np.arange(sent, sent + count)), start))
        sent += count
        if track.has(3 * len(taken) + 2):
            taken.append(track.take(3))
    sound = np.concatenate(taken)
    assert track.filled_samples == track.dropped_samples == 0
    assert np.abs(np.diff(sound)).max() < 1.2 * step  # no step, no click
    # after a minute of 0.05 % that is 480 samples
    assert abs(len(sound) - 60 * RATE * (1 - ppm / 1e6)) < 640 * 3 + 100
    assert abs(track._stray) < 60


def test_a_lost_chunk_is_seen_although_the_clock_has_strayed() -> None:
    track = SoundTrack()
    for k in range(200):
        if k != 150:
            track.push(chunk(np.ones(320), 320 * k - round(0.1 * k)))
    assert track.take(90).sum() > 0
    track.take(10)
    assert abs(track.filled_samples - 320) < 40


def test_sound_that_comes_a_little_too_late_is_heard_and_its_place_is_found_again() -> None:
    track = SoundTrack()
    track.push(chunk(np.full(1820, 0.1), 0))
    track.take(3)  # the last 100 samples are missing
    for k in range(400):
        track.push(chunk(np.full(320, 0.5), 1820 + 320 * k))
    out = track.take(3)
    assert (out > 0.4).all()
    assert track.dropped_samples == 0
    for _ in range(60):
        track.take(3)
    assert abs(track._stray) < 40


def test_motion_that_waits_is_bounded() -> None:
    track = MotionTrack(1)
    for k in range(KEPT_VALUES + 5):
        track.push(np.zeros(1, np.float32), k * FRAME_PERIOD_NS)
    assert track.dropped_values == 5


class Everything(PictureTrack):
    """Keeps what no frame can get, too."""

    def _forget_useless(self, at: int) -> None: ...


@given(
    st.lists(st.integers(0, 1_000), min_size=1, max_size=80, unique=True),
    st.lists(st.integers(1, 6), min_size=4, max_size=10),
    st.randoms(use_true_random=False),
)
def test_pictures_that_are_not_kept_are_those_that_no_frame_gets(
    stamps_ms: list[int], blocks: list[int], random: Random
) -> None:
    """Whatever their stamps, and however they arrive between the blocks."""
    tracks, reach = (PictureTrack(bounded=False), Everything(bounded=False)), 0
    waiting = [(ms + random.randrange(60), ms) for ms in stamps_ms]  # when it comes, its stamp
    for frames in blocks:
        reach += 40 * frames
        for come_ms, ms in sorted(waiting):
            if come_ms < reach:
                for track in tracks:
                    track.push(VideoFrame(np.full((1, 1, 3), ms % 251, np.uint8), ms * 1_000_000))
        waiting = [one for one in waiting if one[0] >= reach]
        got, expected = ([(p.stamp_ns, p.pixels[0, 0, 0]) for p in t.take(frames)] for t in tracks)
        assert got == expected
    assert tracks[0].filled_frames == tracks[1].filled_frames


def test_a_fast_camera_whose_clock_is_ahead_is_seen() -> None:
    """60 pictures a second, stamped 1.5 s ahead: all of them wait, and none of use is dropped."""
    track, period_ns = PictureTrack(), 1_000_000_000 // 60
    got = 0
    for k in range(600):
        if k % 12 == 0 and k > 90:
            got += len(track.take(5))
        track.push(VideoFrame(np.zeros((1, 1, 3), np.uint8), k * period_ns))
    assert got == 42 * 5
    assert track.dropped_pictures == track.filled_frames == 0


def test_where_too_many_pictures_wait_the_newest_go() -> None:
    track = PictureTrack()
    for k in range(200):
        track.push(VideoFrame(np.full((1, 1, 3), k, np.uint8), k * FRAME_PERIOD_NS))
    kept = [int(p.pixels[0, 0, 0]) for p in track.take(200)]
    assert kept == list(range(KEPT_PICTURES))


@pytest.mark.parametrize("frames", [7, 25 * 3600 * 24 * 365])
def test_time_given_up_costs_nothing_however_much_it_is(frames: int) -> None:
    """And leaves what comes after it."""
    end_ns, end = frames * FRAME_PERIOD_NS, 640 * frames
    voice, microphone = SoundTrack(continuous=False), SoundTrack()
    pictures, motion = PictureTrack(), MotionTrack(1)
    voice.push(chunk(np.ones(640 * 9), 0))
    microphone.push(chunk(np.ones(640), 0))
    microphone.push(AudioChunk(np.ones(1280, np.float32), RATE, 40_000_000))
    for k in (0, 1, 2):
        pictures.push(VideoFrame(np.full((1, 1, 3), k, np.uint8), k * FRAME_PERIOD_NS))
        motion.push(np.array([k], np.float32), k * FRAME_PERIOD_NS)
    for track in (voice, microphone, pictures, motion):
        track.skip(frames)
    assert voice.dropped_samples == min(640 * 9, end)
    assert voice.waiting_samples == max(0, 640 * 9 - end)
    assert microphone.dropped_samples == 640 * 3
    assert voice.filled_samples == microphone.filled_samples == pictures.filled_frames == 0
    assert pictures.dropped_pictures == 3
    assert motion.take(1)[0, 0] == 2
    microphone.push(chunk(np.full(640, 0.5), end))
    pictures.push(VideoFrame(np.full((1, 1, 3), 9, np.uint8), end_ns))
    assert (microphone.take(1) == 0.5).all()
    assert [p.pixels[0, 0, 0] for p in pictures.take(1)] == [9]


def test_a_minute_of_voice_that_comes_at_once_in_small_pieces_is_said() -> None:
    voice = SoundTrack(continuous=False)
    for k in range(3000):
        voice.push(chunk(np.full(320, k + 1), k))
    assert voice.waiting_samples == 3000 * 320
    taken = [voice.take(25) for _ in range(61)]
    sound = np.concatenate(taken)
    assert np.array_equal(sound[: 3000 * 320 : 320], np.arange(1, 3001, dtype=np.float32))
    assert not sound[3000 * 320 :].any()
    assert voice.waiting_samples == voice.dropped_samples == 0
