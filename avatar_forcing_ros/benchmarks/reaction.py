"""How long after an image of the user the first frame comes that depends on it, in real time.

A thread plays the person: images and audio stamped with the time at which they are handed over,
as a camera and a microphone would. The avatar is that of `avatar_node`; a frame has come when its
consumer gets it, who then makes a JPEG of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.benchmarks.measures import percentiles
from avatar_forcing_ros.config import LiveConfig
from avatar_forcing_ros.media import AudioChunk, AvatarBlock, AvatarFrame, VideoFrame
from avatar_forcing_ros.node_config import JPEG_QUALITY
from avatar_forcing_ros.perception.user_motion import UserMotion
from avatar_forcing_ros.runtime.avatar import Avatar
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, SAMPLE_RATE_HZ, frame_at_ns

# 0.25 % fast: within 16 s every phase between images and blocks has been there
CAMERA_PERIOD_S = 0.0399
CHUNK_S = 0.02
SMILE_S = 1.5  # from one smile to the next, on average
WARM_UP_S = 3.0  # of the conversation that are not counted
LATE_NS = FRAME_PERIOD_NS * 3 // 2  # after the frame before: somebody could see that
MAX = ("max", 100)
PARTS = ("block_to_end", "inputs_to_come", "tracking", "generating", "drawing", "pacing")

Image = NDArray[np.uint8]
Audio = NDArray[np.float32]


@dataclass
class BlockTimes:
    """When a block was begun, and what was done until its first frame was drawn; seconds."""

    end_ns: int  # media time
    begun_ns: int
    tracking_s: float
    generating_s: float
    drawn_ns: int = 0


class _Observed(Session):
    """A session that notes what it does when."""

    def reset(self, seed: int | None = None) -> None:
        super().reset(seed)
        self.slots: dict[int, int] = {}  # id of an image's pixels -> frame that got it
        self.frames: dict[int, int] = {}  # the same by when it was taken, where tracked apart
        self.looked_at: dict[int, tuple[UserMotion, int]] = {}  # by id: motion, and of when
        self.taken_ns: dict[int, int] = {}  # when what is stamped so, on media time, was taken
        self.blocks: list[BlockTimes] = []
        self.tracking_s = 0.0

    def _track(self, frame: VideoFrame) -> None:
        started_s = time.perf_counter()
        super()._track(frame)
        self.tracking_s += time.perf_counter() - started_s
        self.slots[id(frame.pixels)] = frame_at_ns(frame.stamp_ns)

    def track(self, frame: VideoFrame) -> UserMotion:
        motion = super().track(frame)
        self.looked_at[id(motion)] = motion, frame.stamp_ns
        return motion

    def push_tracked(self, motion: UserMotion, stamp_ns: int) -> None:
        super().push_tracked(motion, stamp_ns)
        self.taken_ns[stamp_ns] = self.looked_at.pop(id(motion))[1]

    def next_block(self) -> AvatarBlock:
        begun_ns, end_ns, before_s = time.time_ns(), self.next_end_ns, self.tracking_s
        block = super().next_block()
        took_s = (time.time_ns() - begun_ns) / 1e9
        tracking_s = self.tracking_s - before_s
        for i, stamp_ns in enumerate(self.user_motion.taken_ns):
            if stamp_ns is not None:
                self.frames[self.taken_ns[stamp_ns]] = frame_at_ns(block.stamp_ns) + i
        self.blocks.append(BlockTimes(end_ns, begun_ns, tracking_s, took_s - tracking_s))
        return block

    def drawn(self, block: AvatarBlock, every: int = 1) -> Iterator[Image | None]:
        for image in super().drawn(block, every):
            mine = self.blocks[-1]
            mine.drawn_ns = mine.drawn_ns or time.time_ns()
            yield image


class _Person(threading.Thread):
    """Looks and sounds like somebody in front of the avatar, smiling at random moments."""

    def __init__(
        self, faces: tuple[Image, Image], speech: Audio, avatar: Avatar, until_s: float
    ) -> None:
        super().__init__(name="person", daemon=True)
        self._faces, self._speech, self._avatar, self._until_s = faces, speech, avatar, until_s
        self.images: list[tuple[int, Image]] = []  # when taken, and pixels of its own

    def run(self) -> None:
        random = np.random.default_rng(0)
        began_s = time.monotonic()
        image_s = began_s + random.uniform(0, CAMERA_PERIOD_S)
        chunk_s, smile_s, chunk, smiles = began_s + CHUNK_S, began_s, 0, False
        while (now_s := time.monotonic()) < began_s + self._until_s:
            if now_s < min(image_s, chunk_s):
                time.sleep(min(image_s, chunk_s) - now_s)
            elif chunk_s <= image_s:
                self._speak(chunk)
                chunk, chunk_s = chunk + 1, chunk_s + CHUNK_S
            else:
                if image_s > smile_s:
                    smiles = not smiles
                    smile_s += random.uniform(0.5, 1.5) * SMILE_S
                self._show(self._faces[smiles])
                image_s += CAMERA_PERIOD_S

    def _show(self, face: Image) -> None:
        pixels, now_ns = face[:], time.time_ns()
        self.images.append((now_ns, pixels))
        self._avatar.push_user_frame(VideoFrame(pixels, now_ns))

    def _speak(self, chunk: int) -> None:
        """A chunk is complete now, so it began a while ago."""
        count = round(CHUNK_S * SAMPLE_RATE_HZ)
        samples = np.take(self._speech, np.arange(count) + chunk * count, mode="wrap")
        stamp_ns = time.time_ns() - round(CHUNK_S * 1e9)
        self._avatar.push_user_audio(AudioChunk(samples, SAMPLE_RATE_HZ, stamp_ns))


def measure_reaction(
    session: Session,
    faces: tuple[Image, Image],
    speech: tuple[Audio, Audio],
    seconds: float,
    on_warning: Callable[[str], None],
    config: LiveConfig,
) -> dict[str, Any]:
    """Run `session` live for `seconds`; reaction times in milliseconds, and what went wrong.

    `faces` are the person's images ``[H, W, 3]`` at rest and smiling, `speech` the avatar's and
    the person's at 16 kHz. The parts of an image's reaction time add up to the whole: until
    its block's time is over, until the block's last input is there (an image that is tracked in
    another thread is there when it has been tracked), tracking that was left to do then,
    generating, drawing the first frame, and waiting for that frame's turn.
    """
    observed = _Observed(session.engine, session.codec)
    shown: list[tuple[int, AvatarFrame]] = []

    def on_frame(frame: AvatarFrame) -> None:
        shown.append((time.time_ns(), replace(frame, pixels=None)))  # images are large
        if frame.pixels is not None:
            cv2.imencode(".jpg", frame.pixels, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))

    avatar = Avatar(observed, lambda where, sentence: on_warning(sentence), now_ns=time.time_ns)
    avatar.start(on_frame, config)
    person = _Person(faces, speech[1], avatar, WARM_UP_S + seconds)
    person.start()
    avatar.push_avatar_audio(AudioChunk(speech[0], SAMPLE_RATE_HZ, time.time_ns()))
    person.join()
    status = avatar.status
    avatar.stop()
    rows = reaction_parts(observed, person.images, shown)
    counted = [at_ns for at_ns, _ in shown if at_ns > shown[0][0] + WARM_UP_S * 1e9]
    gaps_ns = np.diff(counted) if len(counted) > 1 else np.zeros(1)
    return {
        "pictures": len(rows),
        "reaction_ms": percentiles(rows.sum(axis=1), MAX),
        "parts_ms": {name: percentiles(rows[:, k], MAX) for k, name in enumerate(PARTS)},
        "fps": round(1e9 / float(gaps_ns.mean()), 2) if len(counted) > 1 else 0.0,
        "late_frames": int((gaps_ns > LATE_NS).sum()),
        "longest_gap_ms": round(float(gaps_ns.max()) / 1e6, 1),
        "late_blocks": status.late_blocks,
        "undrawn_frames": status.undrawn_frames,
        "skipped_blocks": status.skipped_blocks,
        "filled_user_frames": status.filled_user_frames,
        "dropped_user_frames": status.dropped_user_frames,
        "evaluations": status.quality.nfe if status.quality else 0,
    }


def reaction_parts(
    session: _Observed,
    images: Sequence[tuple[int, Image]],
    shown: Sequence[tuple[int, AvatarFrame]],
) -> NDArray[np.float64]:
    """The parts of every counted image's reaction time ``[n, len(PARTS)]`` in milliseconds."""
    if not shown:
        return np.zeros((0, len(PARTS)))
    origin_ns = shown[0][1].stamp_ns
    block_of = {frame_at_ns(f.stamp_ns, origin_ns): f.block_index for _, f in shown}
    came_ns = {f.block_index: at_ns for at_ns, f in reversed(shown)}  # the first of each block
    rows = []
    for taken_ns, pixels in images:
        slot = session.slots.get(id(pixels), session.frames.get(taken_ns, -1))
        index = block_of.get(slot)
        known = index is not None and index < len(session.blocks)  # else before it began anew
        if index is None or not known or taken_ns < origin_ns + WARM_UP_S * 1e9:
            continue
        block = session.blocks[index]
        drawn_ns = block.drawn_ns or block.begun_ns  # an image that was held cost nothing
        end_ns = origin_ns + block.end_ns
        computed_ns = (block.tracking_s + block.generating_s) * 1e9
        drawing_ns = max(0.0, drawn_ns - block.begun_ns - computed_ns)
        pacing_ns = came_ns[index] - block.begun_ns - computed_ns - drawing_ns
        parts = (
            end_ns - taken_ns,
            block.begun_ns - end_ns,
            block.tracking_s * 1e9,
            block.generating_s * 1e9,
            drawing_ns,
            pacing_ns,
        )
        rows.append([part / 1e6 for part in parts])
    return np.array(rows).reshape(-1, len(PARTS))


def reaction_table(metrics: dict[str, Any]) -> str:
    """The metrics for a person to read."""
    lines = [f"{'from an image to the answer':<30}{'median':>10}{'p95':>10}{'max':>10}   ms"]
    rows = {"reaction": metrics["reaction_ms"]}
    rows |= {f"  {name}": row for name, row in metrics["parts_ms"].items()}
    for name, row in rows.items():
        lines.append(f"{name:<30}{row['median']:>10.1f}{row['p95']:>10.1f}{row['max']:>10.1f}")
    lines += [
        "",
        f"{metrics['pictures']} images; {metrics['fps']} frames a second came, "
        f"{metrics['late_frames']} late (longest gap {metrics['longest_gap_ms']} ms), "
        f"{metrics['undrawn_frames']} not drawn, {metrics['skipped_blocks']} blocks given up",
    ]
    return "\n".join(lines)
