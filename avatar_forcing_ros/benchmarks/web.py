"""One conversation of some minutes between two processes, and its figures."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from avatar_forcing_ros.benchmarks.process_use import cpu_s, memory_mb
from avatar_forcing_ros.benchmarks.stages import user_faces
from avatar_forcing_ros.benchmarks.web_caller import AUDIBLE, Caller, Observed, Sound
from avatar_forcing_ros.benchmarks.web_marked_server import LOOPBACK, serve
from avatar_forcing_ros.config import AvatarConfig
from avatar_forcing_ros.errors import OutputError
from avatar_forcing_ros.media_files.reading import read_audio
from avatar_forcing_ros.offline.demo import AVATAR_SPEECH, USER_SPEECH
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.runtime.load import build_session
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, SAMPLE_RATE_HZ

START_PATIENCE_S = 120.0
SETTLE_S = 5.0  # of the conversation that are not counted
SPEECH_S, SPEECH_PERIOD_S = 3.0, 6.0
SAMPLE_PERIOD_S = 1.0  # of processor time and memory
LATE_S = 1.5 * FRAME_PERIOD_NS / 1e9  # after the picture before
CAMERA_PX = (640, 480)
Figures = dict[str, Any]


def run_live_benchmark(
    config: AvatarConfig, seconds: float, tell: Callable[[str], None]
) -> Figures:
    """Talk with a server for `seconds` as a browser would; what both ends saw of it.

    `tell` is told what goes wrong on the way. Raises OutputError where the server does not start.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(config, there), name="live-server")
    process.start()
    there.close()
    try:
        port, pids = _ready(here, tell)
        figures = asyncio.run(_talk(f"http://{LOOPBACK}:{port}", _faces(config), pids, seconds))
        while here.poll():
            tell(here.recv()[1])
        here.send("end")
        process.join(START_PATIENCE_S)
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
    return {"preset": config.preset, "seconds": seconds} | figures


def _ready(here: Connection, tell: Callable[[str], None]) -> tuple[int, list[int]]:
    """The server's port, and the numbers of its processes."""
    while True:
        if not here.poll(START_PATIENCE_S):
            raise EOFError
        kind, told = here.recv()
        if kind == "ready":
            return int(told[0]), list(told[1])
        if kind == "failed":
            raise told
        tell(told)


def _faces(config: AvatarConfig) -> list[NDArray[np.uint8]]:
    """Somebody at rest and smiling, as a camera shows them."""
    session = build_session(config)
    faces = [_camera_picture(face) for face in user_faces(session)]
    session.close()
    return faces


