"""A session: the same bits however the inputs come, the voice in time with the frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from fakes import FakeCodec, fake_session
from numpy.typing import NDArray
from tiny import TINY, ada_square, talk, tiny_engine

from avatar_forcing_ros.config import AnchorConfig, ModelConfig
from avatar_forcing_ros.media import AudioChunk, VideoFrame
from avatar_forcing_ros.perception.user_motion import UserMotion
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.streaming.engine import BlockInput
from avatar_forcing_ros.streaming.motion_anchor import AnchorState
from avatar_forcing_ros.sync.timeline import AudioTrack
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, SAMPLES_PER_FRAME

FRAMES = 40


def picture(i: int) -> VideoFrame:
    pixels = np.random.default_rng(i).integers(0, 255, (4, 4, 3)).astype(np.uint8)
    return VideoFrame(pixels, i * FRAME_PERIOD_NS)


def offline() -> NDArray[np.float32]:
    """All inputs first, then all blocks."""
    session, heard = fake_session(), talk(FRAMES)
    session.push_avatar_audio(AudioChunk(heard.avatar_audio, 16_000, 0))
    session.push_user_audio(AudioChunk(heard.user_audio, 16_000, 0))  # type: ignore[arg-type]
    for i in range(FRAMES):
        session.push_user_frame(picture(i))
    return np.concatenate([session.next_block().motion.latent for _ in range(FRAMES // 5)])


def streamed(cuts: Sequence[int]) -> NDArray[np.float32]:
    """Sound in pieces of the given lengths, a block as soon as its inputs are there."""
    session, heard = fake_session(), talk(FRAMES)
    out, at, shown, k = [], 0, 0, 0
    while len(out) < FRAMES // 5:
        if at < len(heard.avatar_audio):
            piece = slice(at, at + cuts[k % len(cuts)])
            stamp_ns = round(at * 1e9 / 16_000)
            session.push_avatar_audio(AudioChunk(heard.avatar_audio[piece], 16_000, stamp_ns))
            session.push_user_audio(AudioChunk(heard.user_audio[piece], 16_000, stamp_ns))  # type: ignore[index]
            at, k = piece.stop, k + 1
        while shown < FRAMES and shown * SAMPLES_PER_FRAME < at:
            session.push_user_frame(picture(shown))
            shown += 1
        last = session.next_frame + session.engine.frames(session.state) - 1
        tracks = session.avatar_audio_track, session.user_audio_track, session.user_frames
        if all(track.has(last) for track in tracks):
            out.append(session.next_block().motion.latent)
    return np.concatenate(out)


@pytest.mark.parametrize("cuts", [[320], [1, 5000, 77], [480, 441, 4096], [100_000]])
def test_stream_equals_offline_bit_for_bit(cuts: list[int]) -> None:
    assert streamed(cuts).tobytes() == offline().tobytes()


def test_reset_begins_anew() -> None:
    session = fake_session()
    heard = talk(10)
    runs = []
    for _ in range(2):
        session.push_avatar_audio(AudioChunk(heard.avatar_audio, 16_000, 0))
        runs.append(np.concatenate([session.next_block().motion.latent for _ in range(2)]))
        session.reset()
    assert runs[0].tobytes() == runs[1].tobytes()


def test_voice_is_delayed_by_what_the_lips_need() -> None:
    session = fake_session()
    sound = np.arange(FRAMES * SAMPLES_PER_FRAME, dtype=np.float32) / 1e6
    session.push_avatar_audio(AudioChunk(sound, 16_000, 0))
    shown = np.concatenate([session.next_block().audio for _ in range(4)])
    delay = TINY.avatar_audio_delay_frames * SAMPLES_PER_FRAME
    assert not shown[:delay].any()
    assert np.array_equal(shown[delay:], sound[: len(shown) - delay])


def test_blocks_are_stamped_and_coefficients_stay_in_range() -> None:
    session = fake_session()
    session.push_avatar_audio(AudioChunk(talk(FRAMES).avatar_audio, 16_000, 0))
    for k in range(4):
        block = session.next_block()
        assert block.stamp_ns == k * 5 * FRAME_PERIOD_NS
        assert block.motion.block_index == k
        assert block.motion.first_frame == 5 * k
        values = block.coefficients
        assert (values >= coefficients.LOW).all()
        assert (values <= coefficients.HIGH).all()
        assert session.draw(block).shape[0] == 5


def test_a_session_without_a_user_needs_no_tracker() -> None:
    session = Session(tiny_engine(), FakeCodec(), user_audio=False, user_video=False)
    session.push_avatar_audio(AudioChunk(talk(5).avatar_audio, 16_000, 0))
    session.next_block()
    assert session.user_audio_track.filled_samples == session.user_motion.filled_frames == 0


def test_input_that_stops_is_counted_for_a_second_one_that_never_was_is_not() -> None:
    session = fake_session()
    heard = talk(5)
    assert not session.missing()
    session.push_user_audio(AudioChunk(heard.avatar_audio, 16_000, 0))
    session.push_user_frame(picture(0))
    assert session.missing() == [session.user_frames]  # more of them can be expected
    for _ in range(20):
        session.next_block()
    assert session.avatar_audio_track.filled_samples == 0
    assert session.user_audio_track.filled_samples == 25 * SAMPLES_PER_FRAME
    assert session.user_frames.filled_frames == 24
    assert not session.missing()


def test_stopping_speech_silences_the_next_block() -> None:
    session = fake_session()
    session.push_avatar_audio(AudioChunk(talk(FRAMES).avatar_audio, 16_000, 0))
    assert np.any(session.next_block().audio)
    assert session.stop_speaking() >= (FRAMES - 5) * SAMPLES_PER_FRAME
    assert not np.any(session.next_block().audio)


def test_skipped_time_is_not_made_up_for() -> None:
    session = fake_session()
    sound = talk(20).avatar_audio
    for k in range(20):  # as it is spoken
        piece = sound[SAMPLES_PER_FRAME * k : SAMPLES_PER_FRAME * (k + 1)]
        session.push_avatar_audio(AudioChunk(piece, 16_000, k * FRAME_PERIOD_NS))
    session.next_block()
    session.skip(10)
    block = session.next_block()
    assert block.motion.first_frame == 5
    assert block.stamp_ns == 15 * FRAME_PERIOD_NS
    assert session.avatar_audio_track.dropped_samples > 6000
    assert np.array_equal(
        block.audio[2 * SAMPLES_PER_FRAME :],
        sound[15 * SAMPLES_PER_FRAME : 18 * SAMPLES_PER_FRAME],
    )


@pytest.mark.parametrize("pieces", [1, 10, 500])
@pytest.mark.parametrize("said_first", [0, 5, 200])
def test_a_voice_that_waits_loses_no_word_when_time_is_given_up(
    pieces: int, said_first: int
) -> None:
    """10 s that were handed over at once, in however many messages."""
    voice = AudioTrack(continuous=False)
    sound = np.arange(1, 250 * SAMPLES_PER_FRAME + 1, dtype=np.float32)
    for k, piece in enumerate(np.split(sound, pieces)):
        voice.push(AudioChunk(piece, 16_000, k * 1_000_000))
    first = voice.take(said_first) if said_first else np.zeros(0, np.float32)
    voice.skip(75 if said_first < 200 or pieces > 1 else 25)
    rest = voice.take(250 - said_first)
    assert np.array_equal(np.concatenate((first, rest)), sound)
    assert voice.dropped_samples == voice.waiting_samples == 0


def test_less_effort_is_made_from_the_next_block_on() -> None:
    session = fake_session()
    full, *_, least = session.quality_levels()
    assert full.nfe == session.engine.sampling.nfe > least.nfe
    session.next_block()
    session.set_quality(least)
    assert session.engine.sampling.nfe == least.nfe
    assert np.isfinite(session.next_block().motion.latent).all()
    assert session.quality_levels()[0] == full
    session.set_quality(full)
    assert session.engine.sampling.nfe == full.nfe


class ManyFaces(FakeCodec):
    """Each portrait has its own motion at rest."""

    def prepare_portrait(self, portrait: Portrait) -> None:
        self.reference = np.full(TINY.motion_dim, portrait.image.mean() / 255.0, np.float32)


def test_another_face_brings_its_own_reference_and_the_conversation_goes_on() -> None:
    """How far the motion strays is measured anew, too: from the new face."""
    session = Session(tiny_engine(anchor=AnchorConfig()), ManyFaces())
    for _ in range(4):
        session.next_block()
    before = session.state.clone()
    session.set_portrait(ada_square(64))
    reference = session.engine.reference(session.codec.reference)
    assert torch.equal(session.state.reference, reference)
    assert not torch.equal(before.reference, reference)
    for mine, new in zip(session.state.motion.anchor, AnchorState.new(reference), strict=True):
        assert torch.equal(mine, new)
    assert before.motion.anchor.frames.item() == 20.0
    assert session.state.motion.cache is before.motion.cache
    assert session.state.motion.context is before.motion.context
    heard = BlockInput(np.zeros(5 * SAMPLES_PER_FRAME, np.float32))
    old = session.engine.step(before, heard).latent
    assert not np.array_equal(session.next_block().motion.latent, old)
    assert session.state.motion.block == 5


def watched(
    arrivals: Sequence[VideoFrame], looks: NDArray[np.bool_] | None
) -> tuple[bytes, list[int], tuple[int, int], int]:
    """All blocks' motion, the pictures looked at in order, losses, and how many were seen early.

    A block is made once nothing can come for it any more; `looks` says after which arrivals the
    session may look ahead.
    """
    session, seen, early = fake_session(), [], 0
    encode = session.codec.encode_user

    def note(frame: VideoFrame) -> UserMotion:
        seen.append(int(frame.pixels[0, 0, 0]))
        return encode(frame)

    session.codec.encode_user = note  # type: ignore[method-assign]
    made: list[NDArray[np.float32]] = []
    reach_ns = 0
    for k, frame in enumerate(arrivals):
        session.push_user_frame(frame)
        while looks is not None and looks[k] and session.track_ahead():
            early += 1
        reach_ns = max(reach_ns, frame.stamp_ns)
        if reach_ns > session.next_end_ns + LATEST_NS:
            made.append(session.next_block().motion.latent)
    while session.next_end_ns <= reach_ns + LATEST_NS:
        made.append(session.next_block().motion.latent)
    lost = session.user_frames.filled_frames, session.user_frames.dropped_frames
    return np.concatenate(made).tobytes(), seen, lost, early


LATEST_NS = 3 * FRAME_PERIOD_NS


@pytest.mark.parametrize("rate_hz", [15, 25, 30, 60])
@pytest.mark.parametrize("seed", range(3))
def test_looking_ahead_changes_nothing(rate_hz: int, seed: int) -> None:
    """With pictures late, out of order and lost, and stamps that jitter."""
    rng = np.random.default_rng(seed)
    count, period_ns = 2 * rate_hz, 1e9 / rate_hz
    stamps = np.arange(count) * period_ns + rng.uniform(0, 0.08 * period_ns, count)
    stamps += rng.uniform(0, FRAME_PERIOD_NS)
    pictures = [
        VideoFrame(np.full((4, 4, 3), k, np.uint8), round(stamp))
        for k, stamp in enumerate(stamps)
        if k < 10 or rng.random() > 0.08
    ]
    delays = rng.uniform(0, LATEST_NS, len(pictures)) * (rng.random(len(pictures)) < 0.3)
    order = np.argsort([p.stamp_ns + delay for p, delay in zip(pictures, delays, strict=True)])
    arrivals = [pictures[i] for i in order]
    expected = watched(arrivals, None)
    assert expected[3] == 0
    for share in (0.3, 1.0):
        got = watched(arrivals, rng.random(len(arrivals)) < share)
        assert got[:3] == expected[:3]
    assert got[3] > len(expected[1]) // 4


def test_a_hole_is_not_looked_over() -> None:
    session = fake_session()
    for k in range(20):
        session.push_user_frame(picture(k))
    assert not session.track_ahead()  # the camera's rhythm is not known yet
    for _ in range(2):
        session.next_block()
    assert [session.track_ahead() for _ in range(6)] == [True] * 5 + [
        False
    ]  # the next block's alone
    session.next_block()
    assert session.track_ahead()
    session.next_block()
    for k in (20, 22, 23):
        session.push_user_frame(picture(k))
    assert [session.track_ahead() for _ in range(2)] == [True, False]
    session.push_user_frame(picture(21))
    assert [session.track_ahead() for _ in range(4)] == [True] * 3 + [False]


def test_time_given_up_takes_what_was_looked_at_along() -> None:
    session = fake_session()
    for k in range(20):
        session.push_user_frame(picture(k))
    for _ in range(2):
        session.next_block()
    for _ in range(3):
        assert session.track_ahead()
    session.skip(5)
    session.next_block()
    told = [session.codec.encode_user(picture(k)).values for k in range(15, 20)]
    assert np.array_equal(session.last_user_motion, np.stack(told))


def test_pictures_come_one_by_one_as_all_at_once() -> None:
    session = fake_session()
    block = session.next_block()
    assert np.array_equal(np.stack(list(session.drawn(block))), session.draw(block))


def test_images_that_are_left_out_are_none_and_the_others_the_same() -> None:
    session = fake_session()
    session.next_block()
    block = session.next_block()  # the frames 5 to 9
    every = list(session.drawn(block, 2))
    assert [image is not None for image in every] == [False, True, False, True, False]
    assert np.array_equal(every[1], session.draw(block)[1])
    assert list(session.drawn(block, 0)) == [None] * 5


SHORT = replace(TINY, block_frames=3, first_block_frames=6)


@pytest.mark.parametrize(("config", "first", "usual"), [(TINY, 5, 5), (SHORT, 6, 3)])
@pytest.mark.parametrize("smile", [2, 11, 12, 13])
def test_a_smile_is_answered_by_the_block_it_falls_into(
    config: ModelConfig, first: int, usual: int, smile: int
) -> None:
    """By all of that block's frames, and by none before: what is shown first depends on it."""
    runs = []
    for smiles in (False, True):
        session = fake_session(config=config)
        for k in range(18):
            face = np.full((4, 4, 3), 200 if smiles and k >= smile else 50, np.uint8)
            stamp_ns = k * FRAME_PERIOD_NS + FRAME_PERIOD_NS // 2  # in the middle of its period
            session.push_user_frame(VideoFrame(face, stamp_ns))
        blocks = [session.next_block().coefficients for _ in range(4)]
        runs.append(np.concatenate(blocks))
    differs = np.flatnonzero((runs[0] != runs[1]).any(axis=1))
    begins = 0 if smile < first else first + (smile - first) // usual * usual
    assert differs[0] == begins
