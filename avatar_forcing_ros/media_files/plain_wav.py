"""WAV files of 16-bit samples, which need no decoder."""

from __future__ import annotations

import io
import wave

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.media_files.reading import MAX_SAMPLES_PER_S, MIN_RATE_HZ, to_mono_16k


def decode_plain_wav(data: bytes, max_s: float) -> NDArray[np.float32] | None:
    """The audio in a WAV file of 16-bit samples, as `decode_audio` does, without its decoders.

    None where it is another file, a damaged or a longer one: no library in C sees any of it.
    """
    try:
        with wave.open(io.BytesIO(data)) as file:
            rate_hz, channels, count = file.getframerate(), file.getnchannels(), file.getnframes()
            if file.getsampwidth() != 2 or not 0 < count <= max_s * rate_hz:
                return None
            if rate_hz * channels > MAX_SAMPLES_PER_S or rate_hz < MIN_RATE_HZ:
                return None
            values = np.frombuffer(file.readframes(count), "<i2")
    except Exception:  # damaged files make that parser raise many kinds
        return None
    if len(values) != count * channels:
        return None
    samples = values.reshape(count, channels).astype(np.float32) / (1 << 15)
    return to_mono_16k(samples, rate_hz, "audio")