def _camera_picture(face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A square picture in the middle of one as wide as a camera's, ``[480, 640, 3]``."""
    width, height = CAMERA_PX
    side = (width - height) // 2
    square = cv2.resize(face, (height, height), interpolation=cv2.INTER_AREA)
    framed = cv2.copyMakeBorder(square, 0, 0, side, side, cv2.BORDER_REPLICATE)
    return np.asarray(framed, np.uint8)


async def _talk(
    origin: str, faces: list[NDArray[np.uint8]], pids: list[int], seconds: float
) -> Figures:
    speech, onset_s = _spoken(read_audio(shipped(AVATAR_SPEECH)))
    caller = Caller(origin, faces, read_audio(shipped(USER_SPEECH)))
    try:
        await caller.join()
        await asyncio.sleep(SETTLE_S)
        begin_s = time.monotonic()
        use = await _during(caller, speech, pids, begin_s, seconds)
    finally:
        await caller.close()
    return _figures(caller.observed, begin_s, begin_s + seconds, onset_s) | use


def _spoken(voice: Sound) -> tuple[Sound, float]:
    """The first seconds of `voice`, and when in them it becomes audible."""
    speech = voice[: round(SPEECH_S * SAMPLE_RATE_HZ)]
    return speech, float((np.abs(speech) > AUDIBLE).argmax()) / SAMPLE_RATE_HZ


async def _during(
    caller: Caller, speech: Sound, pids: list[int], begin_s: float, seconds: float
) -> Figures:
    """Speak now and then; what server and caller take of the machine meanwhile."""
    cpu_before_s, own_before_s = [cpu_s(pid) for pid in pids], time.process_time()
    samples: list[tuple[float, float]] = []  # seconds, MB
    spoke_s = begin_s - SPEECH_PERIOD_S / 2
    with tqdm(total=round(seconds), unit="s", desc="talking", leave=False, disable=None) as bar:
        while (now_s := time.monotonic()) < begin_s + seconds:
            samples.append((now_s - begin_s, sum(memory_mb(pid) for pid in pids)))
            if now_s >= spoke_s + SPEECH_PERIOD_S:
                spoke_s = now_s
                await caller.say(speech)
            bar.update(round(now_s - begin_s) - bar.n)
            await asyncio.sleep(SAMPLE_PERIOD_S)
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


def _figures(seen: Observed, begin_s: float, end_s: float, onset_s: float) -> Figures:
    came = np.array([at_s for at_s in seen.came_s if begin_s <= at_s < end_s])
    gaps_s = np.diff(came) if len(came) > 1 else np.zeros(1)
    said = [
        1000 * (heard_s - said_s - onset_s)
        for said_s, heard_s in zip(seen.said_s, seen.heard_s, strict=False)
    ]
    return {
        "reaction_ms": _spread(_reactions_ms(seen, begin_s, end_s)),
        "speech_ms": _spread(said),
        "speeches_lost": len(seen.said_s) - len(said),
        "fps": round(len(came) / (end_s - begin_s), 2),
        "late_pictures": int((gaps_s > LATE_S).sum()),
        "longest_gap_ms": round(1000 * float(gaps_s.max()), 1),
        "pictures_sent": sum(begin_s <= at_s < end_s for at_s in seen.sent_s),
    }


def _reactions_ms(seen: Observed, begin_s: float, end_s: float) -> list[float]:
    """For every picture sent in that time how long after it the first came that depends on it.

    One that was left out counts until the first that depends on a later one.
    """
    reactions, at = [], 0
    for number, came_s in seen.answered:
        last = at + (number - at) % 65_536
        if last >= len(seen.sent_s):
            continue  # of before: none of ours
        for index in range(at, last + 1):
            if begin_s <= seen.sent_s[index] < end_s:
                reactions.append(1000 * (came_s - seen.sent_s[index]))
        at = max(at, last + 1)
    return reactions


def _spread(values_ms: list[float]) -> dict[str, float]:
    if not values_ms:
        return {"count": 0}
    median, p95, worst = np.percentile(values_ms, (50, 95, 100))
    return {
        "count": len(values_ms),
        "median": round(median, 1),
        "p95": round(p95, 1),
        "worst": round(worst, 1),
    }


def as_table(figures: Figures) -> str:
    """The figures for a person to read."""
    lines = [f"{'':<34}{'median':>9}{'p95':>9}{'worst':>9}   ms"]
    for name, row in (
        ("from a picture to its answer", figures["reaction_ms"]),
        ("from speech to sound", figures["speech_ms"]),
    ):
        values = "".join(f"{row.get(k, float('nan')):>9.0f}" for k in ("median", "p95", "worst"))
        lines.append(f"{name:<34}{values}   of {row['count']}")
    memory, share = figures["memory_mb"], figures["percent_of_a_core"]
    lines += [
        "",
        f"{figures['fps']} pictures a second came, {figures['late_pictures']} late "
        f"(longest gap {figures['longest_gap_ms']} ms); "
        f"{figures['speeches_lost']} speeches were not heard",
        f"avatar {share['avatar']} % of a core, web server {share['web']} %, "
        f"caller {share['caller']} %; memory {memory['begin']:.0f} MB, "
        f"at the end {memory['end']:.0f} MB ({memory['growth_a_minute']:+.2f} MB a minute)",
    ]
    return "\n".join(lines)
