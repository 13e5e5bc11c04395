"""The benchmark of the paper's model runs where there is no GPU, on a model of no size."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from tiny import TINY_LATENT

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "paper_gpu.py"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("paper_gpu", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "SMALL", TINY_LATENT)
    monkeypatch.setattr(module, "WARM_UP_BLOCKS", 2)
    return module


def test_it_runs_to_its_end_on_a_cpu(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "figures.json"
    arguments = ["--device", "cpu", "--repeats", "3", "--most", "2", "--json", str(path)]
    monkeypatch.setattr(sys, "argv", ["paper_gpu.py", *arguments])
    script.main()
    figures = json.loads(path.read_text())
    assert figures["model"].startswith("small")
    assert (figures["block_frames"], figures["picture_px"]) == (10, 64)
    ((way, stages),) = figures["stages"].items()
    assert way == "eager float32"
    assert set(stages) == {"user frames", "sound and motion", "pictures", "whole block"}
    assert all(0 < stage["median_ms"] <= stage["p99_ms"] for stage in stages.values())
    assert figures["work"]["gflop"] > 0
    assert figures["work"]["weight_gb"] > 0
    rows = figures["conversations"]
    assert [row["conversations"] for row in rows] in ([1], [1, 2])  # ends where time is up
    for row in rows:
        assert row["real_time_factor"] == round(400.0 / row["median_ms"], 2)


def test_floors_are_those_of_the_data_sheet(script: ModuleType) -> None:
    """An H200 is said to do 989e12 operations and to read 4.8e12 bytes a second."""
    floors = script.floors({"gflop": 989.0, "weight_gb": 4.8}, "NVIDIA H200")
    assert floors == {"arithmetic_ms": 1.0, "weights_ms": 1.0}
    assert script.floors({"gflop": 1.0, "weight_gb": 1.0}, "x86_64") is None
