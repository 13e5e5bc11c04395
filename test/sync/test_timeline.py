"""Audio tracks: gaps are counted silence, late audio is dropped and counted, order is by stamp."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar_forcing_ros.media import AudioChunk, VideoFrame
from avatar_forcing_ros.sync.image_track import (
    ImageTrack,
    MotionTrack,
)
from avatar_forcing_ros.sync.timeline import AudioTrack, missing
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS

RATE = 16_000


def chunk(samples: np.ndarray, start: int) -> AudioChunk:
    return AudioChunk(np.asarray(samples, np.float32), RATE, round(start * 1e9 / RATE))


def test_samples_that_are_no_sound_are_refused() -> None:
    track = AudioTrack()
    with pytest.raises(ValueError, match="audio: expected finite values within"):
        track.push(chunk(np.array([0.0, 1e30]), 0))
    assert not track.started


def test_audio_comes_out_as_it_went_in() -> None:
    audio = np.arange(3200, dtype=np.float32)
    track = AudioTrack()
    track.push(chunk(audio, 0))
    assert track.has(4)
    assert not track.has(5)
    assert np.array_equal(track.take(5), audio)
    assert track.filled_samples == track.dropped_samples == 0


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=20))
def test_any_cut_gives_the_same_audio(lengths: list[int]) -> None:
    audio = np.arange(1, sum(lengths) + 1, dtype=np.float32)
    track, at = AudioTrack(), 0
    for length in lengths:
        track.push(chunk(audio[at : at + length], at))
        at += length
    frames = -(-at // 640)
    assert np.array_equal(track.take(frames)[:at], audio)
    assert track.filled_samples == frames * 640 - at


def test_a_gap_is_silence_and_counted() -> None:
    track = AudioTrack()
    track.push(chunk(np.ones(640), 0))
    track.push(chunk(np.ones(640), 1280))
    out = track.take(3)
    assert out[:640].all()
    assert not out[640:1280].any()
    assert out[1280:].all()
    assert track.filled_samples == 640


def test_late_audio_is_dropped_and_counted() -> None:
    track = AudioTrack()
    track.push(chunk(np.ones(640), 0))
    assert track.take(3)[640:].sum() == 0
    track.push(chunk(np.ones(1280), 1280))  # its first half is already over
    assert track.take(1).all()
    assert track.dropped_samples == 640


def test_jitter_of_stamps_makes_no_gap() -> None:
    track = AudioTrack()
    for k in range(10):
        track.push(chunk(np.ones(640), k * 640 + (-1) ** k * 200))
    assert track.take(10).all()
    assert track.filled_samples == track.dropped_samples == 0


def test_samples_that_are_not_finite_become_silence() -> None:
    track = AudioTrack()
    track.push(chunk(np.array([1.0, np.nan, np.inf, -1.0] * 160), 0))
    out = track.take(1)
    assert np.isfinite(out).all()
    assert track.sanitized_samples == 320


def test_another_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="44100"):
        AudioTrack().push(AudioChunk(np.zeros(10, np.float32), 44_100, 0))


def test_an_absurd_stamp_is_refused() -> None:
    track = AudioTrack()
    with pytest.raises(ValueError, match="after what came"):
        track.push(AudioChunk(np.zeros(640, np.float32), RATE, 1_700_000_000 * 10**9))
    assert track.end_sample == 0


@given(st.permutations(range(12)))
def test_the_order_of_arrival_does_not_matter(order: list[int]) -> None:
    """As long as everything comes before it is taken."""
    audio = np.arange(1, 12 * 400 + 1, dtype=np.float32)
    tracks = AudioTrack(), AudioTrack(continuous=False)
    images = ImageTrack()
    for k in order:
        for track in tracks:
            track.push(chunk(audio[400 * k : 400 * (k + 1)], 400 * k))
        images.push(VideoFrame(np.full((1, 1, 3), k, np.uint8), k * FRAME_PERIOD_NS))
    for track in tracks:
        assert np.array_equal(track.take(7), audio[: 7 * 640])
        assert track.filled_samples == track.dropped_samples == 0
    assert [int(p.pixels[0, 0, 0]) for p in images.take(12)] == list(range(12))


def test_a_hole_is_waited_for() -> None:
    """What comes after a hole does not hide it: only the missing piece completes the track."""
    track = AudioTrack()
    track.push(chunk(np.ones(640), 0))
    track.push(chunk(np.ones(640), 1280))
    assert track.has(0)
    assert not track.has(1)
    assert not track.has(2)
    track.push(chunk(np.ones(640), 640))
    assert track.has(2)


def test_speech_that_comes_too_fast_waits_for_its_turn() -> None:
    """A synthesiser sends three seconds at once, in pieces stamped with the time of sending."""
    track = AudioTrack(continuous=False)
    audio = np.arange(1, 30 * 1600 + 1, dtype=np.float32)
    for k in range(30):
        track.push(chunk(audio[1600 * k : 1600 * (k + 1)], 10 * k))
    assert np.array_equal(np.concatenate([track.take(5) for _ in range(15)]), audio)
    assert track.dropped_samples == track.filled_samples == 0


@pytest.mark.parametrize(("pieces", "ahead"), [(10, True), (3, False)])
def test_the_end_of_speech_that_was_sent_ahead_is_not_waited_for(pieces: int, ahead: bool) -> None:
    """What comes in real time may go on; a text's end would hold up the block for nothing."""
    track = AudioTrack(continuous=False)
    for k in range(pieces):
        track.push(chunk(np.ones(1600), 10 * k if ahead else 100 * k))
    last = 5 * pieces // 2  # the frame in which it ends
    track.take(last - 1)
    assert track.live(last)
    assert track.has(last) == ahead
    track.push(chunk(np.ones(160), 40 * (last + 20)))  # the next is a short one
    track.take(3)
    assert not track.has(last + 20)


