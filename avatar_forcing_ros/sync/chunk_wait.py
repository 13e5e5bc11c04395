"""How long a block waits for a microphone that sends long chunks. No clock in here.

A chunk is sent when it is full. So the last sample of a block may come a whole chunk after the
block's end, and whoever waits less has a hole in every block that the chunk's end does not meet.
"""

from __future__ import annotations

from collections import deque

from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

# on the way, and what a resampler holds back
WAY_NS = 60_000_000
# the avatar would answer that much later: a longer chunk keeps its holes
MAX_WAIT_NS = 1_000_000_000 + WAY_NS
REMEMBERED_CHUNKS = 8


class ChunkWait:
    """Learns the length of one sound's chunks."""

    def __init__(self) -> None:
        self._lengths_ns: deque[int] = deque(maxlen=REMEMBERED_CHUNKS)

    @property
    def chunk_ns(self) -> int:
        """The longest of the newest chunks; 0 before the first."""
        return max(self._lengths_ns, default=0)

    def note(self, samples: int, age_ns: int) -> None:
        """A chunk of `samples` at 16 kHz has come, `age_ns` after the stamp of its first.

        One that came before its end was due (a file that is sent ahead of its time, or a sound
        stamped when it came) is nothing to wait for.
        """
        lasts_ns = samples * 1_000_000_000 // SAMPLE_RATE_HZ
        self._lengths_ns.append(lasts_ns if age_ns >= lasts_ns // 2 else 0)

    def wait_ns(self, deadline_ns: int) -> int:
        """How long after a block's end this sound is waited for, at least `deadline_ns`."""
        return max(deadline_ns, min(self.chunk_ns + WAY_NS, MAX_WAIT_NS) if self.chunk_ns else 0)
