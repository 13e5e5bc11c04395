"""A whole two-person conversation from one seed."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.timebase import FRAME_RATE_HZ, SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from avatar_forcing_ros.training.synthetic import sensors
from avatar_forcing_ros.training.synthetic import statistics as stats
from avatar_forcing_ros.training.synthetic.performance import Performance, perform
from avatar_forcing_ros.training.synthetic.speech import Phoneme, draw_voice, restart
from avatar_forcing_ros.training.synthetic.statistics import PersonStyle, draw_style
from avatar_forcing_ros.training.synthetic.turns import PEOPLE, Speech, plan

Event = tuple[str, str, float]  # kind, who, start_s
SPLITS = ("train", "valid", "test")  # the order is part of the random draws
_one_synthesiser = threading.Lock()  # the library has one state in a process
_LEAD_S = 6.0  # speech before the clip, so that a clip may begin in the middle of a turn
_SHOWN = ("nod", "smile", "laugh", "brow", "tilt")


@dataclass(frozen=True)
class Conversation:
    """Two people talking; T video frames of 40 ms, audio at 16 kHz, motion in the rig's order.

    Frame i of motion is the face at the centre of its 40 ms. `events` lists nods, smiles,
    laughs, raised brows, tilts, blinks, and as ``reaction_<kind>`` those of them that react to
    the partner; `reactions` has ``(kind, who, cause_s, start_s)`` for these.
    """

    seed: int
    split: str
    avatar_audio: NDArray[np.float32]  # [T * 640]
    user_audio: NDArray[np.float32]  # [T * 640]
    avatar_motion: NDArray[np.float32]  # [T, K]
    user_motion: NDArray[np.float32]  # [T, K], as a face tracker reports it
    avatar_speaking: NDArray[np.bool_]  # [T]
    user_speaking: NDArray[np.bool_]  # [T]
    avatar_phonemes: list[Phoneme]
    user_phonemes: list[Phoneme]
    events: list[Event] = field(default_factory=list)
    reactions: list[tuple[str, str, float, float]] = field(default_factory=list)

    @property
    def frames(self) -> int:
        return len(self.avatar_motion)


def generate_conversation(
    seed: int, duration_s: float = 20.0, split: str = "train", natural_share: float = 0.0
) -> Conversation:
    """The conversation of `seed`: the same every time, `duration_s` rounded to whole frames.

    `split` is "train", "valid" or "test": disjoint voices, sentences and random draws; accents,
    back-channels and the ranges of pitch, tempo and style are common. `natural_share` is the
    probability that a person of "train" has one of flite's recorded voices, which must then be
    installed; the default needs none, and is the same on every machine. Raises ValueError for
    another split or a duration of less than one frame, MissingDependencyError without
    espeakng-loader.
    """
    meeting = _meet(seed, duration_s, split, natural_share)
    user = meeting.act("user", meeting.rng)
    # who is never seen is answered by ear alone
    seen = meeting.rng.random() >= stats.FACE_HIDDEN_PROBABILITY
    avatar = meeting.act("avatar", meeting.rng, user if seen else None)
    return _record(meeting, user, avatar, seen)


def generate_listener(
    seed: int, duration_s: float, split: str, listener: int, *, seen: bool = True
) -> Conversation:
    """The user of conversation `seed` before an avatar that only listens: person `listener`.

    The same listener has the same own motion before every user; what differs is what answers
    them. `seen` False hides the user's face from it. Raises ValueError as `generate_conversation`.
    """
    meeting = _meet(seed, duration_s, split, 0.0, may_lead=False)
    meeting.speech["avatar"] = Speech(())
    person = np.random.default_rng([len(SPLITS), listener])
    meeting.styles["avatar"] = draw_style(person)
    user = meeting.act("user", meeting.rng)
    avatar = meeting.act("avatar", person, user if seen else None)
    return _record(meeting, user, avatar, seen)


@dataclass(frozen=True)
class _Meeting:
    """Who meets and what they say; the clip begins after `lead` frames."""

    seed: int
    split: str
    rng: np.random.Generator
    frames: int
    lead: int
    styles: dict[str, PersonStyle]
    speech: dict[str, Speech]

    def clean(self, who: str) -> NDArray[np.float32]:
        """What `who` says ``[T * 640]``, as it is before any microphone."""
        return render(self.speech[who], self.frames)

    def act(
        self, who: str, rng: np.random.Generator, visible: Performance | None = None
    ) -> Performance:
        """The face of `who`, before a partner whose face is seen if `visible`."""
        own, other = (self.speech[name] for name in (who, PEOPLE[who == "avatar"]))
        loudness = relative_loudness(self.clean(who))
        return perform(rng, self.styles[who], own, other, self.frames, loudness, visible)


def _meet(
    seed: int, duration_s: float, split: str, natural_share: float, may_lead: bool = True
) -> _Meeting:
    if split not in SPLITS:
        raise ValueError(f"split: expected one of {SPLITS}, got {split!r}")
    kept = round(duration_s * FRAME_RATE_HZ)
    if kept < 1:
        raise ValueError(f"duration_s: expected at least one frame (0.04), got {duration_s}")
    rng = np.random.default_rng([SPLITS.index(split), seed])
    lead = int(rng.uniform(2.0, _LEAD_S) * FRAME_RATE_HZ) if rng.random() < 0.6 else 0
    lead = lead if may_lead else 0
    frames = lead + kept
    voices = {who: draw_voice(rng, split, natural_share) for who in PEOPLE}
    styles = {who: draw_style(rng, restless=who == "user") for who in PEOPLE}
    with _one_synthesiser:
        restart(seed)
        speech = plan(rng, frames / FRAME_RATE_HZ, voices, split)
    return _Meeting(seed, split, rng, frames, lead, styles, speech)


def _record(meeting: _Meeting, user: Performance, avatar: Performance, seen: bool) -> Conversation:
    """What microphones and the face tracker make of it, without the lead."""
    rng, frames, lead, speech = meeting.rng, meeting.frames, meeting.lead, meeting.speech
    people = {"avatar": avatar, "user": user}
    clean = meeting.clean("avatar")
    avatar_audio = sensors.operator_audio(rng, clean)
    user_audio = sensors.microphone_audio(rng, meeting.clean("user"), clean)
    tracked = sensors.track_face(rng, user.motion) if seen else np.zeros_like(user.motion)
    start_s, end_s = lead / FRAME_RATE_HZ, frames / FRAME_RATE_HZ
    return Conversation(
        seed=meeting.seed,
        split=meeting.split,
        avatar_audio=avatar_audio[lead * SAMPLES_PER_FRAME :].copy(),
        user_audio=user_audio[lead * SAMPLES_PER_FRAME :].copy(),
        avatar_motion=avatar.motion[lead:].copy(),
        user_motion=tracked[lead:].copy(),
        avatar_speaking=speech["avatar"].active(frames)[lead:].copy(),
        user_speaking=speech["user"].active(frames)[lead:].copy(),
        avatar_phonemes=_cut(speech["avatar"].phonemes(), start_s, end_s),
        user_phonemes=_cut(speech["user"].phonemes(), start_s, end_s),
        events=_events(people, start_s, end_s),
        reactions=_reactions(people, start_s, end_s),
    )


def render(speech: Speech, frames: int) -> NDArray[np.float32]:
    """Clean audio ``[T * 640]`` of one person's segments."""
    out = np.zeros(frames * SAMPLES_PER_FRAME, np.float32)
    for segment in speech.segments:
        first = round(segment.start_s * SAMPLE_RATE_HZ)
        wave = segment.utterance.samples
        if segment.kind == "backchannel":
            wave = 0.6 * wave  # quieter than a turn
        part = out[first : first + len(wave)]
        part += wave[: len(part)]
    return out


