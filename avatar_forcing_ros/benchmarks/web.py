"""A conversation of some minutes with a server in another process, as a browser has it, measured.

Marked camera frames and audio go in, and what comes back is timed on arrival. Every other speech
is stopped in the middle.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from avatar_forcing_ros.benchmarks.measures import cpu_s, memory_mb
from avatar_forcing_ros.benchmarks.stages import camera_image, user_faces
from avatar_forcing_ros.benchmarks.web_caller import AUDIBLE, Caller
from avatar_forcing_ros.benchmarks.web_many import many_metrics
from avatar_forcing_ros.benchmarks.web_metrics import Metrics, conversation_metrics
from avatar_forcing_ros.benchmarks.web_server import serve
from avatar_forcing_ros.benchmarks.web_session import MIN_WIDTH_PX
from avatar_forcing_ros.config import AvatarConfig
from avatar_forcing_ros.errors import OutputError
from avatar_forcing_ros.media_files.reading import read_audio
from avatar_forcing_ros.offline.demo import AVATAR_SPEECH, USER_SPEECH
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.runtime.load import build_session
from avatar_forcing_ros.strict import require
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ
from avatar_forcing_ros.web.library_patches import LOOPBACK, install_patches

START_TIMEOUT_S = 120.0
WARM_UP_S = 5.0  # at the beginning of the conversation, not measured
SPEECH_S, SPEECH_PERIOD_S = 3.0, 6.0
STOP_AFTER_S = (1.2, 1.4, 1.6, 1.8, 2.0)  # of every other speech: not always in the same pause
SAMPLE_PERIOD_S = 0.5  # of the server's state, processor time and memory
Audio = NDArray[np.float32]


def run_live_benchmark(
    config: AvatarConfig,
    seconds: float,
    warn: Callable[[str], None],
    *,
    busy: int = 0,
    conversations: int = 1,
) -> Metrics:
    """Talk with a server for `seconds` as a browser would; what both ends measured.

    Of several `conversations` at a time the metrics are those of `many_metrics`. `busy` processes
    that only compute run beside it meanwhile. `warn` gets a sentence for whatever goes wrong on
    the way. Raises OutputError where the server does not start, and ConfigError for images that
    have no space for their number.
    """
    size_px = config.image_size_px
    expected = f"{MIN_WIDTH_PX} or more, so that images can be numbered"
    require("image_size_px", size_px, expected, size_px >= MIN_WIDTH_PX)
    install_patches(video_encoder=False)  # the browser has its own
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(
        target=serve, args=(config, there, conversations), name="live-server"
    )
    process.start()
    there.close()
    try:
        port, pids = _wait_until_ready(here, warn)
        faces = _faces(config)
        with _busy_processes(context, busy):
            ready_mb = sum(memory_mb(pid) for pid in pids)
            origin = f"http://{LOOPBACK}:{port}"
            metrics = asyncio.run(_converse(origin, faces, pids, seconds, conversations))
        while here.poll():
            warn(here.recv()[1])
        here.send("end")
        process.join(START_TIMEOUT_S)
    except (EOFError, BrokenPipeError, ProcessLookupError):
        raise OutputError(
            "the server",
            expected="it to serve",
            got="its end",
            remedy="start it by itself: avatar-forcing live",
        ) from None
    finally:
        if process.is_alive():
            process.kill()
    about = {"preset": config.preset, "seconds": seconds, "busy_processes": busy}
    if conversations > 1:
        more_mb = (metrics["memory_mb"]["most"] - ready_mb) / conversations
        about |= {"image_size_px": config.image_size_px, "ready_mb": round(ready_mb, 1)}
        about |= {"more_mb_each": round(more_mb, 1)}
    return about | metrics


@contextmanager
def _busy_processes(context: SpawnContext, count: int) -> Iterator[None]:
    busy = [context.Process(target=_compute, daemon=True) for _ in range(count)]
    for process in busy:
        process.start()
    try:
        yield
    finally:
        for process in busy:
            process.kill()


def _compute() -> None:
    while True:
        pass


def _wait_until_ready(here: Connection, warn: Callable[[str], None]) -> tuple[int, list[int]]:
    """The server's port, and its process ids."""
    while True:
        if not here.poll(START_TIMEOUT_S):
            raise EOFError
        kind, content = here.recv()
        if kind == "ready":
            return int(content[0]), list(content[1])
        if kind == "failed":
            raise content
        warn(content)


