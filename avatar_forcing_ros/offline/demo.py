"""The demonstration: two sentences spoken, then a person listened to, with metrics."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from avatar_forcing_ros.config import AvatarConfig
from avatar_forcing_ros.media_files.writing import json_file
from avatar_forcing_ros.offline.render import Progress, RenderResult, read_inputs, render
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.runtime.load import build_session
from avatar_forcing_ros.timebase import FRAME_RATE_HZ, frames_to_samples
from avatar_forcing_ros.training.metrics.behaviour import (
    blinks,
    loudness,
    mouth_speech_r,
    nods,
    smile_reactions,
)

AVATAR_SPEECH = "models/demo/avatar_speech.wav"
USER_SPEECH = "models/demo/user_speech.wav"
USER_VIDEO = "models/demo/person.mp4"
SPEECH_TAIL_FRAMES = 12


def run_demo(config: AvatarConfig, folder: Path, progress: Progress) -> dict[str, Any]:
    """Render the shipped conversation to ``demo.mp4`` in `folder`; metrics in ``demo.json``."""
    inputs = read_inputs(shipped(AVATAR_SPEECH), shipped(USER_SPEECH), shipped(USER_VIDEO))
    with closing(build_session(config)) as session, json_file(folder / "demo.json") as metrics:
        video = folder / "demo.mp4"
        result = render(session, inputs, video, beside_user=True, progress=progress)
        metrics |= demo_metrics(result)
    return metrics


def demo_metrics(result: RenderResult) -> dict[str, Any]:
    """What the run measured, ready for JSON."""
    spoken = np.flatnonzero(loudness(result.avatar_audio) > -45.0)
    stop = min(result.frames, int(spoken[-1]) + SPEECH_TAIL_FRAMES) if len(spoken) else 0
    r, lag = mouth_speech_r(result.values[:stop], result.avatar_audio[: frames_to_samples(stop)])
    block_ms = np.array(result.motion_s) * 1000.0
    reactions = [
        asdict(answer) | {"delay_ms": answer.delay_ms}
        for answer in smile_reactions(result.user_values, result.values)
    ]
    reactions += [
        {"kind": "nod", "avatar_s": when}
        for when in nods(result.values)
        if when * FRAME_RATE_HZ > stop
    ]
    return {
        "frames": result.frames,
        "fps": FRAME_RATE_HZ,
        "real_time_factor": round(result.real_time_factor, 2),
        "wall_s": round(result.wall_s, 2),
        "block_compute_ms": {
            "median": round(float(np.median(block_ms)), 2),
            "p99": round(float(np.percentile(block_ms, 99)), 2),
        },
        "mouth_speech_r": round(r, 3),
        "mouth_speech_lag_frames": lag,
        "reactions": reactions,
        "blinks": len(blinks(result.values)),
        "user_face_seen_frames": result.face_found_frames,
    }