@pytest.mark.parametrize("lossless", [False, True])
def test_how_much_speech_waits_tells_a_replay_nothing(lossless: bool) -> None:
    """Its messages wait where the machine is busy, and what comes next may be on its way."""
    track = AudioTrack(continuous=False, lossless=lossless)
    for k in range(20):  # in real time: 0.8 s that came at once
        track.push(chunk(np.ones(640), 40 * k))
    assert track.has(19)
    assert track.has(22) != lossless


def test_speech_that_comes_late_is_spoken_late() -> None:
    track = AudioTrack(continuous=False)
    track.take(5)
    track.push(chunk(np.ones(640), 0))
    assert track.take(1).all()
    assert track.dropped_samples == 0


def test_who_is_live_and_who_is_not() -> None:
    speech, mic, images = AudioTrack(continuous=False), AudioTrack(), ImageTrack()
    assert not any(track.live(0) for track in (speech, mic, images))
    for track in (speech, mic):
        track.push(chunk(np.ones(6400), 0))
    images.push(VideoFrame(np.zeros((1, 1, 3), np.uint8), 0))
    assert all(track.live(5) for track in (speech, mic, images))
    assert speech.live(14)
    assert not speech.live(15)  # an utterance is over after a pause
    assert mic.live(30)
    assert not mic.live(40)  # a second later nobody waits for a microphone either
    assert images.live(24)
    assert not images.live(25)
    assert not missing([speech, mic, images], 40, 44)
    assert missing([speech, mic, images], 5, 9) == [images]


def test_cleared_audio_is_gone_and_counted() -> None:
    track = AudioTrack(continuous=False)
    track.push(chunk(np.ones(6400), 0))
    track.take(2)
    assert track.clear() == 6400 - 1280
    assert not track.take(5).any()
    track.push(chunk(np.ones(640), 7 * 640))
    assert track.take(1).all()


def test_a_piece_of_speech_that_is_lost_is_counted_a_pause_is_not() -> None:
    """Wherever the borders of what is taken lie."""
    speech = AudioTrack(continuous=False)
    for k in range(20):
        if k not in (4, 12):
            speech.push(chunk(np.ones(640), 640 * k))
    speech.push(chunk(np.ones(640), 640 * 40))  # the next utterance
    for _ in range(10):
        speech.take(5)
    assert speech.filled_samples == 2 * 640


