"""The page's typed text becomes speech beside the event loop, by the shared synthesiser."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.runtime.speech_synthesis import SpokenSentence, Voice
from avatar_forcing_ros.web import speech


class Spoken:
    """Sentences of one second; with `hangs` the second one comes when it is cancelled."""

    def __init__(self, count: int, *, hangs: bool = False) -> None:
        self._left, self._hangs = count, hangs
        self.begun, self.cancelled = threading.Event(), threading.Event()

    def is_available(self) -> bool:
        return True

    def synthesize(self, text: str, voice: Voice | None = None) -> Spoken:
        return self

    def __iter__(self) -> Iterator[SpokenSentence]:
        return self

    def __next__(self) -> SpokenSentence:
        if not self._left:
            raise StopIteration
        self._left -= 1
        if self._hangs:
            self.begun.set()
            assert self.cancelled.wait(60)
        return SpokenSentence("hello", np.full(16_000, 0.1, np.float32))

    def cancel(self) -> None:
        self.cancelled.set()


def test_all_sentences_are_one_piece_of_speech() -> None:
    assert len(asyncio.run(speech.synthesize(Spoken(3), "hello"))) == 48_000
    with pytest.raises(MediaError, match="at most 110 s"):
        asyncio.run(speech.synthesize(Spoken(200), "hello"))


def test_who_gives_up_waiting_ends_the_program() -> None:
    hanging = Spoken(2, hangs=True)

    async def give_up() -> None:
        asked = asyncio.ensure_future(speech.synthesize(hanging, "hello"))
        assert await asyncio.to_thread(hanging.begun.wait, 60)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked

    asyncio.run(give_up())
    assert hanging.cancelled.is_set()
