"""The page's typed text as speech, without holding up the event loop."""

from __future__ import annotations

import asyncio

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.runtime.speech_synthesis import SpeechSynthesizer
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

MAX_TEXT_LENGTH = 1_000  # characters
MAX_SPEECH_S = 110.0


async def synthesize(synthesizer: SpeechSynthesizer, text: str) -> NDArray[np.float32]:
    """All of `text` as speech ``[n]``, 16 kHz; whoever gives up waiting ends the program.

    Raises MissingDependencyError where it is not installed, MediaError where it fails.
    """
    speech = synthesizer.synthesize(text)
    try:
        parts = []
        while (sentence := await asyncio.to_thread(next, speech, None)) is not None:
            parts.append(sentence.samples)
            if sum(map(len, parts)) > MAX_SPEECH_S * SAMPLE_RATE_HZ:
                raise MediaError(
                    "text",
                    expected=f"at most {MAX_SPEECH_S:g} s of speech",
                    got="more",
                    remedy="say it in parts",
                )
        return np.concatenate(parts)
    finally:
        speech.cancel()
