"""How long to wait, learnt from what came: until a frame is sent, for images, for a microphone."""

from __future__ import annotations

from collections import deque

import numpy as np

from avatar_forcing_ros.media import AvatarFrame
from avatar_forcing_ros.sync.audio_buffers import QUIET_PEAK
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, SAMPLE_RATE_HZ

HEADROOM_NS = 8_000_000
SHRINK_NS = 4_000_000  # a frame: motion is a tenth faster for a while, which nobody notices
QUIET_SHRINK_NS = 12_000_000  # of a frame without sound: the time of a glance
GAP_NS = FRAME_PERIOD_NS * 3 // 2  # between two frames' stamps
KNOWN_BLOCKS = 40
OUT_OF_BLOCKS = 20  # one may be late: it is not planned for

KNOWN_IMAGES, OUT_OF_IMAGES = 50, 25  # of which one may be late
LAG_SHRINK_NS = 2_000_000  # an image

TRANSIT_NS = 60_000_000  # on the way, and what a resampler holds back
# the avatar would answer that much later: a longer chunk keeps its holes
MAX_WAIT_NS = 1_000_000_000 + TRANSIT_NS
KNOWN_CHUNKS = 8


class PlayoutDelay:
    """How long after its stamp a frame is due, so that hardly any comes too late.

    The delay grows at once when a frame comes later than planned, and all after it keep their
    distance. It goes back as soon as the newest blocks, but for a few, needed less, and where
    nothing is heard thrice as fast: one hiccup is over after a second or some, hiccups that come
    again and again are planned for.
    """

    def __init__(self) -> None:
        self.delay_ns = 0
        self.late_blocks = 0
        self._first_block: int | None = None
        self._late_block: int | None = None  # the newest that was
        self._needed_ns: deque[int] = deque(maxlen=KNOWN_BLOCKS)
        self._newest_block: int | None = None  # that `_needed_ns` knows
        self._newest_stamp_ns: int | None = None

    def update(self, frame: AvatarFrame, ready_ns: int) -> int:
        """Note when `frame` was ready; the delay from now on.

        What blocks needed before a gap in the stamps, where time was given up, is forgotten.
        The first block may be longer than all others, so what it needed is soon forgotten.
        """
        needed_ns = ready_ns - frame.stamp_ns + HEADROOM_NS
        if self._first_block is None:
            self._first_block = self._late_block = frame.block_index
            self.delay_ns = needed_ns
        newest_ns, self._newest_stamp_ns = self._newest_stamp_ns, frame.stamp_ns
        if newest_ns is not None and frame.stamp_ns - newest_ns > GAP_NS:
            self._needed_ns.clear()
            self._newest_block = None
        if frame.block_index != self._first_block:
            self._remember(frame.block_index, needed_ns)
        if needed_ns > self.delay_ns:
            self.late_blocks += frame.block_index != self._late_block
            self._late_block = frame.block_index
            self.delay_ns = needed_ns
        elif self._needed_ns:
            planned_ns = max(needed_ns, self._planned_ns())
            quiet = np.abs(frame.audio).max(initial=0.0) < QUIET_PEAK
            shrink_ns = QUIET_SHRINK_NS if quiet else SHRINK_NS
            self.delay_ns = min(self.delay_ns, max(self.delay_ns - shrink_ns, planned_ns))
        return self.delay_ns

    def _remember(self, block: int, needed_ns: int) -> None:
        """A block needs what the slowest of its frames does."""
        if block == self._newest_block:
            needed_ns = max(self._needed_ns.pop(), needed_ns)
        self._needed_ns.append(needed_ns)
        self._newest_block = block

    def _planned_ns(self) -> int:
        """What all remembered blocks needed, but for the few that may be late."""
        return sorted(self._needed_ns)[-1 - len(self._needed_ns) // OUT_OF_BLOCKS]


class ImageLag:
    """How long after its stamp what is seen in an image of the user is known, as a rule.

    A block that waits for its last image begins a little later for each phase between the camera
    and the blocks, and its frames have to be held back for the latest of them. So what is seen is
    taken to be of when it is known, which is the same for every image.
    """

    def __init__(self, longest_ns: int) -> None:
        self._longest_ns = longest_ns
        self._recent_ns: deque[int] = deque(maxlen=KNOWN_IMAGES)
        self.lag_ns = 0

    def note(self, age_ns: int) -> None:
        """Something that was looked at at once was known `age_ns` after its stamp."""
        self._recent_ns.append(min(max(0, age_ns), self._longest_ns))
        late = len(self._recent_ns) // OUT_OF_IMAGES  # they are not planned for
        wanted_ns = sorted(self._recent_ns)[-1 - late]
        # less by less than the time between two images, whose order stays
        self.lag_ns = max(wanted_ns, self.lag_ns - LAG_SHRINK_NS)


class ChunkWait:
    """How long a block waits for a microphone that sends long chunks.

    A chunk is sent when it is full. So the last sample of a block may come a whole chunk after the
    block's end; waiting less leaves a hole in every block that the chunk's end does not meet.
    """

    def __init__(self) -> None:
        self._lengths_ns: deque[int] = deque(maxlen=KNOWN_CHUNKS)

    @property
    def chunk_ns(self) -> int:
        """The longest of the newest chunks; 0 before the first."""
        return max(self._lengths_ns, default=0)

    def note(self, samples: int, age_ns: int) -> None:
        """A chunk of `samples` at 16 kHz has come, `age_ns` after the stamp of its first.

        One that came before its end was due (a file that is sent ahead of its time, or audio
        stamped when it came) is nothing to wait for.
        """
        length_ns = samples * 1_000_000_000 // SAMPLE_RATE_HZ
        self._lengths_ns.append(length_ns if age_ns >= length_ns // 2 else 0)

    def wait_ns(self, deadline_ns: int) -> int:
        """How long after a block's end this audio is waited for, at least `deadline_ns`."""
        chunk_ns = self.chunk_ns
        return max(deadline_ns, min(chunk_ns + TRANSIT_NS, MAX_WAIT_NS) if chunk_ns else 0)
