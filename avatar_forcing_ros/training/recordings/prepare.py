"""A folder of recordings to a folder of training data: in parallel; finished ones are kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.perception.face_tracker import FaceMeshTracker
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.strict import require
from avatar_forcing_ros.timebase import (
    FRAME_RATE_HZ,
    SAMPLE_RATE_HZ,
    frames_to_samples,
    samples_to_frames,
)
from avatar_forcing_ros.training.dataset import (
    AUDIO_KIND,
    SPLITS,
    StoredConversation,
    audio_features,
    save_conversation,
)
from avatar_forcing_ros.training.recordings import checks, motion
from avatar_forcing_ros.training.recordings.layouts import (
    Recording,
    Source,
    find_recordings,
)
from avatar_forcing_ros.training.recordings.report import (
    FinishedRecordings,
    LeftOut,
    Report,
    Result,
)
from avatar_forcing_ros.training.settings import PrepareSettings
from avatar_forcing_ros.training.workers import run_jobs

MAX_LENGTH_DIFFERENCE_S = 0.5

Progress = Callable[[int, int, Report], None]
"""Called with recordings done, recordings in all and the report so far."""


class Job(NamedTuple):
    """One recording to be written to `folder`."""

    recording: Recording
    folder: Path
    settings: PrepareSettings
    make_tracker: motion.TrackerFactory


def prepare(
    recordings: Path,
    folder: Path,
    settings: PrepareSettings,
    workers: int = 1,
    *,
    make_tracker: motion.TrackerFactory = FaceMeshTracker,
    progress: Progress = lambda done, total, report: None,
) -> Report:
    """Make training data in `folder` of all that is in `recordings`; recordings done are kept.

    A recording that cannot be used is reported, and the others go on. Raises MediaError where
    there is none at all, what a tracker raises that cannot be made, CheckpointError for unusable
    weights, and OutputError.
    """
    require("workers", workers, "1 or more", workers >= 1)
    found = find_recordings(recordings)
    finished = FinishedRecordings(folder, settings)
    results = {r.name: known for r in found if (known := finished.result_of(r))}
    jobs = [Job(r, folder, settings, make_tracker) for r in found if r.name not in results]
    if jobs:
        make_tracker().close()  # fails now if it cannot be made
    if jobs and settings.latent:
        motion.load_autoencoder(Path(settings.weights), settings.model.motion_dim)

    def report() -> Report:
        return Report([results[r.name] for r in found if r.name in results])

    progress(len(results), len(found), report())
    with closing(run_jobs(prepare_recording, jobs, workers)) as done:
        for index, result in done:
            recording = jobs[index].recording
            finished.add(recording, result)
            results[recording.name] = result
            report().write(folder)
            progress(len(results), len(found), report())
    report().write(folder)
    return report()


@dataclass(frozen=True)
class _Person:
    """T frames of one person, ready to be cut."""

    source: Source
    faces: motion.Faces
    values: NDArray[np.float32]  # [T, K]
    flaws: list[checks.Flaw]
    audio: NDArray[np.float32]  # [640 T]
    voiced: NDArray[np.bool_]  # [T]

    @property
    def good(self) -> NDArray[np.bool_]:
        """Where nothing is wrong with the video ``[T]``."""
        return checks.good_frames(self.flaws, len(self.faces))


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


def prepare_recording(job: Job) -> Result:
    """Write the windows of a recording; what was kept and what was not.

    A file that cannot be used is part of the result. Raises OutputError where the folder cannot
    be written, and CheckpointError for unusable weights.
    """
    recording = job.recording
    remove_windows(job.folder, recording)
    split = recording.split or split_of(recording.name, job.settings.valid_share)
    result = Result(recording.name, [path.name for path in recording.files], split)
    if recording.problem:
        result.problem = recording.problem
        return result
    try:
        people = _people(job, result)
        windows = _choose(people, result, job.settings)
        if windows:
            _write(job, split, people, windows)
    except MediaError as error:
        result.problem = str(error)
        return result
    result.windows = len(windows)
    result.kept_s = sum(stop - start for start, stop in windows) / FRAME_RATE_HZ
    return result


def _people(job: Job, result: Result) -> tuple[_Person, _Person]:
    """Both people, for as long as video and audio of both are there."""
    sources = (job.recording.a, job.recording.b)
    audio = motion.read_audio(*sources)
    videos = [motion.track_video(source, job.make_tracker) for source in sources]
    lengths_s = {
        **{f"video {k}": len(v.faces) / FRAME_RATE_HZ for k, v in zip("ab", videos, strict=True)},
        **{f"audio {k}": len(a) / SAMPLE_RATE_HZ for k, a in zip("ab", audio, strict=True)},
    }
    if max(lengths_s.values()) - min(lengths_s.values()) > MAX_LENGTH_DIFFERENCE_S:
        lengths = ", ".join(f"{name} {length:.1f} s" for name, length in lengths_s.items())
        result.notes.append(f"lengths differ, the shortest decides: {lengths}")
    frames = min(*(len(v.faces) for v in videos), *(samples_to_frames(len(a)) for a in audio))
    result.seconds = frames / FRAME_RATE_HZ
    first, second = (
        _person(source, video, samples, frames, who)
        for source, video, samples, who in zip(sources, videos, audio, "ab", strict=True)
    )
    return first, second


def _person(
    source: Source, video: motion.TrackedVideo, audio: NDArray[np.float32], frames: int, who: str
) -> _Person:
    cut = motion.TrackedVideo(video.faces[:frames], video.still_frames[:frames])
    flaws = list(checks.flaws_of(cut, who))
    values = motion.rig_motion(cut.faces, checks.stretches_of(flaws, frames))
    samples = frames_to_samples(frames)
    padded = np.pad(audio[:samples], (0, max(0, samples - len(audio)))).astype(np.float32)
    return _Person(source, cut.faces, values, flaws, padded, checks.voiced_frames(padded))


def _choose(
    people: tuple[_Person, _Person], result: Result, settings: PrepareSettings
) -> list[motion.Span]:
    """The windows that are good of both; the rest goes into `result`."""
    a, b = people
    check = checks.check_speakers(
        (a.values, b.values), (a.audio, b.audio), (a.voiced, b.voiced), a.good & b.good
    )
    result.notes.extend(check.notes)
    result.mouth_r = {
        "own": [round(r, 3) for r in check.own],
        "other": [round(r, 3) for r in check.other],
    }
    frames = len(a.faces)
    if check.rejected:
        result.problem = check.rejected
        return []
    stretches = checks.stretches_of(a.flaws + b.flaws, frames)
    windows, left = checks.cut_windows(stretches, a.voiced | b.voiced, settings.min_frames)
    for flaw in sorted(a.flaws + b.flaws + left):
        start_s, stop_s = flaw.start / FRAME_RATE_HZ, flaw.stop / FRAME_RATE_HZ
        result.rejected.append(LeftOut(start_s, stop_s, flaw.reason))
    return windows


def _write(
    job: Job, split: str, people: tuple[_Person, _Person], windows: list[motion.Span]
) -> None:
    """Each window twice: once with a as the avatar, once with b."""
    motions, references = _motions(job.settings, people, windows)
    kind = AUDIO_KIND[job.settings.model.audio_encoder]
    for k, (start, stop) in enumerate(windows):
        part = slice(frames_to_samples(start), frames_to_samples(stop))
        audio = [audio_features(person.audio[part], kind) for person in people]
        for avatar, user in ((0, 1), (1, 0)):
            conversation = StoredConversation(
                kind,
                audio[avatar],
                audio[user],
                motions[avatar][k],
                motions[user][k],
                references[avatar],
            )
            name = f"{split}-{job.recording.slug}-{k:04d}-{'ab'[avatar]}.npz"
            save_conversation(job.folder / name, conversation)


def _motions(
    settings: PrepareSettings, people: tuple[_Person, _Person], windows: list[motion.Span]
) -> tuple[list[list[NDArray[np.float32]]], list[NDArray[np.float32]]]:
    """For each person the motion ``[n, D]`` of each window, and the reference ``[D]``."""
    if not settings.latent:
        rig = [[person.values[start:stop] for start, stop in windows] for person in people]
        return rig, [coefficients.neutral()] * 2
    net = motion.load_autoencoder(Path(settings.weights), settings.model.motion_dim)
    motions, references = [], []
    for person in people:
        seen = np.array([face is not None for face in person.faces]) & person.good
        rest = motion.most_neutral(person.values, seen)
        latents, reference = motion.read_latents(net, person.source, person.faces, windows, rest)
        motions.append(latents)
        references.append(reference)
    return motions, references
