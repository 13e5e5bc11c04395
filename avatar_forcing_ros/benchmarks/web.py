"""A conversation of some minutes with a server in another process, as a browser has it, measured.

Marked camera frames and audio go in, and what comes back is timed on arrival.
"""

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

from avatar_forcing_ros.benchmarks.measures import cpu_s, memory_mb, percentiles
from avatar_forcing_ros.benchmarks.stages import user_faces
from avatar_forcing_ros.benchmarks.web_caller import AUDIBLE, Caller, Observed
from avatar_forcing_ros.benchmarks.web_server import serve
from avatar_forcing_ros.config import AvatarConfig
from avatar_forcing_ros.errors import OutputError
from avatar_forcing_ros.media_files.reading import read_audio
from avatar_forcing_ros.offline.demo import AVATAR_SPEECH, USER_SPEECH
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.runtime.load import build_session
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, SAMPLE_RATE_HZ
from avatar_forcing_ros.web.library_patches import LOOPBACK, install_patches

START_TIMEOUT_S = 120.0
WARM_UP_S = 5.0  # at the beginning of the conversation, not measured
SPEECH_S, SPEECH_PERIOD_S = 3.0, 6.0
SAMPLE_PERIOD_S = 1.0  # of processor time and memory
LATE_S = 1.5 * FRAME_PERIOD_NS / 1e9  # after the frame before
CAMERA_PX = (640, 480)
Metrics = dict[str, Any]
Audio = NDArray[np.float32]


def run_live_benchmark(
    config: AvatarConfig, seconds: float, warn: Callable[[str], None]
) -> Metrics:
    """Talk with a server for `seconds` as a browser would; what both ends measured.

    `warn` gets a sentence for whatever goes wrong on the way. Raises OutputError where the server
    does not start.
    """
    install_patches(video_encoder=False)  # the browser has its own
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(config, there), name="live-server")
    process.start()
    there.close()
    try:
        port, pids = _wait_until_ready(here, warn)
        metrics = asyncio.run(
            _converse(f"http://{LOOPBACK}:{port}", _faces(config), pids, seconds)
        )
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
    return {"preset": config.preset, "seconds": seconds} | metrics


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
    faces = [_camera_image(face) for face in user_faces(session)]
    session.close()
    return faces


def _camera_image(face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`face`, which is square, in the middle of a camera's image ``[480, 640, 3]``."""
    width, height = CAMERA_PX
    side = (width - height) // 2
    square = cv2.resize(face, (height, height), interpolation=cv2.INTER_AREA)
    framed = cv2.copyMakeBorder(square, 0, 0, side, side, cv2.BORDER_REPLICATE)
    return np.asarray(framed, np.uint8)


async def _converse(
    origin: str, faces: list[NDArray[np.uint8]], pids: list[int], seconds: float
) -> Metrics:
    speech, onset_s = _excerpt(read_audio(shipped(AVATAR_SPEECH)))
    caller = Caller(origin, faces, read_audio(shipped(USER_SPEECH)))
    try:
        await caller.join()
        await asyncio.sleep(WARM_UP_S)
        begin_s = time.monotonic()
        usage = await _speak_and_measure(caller, speech, pids, begin_s, seconds)
    finally:
        await caller.close()
    return conversation_metrics(caller.observed, begin_s, begin_s + seconds, onset_s) | usage


def _excerpt(audio: Audio) -> tuple[Audio, float]:
    """The first seconds of `audio`, and when in them it becomes audible."""
    speech = audio[: round(SPEECH_S * SAMPLE_RATE_HZ)]
    return speech, float((np.abs(speech) > AUDIBLE).argmax()) / SAMPLE_RATE_HZ


async def _speak_and_measure(
    caller: Caller, speech: Audio, pids: list[int], begin_s: float, seconds: float
) -> Metrics:
    """Speak now and then; processor time and memory of server and caller meanwhile."""
    cpu_before_s, own_before_s = [cpu_s(pid) for pid in pids], time.process_time()
    samples: list[tuple[float, float]] = []  # seconds, MB
    spoke_s = begin_s - SPEECH_PERIOD_S / 2
    with tqdm(total=round(seconds), unit="s", desc="talking", leave=False, disable=None) as bar:
        while (now_s := time.monotonic()) < begin_s + seconds:
            samples.append((now_s - begin_s, sum(memory_mb(pid) for pid in pids)))
            if now_s >= spoke_s + SPEECH_PERIOD_S:
                spoke_s = now_s
                await caller.speak(speech)
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


def conversation_metrics(
    observed: Observed, begin_s: float, end_s: float, onset_s: float
) -> Metrics:
    """Delays, rates and losses in that time; each speech becomes audible after `onset_s`."""
    received = np.array([at_s for at_s in observed.received_s if begin_s <= at_s < end_s])
    gaps_s = np.diff(received) if len(received) > 1 else np.zeros(1)
    speech_ms = [
        1000 * (received_s - pushed_s - onset_s)
        for pushed_s, received_s in zip(
            observed.speech_pushed_s, observed.speech_received_s, strict=False
        )
    ]
    return {
        "reaction_ms": _spread(_reactions_ms(observed, begin_s, end_s)),
        "speech_ms": _spread(speech_ms),
        "speeches_lost": len(observed.speech_pushed_s) - len(speech_ms),
        "fps": round(len(received) / (end_s - begin_s), 2),
        "late_pictures": int((gaps_s > LATE_S).sum()),
        "longest_gap_ms": round(1000 * float(gaps_s.max()), 1),
        "pictures_sent": sum(begin_s <= at_s < end_s for at_s in observed.sent_s),
    }


def _reactions_ms(observed: Observed, begin_s: float, end_s: float) -> list[float]:
    """For every camera frame of that time how long after it the first came that depends on it.

    One that was left out counts until the first that depends on a later one.
    """
    reactions, at = [], 0
    for number, received_s in observed.answered:
        last = at + (number - at) % 65_536
        if last >= len(observed.sent_s):
            continue  # of before: none of ours
        for index in range(at, last + 1):
            if begin_s <= observed.sent_s[index] < end_s:
                reactions.append(1000 * (received_s - observed.sent_s[index]))
        at = max(at, last + 1)
    return reactions


def _spread(values_ms: list[float]) -> dict[str, float]:
    spread = percentiles(values_ms, ("worst", 100)) if values_ms else {}
    return {"count": len(values_ms), **spread}


def as_table(metrics: Metrics) -> str:
    """The metrics for a person to read."""
    lines = [f"{'':<34}{'median':>9}{'p95':>9}{'worst':>9}   ms"]
    for name, row in (
        ("from a camera frame to its answer", metrics["reaction_ms"]),
        ("from speech to its audio", metrics["speech_ms"]),
    ):
        values = "".join(f"{row.get(k, float('nan')):>9.0f}" for k in ("median", "p95", "worst"))
        lines.append(f"{name:<34}{values}   of {row['count']}")
    memory, share = metrics["memory_mb"], metrics["percent_of_a_core"]
    lines += [
        "",
        f"{metrics['fps']} frames a second came, {metrics['late_pictures']} late "
        f"(longest gap {metrics['longest_gap_ms']} ms); "
        f"{metrics['speeches_lost']} speeches were not heard",
        f"avatar {share['avatar']} % of a core, web server {share['web']} %, "
        f"caller {share['caller']} %; memory {memory['begin']:.0f} MB, "
        f"at the end {memory['end']:.0f} MB ({memory['growth_a_minute']:+.2f} MB a minute)",
    ]
    return "\n".join(lines)
