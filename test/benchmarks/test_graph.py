"""Protects the benchmark of the graph: what it counts, and one short run with everything."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy")

from avatar_forcing_ros.benchmarks.graph import Received, run_graph_benchmark
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS


def test_a_stamp_that_does_not_arrive_is_a_loss() -> None:
    stamps = np.array([0, 1, 2, 4, 7]) * FRAME_PERIOD_NS
    arrivals = stamps + 150_000_000 + np.array([0, 0, 10, 0, 0]) * 1_000_000
    metrics = Received(stamps.tolist(), arrivals.tolist()).metrics(due_ms=140.0)
    assert metrics["lost"] == 3
    assert metrics["lost_percent"] == 37.5
    assert metrics["latency_median_ms"] == 10.0
    assert metrics["gap_worst_ms"] == 120.0
    assert Received([5], [9]).metrics(0.0) == {"messages": 1}


def test_two_processes_listen_to_an_avatar() -> None:
    metrics = run_graph_benchmark(2.0, lambda _: None)
    assert metrics["rmw"].startswith("rmw_")
    assert metrics["ros_distro"] != "unknown"
    reliable, best_effort = metrics["subscribers"]
    assert (reliable["reliability"], best_effort["reliability"]) == ("reliable", "best_effort")
    for subscriber in (reliable, best_effort):
        assert len(subscriber["topics"]) == 4
        for topic in subscriber["topics"].values():
            assert topic["messages"] > 1
            assert topic["lost"] <= topic["messages"]  # how many depends on the machine
