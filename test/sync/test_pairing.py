"""Pictures and sound put together by their stamps: order, losses, new conversations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.media import AvatarFrame
from avatar_forcing_ros.sync.pairing import FramePairs
from avatar_forcing_ros.timebase import SAMPLES_PER_FRAME, frame_stamp_ns

BEGIN_NS = 1_700_000_000_000_000_000


def stamp_ns(number: int) -> int:
    return BEGIN_NS + frame_stamp_ns(number)


def picture(number: int) -> NDArray[np.uint8]:
    return np.full((2, 2, 3), number, np.uint8)


def sound(number: int, count: int = SAMPLES_PER_FRAME) -> NDArray[np.float32]:
    return np.full(count, number / 100, np.float32)


class Bench:
    """Takes what comes out, as (number by the stamp, by the picture, by the sound)."""

    def __init__(self) -> None:
        self.out: list[tuple[int, int | None, int]] = []
        self.pairs = FramePairs(self._take)

    def _take(self, frame: AvatarFrame) -> None:
        number = round((frame.stamp_ns - BEGIN_NS) / 40e6)
        pixels = None if frame.pixels is None else int(frame.pixels[0, 0, 0])
        assert frame.audio.shape == (SAMPLES_PER_FRAME,)
        self.out.append((number, pixels, round(float(frame.audio[0]) * 100)))

    def see(self, *numbers: int) -> None:
        for number in numbers:
            self.pairs.put_picture(stamp_ns(number), picture(number))

    def hear(self, *numbers: int) -> None:
        for number in numbers:
            self.pairs.put_sound(stamp_ns(number), sound(number))


def test_halves_of_one_stamp_meet_in_any_order_of_arrival() -> None:
    bench = Bench()
    bench.hear(1)
    assert bench.out == []
    bench.see(1)
    bench.see(2)
    bench.hear(2)
    bench.hear(3, 4)
    bench.see(3, 4)
    assert bench.out == [(i, i, i) for i in (1, 2, 3, 4)]


def test_a_lost_picture_leaves_the_last_and_costs_no_waiting() -> None:
    bench = Bench()
    bench.hear(1, 2)
    bench.see(2)
    assert bench.out == [(1, None, 1), (2, 2, 2)]
    bench.see(1)  # too late
    assert (bench.pairs.missing_pictures, bench.pairs.late, len(bench.out)) == (1, 1, 2)


def test_lost_sound_is_silence() -> None:
    bench = Bench()
    bench.see(1, 2)
    bench.hear(2)
    assert bench.out == [(1, 1, 0), (2, 2, 2)]
    assert bench.pairs.missing_sounds == 1


def test_one_half_alone_goes_on_after_a_while() -> None:
    bench = Bench()
    bench.hear(1, 2, 3)
    assert bench.out == []
    bench.hear(4, 5)
    assert bench.out == [(1, None, 1), (2, None, 2)]
    assert len(bench.pairs._waiting) == 3


def test_a_new_conversation_begins_wherever_its_stamps_are() -> None:
    bench = Bench()
    bench.hear(1_000)
    bench.see(1_000)
    bench.hear(2)  # the avatar began anew, 40 s back
    bench.see(2)
    bench.see(9_000)
    bench.hear(9_000)
    assert [number for number, *_ in bench.out] == [1_000, 2, 9_000]
    assert bench.pairs.late == 0


def test_sound_of_another_length_is_made_to_fit() -> None:
    bench = Bench()
    bench.see(1, 2, 3)
    for number, count in ((1, 0), (2, 100), (3, 5_000)):
        bench.pairs.put_sound(stamp_ns(number), sound(number, count))
    assert bench.out == [(1, 1, 0), (2, 2, 2), (3, 3, 3)]


def test_pictures_that_come_more_than_a_second_late_do_not_stop_the_sound() -> None:
    bench = Bench()
    for number in range(1, 80):
        bench.hear(number)
        if number > 30:
            bench.see(number - 30)
    assert [number for number, *_ in bench.out] == [*range(1, 77)]
    assert bench.pairs.late == 49
