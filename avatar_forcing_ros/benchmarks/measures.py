"""What the benchmarks share: percentiles, and what a process uses, by Linux's ``/proc``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CLOCK_TICKS_HZ = os.sysconf("SC_CLK_TCK")


def percentiles(
    values: Sequence[float] | NDArray[np.float64], last: tuple[str, int], digits: int = 1
) -> dict[str, float]:
    """Median, 95th percentile and the `last` one, a name and a percentile; zeros of no values."""
    points = {"median": 50, "p95": 95, last[0]: last[1]}
    if not len(values):
        return dict.fromkeys(points, 0.0)
    found = np.percentile(values, list(points.values()))
    return {name: round(float(value), digits) for name, value in zip(points, found, strict=True)}


def cpu_s(pid: int) -> float:
    """Processor time that the process has taken so far, in seconds.

    Raises ProcessLookupError where it is gone.
    """
    words = _read(pid, "stat").rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / CLOCK_TICKS_HZ


def memory_mb(pid: int) -> float:
    """Memory that the process holds now (resident set), in MB.

    Raises ProcessLookupError where it is gone.
    """
    rows = dict(line.split(":", 1) for line in _read(pid, "status").splitlines() if ":" in line)
    if "VmRSS" not in rows:  # it has ended, and its parent has not asked how
        raise ProcessLookupError(pid)
    return round(int(rows["VmRSS"].split()[0]) / 1024.0, 1)


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ProcessLookupError(pid) from None
