"""The GPU session runs to its end without a GPU, and leaves a report however it ends."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny import TINY_LATENT

from avatar_forcing_ros.benchmarks import gpu_parts, gpu_session, gpu_vectors, paper_gpu
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.streaming import latent_codec


def no_coefficients(features: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.zeros((len(features), coefficients.COUNT), np.float32)


def test_every_part_leaves_something(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paper_gpu, "SMALL", TINY_LATENT)
    monkeypatch.setattr(paper_gpu, "WARM_UP_BLOCKS", 2)
    # reading coefficients off latents is not measured, and learning it takes most of the time
    monkeypatch.setattr(
        latent_codec, "fit_to_renders", lambda encoded: (no_coefficients, None, {})
    )
    path = tmp_path / "report.json"
    monkeypatch.setattr(sys, "argv", ["gpu_session.py", "--device", "cpu", "--json", str(path)])
    gpu_session.main()
    found = json.loads(path.read_text(encoding="utf-8"))
    assert list(found) == [part.name for part in gpu_session.PARTS]
    assert not [name for name, result in found.items() if "error" in result]
    assert set(found["stages"]) == {"eager float32", "eager half", "recorded half"}
    assert found["recorded is eager"] == {"images_levels": 0.0, "user_latents": 0.0, "motion": 0.0}
    assert [row["conversations"] for row in found["conversations"]] in ([1], [1, 2])
    assert len(found["conversation starts"]["compact"]) == gpu_parts.STARTS


def test_what_fails_or_comes_too_late_is_noted(tmp_path: Path) -> None:
    setting, path = gpu_parts.Setting("cpu", tmp_path), tmp_path / "report.json"

    def fail(given: gpu_parts.Setting) -> None:
        raise RuntimeError("no kernel image is available")

    report = gpu_session.Report(path, limit_s=100.0)
    report.run(gpu_session.Part("first", 1.0, fail), setting)
    report.run(gpu_session.Part("second", 1e6, fail), setting)
    report.run(gpu_session.Part("third", 1.0, lambda given: {"ms": 1.0}), setting)
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["first"] == {"error": "RuntimeError: no kernel image is available"}
    assert found["second"].startswith("left out: ")
    assert found["third"] == {"ms": 1.0}


def test_parts_together_take_no_more_than_eight_minutes() -> None:
    assert gpu_session.LIMIT_S <= 480.0
    assert sum(part.need_s for part in gpu_session.PARTS[:-1]) <= gpu_session.LIMIT_S


def test_errors_are_rms_and_the_largest() -> None:
    assert gpu_vectors.errors([1.0, -3.0], [0.0, 0.0]) == {"rms": 5.0**0.5, "most": 3.0}  # type: ignore[arg-type]
