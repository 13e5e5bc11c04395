"""A folder of recordings to a folder of training data: in parallel, those finished left alone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from pathlib import Path

import cv2
import torch

from avatar_forcing_ros.errors import OutputError
from avatar_forcing_ros.perception.face_tracker import FaceMeshTracker
from avatar_forcing_ros.strict import require
from avatar_forcing_ros.training.recordings.latents import load_autoencoder
from avatar_forcing_ros.training.recordings.layouts import Recording, find_recordings
from avatar_forcing_ros.training.recordings.one_recording import prepare_recording
from avatar_forcing_ros.training.recordings.report import Marks, Report, Result
from avatar_forcing_ros.training.recordings.settings import PrepareSettings
from avatar_forcing_ros.training.recordings.watching import TrackerMaker

Progress = Callable[[int, int, Report], None]
"""Called with recordings done, recordings in all and the report so far."""
Job = tuple[Recording, Path, PrepareSettings, TrackerMaker]


def prepare(
    recordings: Path,
    folder: Path,
    settings: PrepareSettings,
    workers: int = 1,
    *,
    make_tracker: TrackerMaker = FaceMeshTracker,
    progress: Progress = lambda done, total, report: None,
) -> Report:
    """Make training data in `folder` of all that is in `recordings`; recordings done are kept.

    A recording that cannot be used is reported, and the others go on. Raises MediaError where
    there is none at all, what a tracker raises that cannot be made, CheckpointError for unusable
    weights, and OutputError.
    """
    require("workers", workers, "1 or more", workers >= 1)
    found = find_recordings(recordings)
    marks = Marks(folder, settings)
    results = {r.name: known for r in found if (known := marks.finished(r))}
    jobs = [(r, folder, settings, make_tracker) for r in found if r.name not in results]
    if jobs:
        make_tracker().close()  # what is missing for all of them is found out now
    if jobs and settings.latent:
        load_autoencoder(Path(settings.weights), settings.model.motion_dim)

    def report() -> Report:
        return Report([results[r.name] for r in found if r.name in results])

    progress(len(results), len(found), report())
    with closing(_all_done(jobs, min(workers, len(jobs)))) as done:
        for recording, result in done:
            marks.mark(recording, result)
            results[recording.name] = result
            report().write(folder)
            progress(len(results), len(found), report())
    report().write(folder)
    return report()


def _all_done(jobs: list[Job], workers: int) -> Generator[tuple[Recording, Result], None, None]:
    """Each recording with its result, in the order in which they are finished."""
    if workers <= 1:
        yield from ((job[0], prepare_recording(*job)) for job in jobs)
        return
    with _pool(workers) as pool:
        waiting = {pool.submit(prepare_recording, *job): job[0] for job in jobs}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BrokenProcessPool as error:
            raise OutputError(
                "prepare",
                expected="worker processes that go on to the end",
                got="one that was ended from outside, perhaps for want of memory",
                remedy="run again with fewer --workers; what is finished is kept",
            ) from error


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Worker processes, which do not outlive the block whatever ends it."""
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_start_worker
    )
    with pool:
        try:
            yield pool
        except BaseException:
            for child in set(multiprocessing.active_children()) - before:
                child.terminate()  # a recording may be an hour long
            raise


def _start_worker() -> None:
    """One thread for each worker, and an end with the process that wanted its work."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback: the parent tells of it
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os._exit(1)  # killed itself; another run may already write the same files
