"""What another process takes of this machine, by what Linux tells of it in ``/proc``."""

from __future__ import annotations

import os
from pathlib import Path

CLOCK_TICKS_HZ = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Processor time that the process has taken so far, in seconds.

    Raises ProcessLookupError where it is gone.
    """
    words = _told(pid, "stat").rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / CLOCK_TICKS_HZ


def memory_mb(pid: int) -> float:
    """Memory that the process holds now (resident set), in MB.

    Raises ProcessLookupError where it is gone.
    """
    rows = dict(line.split(":", 1) for line in _told(pid, "status").splitlines() if ":" in line)
    if "VmRSS" not in rows:  # it has ended, and its parent has not asked how
        raise ProcessLookupError(pid)
    return round(int(rows["VmRSS"].split()[0]) / 1024.0, 1)


def _told(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ProcessLookupError(pid) from None
