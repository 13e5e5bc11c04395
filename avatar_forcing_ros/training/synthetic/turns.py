"""Who says what when: turns, gaps, overlaps, back-channels, laughter and silence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.timebase import FRAME_RATE_HZ
from avatar_forcing_ros.training.synthetic import corpus
from avatar_forcing_ros.training.synthetic import statistics as stats
from avatar_forcing_ros.training.synthetic.speech import Phoneme, Utterance, Voice, laugh, speak

PEOPLE = ("avatar", "user")
# shares of the avatar in the turns of a conversation: mostly even, some where one only listens
_BALANCES = (0.5,) * 11 + (0.8, 0.8, 0.8, 0.2, 0.2, 0.2, 1.0, 0.0, 0.0)


@dataclass(frozen=True)
class Segment:
    """One utterance on the conversation's clock; `kind` is "turn", "backchannel" or "laugh"."""

    start_s: float
    utterance: Utterance
    kind: str
    question: bool = False
    ends_turn: bool = False

    @property
    def end_s(self) -> float:
        return self.start_s + self.utterance.duration_s

    def phonemes(self) -> Iterator[Phoneme]:
        """The phonemes on the conversation's clock."""
        for start_s, end_s, ipa in self.utterance.phonemes:
            yield self.start_s + start_s, self.start_s + end_s, ipa


@dataclass(frozen=True)
class PhraseEnd:
    """Where a listener may respond: after a pause-bounded phrase of the speaker."""

    time_s: float
    question: bool
    ends_turn: bool


@dataclass(frozen=True)
class Speech:
    """All that one person says, in order of time."""

    segments: tuple[Segment, ...]

    def of_kind(self, *kinds: str) -> list[Segment]:
        return [segment for segment in self.segments if segment.kind in kinds]

    def phonemes(self) -> list[Phoneme]:
        return [phoneme for segment in self.segments for phoneme in segment.phonemes()]

    def stresses_s(self) -> list[float]:
        """Centres of the vowels with primary stress."""
        turns = self.of_kind("turn")
        return [0.5 * (a + b) for s in turns for a, b, ipa in s.phonemes() if ipa[:1] == "ˈ"]

    def phrase_ends(self) -> list[PhraseEnd]:
        ends = []
        for segment in self.of_kind("turn"):
            spans = list(segment.phonemes())
            for (_, end_s, _), (start_s, _, ipa) in pairwise(spans):
                # a stop's closure is part of the stop: what is left between phonemes is pause
                if start_s - end_s > stats.PHRASE_PAUSE_S and ipa:
                    ends.append(PhraseEnd(end_s, False, False))
            ends.append(PhraseEnd(segment.end_s, segment.question, segment.ends_turn))
        return ends

    def active(self, frames: int) -> NDArray[np.bool_]:
        """True in frames ``[T]`` in which a phoneme sounds; pauses of a phrase end are False."""
        out = np.zeros(frames, bool)
        for segment in self.segments:
            for start_s, end_s, _ in segment.phonemes():
                out[max(int(start_s * FRAME_RATE_HZ), 0) : int(end_s * FRAME_RATE_HZ) + 1] = True
        return out


def plan(
    rng: np.random.Generator, duration_s: float, voices: dict[str, Voice], split: str
) -> dict[str, Speech]:
    """A conversation of at least `duration_s` (utterances may run past its end)."""
    balance = float(rng.choice(_BALANCES))  # the avatar's share of the turns
    quiet = rng.random() < 0.10  # a conversation with long silences
    spoken: dict[str, list[Segment]] = {who: [] for who in PEOPLE}
    free_s = dict.fromkeys(PEOPLE, 0.0)  # when each mouth is free again
    who = PEOPLE[int(rng.random() > balance)]
    now_s = float(rng.uniform(0.0, 1.5)) if rng.random() < 0.8 else float(rng.uniform(1.5, 4.0))
    while now_s < duration_s:
        other = PEOPLE[who == "avatar"]
        turn = _turn(rng, max(now_s, free_s[who]), voices[who], split)
        spoken[who] += turn
        now_s = free_s[who] = turn[-1].end_s
        for segment in _responses(rng, turn, free_s[other], voices[other]):
            spoken[other].append(segment)
            free_s[other] = segment.end_s + 0.1
        now_s = max(now_s + _gap_s(rng, quiet), 0.0)
        free_s[who] += 0.15
        same_again = rng.random() < (0.75 if balance != 0.5 else 0.12)
        if not same_again or rng.random() < 0.3:
            who = PEOPLE[int(rng.random() > balance)] if balance != 0.5 else other
    return {who: Speech(tuple(sorted(spoken[who], key=lambda s: s.start_s))) for who in PEOPLE}


def _gap_s(rng: np.random.Generator, quiet: bool) -> float:
    if rng.random() < (0.8 if quiet else stats.LONG_PAUSE_PROBABILITY):
        return float(rng.uniform(*stats.LONG_PAUSE_S))
    return float(np.clip(rng.normal(stats.GAP_MEAN_S, stats.GAP_STD_S), *stats.GAP_LIMITS_S))


def _turn(rng: np.random.Generator, start_s: float, voice: Voice, split: str) -> list[Segment]:
    sentences = int(rng.choice([1, 2, 3], p=[0.5, 0.35, 0.15]))
    segments: list[Segment] = []
    for i in range(sentences):
        last = i == sentences - 1
        question = last and rng.random() < 0.35
        utterance = speak(corpus.sentence(rng, split, question), voice)
        segments.append(Segment(start_s, utterance, "turn", question, last))
        start_s = segments[-1].end_s + rng.uniform(*stats.SENTENCE_PAUSE_S)
    if rng.random() < stats.LAUGH_PROBABILITY:
        segments.append(
            Segment(segments[-1].end_s + rng.uniform(0.1, 0.5), laugh(rng, voice), "laugh")
        )
    return segments


def _responses(
    rng: np.random.Generator, turn: list[Segment], free_s: float, voice: Voice
) -> list[Segment]:
    """The listener's back-channels at phrase ends inside the turn, and laughing along."""
    out: list[Segment] = []
    for end in Speech(tuple(turn)).phrase_ends():
        start_s = end.time_s + rng.uniform(*stats.BACKCHANNEL_DELAY_S)
        if end.ends_turn or start_s < free_s or rng.random() > stats.BACKCHANNEL_PROBABILITY:
            continue
        out.append(Segment(start_s, speak(corpus.backchannel(rng), voice), "backchannel"))
        free_s = out[-1].end_s + 0.1
    if turn[-1].kind == "laugh" and rng.random() < 0.35:
        start_s = turn[-1].start_s + rng.uniform(0.3, 0.8)
        if start_s > free_s:
            out.append(Segment(start_s, laugh(rng, voice), "laugh"))
    return out
