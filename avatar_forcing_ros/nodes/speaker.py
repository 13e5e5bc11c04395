"""The robot's speaker: an output stream that asks for audio when it needs some.

``sounddevice`` (the extra ``display``) and its PortAudio library are optional.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MissingDependencyError, OutputError
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

Samples = NDArray[np.float32]
# (local time in ns at which the first sample is played, number of samples) → samples, 16 kHz
Pull = Callable[[int, int], Samples]

_BLOCK_S = 0.02
_LATENCY_S = 0.06  # Python's callbacks may be held up for some tens of milliseconds
_REMEDY = "connect a sound card, choose one by speaker_device, or set speaker:=false"


class Speaker:
    """A sound card; `device` is part of a name, or a number, or empty for the default.

    Raises MissingDependencyError without sounddevice or PortAudio, OutputError without a card
    that can be opened.
    """

    def __init__(self, device: str = "") -> None:
        sd = _sounddevice()
        chosen = int(device) if device.isdecimal() else device or None
        try:
            self._rate_hz = SAMPLE_RATE_HZ
            self._stream = self._open(sd, chosen)
        except (sd.PortAudioError, ValueError) as first:
            # a card without a mixing service before it knows only its own rates
            try:
                self._rate_hz = round(sd.query_devices(chosen, "output")["default_samplerate"])
                self._stream = self._open(sd, chosen)
            except (sd.PortAudioError, ValueError) as error:
                raise _no_card(device, error) from first
        self.underruns = 0
        self._pull: Pull | None = None
        self._resampler: Any = None
        if self._rate_hz != SAMPLE_RATE_HZ:
            self._resampler = soxr.ResampleStream(SAMPLE_RATE_HZ, self._rate_hz, 1, "float32")
        self._ready = np.zeros(0, np.float32)  # resampled, not yet played
        self._pulled = 0  # samples asked for, 16 kHz
        self._played = 0  # samples given to the card, at its rate

    def _open(self, sd: Any, device: int | str | None) -> Any:
        return sd.OutputStream(
            samplerate=self._rate_hz,
            blocksize=round(self._rate_hz * _BLOCK_S),
            device=device,
            channels=1,
            dtype="float32",
            latency=_LATENCY_S,
            callback=self._callback,
        )

    @property
    def lead_ns(self) -> int:
        """How long before its playback audio is asked for, at most."""
        return int((self._stream.latency + 2 * _BLOCK_S) * 1e9)

    @property
    def is_running(self) -> bool:
        """Whether it asks for audio; a card that is unplugged does not."""
        return bool(self._stream.active)

    def start(self, pull: Pull) -> None:
        """Ask `pull` for audio from now on, in PortAudio's thread.

        Raises OutputError where the card cannot start.
        """
        self._pull = pull
        sd = _sounddevice()
        try:
            self._stream.start()
        except sd.PortAudioError as error:
            raise _no_card("", error) from error

    def stop(self) -> None:
        """Ask no more, and give the card back."""
        self._stream.close()

    def _callback(self, out: NDArray[np.float32], count: int, at: Any, status: Any) -> None:
        if status.output_underflow:
            self.underruns += 1
        ahead_s = at.outputBufferDacTime - at.currentTime
        if not 0 <= ahead_s < 1:  # some drivers do not report it
            ahead_s = self._stream.latency
        out[:, 0] = self._resampled(time.monotonic_ns() + int(ahead_s * 1e9), count)

    def _resampled(self, playback_ns: int, count: int) -> Samples:
        """The next `count` samples at the card's rate, played from `playback_ns` on."""
        assert self._pull is not None
        if self._resampler is None:
            return np.clip(self._pull(playback_ns, count), -1.0, 1.0)
        while len(self._ready) < count:
            # the resampler holds some back, so it asks for audio that is played later
            held_s = self._pulled / SAMPLE_RATE_HZ - self._played / self._rate_hz
            block = round(SAMPLE_RATE_HZ * _BLOCK_S)
            samples = self._pull(playback_ns + int(held_s * 1e9), block)
            self._pulled += block
            self._ready = np.concatenate((self._ready, self._resampler.resample_chunk(samples)))
        self._played += count
        samples, self._ready = self._ready[:count], self._ready[count:]
        return np.clip(samples, -1.0, 1.0)


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError as error:
        raise MissingDependencyError(
            "speaker",
            expected="the package sounddevice",
            got=str(error),
            remedy="pip install 'avatar_forcing_ros[display]', or set speaker:=false",
        ) from error
    except OSError as error:  # the package is there, the library that it wraps is not
        raise MissingDependencyError(
            "speaker",
            expected="the library PortAudio",
            got=str(error),
            remedy="apt install libportaudio2, or set speaker:=false",
        ) from error
    return sounddevice


def _no_card(device: str, error: Exception) -> OutputError:
    return OutputError(
        "speaker",
        expected=f"a sound card {device!r}" if device else "a sound card",
        got=str(error),
        remedy=_REMEDY,
    )
