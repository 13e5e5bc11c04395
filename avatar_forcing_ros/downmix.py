"""Several channels to one: their mean, unless they cancel each other out.

A stereo recording with one channel's polarity reversed (a cable, a balanced line that is read as
stereo, a "karaoke" mix) averages to silence. Where that is so the loudest channel is taken alone,
until the mean has been usable for a while. Decisions are made at fixed places of the stream, so
that it does not matter in what pieces it comes, and the weights glide from one to the other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WINDOW_S = 0.05  # of one decision: some pitch periods of speech
GLIDE_S = 0.02  # from one set of weights to another: a step would click
# channels that have nothing to do with each other keep 1/n of their power in the mean of n; a mean
# with less than a tenth of that is no mix of microphones
CANCELLED_SHARE = 0.1
RESTORED_SHARE = 0.5
RESTORED_WINDOWS = 20  # in a row, so that a passage in between does not make it go to and fro
SILENCE_POWER = 1e-7  # -70 dB of full scale: says nothing about the channels


class Downmix:
    """One stream's channels to mono, piece by piece."""

    def __init__(self, rate_hz: int, channels: int) -> None:
        self.channels = channels
        self._window, self._glide = round(WINDOW_S * rate_hz), round(GLIDE_S * rate_hz)
        self._mean = np.full(channels, 1 / channels, np.float32)
        self._from = self._weights = self._mean
        self._at = 0  # samples into the window
        self._power = np.zeros(channels)  # sums over the window, of each channel
        self._mean_power = 0.0
        self._restored_windows = 0
        self.cancelled = False

    def __call__(self, channels: NDArray[np.float32]) -> NDArray[np.float32]:
        """The next samples ``[n, channels]`` as mono ``[n]``; one channel stays as it is.

        Samples that are not finite stay so.
        """
        if channels.shape[1] == 1:
            return np.ascontiguousarray(channels[:, 0])
        parts, begin = [], 0
        while begin < len(channels):
            piece = channels[begin : begin + self._window - self._at]
            parts.append(self._mixed(piece))
            self._measure(piece)
            begin += len(piece)
            self._at += len(piece)
            if self._at == self._window:
                self._decide()
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def _mixed(self, piece: NDArray[np.float32]) -> NDArray[np.float32]:
        with np.errstate(invalid="ignore"):  # infinite on one side, minus infinite on the other
            if self._from is self._weights is self._mean:
                return np.asarray(piece.mean(axis=1, dtype=np.float32), np.float32)
            way = np.arange(self._at + 1, self._at + len(piece) + 1) / self._glide
            way = np.minimum(way, 1.0)[:, None]  # [n, 1]
            weights = self._from + way * (self._weights - self._from)  # [n, channels]
            used = np.where(weights == 0.0, np.float32(0), piece)  # 0 times NaN is NaN
            return np.asarray((used * weights).sum(axis=1), np.float32)

    def _measure(self, piece: NDArray[np.float32]) -> None:
        finite = np.where(np.isfinite(piece), piece, np.float32(0)).astype(np.float64)
        self._power += np.square(finite).sum(axis=0)
        self._mean_power += float(np.square(finite.mean(axis=1)).sum())

    def _decide(self) -> None:
        """At the end of a window: how the next one is mixed."""
        self._from = self._weights
        share = self._mean_power / (self._power.mean() or 1.0) * len(self._power)
        if self._power.mean() > SILENCE_POWER * self._window:
            self._restored_windows = self._restored_windows + 1 if share > RESTORED_SHARE else 0
            if share < CANCELLED_SHARE and not self.cancelled:
                self.cancelled = True
                self._weights = np.zeros_like(self._mean)
                self._weights[int(np.argmax(self._power))] = 1.0
            elif self.cancelled and self._restored_windows >= RESTORED_WINDOWS:
                self.cancelled = False
                self._weights = self._mean
        self._at, self._power, self._mean_power = 0, np.zeros_like(self._power), 0.0
