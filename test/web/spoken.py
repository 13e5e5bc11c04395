"""A synthesiser whose sentences are words, and come when a test wants them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.runtime.espeak_voices import VoiceChoice
from avatar_forcing_ros.runtime.speech_synthesis import SpokenSentence, Voice
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

BAD = MediaError("voice", expected="one that speaks", got="none", remedy="choose another")


class Synthesizer:
    """Says each word of a text as a sentence of `length_s`; waits, fails where the word says so.

    "wait": until it is cancelled, or `go_on` is set; "bad": MediaError.
    """

    program = "/usr/bin/speaker"

    def __init__(self, length_s: float = 0.1) -> None:
        self.length_s = length_s
        self.begun, self.go_on, self.cancelled = (threading.Event() for _ in range(3))
        self.asked: list[tuple[str, Voice]] = []

    def is_available(self) -> bool:
        return True

    def voices(self) -> tuple[VoiceChoice, ...]:
        return (VoiceChoice("en-us", "en-US", "English (America)"), VoiceChoice("de", "de", "x"))

    def synthesize(self, text: str, voice: Voice = Voice()) -> Words:  # noqa: B008 - frozen
        self.asked.append((text, voice))
        return Words(self, text)


class Words:
    def __init__(self, owner: Synthesizer, text: str) -> None:
        self._owner, self._words, self._over = owner, iter(text.split()), False

    def __iter__(self) -> Iterator[SpokenSentence]:
        return self

    def __next__(self) -> SpokenSentence:
        word = next(self._words)
        if word == "wait":
            self._owner.begun.set()
            while not (self._over or self._owner.go_on.wait(0.01)):
                pass
        if self._over:
            raise StopIteration
        if word == "bad":
            raise BAD
        length = round(self._owner.length_s * SAMPLE_RATE_HZ)
        return SpokenSentence(word, np.full(length, 0.1, np.float32), language="en")

    def cancel(self) -> None:
        self._over = True
        self._owner.cancelled.set()
