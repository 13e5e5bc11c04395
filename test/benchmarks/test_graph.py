"""The benchmark of the graph: what it counts, and one short run with everything in it."""

from __future__ import annotations

import numpy as np

from avatar_forcing_ros.benchmarks.graph import Received, run_graph_benchmark
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS


def test_a_stamp_that_does_not_arrive_is_a_loss() -> None:
    stamps = np.array([0, 1, 2, 4, 7]) * FRAME_PERIOD_NS
    arrivals = stamps + 150_000_000 + np.array([0, 0, 10, 0, 0]) * 1_000_000
    figures = Received(stamps.tolist(), arrivals.tolist()).figures(due_ms=140.0)
    assert figures["lost"] == 3
    assert figures["lost_percent"] == 37.5
    assert figures["latency_median_ms"] == 10.0
    assert figures["gap_worst_ms"] == 120.0
    assert Received([5], [9]).figures(0.0) == {"messages": 1}


def test_two_processes_listen_to_an_avatar() -> None:
    figures = run_graph_benchmark(2.0, lambda _: None)
    assert figures["rmw"].startswith("rmw_")
    assert figures["ros_distro"] != "unknown"
    reliable, best_effort = figures["subscribers"]
    assert (reliable["reliability"], best_effort["reliability"]) == ("reliable", "best_effort")
    for subscriber in (reliable, best_effort):
        assert len(subscriber["topics"]) == 4
        for topic in subscriber["topics"].values():
            assert topic["messages"] > 1
            assert topic["lost"] <= topic["messages"]  # how many depends on the machine
