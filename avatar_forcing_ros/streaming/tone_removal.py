"""What is surely no speech taken out of it: direct current, mains hum, beeps, whistles.

Causal; the states are immutable values. Clean speech passes unchanged but for what is below 75 Hz.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.model.audio_encoders import FFT_SAMPLES, HOP_SAMPLES
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

HIGH_PASS_HZ = 75.0
_SECTION_QUALITIES = (0.5411961, 1.3065630)  # Butterworth, fourth order
_STATES = 2 * len(_SECTION_QUALITIES)
_NOTHING = 1e-15  # far below any sound: denormal numbers are slow


@dataclass(frozen=True)
class HighPass:
    """A Butterworth high-pass of fourth order at 75 Hz, between two samples."""

    state: NDArray[np.float64] = field(default_factory=lambda: np.zeros(_STATES))

    def apply(self, samples: NDArray[np.float32]) -> tuple[NDArray[np.float32], HighPass]:
        """Filtered samples ``[160 n]``, and the filter after them."""
        step, state = _high_pass_step(), self.state
        out = np.empty(len(samples), np.float32)
        for first in range(0, len(samples), HOP_SAMPLES):
            hop = slice(first, first + HOP_SAMPLES)
            made = step @ np.concatenate((state, samples[hop]))
            out[hop], state = made[_STATES:], made[:_STATES]
            state = np.where(np.abs(state) < _NOTHING, 0.0, state)
        return out, HighPass(state)


@lru_cache(maxsize=1)
def _high_pass_step() -> NDArray[np.float64]:
    """(state, input) to (state, output) over one hop: the filter as a matrix ``[164, 164]``."""
    units = np.eye(_STATES + HOP_SAMPLES)
    return _high_pass_by_sample(units[:, :_STATES].T, units[:, _STATES:].T)


def _high_pass_by_sample(
    states: NDArray[np.float64], samples: NDArray[np.float64]
) -> NDArray[np.float64]:
    """States ``[4, N]`` and outputs ``[n, N]`` after samples ``[n, N]``, of N filters at once."""
    angle = 2.0 * math.pi * HIGH_PASS_HZ / SAMPLE_RATE_HZ
    after, out = states.copy(), samples.copy()
    for k, quality in enumerate(_SECTION_QUALITIES):
        # the high-pass of the Audio EQ Cookbook (Bristow-Johnson), transposed direct form II
        alpha, cosine = math.sin(angle) / (2.0 * quality), math.cos(angle)
        b = np.array([0.5, -1.0, 0.5]) * (1.0 + cosine) / (1.0 + alpha)
        a1, a2 = -2.0 * cosine / (1.0 + alpha), (1.0 - alpha) / (1.0 + alpha)
        one, two = after[2 * k], after[2 * k + 1]
        for i, given in enumerate(out.copy()):
            out[i] = b[0] * given + one
            one, two = b[1] * given - a1 * out[i] + two, b[2] * given - a2 * out[i]
        after[2 * k], after[2 * k + 1] = one, two
    return np.concatenate((after, out))


BINS = FFT_SAMPLES // 2 + 1
LAG_HOPS = 10
"""100 ms: whole periods of 50 and of 60 Hz, so that hum comes back in phase, harmonics and all.
A voice's pitch and mouth have moved its phases anywhere by then."""
_MEMORY_HOPS = 10.0
_STEADY = (0.75, 0.95)  # squared phase locking: from here on some, from here on all is removed
_KNOWN_MARGIN = 1.5  # a known tone's power varies: harmonics of hum beat within a bin
_KNOWN_FADE_HOPS = 300.0  # for so long it is known while speech covers it
_LOBE_BINS = 3  # of a tone's window, to either side of its peak
_SINGLE_SHARE = 0.99  # of all power in one such lobe
_SINGLE_HOPS = 8  # a voice has it for 60 ms at most, and quietly: behind closed lips


@dataclass(frozen=True)
class ToneRemoval:
    """Finds tones in a spectrum by what speech never does.

    *Steady* tones keep their phases over 100 ms, for a third of a second and more: hum, chords.
    What they had of power is known for some seconds, so they do not come back between words.
    A *single* tone holds all of the power for 80 ms and more: a beep, a whistle.
    """

    phases: NDArray[np.complex64] = field(
        default_factory=lambda: np.zeros((LAG_HOPS, BINS), np.complex64)
    )
    locking: NDArray[np.complex64] = field(default_factory=lambda: np.zeros(BINS, np.complex64))
    known: NDArray[np.float32] = field(default_factory=lambda: np.zeros(BINS, np.float32))
    single_hops: int = 0

    def apply(
        self,
        spectrum: NDArray[np.complex64],
        power: NDArray[np.float32],
        loud: float,
    ) -> tuple[NDArray[np.float32], ToneRemoval]:
        """What of `power` ``[n, 257]``, that of `spectrum`, is no tone, and the state after it.

        n is at most 10 hops. Single tones are looked for in hops of more power than `loud`.
        """
        recent = np.concatenate((self.phases, spectrum / np.sqrt(power + np.float32(1e-20))))
        advance = recent[LAG_HOPS:] * recent[: len(power)].conj()  # [n, 257]
        locking = _averaging(len(power)) @ np.concatenate((self.locking[None], advance))
        steady = locking.real**2 + locking.imag**2
        some, all_ = _STEADY
        kept = power * ((all_ - steady) / np.float32(all_ - some)).clip(0.0, 1.0)
        fade = np.float32(math.exp(-len(power) / _KNOWN_FADE_HOPS))
        sure = power.max(axis=0) * (steady.min(axis=0) > all_)
        known = np.maximum(self.known * fade, sure)
        kept = np.minimum(kept, (power - np.float32(_KNOWN_MARGIN) * known).clip(0.0))
        single_hops = self.single_hops
        for i, is_single in enumerate(_single_tones(power, loud)):
            single_hops = single_hops + 1 if is_single else 0
            if single_hops >= _SINGLE_HOPS:
                kept[i] = 0.0
        return kept, ToneRemoval(recent[-LAG_HOPS:], locking[-1], known, single_hops)


@lru_cache(maxsize=4)
def _averaging(hops: int) -> NDArray[np.complex64]:
    """An exponential average over hops: (the one before, new values) to ``[hops]`` new ones."""
    stay = math.exp(-1.0 / _MEMORY_HOPS)
    age = np.arange(hops)[:, None] - np.arange(hops)  # of each value at each hop
    weights = np.where(age >= 0, (1.0 - stay) * stay ** np.maximum(age, 0), 0.0)
    first = stay ** np.arange(1, hops + 1)
    return np.column_stack((first, weights)).astype(np.complex64)


def _single_tones(power: NDArray[np.float32], loud: float) -> NDArray[np.bool_]:
    """In which hops of `power` ``[n, 257]`` one tone is all that is heard: ``[n]``."""
    before = _LOBE_BINS + 1  # bins that are zero; the last sum stays for as many as are after it
    summed = np.zeros((len(power), before + power.shape[1] + _LOBE_BINS), power.dtype)
    np.cumsum(power, axis=1, out=summed[:, before:-_LOBE_BINS])
    summed[:, -_LOBE_BINS:] = summed[:, -_LOBE_BINS - 1, None]
    row, peak = np.arange(len(power)), power.argmax(axis=1)
    lobe = summed[row, peak + 2 * _LOBE_BINS + 1] - summed[row, peak]
    return (summed[:, -1] > loud) & (lobe > _SINGLE_SHARE * summed[:, -1])
