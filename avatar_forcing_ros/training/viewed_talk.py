"""A conversation as it is looked at: the faces in it, its sound, who speaks and what."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.config import ModelConfig
from avatar_forcing_ros.timebase import FRAME_RATE_HZ
from avatar_forcing_ros.training.conversation_file import load_conversation
from avatar_forcing_ros.training.evaluation.measuring import borders
from avatar_forcing_ros.training.synthetic import Conversation
from avatar_forcing_ros.training.synthetic.speech import Phoneme

Motion = NDArray[np.float32]


@dataclass(frozen=True)
class ViewedFace:
    """One face of the view; `who` is "avatar" or "user", `motion` ``[T, K]``."""

    title: str
    who: str
    motion: Motion
    made: bool = False
    """By a generator, instead of told by the data."""


@dataclass(frozen=True)
class ViewedTalk:
    """T frames of a conversation; what is not known of it is empty.

    The first face is the avatar as the data tells it, the last one the user.
    """

    title: str
    faces: tuple[ViewedFace, ...]
    sound: NDArray[np.float32] | None = None  # [640 T], both voices
    speaking: dict[str, NDArray[np.bool_]] = field(default_factory=dict)  # by `who`: [T]
    phonemes: dict[str, list[Phoneme]] = field(default_factory=dict)
    borders: tuple[int, ...] = ()
    """Frames of the generator's blocks, 0 where none is shown."""

    @property
    def frames(self) -> int:
        return len(self.faces[0].motion)


def generated_talk(made: Conversation) -> ViewedTalk:
    """The view of a generated conversation."""
    both = made.avatar_audio + made.user_audio
    return ViewedTalk(
        f"conversation {made.seed}, {made.split}",
        _two_faces(made.avatar_motion, made.user_motion),
        both / max(1.0, float(np.abs(both).max(initial=0.0))),
        {"avatar": made.avatar_speaking, "user": made.user_speaking},
        {"avatar": made.avatar_phonemes, "user": made.user_phonemes},
    )


def stored_talk(path: Path, seconds: float) -> ViewedTalk:
    """The first `seconds` of a prepared file of rig coefficients; it has no voices to play.

    Raises MediaError for a damaged file and for one of another motion space.
    """
    talk = load_conversation(path, ModelConfig())
    frames = max(1, round(seconds * FRAME_RATE_HZ))
    faces = _two_faces(talk.avatar_motion[:frames], talk.user_motion[:frames])
    return ViewedTalk(f"{path.name}, no sound stored", faces)


def with_generator(talk: ViewedTalk, motion: Motion, model: ModelConfig) -> ViewedTalk:
    """`talk` with the avatar's face as a generator moves it, ``[T, K]``, in the middle."""
    face = ViewedFace("avatar, generator", "avatar", motion, made=True)
    first = np.flatnonzero(borders(model, len(motion))) + 1
    return replace(talk, faces=(talk.faces[0], face, talk.faces[-1]), borders=tuple(first))


def _two_faces(avatar: Motion, user: Motion) -> tuple[ViewedFace, ...]:
    return (
        ViewedFace("avatar, as told", "avatar", avatar),
        ViewedFace("user, as tracked", "user", user),
    )
