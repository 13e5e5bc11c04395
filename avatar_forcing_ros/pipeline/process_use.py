"""What another process takes of this machine, by what Linux tells of it in ``/proc``."""

from __future__ import annotations

import os

CLOCK_TICKS_HZ = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Processor time that the process has taken so far, in seconds."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        words = stat.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / CLOCK_TICKS_HZ


def memory_mb(pid: int) -> float:
    """Memory that the process holds now (resident set), in MB."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        rows = dict(line.split(":", 1) for line in status if ":" in line)
    return round(int(rows["VmRSS"].split()[0]) / 1024.0, 1)
