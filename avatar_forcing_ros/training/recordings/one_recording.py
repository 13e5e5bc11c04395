"""One recording from its files to its windows on disk."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.timebase import (
    FRAME_RATE_HZ,
    SAMPLE_RATE_HZ,
    frames_to_samples,
    samples_to_frames,
)
from avatar_forcing_ros.training.conversation_file import (
    SOUND_KIND,
    StoredConversation,
    save_conversation,
    sound_features,
)
from avatar_forcing_ros.training.recordings.checks import (
    Flaw,
    cut_windows,
    flaws_of,
    stretches_of,
    voiced_frames,
)
from avatar_forcing_ros.training.recordings.latents import LatentReader, load_autoencoder
from avatar_forcing_ros.training.recordings.layouts import SPLITS, Recording, Source
from avatar_forcing_ros.training.recordings.motion import Faces, most_neutral, rig_motion
from avatar_forcing_ros.training.recordings.report import Result, Span
from avatar_forcing_ros.training.recordings.settings import PrepareSettings
from avatar_forcing_ros.training.recordings.speakers import judge
from avatar_forcing_ros.training.recordings.watching import (
    TrackerMaker,
    Watched,
    sounds,
    watch,
)

LENGTHS_DIFFER_S = 0.5

Window = tuple[int, int]


@dataclass(frozen=True)
class _Person:
    """T frames of one person, ready to be cut."""

    source: Source
    faces: Faces
    values: NDArray[np.float32]  # [T, K]
    flaws: list[Flaw]
    sound: NDArray[np.float32]  # [640 T]
    voiced: NDArray[np.bool_]  # [T]

    @property
    def good(self) -> NDArray[np.bool_]:
        """Where nothing is wrong with the pictures ``[T]``."""
        out = np.ones(len(self.faces), bool)
        for flaw in self.flaws:
            out[flaw.start : flaw.stop] = False
        return out


def split_of(name: str, valid_share: float) -> str:
    """``valid`` for that share of all names, the same for a name every time; else ``train``."""
    drawn = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
    return "valid" if drawn < valid_share else "train"


def remove_windows(folder: Path, recording: Recording) -> None:
    """Remove what an unfinished or outdated run has left of `recording` in `folder`."""
    windows = f"{recording.slug}-[0-9][0-9][0-9][0-9]-[ab]"
    for split in SPLITS:
        for pattern in (f"{split}-{windows}.npz", f".{split}-{windows}.*.part.npz"):
            for path in folder.glob(pattern):
                path.unlink()


def prepare_recording(
    recording: Recording, folder: Path, settings: PrepareSettings, make_tracker: TrackerMaker
) -> Result:
    """Write the windows of `recording` to `folder`; what was kept and what was not.

    A file that cannot be used is part of the result. Raises OutputError where `folder` cannot be
    written, and CheckpointError for unusable weights.
    """
    remove_windows(folder, recording)
    split = recording.split or split_of(recording.name, settings.valid_share)
    result = Result(recording.name, [path.name for path in recording.files], split)
    if recording.trouble:
        result.trouble = recording.trouble
        return result
    try:
        people = _people(recording, result, make_tracker)
        windows = _choose(people, result, settings)
        if windows:
            _write(recording, folder, settings, people, windows, split)
    except MediaError as error:
        result.trouble = str(error)
        return result
    result.windows = len(windows)
    result.kept_s = sum(stop - start for start, stop in windows) / FRAME_RATE_HZ
    return result


def _people(
    recording: Recording, result: Result, make_tracker: TrackerMaker
) -> tuple[_Person, _Person]:
    """Both people, as long as all of them is there."""
    sources = (recording.a, recording.b)
    heard = sounds(*sources)
    watched = [watch(source, make_tracker) for source in sources]
    lengths_s = {
        "the pictures of a": len(watched[0].faces) / FRAME_RATE_HZ,
        "the pictures of b": len(watched[1].faces) / FRAME_RATE_HZ,
        "the sound of a": len(heard[0]) / SAMPLE_RATE_HZ,
        "the sound of b": len(heard[1]) / SAMPLE_RATE_HZ,
    }
    if max(lengths_s.values()) - min(lengths_s.values()) > LENGTHS_DIFFER_S:
        told = ", ".join(f"{what} {length:.1f} s" for what, length in lengths_s.items())
        result.notes.append(f"lengths differ, the shortest decides: {told}")
    frames = min(*(len(w.faces) for w in watched), *(samples_to_frames(len(s)) for s in heard))
    result.seconds = frames / FRAME_RATE_HZ
    first, second = (
        _person(source, seen, sound, frames, who)
        for source, seen, sound, who in zip(sources, watched, heard, "ab", strict=True)
    )
    return first, second


def _person(
    source: Source, watched: Watched, sound: NDArray[np.float32], frames: int, who: str
) -> _Person:
    cut = Watched(watched.faces[:frames], watched.still_frames[:frames])
    flaws = list(flaws_of(cut, who))
    values = rig_motion(cut.faces, stretches_of(flaws, frames))
    samples = frames_to_samples(frames)
    whole = np.pad(sound[:samples], (0, max(0, samples - len(sound)))).astype(np.float32)
    return _Person(source, cut.faces, values, flaws, whole, voiced_frames(whole))


def _choose(
    people: tuple[_Person, _Person], result: Result, settings: PrepareSettings
) -> list[Window]:
    """The windows that are good of both; the rest goes into `result`."""
    a, b = people
    judgement = judge(
        (a.values, b.values), (a.sound, b.sound), (a.voiced, b.voiced), a.good & b.good
    )
    result.notes.extend(judgement.notes)
    result.mouth_r = {
        "own": [round(r, 3) for r in judgement.own],
        "other": [round(r, 3) for r in judgement.other],
    }
    frames = len(a.faces)
    if judgement.rejected:
        result.trouble = judgement.rejected
        return []
    stretches = stretches_of(a.flaws + b.flaws, frames)
    windows, left = cut_windows(stretches, a.voiced | b.voiced, settings.min_frames)
    for flaw in sorted(a.flaws + b.flaws + left):
        span = Span(flaw.start / FRAME_RATE_HZ, flaw.stop / FRAME_RATE_HZ, flaw.reason)
        result.rejected.append(span)
    return windows


def _write(
    recording: Recording,
    folder: Path,
    settings: PrepareSettings,
    people: tuple[_Person, _Person],
    windows: list[Window],
    split: str,
) -> None:
    """Each window twice: once with a as the avatar, once with b."""
    motions, references = _motions(settings, people, windows)
    kind = SOUND_KIND[settings.model.audio_encoder]
    for k, (start, stop) in enumerate(windows):
        part = slice(frames_to_samples(start), frames_to_samples(stop))
        heard = [sound_features(person.sound[part], kind) for person in people]
        for avatar, user in ((0, 1), (1, 0)):
            talk = StoredConversation(
                kind,
                heard[avatar],
                heard[user],
                motions[avatar][k],
                motions[user][k],
                references[avatar],
            )
            name = f"{split}-{recording.slug}-{k:04d}-{'ab'[avatar]}.npz"
            save_conversation(folder / name, talk)


def _motions(
    settings: PrepareSettings, people: tuple[_Person, _Person], windows: list[Window]
) -> tuple[list[list[NDArray[np.float32]]], list[NDArray[np.float32]]]:
    """For each person the motion ``[n, D]`` of each window, and the reference ``[D]``."""
    if not settings.latent:
        rig = [[person.values[start:stop] for start, stop in windows] for person in people]
        return rig, [coefficients.neutral()] * 2
    reader = LatentReader(load_autoencoder(Path(settings.weights), settings.model.motion_dim))
    motions, references = [], []
    for person in people:
        seen = np.array([face is not None for face in person.faces]) & person.good
        rest = most_neutral(person.values, seen)
        latents, reference = reader.read(person.source, person.faces, windows, rest)
        motions.append(latents)
        references.append(reference)
    return motions, references
