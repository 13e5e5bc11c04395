"""The synthetic conversations: the same for a seed, in range, aligned, with the stated timing."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("espeakng_loader")

import itertools
import zlib

from avatar_forcing_ros.rig.coefficients import COUNT, HIGH, INDEX, LOW
from avatar_forcing_ros.timebase import SAMPLES_PER_FRAME
from avatar_forcing_ros.training.synthetic import (
    Conversation,
    corpus,
    generate_conversation,
    generate_listener,
    speech,
)
from avatar_forcing_ros.training.synthetic import statistics as stats
from avatar_forcing_ros.training.synthetic.dataset import describe
from avatar_forcing_ros.training.synthetic.synthesisers import FLITE_TRAIN_VOICES, flite_installed
from avatar_forcing_ros.training.synthetic.visemes import closes_lips

# of the pools and draws that training has had since its data were first made
TRAIN_CORPUS_CRC, TRAIN_VOICES_CRC = 1878734814, 2651556433
TRAIN_VOICE_OF_SEED_3 = ("en-gb-scotland+sandro", 204, 41)
JAW, LIPS = INDEX["jaw_open"], INDEX["lips_close"]


@pytest.fixture(scope="module")
def conversations() -> list[Conversation]:
    return [generate_conversation(seed, 20.0) for seed in range(24)]


def test_the_same_seed_gives_the_same_conversation_whatever_came_before() -> None:
    first = generate_conversation(7, 6.0)
    generate_conversation(8, 6.0, "valid")
    again = generate_conversation(7, 6.0)
    for name in ("avatar_audio", "user_audio", "avatar_motion", "user_motion"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert first.avatar_phonemes == again.avatar_phonemes
    assert first.events == again.events


def test_seeds_and_splits_differ() -> None:
    base = generate_conversation(7, 6.0)
    for other in (generate_conversation(9, 6.0), generate_conversation(7, 6.0, "valid")):
        assert not np.array_equal(base.user_motion, other.user_motion)


def test_shapes_types_and_ranges(conversations: list[Conversation]) -> None:
    for item in conversations:
        assert item.frames == 500
        for who in ("avatar", "user"):
            audio, motion = getattr(item, f"{who}_audio"), getattr(item, f"{who}_motion")
            assert audio.shape == (500 * SAMPLES_PER_FRAME,)
            assert audio.dtype == np.float32
            assert motion.shape == (500, COUNT)
            assert motion.dtype == np.float32
            assert np.isfinite(audio).all()
            assert np.abs(audio).max() <= 1.0
            assert (motion >= LOW).all()
            assert (motion <= HIGH).all()
            assert getattr(item, f"{who}_speaking").shape == (500,)


def test_a_wrong_split_or_duration_is_refused() -> None:
    with pytest.raises(ValueError, match="split"):
        generate_conversation(0, 5.0, "dev")
    with pytest.raises(ValueError, match="duration_s"):
        generate_conversation(0, 0.0)


def test_splits_share_no_voice_and_no_sentence_or_word() -> None:
    splits = ("train", "valid", "test")
    rng = np.random.default_rng(0)
    for one, other in itertools.combinations(splits, 2):
        assert not set(speech.VARIANTS[one]) & set(speech.VARIANTS[other])
        for kind in ("statement", "question", *corpus.SLOTS):
            pools = [set(corpus.choices(kind, split)) for split in (one, other)]
            assert all(pools)
            assert not pools[0] & pools[1]
    spoken = {s: {corpus.sentence(rng, s) for _ in range(1500)} for s in splits}
    assert not spoken["train"] & spoken["valid"]
    assert not spoken["train"] & spoken["test"]
    assert len(spoken["train"]) > 500


def test_the_training_texts_and_voices_never_change() -> None:
    """The held-out pools may be divided anew; a training run must get the same conversations."""
    chosen = [corpus.choices(kind, "train") for kind in ("statement", "question", *corpus.SLOTS)]
    joined = "|".join(text for pool in chosen for text in pool)
    assert zlib.crc32(joined.encode()) == TRAIN_CORPUS_CRC
    assert zlib.crc32(" ".join(speech.TRAIN_VARIANTS).encode()) == TRAIN_VOICES_CRC
    rng = np.random.default_rng([0, 3])
    voice = speech.draw_voice(rng, "train")
    assert (voice.name, voice.rate_wpm, voice.pitch) == TRAIN_VOICE_OF_SEED_3


def test_lips_are_closed_in_the_middle_of_m_b_p(conversations: list[Conversation]) -> None:
    closed = []
    for item in conversations:
        for start_s, end_s, ipa in item.avatar_phonemes:
            if closes_lips(ipa) and start_s > 0.1 and end_s < 19.9:
                closed.append(item.avatar_motion[int(12.5 * (start_s + end_s)), LIPS])
    assert len(closed) > 100
    assert np.mean(np.array(closed) > 0.8) > 0.97


def test_lips_are_open_in_open_vowels(conversations: list[Conversation]) -> None:
    values = [
        item.avatar_motion[int(12.5 * (start_s + end_s)), LIPS]
        for item in conversations for start_s, end_s, ipa in item.avatar_phonemes
        if ipa[:2] in ("ˈɑ", "ˈæ", "ˈa") and end_s - start_s > 0.12 and 0 < start_s < 19.5
    ]  # fmt: skip
    assert len(values) > 25
    assert np.mean(np.array(values) < 0.2) > 0.95


def _best_lag(a: np.ndarray, b: np.ndarray, reach: int = 6) -> tuple[int, float]:
    """The lag of `b` behind `a` with the highest correlation, and that correlation."""
    scores = {
        lag: np.corrcoef(a[reach:-reach], np.roll(b, -lag)[reach:-reach])[0, 1]
        for lag in range(-reach, reach + 1)
    }
    best = max(scores, key=lambda lag: scores[lag])
    return best, float(scores[best])


def test_the_jaw_follows_the_loudness_without_lag(conversations: list[Conversation]) -> None:
    results = []
    for item in conversations:
        if item.avatar_speaking.mean() > 0.2:
            power = (item.avatar_audio.reshape(-1, SAMPLES_PER_FRAME) ** 2).mean(axis=1)
            loudness = np.log(np.sqrt(power) + 1e-3)
            results.append(_best_lag(loudness, item.avatar_motion[:, JAW]))
    assert len(results) > 15
    assert all(abs(lag) <= 1 for lag, _ in results)
    assert np.mean([score for _, score in results]) > 0.7


def test_stops_are_silent_before_their_burst(conversations: list[Conversation]) -> None:
    """Phoneme times fit the audio: /p t k/ begin with silence, the vowel before is loud."""
    drops = []
    for item in conversations:
        spans = item.avatar_phonemes
        for (_, before_end_s, before), (start_s, end_s, ipa) in itertools.pairwise(spans):
            if ipa not in ("p", "t", "k") or "ˈ" not in before or start_s - before_end_s > 0.02:
                continue
            if end_s - start_s < 0.06 or not 0.1 < start_s < 19.8:
                continue
            drops.append(
                _level_db(item, start_s - 0.06, start_s - 0.03)
                - _level_db(item, start_s + 0.01, start_s + 0.03)
            )
    assert len(drops) > 15
    assert np.median(drops) > 15.0


def _level_db(item: Conversation, start_s: float, end_s: float) -> float:
    part = item.avatar_audio[int(start_s * 16000) : int(end_s * 16000)]
    return 10 * float(np.log10(np.mean(part.astype(np.float64) ** 2) + 1e-8))


def test_the_mouth_is_closed_in_silence(conversations: list[Conversation]) -> None:
    for item in conversations:
        near_speech = np.convolve(item.avatar_speaking, np.ones(9), "same") > 0
        assert item.avatar_motion[~near_speech][:, JAW].max(initial=0.0) < 0.02
        assert item.avatar_motion[~near_speech][:, LIPS].max(initial=0.0) < 0.02


def test_nobody_speaking_is_still(conversations: list[Conversation]) -> None:
    head = [INDEX[name] for name in ("head_yaw", "head_roll", "head_x")]
    speaking, idle = [], []
    for item in conversations:
        anyone = item.avatar_speaking | item.user_speaking
        quiet = ~(np.convolve(anyone, np.ones(51), "same") > 0)[1:]
        speed = np.abs(np.diff(item.avatar_motion[:, head], axis=0))  # [T-1, 3]
        idle.append(speed[quiet])
        speaking.append(speed[item.avatar_speaking[1:]])
    still = np.concatenate(idle).mean(axis=0)
    assert len(np.concatenate(idle)) > 50
    assert (still < 0.4 * np.concatenate(speaking).mean(axis=0)).all()


def test_blinks_come_at_a_human_rate(conversations: list[Conversation]) -> None:
    minutes = len(conversations) * 20.0 / 60.0
    for who in ("avatar", "user"):
        count = sum(k == "blink" and w == who for c in conversations for k, w, _ in c.events)
        assert 10.0 <= count / minutes <= 26.0


def test_reactions_come_within_their_delays(conversations: list[Conversation]) -> None:
    delays: dict[str, list[float]] = {}
    for item in conversations:
        for kind, who, cause_s, start_s in item.reactions:
            if who == "avatar":
                delays.setdefault(kind, []).append(start_s - cause_s)
    for kind in ("nod", "smile", "brow", "laugh"):
        values = np.array(delays[kind])
        assert values.min() >= 0.2 - 1e-9
        assert values.max() <= 0.6 + 1e-9
        if kind != "laugh":  # a rare one
            assert len(values) > 20
            assert 0.3 < values.mean() < 0.5


def test_who_is_never_seen_is_answered_by_ear_alone() -> None:
    made = [generate_conversation(seed, 8.0) for seed in range(40, 70)]
    hidden = [item for item in made if not item.user_motion.any()]
    assert len(made) // 6 <= len(hidden) <= len(made) // 2
    for item in hidden:
        assert any(who == "user" for _, who, _ in item.events)  # the face does something
        causes = [kind for kind, who, _, _ in item.reactions if who == "avatar"]
        assert not {"smile"} & set(causes)


def test_a_listener_has_the_same_own_motion_before_every_user() -> None:
    roll = INDEX["head_roll"]
    first, second = (
        generate_listener(2_000_000 + k, 10.0, "test", 3).avatar_motion for k in range(2)
    )
    alike = np.corrcoef(first[:, roll], second[:, roll])[0, 1]
    assert 0.05 < alike < 0.98  # and answers each
    unseen = [generate_listener(2_000_000, 10.0, "test", 3, seen=seen) for seen in (True, False)]
    assert not unseen[1].user_motion.any()
    assert np.abs(unseen[0].avatar_motion - unseen[1].avatar_motion).max() > 0.01
    again = generate_listener(2_000_000, 10.0, "test", 3).avatar_motion
    np.testing.assert_array_equal(first, again)


def test_heads_and_brows_move_as_those_of_people(conversations: list[Conversation]) -> None:
    """Standard deviations within a third of what is measured of people (see ``statistics``)."""
    for speaks, wanted in stats.PEOPLE_MOVE.items():
        rows = []
        for item in conversations:
            chosen = item.avatar_speaking if speaks == "speaking" else (
                item.user_speaking & ~item.avatar_speaking
            )  # fmt: skip
            if chosen.sum() > 75:
                rows.append(item.avatar_motion[chosen].std(axis=0) ** 2)
        spread = np.sqrt(np.mean(rows, axis=0))
        for name, value in wanted.items():
            assert spread[INDEX[name]] == pytest.approx(value, rel=0.34), (speaks, name)


def test_the_avatar_smiles_after_the_user_does(conversations: list[Conversation]) -> None:
    smile, ratios = INDEX["smile_left"], []
    for item in conversations:
        for kind, who, start_s in item.events:
            if kind == "smile" and who == "user" and 1.0 < start_s < 17.0:
                before, after = (int((start_s + shift_s) * 25) for shift_s in (-0.4, 1.4))
                ratios.append(item.avatar_motion[after, smile] - item.avatar_motion[before, smile])
    assert len(ratios) > 15
    assert np.mean(ratios) > 0.1


def test_velocities_are_plausible(conversations: list[Conversation]) -> None:
    step = np.abs(np.diff(np.concatenate([c.avatar_motion for c in conversations]), axis=0))
    inside = np.percentile(step, 99.5, axis=0)
    assert (inside[[INDEX[n] for n in ("head_yaw", "head_pitch", "head_roll")]] * 25 < 1.5).all()
    assert inside[JAW] < 0.3


def test_description_of_the_data(conversations: list[Conversation]) -> None:
    card = describe(conversations)
    assert card["hours"] == pytest.approx(24 * 20 / 3600, abs=1e-3)
    assert sum(card["share"][k] for k in ("avatar_speaks", "user_speaks", "nobody_speaks")) == (
        pytest.approx(1.0 + card["share"]["both_speak"], abs=1e-3)
    )
    assert card["avatar"]["lip_closures"] > 100
    assert stats.NOD_DELAY_S[0] <= card["reaction_delay_s"]["nod"] <= stats.NOD_DELAY_S[1]
    with pytest.raises(ValueError, match="at least one"):
        describe([])


@pytest.mark.skipif(not flite_installed(), reason="flite is not installed")
def test_natural_voices_are_the_same_every_time_and_only_in_train() -> None:
    first, again = (generate_conversation(3, 2.0, natural_share=1.0) for _ in range(2))
    np.testing.assert_array_equal(first.user_audio, again.user_audio)
    assert not np.array_equal(first.user_audio, generate_conversation(3, 2.0).user_audio)
    assert "slt" not in FLITE_TRAIN_VOICES  # the tests' unseen voice
    plain = generate_conversation(3, 2.0, "valid")
    asked = generate_conversation(3, 2.0, "valid", natural_share=1.0)
    np.testing.assert_array_equal(plain.avatar_audio, asked.avatar_audio)


@pytest.mark.skipif(not flite_installed(), reason="flite is not installed")
def test_natural_phone_times_fit_the_audio() -> None:
    voice = speech.Voice("flite:rms", 170, 50, 50, 1.0)
    utterance = speech.speak("My papa took a copper pot.", voice)
    closures = [span for span in utterance.phonemes if span[2] in ("p", "t", "k")]
    assert len(closures) >= 5
    loud = np.sqrt(np.mean(utterance.samples**2))
    for start_s, _, _ in closures[:-1]:
        closed = utterance.samples[int((start_s + 0.02) * 16000) : int((start_s + 0.04) * 16000)]
        assert np.sqrt(np.mean(closed**2)) < 0.35 * loud