def relative_loudness(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Loudness ``[T]`` over about 120 ms, 1 at the average of the speech."""
    power = (samples.reshape(-1, SAMPLES_PER_FRAME).astype(np.float64) ** 2).mean(axis=1)
    power = np.convolve(power, [0.25, 0.5, 0.25], mode="same")
    speech = power[power > 1e-6]
    return np.sqrt(power / speech.mean()) if len(speech) else np.ones(len(power))


def _cut(phonemes: list[Phoneme], start_s: float, end_s: float) -> list[Phoneme]:
    return [(a - start_s, b - start_s, ipa) for a, b, ipa in phonemes if b > start_s and a < end_s]


def _events(people: dict[str, Performance], start_s: float, end_s: float) -> list[Event]:
    events: list[Event] = []
    for who in PEOPLE:
        events += [("blink", who, time_s) for time_s in people[who].blinks_s]
        for act in people[who].acts:
            if act.kind in _SHOWN:
                events.append((act.kind, who, act.start_s))
                if act.caused_by_s is not None:
                    events.append((f"reaction_{act.kind}", who, act.start_s))
    inside = [(kind, who, t - start_s) for kind, who, t in events if start_s <= t < end_s]
    return sorted(inside, key=lambda event: (event[2], event[0]))


def _reactions(
    people: dict[str, Performance], start_s: float, end_s: float
) -> list[tuple[str, str, float, float]]:
    return [
        (act.kind, who, act.caused_by_s - start_s, act.start_s - start_s)
        for who in PEOPLE
        for act in people[who].acts
        if act.caused_by_s is not None and start_s <= act.start_s < end_s
    ]
