"""An hour of a browser's audio and images, whose clocks are not ours and not each other's.

Simulated, from the packets' arrival to what blocks get: clicks in the audio and changes in the
images that happened at the same instant have to come to the model together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar_forcing_ros.media import AudioChunk
from avatar_forcing_ros.sync.clock_mapping import RemoteClock
from avatar_forcing_ros.sync.image_track import MotionTrack
from avatar_forcing_ros.sync.timeline import AudioTrack, missing
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, SAMPLE_RATE_HZ, frame_stamp_ns

MS = 1_000_000
HOUR_MS = 3_600_000
PACKET_MS, IMAGE_MS = 40, 80  # coarse, so that an hour is simulated in seconds
MARKER_MS = 20_000 + IMAGE_MS  # from one to the next
BLOCK, DEADLINE_MS = 3, 80
APART_MS = 20.0
# how long each takes until it is sent (a packet lasts, an image is encoded), and its way
AUDIO_TRANSIT_MS, IMAGE_TRANSIT_MS = 30.0, 25.0
CLICK = 0.9


def arrivals_ms(
    begin_ms: NDArray[np.float64], transit_ms: float, kept: NDArray[np.bool_], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """When packets of these instants come, by a network with jitter, hold-ups and 1 % of loss."""
    rng = np.random.default_rng(seed)
    late = rng.exponential(6.0, len(begin_ms))
    held = (begin_ms % 45_000) < 300  # once in a while all of some tenths of a second comes late
    late[held & ~kept] += 120.0
    there = (rng.random(len(begin_ms)) > 0.01) | kept
    return begin_ms + transit_ms + late, there


class Browser:
    """Packets ``(arrival, is an image, number)`` in the order in which they come."""

    def __init__(self, audio_ppm: float, image_ppm: float) -> None:
        # true instants of packets and images; both clocks count on in their own way
        self.audio_ms = np.arange(0, HOUR_MS, PACKET_MS) / (1 + audio_ppm / 1e6)
        self.image_ms = np.arange(0, HOUR_MS, IMAGE_MS) / (1 + image_ppm / 1e6)
        # markers happen when an image is taken
        self.marked = np.arange(MARKER_MS, HOUR_MS, MARKER_MS) // IMAGE_MS
        instants_ms = self.image_ms[self.marked]
        media_ms = instants_ms * (1 + audio_ppm / 1e6)
        self.clicks: dict[int, int] = {
            int(at // PACKET_MS): round(at % PACKET_MS * SAMPLE_RATE_HZ / 1000) for at in media_ms
        }
        audible = np.isin(np.arange(len(self.audio_ms)), list(self.clicks))
        visible = np.isin(np.arange(len(self.image_ms)), self.marked)
        audio = arrivals_ms(self.audio_ms, AUDIO_TRANSIT_MS, audible, 1)
        image = arrivals_ms(self.image_ms, IMAGE_TRANSIT_MS, visible, 2)
        packets = [(at, False, k) for k, at in enumerate(audio[0]) if audio[1][k]]
        packets += [(at, True, k) for k, at in enumerate(image[0]) if image[1][k]]
        self.packets = sorted(packets)

    def audio(self, number: int) -> NDArray[np.float32]:
        samples = np.full(PACKET_MS * SAMPLE_RATE_HZ // 1000, 0.01, np.float32)
        if number in self.clicks:
            samples[min(self.clicks[number], len(samples) - 1)] = CLICK
        return samples


class Avatar:
    """The timeline of a worker, without its model."""

    def __init__(self) -> None:
        self.audio, self.motion = AudioTrack(), MotionTrack(1)
        self.clocks = RemoteClock(), RemoteClock()
        self.clicks_ms: list[float] = []
        self.changes_ms: list[tuple[float, float]] = []  # stamp, and begin of the frame
        self._taken, self._value = 0, 0.0

    def receive(self, browser: Browser, packet: tuple[float, bool, int], origin_ns: int) -> None:
        arrival_ms, is_image, number = packet
        media_ms = number * (IMAGE_MS if is_image else PACKET_MS)
        stamp_ns = self.clocks[is_image].stamp_ns(media_ms * MS, round(arrival_ms * MS))
        if is_image:
            changes = int(np.searchsorted(browser.marked, number, side="right"))
            self.motion.push(np.array([changes], np.float32), stamp_ns - origin_ns)
        else:
            chunk = AudioChunk(browser.audio(number), SAMPLE_RATE_HZ, stamp_ns - origin_ns)
            self.audio.push(chunk)

    def complete(self) -> bool:
        return not missing([self.audio, self.motion], self._taken, self._taken + BLOCK - 1)

    def make_block(self) -> None:
        begin_ms = self._taken * FRAME_PERIOD_NS / MS
        places = np.flatnonzero(self.audio.take(BLOCK) > CLICK / 3)
        if len(places):  # one that was stretched may take two samples
            self.clicks_ms.append(begin_ms + places[0] * 1000.0 / SAMPLE_RATE_HZ)
        for i, value in enumerate(self.motion.take(BLOCK)[:, 0]):
            stamp_ns = self.motion.taken_ns[i]
            if value > self._value and stamp_ns is not None:
                self.changes_ms.append((stamp_ns / MS, begin_ms + 40.0 * i))
            self._value = max(self._value, float(value))
        self._taken += BLOCK

    def run(self, browser: Browser) -> None:
        packets = iter(browser.packets)
        packet: Any = next(packets)
        origin_ns = round((packet[0] + 200.0) * MS)
        while packet:
            end_ms = (origin_ns + frame_stamp_ns(self._taken + BLOCK)) / MS
            while packet and (
                packet[0] <= end_ms or (packet[0] <= end_ms + DEADLINE_MS and not self.complete())
            ):
                self.receive(browser, packet, origin_ns)
                packet = next(packets, None)
            self.make_block()


@pytest.mark.parametrize(("audio_ppm", "image_ppm"), [(100.0, -100.0), (-100.0, 100.0)])
def test_what_happens_together_stays_together_for_an_hour(
    audio_ppm: float, image_ppm: float
) -> None:
    browser, avatar = Browser(audio_ppm, image_ppm), Avatar()
    avatar.run(browser)
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
    lost = len(browser.audio_ms) * 0.02 * PACKET_MS * SAMPLE_RATE_HZ / 1000
    assert avatar.audio.filled_samples < lost
    assert avatar.audio.dropped_samples < lost
