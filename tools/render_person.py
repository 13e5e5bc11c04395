"""Render the person of the demonstration: a drawn face with known motion, as a short MP4.

Usage: python tools/render_person.py (after tools/make_demo_inputs.py)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from avatar_forcing_ros.atomic_write import atomic_write
from avatar_forcing_ros.media_files.reading import read_audio
from avatar_forcing_ros.media_files.writing import Mp4Writer
from avatar_forcing_ros.rig.warp_renderer import WarpRenderer
from avatar_forcing_ros.runtime.load import load_portrait
from avatar_forcing_ros.timebase import frames_to_samples

MODELS = Path(__file__).parent.parent / "models"
SIZE_PX = 480


def main() -> None:
    """Write ``models/demo/person.mp4`` from ``user_motion.npz`` and ``user_speech.wav``."""
    with np.load(MODELS / "demo" / "user_motion.npz") as stored:
        motion = stored["values"].astype(np.float32)  # [T, K]
    speech = read_audio(MODELS / "demo" / "user_speech.wav")
    speech = np.pad(speech, (0, max(0, frames_to_samples(len(motion)) - len(speech))))
    renderer = WarpRenderer(load_portrait(MODELS / "portraits" / "ben.png", SIZE_PX))
    with (
        atomic_write(MODELS / "demo" / "person.mp4") as part,
        Mp4Writer(part, SIZE_PX, SIZE_PX) as video,
    ):
        for i, values in enumerate(motion):
            audio = speech[frames_to_samples(i) : frames_to_samples(i + 1)]
            video.write(renderer.render(values)[None], audio)


if __name__ == "__main__":
    main()
