"""What each stage costs on this machine, beside the same block computed without a cache."""

from __future__ import annotations

import platform
import resource
import time
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from avatar_forcing_ros.benchmarks.measures import percentiles
from avatar_forcing_ros.benchmarks.reaction import Image, measure_reaction, reaction_table
from avatar_forcing_ros.config import AvatarConfig
from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.media import AudioChunk, VideoFrame
from avatar_forcing_ros.media_files.reading import read_audio
from avatar_forcing_ros.model.generator import MotionGenerator
from avatar_forcing_ros.offline.demo import AVATAR_SPEECH, USER_SPEECH
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.runtime.load import build_session
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.streaming.audio_window import new_audio_window
from avatar_forcing_ros.streaming.cuda_graphs import recorded
from avatar_forcing_ros.streaming.engine import BlockInput, MotionEngine
from avatar_forcing_ros.streaming.state import StreamState
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, FRAME_RATE_HZ, SAMPLE_RATE_HZ

MIN_REPEATS = 3  # on a slow machine each takes its time
WARM_UP_BLOCKS = 15  # until the cache is full and everything has been compiled and allocated
CAMERA_PX = (640, 480)
P99 = ("p99", 99)
Percentiles = dict[str, float]
Audio = NDArray[np.float32]
Speech = tuple[Audio, Audio]  # the avatar's and the user's, 16 kHz


