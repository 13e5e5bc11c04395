"""Protects what the sound card gets, with a stand-in for sounddevice that is driven by hand."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MissingDependencyError, OutputError
from avatar_forcing_ros.nodes.speaker import Speaker


class PortAudioError(Exception):
    """As sounddevice names it."""


class Stream:
    """One opened stream; `play` is what the card does."""

    latency = 0.05

    def __init__(self, **options: Any) -> None:
        self.options, self.active = options, False

    def start(self) -> None:
        self.active = True

    def close(self) -> None:
        self.active = False

    def play(self, count: int, ahead_s: float = 0.05, underflow: bool = False) -> Any:
        out = np.full((count, 1), np.nan, np.float32)
        at = SimpleNamespace(outputBufferDacTime=7.0 + ahead_s, currentTime=7.0)
        self.options["callback"](out, count, at, SimpleNamespace(output_underflow=underflow))
        return out[:, 0]


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Stream]]:
    """Puts a card in that knows some rates only; returns the list of what is opened."""

    def insert(*rates_hz: int) -> list[Stream]:
        opened: list[Stream] = []

        def open_stream(**options: Any) -> Stream:
            if options["samplerate"] not in rates_hz:
                raise PortAudioError("Invalid sample rate")
            opened.append(Stream(**options))
            return opened[-1]

        def query(device: object, kind: str) -> dict[str, float]:
            if not rates_hz:
                raise PortAudioError("no default output device")
            return {"default_samplerate": float(rates_hz[0])}

        module = ModuleType("sounddevice")
        vars(module).update(
            PortAudioError=PortAudioError, OutputStream=open_stream, query_devices=query
        )
        monkeypatch.setitem(sys.modules, "sounddevice", module)
        return opened

    return insert


class Tone:
    """A 200 Hz tone by the time at which it is played, and what was asked of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def __call__(self, playback_ns: int, count: int) -> NDArray[np.float32]:
        place = sum(before for _, before in self.asked) + np.arange(count)
        self.asked.append((playback_ns, count))
        return (1.2 * np.sin(2 * np.pi * 200 * place / 16_000)).astype(np.float32)


def test_blocks_are_pulled_for_the_time_they_are_heard(
    card: Callable[..., list[Stream]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.monotonic_ns", lambda: 1_000_000_000)
    opened = card(16_000)
    speaker, tone = Speaker("7"), Tone()
    assert opened[0].options["device"] == 7
    assert not speaker.is_running
    speaker.start(tone)
    assert speaker.is_running
    played = opened[0].play(320, ahead_s=0.05)
    opened[0].play(320, ahead_s=-1.0, underflow=True)  # a driver that does not report it
    assert [count for _, count in tone.asked] == [320, 320]
    assert [due for due, _ in tone.asked] == pytest.approx([1.05e9, 1.05e9], abs=1000)
    assert np.abs(played).max() == 1.0
    assert speaker.underruns == 1
    assert speaker.lead_ns == 90_000_000
    speaker.stop()
    assert not speaker.is_running


def test_a_card_of_another_rate_is_resampled_for_and_stays_in_time(
    card: Callable[..., list[Stream]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = 1_000_000_000
    monkeypatch.setattr("time.monotonic_ns", lambda: now_ns)
    opened = card(48_000)
    speaker, tone = Speaker(), Tone()
    speaker.start(tone)
    played = []
    for _ in range(50):
        played.append(opened[0].play(960))
        now_ns += 20_000_000
    # audio is asked for by the time at which it is played, whatever the resampler holds back
    playback_ns = np.array([due for due, _ in tone.asked])
    assert np.abs(playback_ns - (1_050_000_000 + np.arange(len(playback_ns)) * 20e6)).max() < 1e5
    audio = np.concatenate(played)[4_800:]
    expected = np.clip(
        1.2 * np.sin(2 * np.pi * 200 * (4_800 + np.arange(len(audio))) / 48_000), -1, 1
    )
    assert np.abs(audio - expected).max() < 0.05


def test_no_card_and_no_library_are_different_errors(
    card: Callable[..., list[Stream]], monkeypatch: pytest.MonkeyPatch
) -> None:
    card()
    with pytest.raises(OutputError, match="sound card 'usb'"):
        Speaker("usb")
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MissingDependencyError, match=r"\[display\]"):
        Speaker()


def test_the_package_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        """sounddevice raises OSError while it is imported where PortAudio is missing."""

        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(MissingDependencyError, match="libportaudio2"):
        Speaker()