@pytest.mark.parametrize("ppm", [500, -500])
def test_a_microphone_with_another_clock_is_stretched_not_torn(ppm: int) -> None:
    """And a block that is complete has nothing missing, although chunks change their length."""
    track, step = AudioTrack(), 2 * np.pi * 200 / RATE
    count, sent, taken = 320, 0, []
    while sent < 60 * RATE:
        start = round(sent * (1 - ppm / 1e6))
        track.push(chunk(np.sin(step * np.arange(sent, sent + count)), start))
        sent += count
        if track.has(3 * len(taken) + 2):
            taken.append(track.take(3))
    audio = np.concatenate(taken)
    assert track.filled_samples == track.dropped_samples == 0
    assert np.abs(np.diff(audio)).max() < 1.2 * step  # no step, no click
    # after a minute of 0.05 % that is 480 samples
    assert abs(len(audio) - 60 * RATE * (1 - ppm / 1e6)) < 640 * 3 + 100
    assert abs(track.drift.samples) < 60


def test_a_lost_chunk_is_noticed_although_the_clock_has_drifted() -> None:
    track = AudioTrack()
    for k in range(200):
        if k != 150:
            track.push(chunk(np.ones(320), 320 * k - round(0.1 * k)))
    assert track.take(90).sum() > 0
    track.take(10)
    assert abs(track.filled_samples - 320) < 40


def test_audio_that_comes_a_little_too_late_is_played_and_its_place_is_found_again() -> None:
    track = AudioTrack()
    track.push(chunk(np.full(1820, 0.1), 0))
    track.take(3)  # the last 100 samples are missing
    for k in range(400):
        track.push(chunk(np.full(320, 0.5), 1820 + 320 * k))
    out = track.take(3)
    assert (out > 0.4).all()
    assert track.dropped_samples == 0
    for _ in range(60):
        track.take(3)
    assert abs(track.drift.samples) < 40


@pytest.mark.parametrize("frames", [7, 25 * 3600 * 24 * 365])
def test_time_given_up_costs_nothing_however_much_it_is(frames: int) -> None:
    """And leaves what comes after it."""
    end_ns, end = frames * FRAME_PERIOD_NS, 640 * frames
    speech, microphone = AudioTrack(continuous=False), AudioTrack()
    images, motion = ImageTrack(), MotionTrack(1)
    speech.push(chunk(np.ones(640 * 9), 0))
    microphone.push(chunk(np.ones(640), 0))
    microphone.push(AudioChunk(np.ones(1280, np.float32), RATE, 40_000_000))
    for k in (0, 1, 2):
        images.push(VideoFrame(np.full((1, 1, 3), k, np.uint8), k * FRAME_PERIOD_NS))
        motion.push(np.array([k], np.float32), k * FRAME_PERIOD_NS)
    for track in (speech, microphone, images, motion):
        track.skip(frames)
    assert speech.dropped_samples == min(640 * 9, end)
    assert speech.waiting_samples == max(0, 640 * 9 - end)
    assert microphone.dropped_samples == 640 * 3
    assert speech.filled_samples == microphone.filled_samples == images.filled_frames == 0
    assert images.dropped_frames == 3
    assert motion.take(1)[0, 0] == 2
    microphone.push(chunk(np.full(640, 0.5), end))
    images.push(VideoFrame(np.full((1, 1, 3), 9, np.uint8), end_ns))
    assert (microphone.take(1) == 0.5).all()
    assert [p.pixels[0, 0, 0] for p in images.take(1)] == [9]


def test_a_minute_of_speech_that_comes_at_once_in_small_pieces_is_spoken() -> None:
    speech = AudioTrack(continuous=False)
    for k in range(3000):
        speech.push(chunk(np.full(320, k + 1), k))
    assert speech.waiting_samples == 3000 * 320
    taken = [speech.take(25) for _ in range(61)]
    audio = np.concatenate(taken)
    assert np.array_equal(audio[: 3000 * 320 : 320], np.arange(1, 3001, dtype=np.float32))
    assert not audio[3000 * 320 :].any()
    assert speech.waiting_samples == speech.dropped_samples == 0
