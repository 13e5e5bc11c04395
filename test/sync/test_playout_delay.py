"""The playout delay: grows at once, goes back soon; a block waits for a slow microphone."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar_forcing_ros.media import AvatarFrame
from avatar_forcing_ros.sync.playout_delay import (
    HEADROOM_NS,
    KNOWN_CHUNKS,
    KNOWN_IMAGES,
    LAG_SHRINK_NS,
    MAX_WAIT_NS,
    OUT_OF_BLOCKS,
    QUIET_SHRINK_NS,
    SHRINK_NS,
    ChunkWait,
    ImageLag,
    PlayoutDelay,
)
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS

MS = 1_000_000
BLOCK = 3
USUAL_MS = 180.0


def bare_frame(number: int, block: int, level: float = 0.1) -> AvatarFrame:
    stamp_ns = number * FRAME_PERIOD_NS
    return AvatarFrame(stamp_ns, None, np.full(4, level, np.float32), block, number)


def delays_ms(
    delay: PlayoutDelay, waits_ms: NDArray[np.float64], level: float = 0.1
) -> NDArray[np.float64]:
    """The delay after every frame, for blocks whose first frame comes so long after its stamp."""
    out = []
    for block, wait_ms in enumerate(waits_ms):
        for i in range(BLOCK):
            frame = bare_frame(BLOCK * block + i, block, level)
            # drawing takes 10 ms a frame
            ready_ns = round((wait_ms - 30 * i) * MS) + frame.stamp_ns
            out.append(delay.update(frame, ready_ns) / MS)
    return np.array(out)


def waits(blocks: int, seed: int = 0) -> NDArray[np.float64]:
    """Blocks' times with the jitter of a busy machine."""
    return USUAL_MS + np.random.default_rng(seed).exponential(8.0, blocks)


@pytest.mark.parametrize(("level", "shrink_ns"), [(0.1, SHRINK_NS), (0.0, QUIET_SHRINK_NS)])
def test_it_grows_at_once_and_one_hiccup_is_over_soon(level: float, shrink_ns: int) -> None:
    times = np.full(300, USUAL_MS)
    times[100] += 300
    delay = PlayoutDelay()
    at = delays_ms(delay, times, level)
    usual = USUAL_MS + HEADROOM_NS / MS
    assert at[299] == usual
    assert at[300] == usual + 300
    assert delay.late_blocks == 1
    steps = np.diff(at[300:])
    assert -steps.min() <= shrink_ns / MS
    assert steps.max() <= 0
    assert at[300 + round(300 * MS / shrink_ns) + 1] == usual


def test_hiccups_that_come_again_and_again_are_planned_for() -> None:
    times = np.full(400, USUAL_MS)
    times[100::8] += 300
    delay = PlayoutDelay()
    at = delays_ms(delay, times)
    assert delay.late_blocks <= 8
    assert at[600:].min() > USUAL_MS + 290


@pytest.mark.parametrize("seed", range(3))
def test_few_blocks_are_late_and_the_delay_is_no_longer_than_that_takes(seed: int) -> None:
    times = waits(2500, seed)
    times[500] += 300
    delay = PlayoutDelay()
    at = delays_ms(delay, times)
    assert delay.late_blocks < 3 * len(times) / OUT_OF_BLOCKS
    high = np.percentile(times, 99) + HEADROOM_NS / MS
    assert np.percentile(at, 95) < high + 5
    assert np.sum(at > high + 30) * FRAME_PERIOD_NS / 1e9 < 3.0


def test_it_follows_a_machine_that_becomes_faster() -> None:
    times = np.concatenate((waits(200) + 100, waits(400)))
    at = delays_ms(PlayoutDelay(), times)
    assert at[500:600].min() > USUAL_MS + 100
    assert at[-1] < USUAL_MS + 50


def test_a_longer_first_block_does_not_hold_the_delay() -> None:
    delay = PlayoutDelay()
    delays = [delay.update(bare_frame(k, 0), 260 * MS) for k in range(6)]
    assert set(delays) == {delays[0]}
    for k in range(6, 126, 3):
        block = [bare_frame(k + i, k) for i in range(3)]
        delays += [delay.update(frame, block[0].stamp_ns + 140 * MS) for frame in block]
    assert delays[6] < delays[5]
    assert 140 * MS < delays[-1] < 150 * MS
    assert delay.late_blocks == 0


def test_what_was_late_before_time_was_given_up_is_forgotten() -> None:
    delay = PlayoutDelay()
    before = delays_ms(delay, np.full(20, USUAL_MS + 400))
    after = []
    for i in range(40):
        frame = bare_frame(BLOCK * 20 + 10 + i, 21 + i // BLOCK, 0.0)
        after.append(delay.update(frame, frame.stamp_ns + round(USUAL_MS * MS)) / MS)
    assert before[-1] == USUAL_MS + 400 + HEADROOM_NS / MS
    assert after[-1] == USUAL_MS + HEADROOM_NS / MS


def test_the_lag_of_images_is_what_nearly_all_of_them_have() -> None:
    lag = ImageLag(80 * MS)
    for k in range(4 * KNOWN_IMAGES):
        lag.note((20 + k % 10) * MS if k % KNOWN_IMAGES else 70 * MS)
    assert lag.lag_ns == 29 * MS
    for _ in range(KNOWN_IMAGES):
        lag.note(500 * MS)
    assert lag.lag_ns == 80 * MS  # a block waits no longer for any input
    before = lag.lag_ns
    for _ in range(2 * KNOWN_IMAGES):
        lag.note(-5 * MS)
        assert 0 <= before - lag.lag_ns <= LAG_SHRINK_NS
        before = lag.lag_ns
    assert lag.lag_ns == 0


def test_a_block_waits_for_the_maximum_of_the_newest_chunks_of_a_microphone() -> None:
    wait = ChunkWait()
    assert wait.wait_ns(80 * MS) == 80 * MS
    wait.note(4_096, 256 * MS)
    assert (wait.chunk_ns, wait.wait_ns(80 * MS)) == (256 * MS, 316 * MS)
    for _ in range(KNOWN_CHUNKS):
        wait.note(160, 10 * MS)
    assert wait.wait_ns(80 * MS) == 80 * MS
    wait.note(64_000, 4_000 * MS)
    assert wait.wait_ns(80 * MS) == MAX_WAIT_NS


def test_a_chunk_that_came_before_its_end_was_due_is_nothing_to_wait_for() -> None:
    wait = ChunkWait()
    wait.note(4_096, 100 * MS)
    assert wait.wait_ns(80 * MS) == 80 * MS