def _faces(config: AvatarConfig) -> list[NDArray[np.uint8]]:
    """Somebody at rest and smiling, as a camera shows them."""
    session = build_session(config)
    faces = [camera_image(face) for face in user_faces(session)]
    session.close()
    return faces


async def _converse(
    origin: str, faces: list[NDArray[np.uint8]], pids: list[int], seconds: float, count: int
) -> Metrics:
    speech, onset_s = _excerpt(read_audio(shipped(AVATAR_SPEECH)))
    user = read_audio(shipped(USER_SPEECH))
    # several are as many visitors: one alone is allowed fewer requests
    addresses = [f"127.0.0.{2 + i}" for i in range(count)] if count > 1 else [""]
    callers = [Caller(origin, faces, user, address) for address in addresses]
    try:
        for caller in callers:
            await caller.join()
        await asyncio.sleep(WARM_UP_S)
        begin_s = time.monotonic()
        usage = await _speak_and_measure(callers, speech, pids, begin_s, seconds)
    finally:
        for caller in callers:
            await caller.close()
    times = begin_s, begin_s + seconds, onset_s
    if count > 1:
        return many_metrics([caller.observed for caller in callers], *times) | usage
    return conversation_metrics(callers[0].observed, *times) | usage


def _excerpt(audio: Audio) -> tuple[Audio, float]:
    """The first seconds of `audio`, and when in them it becomes audible."""
    speech = audio[: round(SPEECH_S * SAMPLE_RATE_HZ)]
    return speech, float((np.abs(speech) > AUDIBLE).argmax()) / SAMPLE_RATE_HZ


async def _speak_and_measure(
    callers: list[Caller], speech: Audio, pids: list[int], begin_s: float, seconds: float
) -> Metrics:
    """Speak now and then; processor time and memory of server and callers meanwhile."""
    cpu_before_s, own_before_s = [cpu_s(pid) for pid in pids], time.process_time()
    samples: list[tuple[float, float]] = []  # seconds, MB
    speaking = asyncio.gather(
        *(_speak(one, speech, i / len(callers)) for i, one in enumerate(callers))
    )
    with tqdm(total=round(seconds), unit="s", desc="talking", leave=False, disable=None) as bar:
        while (now_s := time.monotonic()) < begin_s + seconds and not speaking.done():
            samples.append((now_s - begin_s, sum(memory_mb(pid) for pid in pids)))
            await asyncio.gather(*(caller.check() for caller in callers))
            bar.update(round(now_s - begin_s) - bar.n)
            await asyncio.sleep(SAMPLE_PERIOD_S)
    speaking.cancel()
    with suppress(asyncio.CancelledError):
        await speaking  # or what it failed with
    took_s = time.monotonic() - begin_s
    web, avatar = (
        round(100 * (cpu_s(pid) - before_s) / took_s, 1)
        for pid, before_s in zip(pids, cpu_before_s, strict=True)
    )
    times, held_mb = np.array(samples).T
    slope = np.polyfit(times, held_mb, 1)[0] if len(times) > 2 else 0.0
    return {
        "percent_of_a_core": {
            "avatar": avatar,
            "web": web,
            "caller": round(100 * (time.process_time() - own_before_s) / took_s, 1),
        },
        "memory_mb": {
            "begin": held_mb[0],
            "end": held_mb[-1],
            "most": float(held_mb.max()),
            "growth_a_minute": round(60 * float(slope), 2),
        },
    }


async def _speak(caller: Caller, speech: Audio, phase: float) -> None:
    """Have the avatar speak over and over; every other time stop it in the middle.

    It begins with a part of the period, `phase` of 0 to 1, so that not all speak at once.
    """
    await asyncio.sleep(SPEECH_PERIOD_S * (0.5 + phase))
    for number in itertools.count():
        next_s = time.monotonic() + SPEECH_PERIOD_S
        await caller.speak(speech)
        if number % 2:
            await asyncio.sleep(STOP_AFTER_S[number // 2 % len(STOP_AFTER_S)])
            await caller.stop_speaking()
        await asyncio.sleep(next_s - time.monotonic())