def run_benchmark(
    config: AvatarConfig,
    repeats: int,
    reaction_s: float = 0.0,
    on_warning: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Time every stage `repeats` times; medians and tails in milliseconds, and ratios.

    With `reaction_s`, and where the machine is faster than real time, also how long an image of
    the user waits for its answer, in so many seconds of a live conversation; `on_warning` gets
    a sentence about what goes wrong there. Raises ConfigError for fewer than MIN_REPEATS.
    """
    if repeats < MIN_REPEATS:
        raise ConfigError(
            "repeats",
            expected=f"{MIN_REPEATS} or more",
            got=str(repeats),
            remedy="give a larger number",
        )
    session = build_session(config)
    engine = session.engine
    assert isinstance(engine, MotionEngine)  # its own, which shows its parts
    speech = read_audio(shipped(AVATAR_SPEECH)), read_audio(shipped(USER_SPEECH))
    stages = {"audio_features": _audio_features(engine, speech[0], repeats)}
    stages["transformer_evaluation"] = _evaluation(engine, repeats)
    stages["block_motion"], stages["block_motion_uncached"] = _blocks(
        engine.generator, config, speech, repeats
    )
    stages |= _images(session, repeats)
    stages["end_to_end_block"] = _end_to_end(session, speech, repeats)
    frames = engine.config.block_frames
    block_ms = frames * 1000.0 / FRAME_RATE_HZ
    real_time = round(block_ms / stages["end_to_end_block"]["median"], 2)
    live = {}
    if reaction_s > 0 and real_time > 1.0:
        live["reaction"] = measure_reaction(
            session, user_faces(session), speech, reaction_s, on_warning, config.live
        )
    session.close()
    return {
        "preset": config.preset,
        "evaluations": config.sampling.nfe,
        "guidance_rows": len(engine.sampler.rows),
        "block_frames": frames,
        "image_size_px": session.codec.image_size_px,
        "machine": machine(),
        "repeats": repeats,
        "stages_ms": stages,
        **live,
        "real_time_factor": real_time,
        "uncached_to_cached_ratio": round(
            stages["block_motion_uncached"]["median"] / stages["block_motion"]["median"], 2
        ),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0, 1),
    }


def as_table(metrics: Mapping[str, Any]) -> str:
    """The metrics for a person to read."""
    lines = [f"{'stage':<26}{'median':>10}{'p95':>10}{'p99':>10}   ms"]
    for name, row in metrics["stages_ms"].items():
        lines.append(f"{name:<26}{row['median']:>10.2f}{row['p95']:>10.2f}{row['p99']:>10.2f}")
    machine = metrics["machine"]
    lines += [
        "",
        f"real-time factor {metrics['real_time_factor']} (end to end, tracking and drawing)",
        f"without cache a block takes {metrics['uncached_to_cached_ratio']} times as long",
        f"peak memory {metrics['peak_memory_mb']} MB; {machine['threads']} threads of "
        f"{machine['cpu']}; {metrics['evaluations']} evaluations, "
        f"{metrics['guidance_rows']} guidance row(s), blocks of {metrics['block_frames']} frames",
    ]
    if "reaction" in metrics:
        lines += ["", reaction_table(metrics["reaction"])]
    return "\n".join(lines)


def _times(work: Callable[[int], object], repeats: int, name: str) -> Percentiles:
    """Median, p95 and p99 of `work` (called with 0, 1, …) in milliseconds."""
    taken = []
    for i in tqdm(range(repeats), desc=name, leave=False, disable=None):
        started = time.perf_counter()
        work(i)
        taken.append((time.perf_counter() - started) * 1000.0)
    return percentiles(taken, P99, digits=3)


def speech_of_block(speech: Audio, block: int, frames: int) -> Audio:
    """Block number `block` of `speech`, from the start again at its end: ``[640 frames]``."""
    count = frames * SAMPLE_RATE_HZ // FRAME_RATE_HZ
    return np.take(speech, np.arange(block * count, (block + 1) * count), mode="wrap")


@torch.inference_mode()
def _audio_features(engine: MotionEngine, speech: Audio, repeats: int) -> Percentiles:
    window, frames = new_audio_window(engine.config), engine.config.block_frames
    mean = engine.generator.motion_mean

    def work(i: int) -> None:
        mel = window.push(speech_of_block(speech, i, frames))
        engine.generator.audio_encoder(torch.from_numpy(mel)[None].to(mean)).cpu()

    _times(work, WARM_UP_BLOCKS, "warm-up")
    return _times(work, repeats, "audio features")


def fresh_state(engine: MotionEngine, speech: Speech) -> tuple[StreamState, BlockInput]:
    """A conversation whose cache is full, and the input of a block."""
    state = engine.new_state()
    rest = np.zeros(engine.config.motion_dim, np.float32)
    for k in range(WARM_UP_BLOCKS):
        frames = engine.frames(state)
        avatar, user = (speech_of_block(each, k, frames) for each in speech)
        inputs = BlockInput(avatar, user, np.tile(rest, (frames, 1)))
        engine.step(state, inputs)
    return state, inputs


@torch.inference_mode()
def _evaluation(engine: MotionEngine, repeats: int) -> Percentiles:
    """One pass of the transformer over context and block with a full cache."""
    silence = np.zeros(SAMPLE_RATE_HZ, np.float32)
    state, _ = fresh_state(engine, (silence, silence))
    config, rows = engine.config, len(engine.sampler.rows)
    tokens = config.block_frames + config.context_frames
    reference = state.reference.expand(rows, -1)
    x = torch.randn(rows, tokens, config.motion_dim).to(reference)
    timestep = torch.full((rows, tokens), 500.0).to(reference)
    condition = torch.randn(rows, tokens, config.hidden_dim).to(reference)
    past = state.motion.cache.peek()

    def work(i: int) -> None:
        velocity, _ = engine.generator.flow_transformer(x, timestep, reference, condition, past)
        velocity.cpu()  # waits for a device that works on its own

    return _times(work, repeats, "transformer")


def _blocks(
    generator: MotionGenerator, config: AvatarConfig, speech: Speech, repeats: int
) -> tuple[Percentiles, Percentiles]:
    """A block's motion with the cache and without; the two take turns, so both see one machine."""
    compute_ms: list[list[float]] = [[], []]
    runs = []
    for cached in (True, False):
        engine = MotionEngine(
            generator, config.sampling, anchor=config.anchor, cached=cached, record=recorded
        )
        runs.append((engine, *fresh_state(engine, speech)))
    for _ in tqdm(range(repeats), desc="block", leave=False, disable=None):
        for taken, (engine, state, inputs) in zip(compute_ms, runs, strict=True):
            taken.append(engine.step(state, inputs).compute_s * 1000.0)
    with_cache, without = (percentiles(taken, P99, digits=3) for taken in compute_ms)
    return with_cache, without


def _images(session: Session, repeats: int) -> dict[str, Percentiles]:
    """Drawing one frame, and finding the face in it again."""
    motion = moves(session, repeats)
    drawn: list[NDArray[np.uint8]] = []
    session.codec.decode(motion[:1])
    drawing = _times(
        lambda i: drawn.append(session.codec.decode(motion[i : i + 1])[0]),
        repeats,
        "renderer",
    )
    frames = [VideoFrame(_rgb(p), i * FRAME_PERIOD_NS) for i, p in enumerate(drawn)]
    session.codec.encode_user(frames[0])
    tracking = _times(lambda i: session.codec.encode_user(frames[i]), repeats, "tracker")
    session.reset()
    return {"renderer_frame": drawing, "tracker_frame": tracking}


def user_faces(session: Session) -> tuple[Image, Image]:
    """Somebody at rest and smiling; where motion has no names, at rest and moved."""
    rest = session.codec.reference
    other = moves(session, 1)[0]
    if session.engine.config.motion_space == "rig":
        other = coefficients.vector(smile_left=0.8, smile_right=0.8)
    still, smiling = _rgb(session.codec.decode(np.stack([rest, other])))
    return still, smiling


def _rgb(images: Image) -> Image:
    """`images` ``[..., C]`` as a camera takes them, without alpha."""
    return np.ascontiguousarray(images[..., :3])


def camera_image(face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`face`, which is square, in the middle of a camera's image ``[480, 640, 3]``."""
    width, height = CAMERA_PX
    side = (width - height) // 2
    square = cv2.resize(face, (height, height), interpolation=cv2.INTER_AREA)
    framed = cv2.copyMakeBorder(square, 0, 0, side, side, cv2.BORDER_REPLICATE)
    return np.asarray(framed, np.uint8)


def moves(session: Session, count: int) -> NDArray[np.float32]:
    """Motion ``[count, D]`` that wanders through half of what the motion space can show."""
    rest = session.codec.reference
    # latents have a size; coefficients rest at zero and have ranges of their own
    reach = np.abs(rest).max()
    low, high = (-reach, reach) if reach else (coefficients.LOW, coefficients.HIGH)
    places = np.random.default_rng(0).uniform(low, high, (8, len(rest))) * 0.5
    at = np.linspace(0, 7, count)
    path = [np.interp(at, np.arange(8), places[:, k]) for k in range(len(rest))]
    return (rest + np.stack(path, axis=1)).astype(np.float32)


def _end_to_end(session: Session, speech: Speech, repeats: int) -> Percentiles:
    """Audio and images of a block in, motion and frames out; the avatar's user is the avatar."""
    frames = session.engine.config.block_frames
    image = _rgb(session.codec.decode(session.codec.reference[None])[0])

    def work(i: int) -> None:
        first = session.next_frame
        stamp_ns = first * FRAME_PERIOD_NS
        for k in range(frames):
            session.push_user_frame(VideoFrame(image, (first + k) * FRAME_PERIOD_NS))
        for push, each in zip(
            (session.push_avatar_audio, session.push_user_audio), speech, strict=True
        ):
            push(AudioChunk(speech_of_block(each, i, frames), SAMPLE_RATE_HZ, stamp_ns))
        session.draw(session.next_block())

    _times(work, WARM_UP_BLOCKS, "warm-up")
    return _times(work, repeats, "end to end")


def machine() -> dict[str, Any]:
    """What computes here, and with how many threads."""
    name = platform.processor() or platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        names = [line.split(":")[1].strip() for line in info if line.startswith("model name")]
    return {
        "cpu": names[0] if names else name,
        "threads": torch.get_num_threads(),
        "opencv_threads": cv2.getNumThreads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
