"""Recordings of people who are easy to track: grey squares whose brightness is the open jaw."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from faces import displace
from numpy.typing import NDArray

from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.media_files.reading import read_audio
from avatar_forcing_ros.perception.face_tracker import FaceObservation
from avatar_forcing_ros.perception.neutral_face import resting_face
from avatar_forcing_ros.rig import blendshapes
from avatar_forcing_ros.rig.coefficients import vector
from avatar_forcing_ros.timebase import FRAME_RATE_HZ, SAMPLE_RATE_HZ, SAMPLES_PER_FRAME

SPEECH = Path(__file__).parent / "data" / "unseen_voice.wav"
FRAMES = 200
SIDE_PX = 64
DARKEST, BRIGHTEST = 60, 240  # of a face; darker is none
WIDTH_PX = 40.0
MILLISECOND = Fraction(1, 1000)

Pixels = NDArray[np.uint8]
Audio = NDArray[np.float32]


class Talk(NamedTuple):
    """Two people who speak one after the other: `jaw` ``[2, T]`` and `audio` ``[2, 640 T]``."""

    jaw: NDArray[np.float32]
    audio: Audio


@lru_cache
def talk() -> Talk:
    """Eight seconds: the first half is spoken by a, the second by b."""
    stored = json.loads(SPEECH.with_suffix(".json").read_text(encoding="utf-8"))
    jaw = np.array(stored["jaw_open"][:FRAMES], np.float32)
    audio = read_audio(SPEECH)[: FRAMES * SAMPLES_PER_FRAME]
    first = np.arange(FRAMES) < FRAMES // 2
    turns = np.stack((first, ~first)).astype(np.float32)
    return Talk(jaw * turns, audio * turns.repeat(SAMPLES_PER_FRAME, axis=1))


def face_image(jaw: float, number: int) -> Pixels:
    """A face ``[64, 64, 3]`` with its mouth open so far; its lower half differs by `number`."""
    out = np.full((SIDE_PX, SIDE_PX, 3), DARKEST + jaw * (BRIGHTEST - DARKEST), np.uint8)
    blocks = np.random.default_rng(number).integers(0, 255, (4, 8, 1), np.uint8)
    out[SIDE_PX // 2 :] = np.kron(blocks, np.ones((8, 8, 1), np.uint8))
    return out


def face_images(jaw: Iterable[float]) -> list[Pixels]:
    """One image for each of `jaw`."""
    return [face_image(value, number) for number, value in enumerate(jaw)]


def write_video(
    path: Path,
    shown: Sequence[Pixels],
    audio: Audio,
    stamps_ms: Sequence[int] | None = None,
    audio_at_ms: int = 0,
) -> Path:
    """A video of `shown`, at 25 fps if no stamps are given, with `audio` ``[n]`` or ``[2, n]``."""
    stamps_ms = stamps_ms or [1000 * k // FRAME_RATE_HZ for k in range(len(shown))]
    layout = "stereo" if audio.ndim == 2 else "mono"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", 30, {"preset": "ultrafast", "crf": "12"})
        video.height, video.width = shown[0].shape[:2]
        video.pix_fmt, video.thread_count = "yuv420p", 1
        video.time_base = video.codec_context.time_base = MILLISECOND
        speech = container.add_stream("aac", SAMPLE_RATE_HZ, layout=layout)
        for pixels, stamp_ms in zip(shown, stamps_ms, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = stamp_ms, MILLISECOND
            container.mux(video.encode(frame))
        samples = np.ascontiguousarray(np.atleast_2d(audio), np.float32)
        chunk = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
        chunk.sample_rate, chunk.pts = SAMPLE_RATE_HZ, audio_at_ms * SAMPLE_RATE_HZ // 1000
        chunk.time_base = Fraction(1, SAMPLE_RATE_HZ)
        for stream, packet in ((speech, chunk), (speech, None), (video, None)):
            container.mux(stream.encode(packet))
    return path


def write_pair(
    folder: Path, name: str = "talk", *, frames: int = FRAMES, swapped: bool = False
) -> None:
    """`talk` as two videos, each with its own audio or, `swapped`, with the other's."""
    for k, who in enumerate("ab"):
        audio = talk().audio[1 - k if swapped else k, : frames * SAMPLES_PER_FRAME]
        write_video(folder / f"{name}_{who}.mp4", face_images(talk().jaw[k, :frames]), audio)


class ToyTracker:
    """A face tracker for such images; `made` counts how many there were."""

    made = 0

    def __init__(self) -> None:
        type(self).made += 1

    def track(self, frame: VideoFrame) -> FaceObservation | None:
        """A face whose jaw is as open as the image is bright; none in the dark."""
        bright = float(frame.pixels[: SIDE_PX // 2 - 4].mean())
        if bright < DARKEST / 2:
            return None
        jaw = np.clip((bright - DARKEST) / (BRIGHTEST - DARKEST), 0.0, 1.0)
        return FaceObservation(_landmarks(float(jaw)), frame.stamp_ns)

    def close(self) -> None:
        """Nothing to give back."""


@lru_cache
def _rest() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    middle = [SIDE_PX / 2, SIDE_PX / 2, 0.0]
    rest = (resting_face() * WIDTH_PX + middle).astype(np.float32)
    return rest, blendshapes.displacement_basis(rest)


def _landmarks(jaw: float) -> NDArray[np.float32]:
    return displace(*_rest(), vector(jaw_open=jaw)[6:])
