"""Made-up conversations for tests of learning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from avatar_forcing_ros.rig.coefficients import COUNT

FRAMES = 40


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four conversations in which every frame and mel row is recognisable by its value."""
    rng = np.random.default_rng(0)
    for split, seed in (("train", 0), ("train", 1), ("train", 2), ("valid", 1_000_000)):
        rows = np.arange(4 * FRAMES, dtype=np.float16)[:, None].repeat(80, 1) / 100
        motion = rng.standard_normal((FRAMES, COUNT)).astype(np.float32)
        motion[:, 0] = np.arange(FRAMES)
        np.savez(
            tmp_path / f"{split}-{seed:07d}.npz",
            avatar_mel=rows,
            user_mel=-rows,
            avatar_motion=motion,
            user_motion=motion + 100,
            reference=np.zeros(COUNT, np.float32),
        )
    return tmp_path
