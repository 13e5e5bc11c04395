"""Many conversations on one set of weights: where the time goes, and how many fit on this machine.

Measured are the parts of one conversation, and the motion of several in one batch. How many fit is
computed from them: all processors busy for a share of the time that leaves the rest some room.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from avatar_forcing_ros.benchmarks.measures import memory_mb
from avatar_forcing_ros.benchmarks.stages import (
    MIN_REPEATS,
    camera_image,
    fresh_state,
    machine,
    moves,
    speech_of_block,
    user_faces,
)
from avatar_forcing_ros.config import AvatarConfig
from avatar_forcing_ros.errors import ConfigError, MissingDependencyError
from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.media_files.reading import read_audio
from avatar_forcing_ros.offline.demo import AVATAR_SPEECH, USER_SPEECH
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.runtime.degradation import MAX_LOAD
from avatar_forcing_ros.runtime.load import (
    device_of,
    face_of,
    load_avatar,
    make_codec,
    make_engine,
)
from avatar_forcing_ros.runtime.meters import SpeechMeter
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.runtime.step_scheduler import MAX_BATCH, StepScheduler
from avatar_forcing_ros.streaming.engine import BlockInput, MotionEngine
from avatar_forcing_ros.streaming.state import StreamState
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, FRAME_PERIOD_S, FRAME_RATE_HZ

BATCHES = (1, 2, 4, 8)
SIZES_PX = (512, 256)
WARM_UP_ROUNDS = 4
ANSWER_S = 60.0
NOT_INSTALLED = "encoding was not measured: it needs 'web'"
Audio = NDArray[np.float32]
Times = dict[str, float]  # medians in milliseconds: wall, processor


def run_conversations_benchmark(
    config: AvatarConfig, conversations: int, repeats: int
) -> dict[str, Any]:
    """Time batches of up to `conversations`, and each part of one, `repeats` times.

    Raises ConfigError for fewer than one conversation or MIN_REPEATS.
    """
    for name, value, least in (
        ("conversations", conversations, 1),
        ("repeats", repeats, MIN_REPEATS),
    ):
        if value < least:
            raise ConfigError(
                name, expected=f"{least} or more", got=str(value), remedy="give a larger number"
            )
    networks = load_avatar(config)
    engine = make_engine(config, networks)
    speech = read_audio(shipped(AVATAR_SPEECH)), read_audio(shipped(USER_SPEECH))
    frames = engine.config.block_frames
    sizes = sorted({n for n in (*BATCHES, conversations) if n <= min(conversations, MAX_BATCH)})
    motion = _motion(config, engine, networks, speech, sizes, repeats)
    parts = {}
    for size_px in SIZES_PX if engine.config.motion_space == "rig" else (config.image_size_px,):
        sized = replace(config, image_size_px=size_px)
        before_mb = memory_mb(os.getpid())
        codec = make_codec(sized, networks, face_of(sized, networks))
        session = Session(engine, codec)
        parts[str(size_px)] = {
            **_images(session, frames, repeats),
            "hearing": _hearing(speech, frames, repeats),
            "memory_mb": round(memory_mb(os.getpid()) - before_mb, 1),
        }
        session.close()
    on_gpu = device_of(config).startswith("cuda")
    metrics = {
        "preset": config.preset,
        "machine": machine(),
        "device": device_of(config),
        "processors": 1 if on_gpu else len(os.sched_getaffinity(0)),
        "evaluations": config.sampling.nfe,
        "block_ms": frames * 1000 * FRAME_PERIOD_S,
        "repeats": repeats,
        "motion_ms": motion,
        "parts_ms": parts,
    }
    return metrics | {"fits": fits(metrics)}


def fits(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """How many conversations each size leaves time for, computed from what was measured.

    The largest number whose parts take `MAX_LOAD` of all processors' time at most, and whose
    batches, which one thread makes, as much of one's. A GPU counts as one processor whose work
    comes one after another.
    """
    clock = "wall" if metrics["device"].startswith("cuda") else "processor"
    batches = {int(n): row[clock] for n, row in metrics["motion_ms"].items()}
    budget_ms = MAX_LOAD * metrics["block_ms"]
    found: dict[str, Any] = {}
    for size, parts in metrics["parts_ms"].items():
        each = {name: row[clock] for name, row in parts.items() if isinstance(row, dict)}

        def fit(each_ms: float) -> int:
            count = 0
            while True:
                motion_ms = _motion_of(count + 1, batches)
                whole_ms = motion_ms + (count + 1) * each_ms
                if motion_ms > budget_ms or whole_ms > metrics["processors"] * budget_ms:
                    return count
                count += 1

        sent = sum(each.values())
        unsent = sent - each.get("encoding", 0.0)
        count = fit(sent)
        shares = {"motion": _motion_of(max(count, 1), batches) / max(count, 1), **each}
        found[size] = {
            "conversations": count,
            "without_encoding": fit(unsent),
            "next_limit": max(shares, key=lambda name: shares[name]),
            "each_ms": {name: round(value, 2) for name, value in shares.items()},
        }
    return found


def _motion_of(count: int, batches: Mapping[int, float]) -> float:
    """Milliseconds for the motion of `count` conversations; between what was measured, a line."""
    largest = max(batches)
    whole, rest = divmod(count, largest)
    measured = sorted({0: 0.0, **batches}.items())
    sizes, taken = zip(*measured, strict=True)
    return whole * batches[largest] + float(np.interp(rest, sizes, taken))


def _motion(
    config: AvatarConfig,
    engine: MotionEngine,
    networks: Any,
    speech: tuple[Audio, Audio],
    sizes: list[int],
    repeats: int,
) -> dict[str, Times]:
    """A block of n conversations at once, as live ones ask for it; all n take turns.

    So whatever else the machine does is in all of them.
    """
    state, inputs = fresh_state(engine, speech)
    while state.motion.block <= engine.sampler.blocks_until_steady:
        engine.step(state, inputs)
    rounds = {}
    taken: dict[int, list[tuple[float, float]]] = {size: [] for size in sizes}
    with ThreadPoolExecutor(max(sizes)) as pool:
        crowds = [_Crowd(make_engine(config, networks), pool, state, size) for size in sizes]
        try:
            for k in tqdm(
                range(WARM_UP_ROUNDS + repeats), desc="motion", leave=False, disable=None
            ):
                for crowd in crowds:
                    spent = crowd.block(inputs)
                    if k >= WARM_UP_ROUNDS:
                        taken[crowd.size].append(spent)
        finally:
            for crowd in crowds:
                crowd.scheduler.stop()
    for size, spent_s in taken.items():
        rounds[str(size)] = _medians(spent_s)
    return rounds


class _Crowd:
    """Conversations that ask for their blocks at the same moments of a clock of their own."""

    def __init__(
        self, engine: MotionEngine, pool: ThreadPoolExecutor, state: StreamState, size: int
    ) -> None:
        self.size, self._pool, self._now_s = size, pool, 0.0
        self._block_s = engine.config.block_frames * FRAME_PERIOD_S
        self.scheduler = StepScheduler(engine, now_s=lambda: self._now_s)
        self.scheduler.start()
        self._engines = [self.scheduler.conversation() for _ in range(size)]
        self._states = [replace(state.clone(), seed=who) for who in range(size)]

    def block(self, inputs: BlockInput) -> tuple[float, float]:
        """Wall and processor time until all have their next block, seconds."""
        self._now_s += self._block_s
        with _spent() as spent:
            asked = [
                self._pool.submit(engine.step, state, inputs)
                for engine, state in zip(self._engines, self._states, strict=True)
            ]
            for each in asked:
                each.result(ANSWER_S)
        return spent()


@contextmanager
def _spent() -> Iterator[Callable[[], tuple[float, float]]]:
    """Wall and processor time of a block of code, seconds, once it is over."""
    began_s, cpu_s, after = time.perf_counter(), time.process_time(), [0.0, 0.0]
    yield lambda: (after[0], after[1])
    after[:] = time.perf_counter() - began_s, time.process_time() - cpu_s


def _medians(spent_s: list[tuple[float, float]], times: int = 1) -> Times:
    """Of wall and processor time, in milliseconds, for `times` of what was measured."""
    wall_s, processor_s = np.median(np.array(spent_s), axis=0)
    return {
        "wall": round(1000 * times * float(wall_s), 3),
        "processor": round(1000 * times * float(processor_s), 3),
    }


def _measured(work: Callable[[int], object], repeats: int, name: str, times: int) -> Times:
    """`work`, called with 0, 1, …, of which a block has `times`."""
    taken = []
    for i in tqdm(range(WARM_UP_ROUNDS + repeats), desc=name, leave=False, disable=None):
        with _spent() as spent:
            work(i)
        if i >= WARM_UP_ROUNDS:
            taken.append(spent())
    return _medians(taken, times)


def _images(session: Session, frames: int, repeats: int) -> dict[str, Times]:
    """Drawing, tracking and, where it is installed, encoding what one block has of them."""
    codec, motion = session.codec, moves(session, WARM_UP_ROUNDS + repeats)
    drawn: list[NDArray[np.uint8]] = []
    found = {
        "drawing": _measured(
            lambda i: drawn.append(codec.decode(motion[i : i + 1])[0]), repeats, "drawing", frames
        )
    }
    face = camera_image(user_faces(session)[0])
    found["tracking"] = _measured(
        lambda i: codec.encode_user(VideoFrame(face, i * FRAME_PERIOD_NS)),
        repeats,
        "tracking",
        frames,
    )
    encode = _encoder()
    if encode:
        found["encoding"] = _measured(lambda i: encode(drawn[i], i), repeats, "encoding", frames)
    return found


def _encoder() -> Callable[[NDArray[np.uint8], int], object] | None:
    """What the page's images are made of, VP8; None where 'web' is not installed."""
    try:
        import av

        from avatar_forcing_ros.web.video_encoder import FaceEncoder
    except (ImportError, MissingDependencyError):
        return None
    encoder = FaceEncoder()

    def encode(pixels: NDArray[np.uint8], index: int) -> object:
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = index, Fraction(1, FRAME_RATE_HZ)
        return encoder.encode(frame)

    return encode


