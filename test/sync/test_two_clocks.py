"""An hour of a browser's sound and pictures, whose clocks are not ours and not each other's.

Simulated, from the packets' arrival to what blocks get: clicks in the sound and changes in the
pictures that happened at the same instant have to come to the model together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar_forcing_ros.media import AudioChunk
from avatar_forcing_ros.sync.clock_mapping import RemoteClock
from avatar_forcing_ros.sync.image_track import MotionTrack
from avatar_forcing_ros.sync.timeline import SoundTrack, missing
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, SAMPLE_RATE_HZ, frame_stamp_ns

MS = 1_000_000
HOUR_MS = 3_600_000
PACKET_MS, PICTURE_MS = 40, 80  # coarse, so that an hour is simulated in seconds
MARKER_MS = 20_000 + PICTURE_MS  # from one to the next
BLOCK, DEADLINE_MS = 3, 80
APART_MS = 20.0
# how long each takes until it is sent (a packet lasts, a picture is encoded), and its way
SOUND_WAY_MS, PICTURE_WAY_MS = 30.0, 25.0
CLICK = 0.9


def arrivals_ms(
    begin_ms: NDArray[np.float64], way_ms: float, kept: NDArray[np.bool_], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """When packets of these instants come, by a network with jitter, hold-ups and 1 % of loss."""
    rng = np.random.default_rng(seed)
    late = rng.exponential(6.0, len(begin_ms))
    held = (begin_ms % 45_000) < 300  # once in a while all of some tenths of a second comes late
    late[held & ~kept] += 120.0
    there = (rng.random(len(begin_ms)) > 0.01) | kept
    return begin_ms + way_ms + late, there


class Browser:
    """Packets ``(arrival, is a picture, number)`` in the order in which they come."""

    def __init__(self, sound_ppm: float, picture_ppm: float) -> None:
        # true instants of packets and pictures; both clocks count on in their own way
        self.sound_ms = np.arange(0, HOUR_MS, PACKET_MS) / (1 + sound_ppm / 1e6)
        self.picture_ms = np.arange(0, HOUR_MS, PICTURE_MS) / (1 + picture_ppm / 1e6)
        # markers happen when a picture is taken
        self.marked = np.arange(MARKER_MS, HOUR_MS, MARKER_MS) // PICTURE_MS
        instants_ms = self.picture_ms[self.marked]
        media_ms = instants_ms * (1 + sound_ppm / 1e6)
        self.clicks: dict[int, int] = {
            int(at // PACKET_MS): round(at % PACKET_MS * SAMPLE_RATE_HZ / 1000) for at in media_ms
        }
        heard = np.isin(np.arange(len(self.sound_ms)), list(self.clicks))
        seen = np.isin(np.arange(len(self.picture_ms)), self.marked)
        sound = arrivals_ms(self.sound_ms, SOUND_WAY_MS, heard, 1)
        picture = arrivals_ms(self.picture_ms, PICTURE_WAY_MS, seen, 2)
        packets = [(at, False, k) for k, at in enumerate(sound[0]) if sound[1][k]]
        packets += [(at, True, k) for k, at in enumerate(picture[0]) if picture[1][k]]
        self.packets = sorted(packets)

    def sound(self, number: int) -> NDArray[np.float32]:
        samples = np.full(PACKET_MS * SAMPLE_RATE_HZ // 1000, 0.01, np.float32)
        if number in self.clicks:
            samples[min(self.clicks[number], len(samples) - 1)] = CLICK
        return samples


class Avatar:
    """The timeline of a worker, without its model."""

    def __init__(self) -> None:
        self.sound, self.motion = SoundTrack(), MotionTrack(1)
        self.clocks = RemoteClock(), RemoteClock()
        self.clicks_ms: list[float] = []
        self.changes_ms: list[tuple[float, float]] = []  # stamp, and begin of the frame
        self._taken, self._value = 0, 0.0

    def come(self, browser: Browser, packet: tuple[float, bool, int], origin_ns: int) -> None:
        arrival_ms, is_picture, number = packet
        media_ms = number * (PICTURE_MS if is_picture else PACKET_MS)
        stamp_ns = self.clocks[is_picture].stamp_ns(media_ms * MS, round(arrival_ms * MS))
        if is_picture:
            changes = int(np.searchsorted(browser.marked, number, side="right"))
            self.motion.push(np.array([changes], np.float32), stamp_ns - origin_ns)
        else:
            chunk = AudioChunk(browser.sound(number), SAMPLE_RATE_HZ, stamp_ns - origin_ns)
            self.sound.push(chunk)

    def complete(self) -> bool:
        return not missing([self.sound, self.motion], self._taken, self._taken + BLOCK - 1)

    def make_block(self) -> None:
        begin_ms = self._taken * FRAME_PERIOD_NS / MS
        places = np.flatnonzero(self.sound.take(BLOCK) > CLICK / 3)
        if len(places):  # one that was stretched may take two samples
            self.clicks_ms.append(begin_ms + places[0] * 1000.0 / SAMPLE_RATE_HZ)
        for i, value in enumerate(self.motion.take(BLOCK)[:, 0]):
            stamp_ns = self.motion.taken_ns[i]
            if value > self._value and stamp_ns is not None:
                self.changes_ms.append((stamp_ns / MS, begin_ms + 40.0 * i))
            self._value = max(self._value, float(value))
        self._taken += BLOCK

    def live_through(self, browser: Browser) -> None:
        packets = iter(browser.packets)
        packet: Any = next(packets)
        origin_ns = round((packet[0] + 200.0) * MS)
        while packet:
            end_ms = (origin_ns + frame_stamp_ns(self._taken + BLOCK)) / MS
            while packet and (
                packet[0] <= end_ms or (packet[0] <= end_ms + DEADLINE_MS and not self.complete())
            ):
                self.come(browser, packet, origin_ns)
                packet = next(packets, None)
            self.make_block()


@pytest.mark.parametrize(("sound_ppm", "picture_ppm"), [(100.0, -100.0), (-100.0, 100.0)])
def test_what_happens_together_is_heard_and_seen_together_for_an_hour(
    sound_ppm: float, picture_ppm: float
) -> None:
    browser, avatar = Browser(sound_ppm, picture_ppm), Avatar()
    avatar.live_through(browser)
    count = len(browser.marked)
    assert count > 170
    assert len(avatar.clicks_ms) == len(avatar.changes_ms) == count
    stamps, frames = np.array(avatar.changes_ms).T
    clicks = np.array(avatar.clicks_ms)
    assert np.abs(clicks - stamps).max() <= APART_MS
    # and in the frames of the blocks, which last 40 ms
    assert np.all(clicks >= frames - APART_MS)
    assert np.all(clicks <= frames + 40.0 + APART_MS)
    # neither stream was torn on the way, beside what was lost or came too late
    lost = len(browser.sound_ms) * 0.02 * PACKET_MS * SAMPLE_RATE_HZ / 1000
    assert avatar.sound.filled_samples < lost
    assert avatar.sound.dropped_samples < lost
