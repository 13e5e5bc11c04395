"""The benchmark of the paper's model runs where there is no GPU, on a model of no size."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from tiny import TINY_LATENT

from avatar_forcing_ros.benchmarks import paper_gpu


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paper_gpu, "SMALL", TINY_LATENT)
    monkeypatch.setattr(paper_gpu, "WARM_UP_BLOCKS", 2)


@pytest.mark.usefixtures("small")
def test_it_runs_to_its_end_on_a_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.json"
    arguments = [
        "--device",
        "cpu",
        "--repeats",
        "3",
        "--max-conversations",
        "2",
        "--json",
        str(path),
    ]
    monkeypatch.setattr(sys, "argv", ["paper_gpu.py", *arguments])
    paper_gpu.main()
    report = json.loads(path.read_text())
    assert report["model"].startswith("small")
    assert (report["block_frames"], report["image_px"]) == (10, 64)
    ((way, stages),) = report["stages"].items()
    assert way == "eager float32"
    assert set(stages) == {"user frames", "audio and motion", "images", "whole block"}
    assert all(0 < stage["median_ms"] <= stage["p99_ms"] for stage in stages.values())
    assert report["work"]["gflop"] > 0
    assert report["work"]["weight_gb"] > 0
    rows = report["conversations"]
    assert [row["conversations"] for row in rows] in ([1], [1, 2])  # ends where time is up
    for row in rows:
        assert row["real_time_factor"] == round(400.0 / row["median_ms"], 2)


def test_floors_are_those_of_the_data_sheet() -> None:
    """An H200 is said to do 989e12 operations and to read 4.8e12 bytes a second."""
    floors = paper_gpu.floors({"gflop": 989.0, "weight_gb": 4.8}, "NVIDIA H200")
    assert floors == {"arithmetic_ms": 1.0, "weights_ms": 1.0}
    assert paper_gpu.floors({"gflop": 1.0, "weight_gb": 1.0}, "x86_64") is None