def _hearing(speech: tuple[Audio, Audio], frames: int, repeats: int) -> Times:
    """Who speaks, and how loudly, in a block of both streams."""
    meters = SpeechMeter(), SpeechMeter()

    def hear(i: int) -> None:
        for meter, audio in zip(meters, speech, strict=True):
            meter.update(speech_of_block(audio, i, frames))

    return _measured(hear, repeats, "hearing", 1)


def as_table(metrics: Mapping[str, Any]) -> str:
    """The metrics for a person to read."""
    motion = metrics["motion_ms"]
    lines = [f"{'motion of a block':<26}{'wall':>10}{'processor':>11}{'each':>9}   ms"]
    for size, row in motion.items():
        lines.append(
            f"{size + ' conversation(s)':<26}{row['wall']:>10.1f}{row['processor']:>11.1f}"
            f"{row['processor'] / int(size):>9.1f}"
        )
    first, last = min(motion, key=int), max(motion, key=int)
    per = {n: motion[n]["processor"] / int(n) for n in (first, last)}
    lines += [
        f"a conversation in a batch of {last} takes {per[last] / per[first]:.2f} of one alone"
    ]
    for size, parts in metrics["parts_ms"].items():
        fit = metrics["fits"][size]
        lines += ["", f"{size + ' px, of a conversation':<26}{'wall':>10}{'processor':>11}   ms"]
        lines += [
            f"{name:<26}{row['wall']:>10.1f}{row['processor']:>11.1f}"
            for name, row in parts.items()
            if isinstance(row, dict)
        ]
        if "encoding" not in parts:
            lines.append(NOT_INSTALLED)
        lines.append(
            f"fit, as computed: {fit['conversations']} with what was measured, "
            f"{fit['without_encoding']} where nothing is encoded; the next limit is "
            f"{fit['next_limit']} ({fit['each_ms'][fit['next_limit']]:.1f} ms of each); "
            f"{parts['memory_mb']:.0f} MB for a face more"
        )
    machine_ = metrics["machine"]
    lines += [
        "",
        f"A block lasts {metrics['block_ms']:.0f} ms. {metrics['processors']} processor(s) of "
        f"{machine_['cpu']}, of whose time {100 * MAX_LOAD:.0f} % are counted; "
        f"{metrics['evaluations']} evaluations.",
        "Parts are measured one by one, medians; how many fit is computed from processor time, "
        "not tried.",
    ]
    return "\n".join(lines)
