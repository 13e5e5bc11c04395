"""Images and audio put together by their stamps: order, losses, new conversations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.media import AvatarFrame
from avatar_forcing_ros.sync.pairing import FramePairer
from avatar_forcing_ros.timebase import SAMPLES_PER_FRAME, frame_stamp_ns

BEGIN_NS = 1_700_000_000_000_000_000


def stamp_ns(number: int) -> int:
    return BEGIN_NS + frame_stamp_ns(number)


def image(number: int) -> NDArray[np.uint8]:
    return np.full((2, 2, 3), number % 256, np.uint8)


def audio(number: int, count: int = SAMPLES_PER_FRAME) -> NDArray[np.float32]:
    return np.full(count, number / 100, np.float32)


class Receiver:
    """Takes what comes out, as (number by the stamp, by the image, by the audio)."""

    def __init__(self) -> None:
        self.out: list[tuple[int, int | None, int]] = []
        self.pairer = FramePairer(self._take)

    def _take(self, frame: AvatarFrame) -> None:
        number = round((frame.stamp_ns - BEGIN_NS) / 40e6)
        pixels = None if frame.pixels is None else int(frame.pixels[0, 0, 0])
        assert frame.audio.shape == (SAMPLES_PER_FRAME,)
        self.out.append((number, pixels, round(float(frame.audio[0]) * 100)))

    def push_images(self, *numbers: int) -> None:
        for number in numbers:
            self.pairer.push_image(stamp_ns(number), image(number))

    def push_audio(self, *numbers: int) -> None:
        for number in numbers:
            self.pairer.push_audio(stamp_ns(number), audio(number))


def test_halves_of_one_stamp_meet_in_any_order_of_arrival() -> None:
    receiver = Receiver()
    receiver.push_audio(1)
    assert receiver.out == []
    receiver.push_images(1)
    receiver.push_images(2)
    receiver.push_audio(2)
    receiver.push_audio(3, 4)
    receiver.push_images(3, 4)
    assert receiver.out == [(i, i, i) for i in (1, 2, 3, 4)]


def test_a_lost_image_leaves_the_last_and_costs_no_waiting() -> None:
    receiver = Receiver()
    receiver.push_audio(1, 2)
    receiver.push_images(2)
    assert receiver.out == [(1, None, 1), (2, 2, 2)]
    receiver.push_images(1)  # too late
    assert (receiver.pairer.missing_images, receiver.pairer.late, len(receiver.out)) == (1, 1, 2)


def test_lost_audio_is_silence() -> None:
    receiver = Receiver()
    receiver.push_images(1, 2)
    receiver.push_audio(2)
    assert receiver.out == [(1, 1, 0), (2, 2, 2)]
    assert receiver.pairer.missing_audio == 1


def test_one_half_alone_goes_on_after_a_while() -> None:
    receiver = Receiver()
    receiver.push_audio(1, 2, 3)
    assert receiver.out == []
    receiver.push_audio(4, 5)
    assert receiver.out == [(1, None, 1), (2, None, 2)]
    receiver.push_images(3, 4, 5)  # the others still waited
    assert receiver.out[2:] == [(3, 3, 3), (4, 4, 4), (5, 5, 5)]


def test_a_new_conversation_begins_wherever_its_stamps_are() -> None:
    receiver = Receiver()
    receiver.push_audio(1_000)
    receiver.push_images(1_000)
    receiver.push_audio(2)  # the avatar began anew, 40 s back
    receiver.push_images(2)
    receiver.push_images(9_000)
    receiver.push_audio(9_000)
    assert [number for number, *_ in receiver.out] == [1_000, 2, 9_000]
    assert receiver.pairer.late == 0


def test_audio_of_another_length_is_made_to_fit() -> None:
    receiver = Receiver()
    receiver.push_images(1, 2, 3)
    for number, count in ((1, 0), (2, 100), (3, 5_000)):
        receiver.pairer.push_audio(stamp_ns(number), audio(number, count))
    assert receiver.out == [(1, 1, 0), (2, 2, 2), (3, 3, 3)]


def test_images_that_come_more_than_a_second_late_do_not_stop_the_audio() -> None:
    receiver = Receiver()
    for number in range(1, 80):
        receiver.push_audio(number)
        if number > 30:
            receiver.push_images(number - 30)
    assert [number for number, *_ in receiver.out] == [*range(1, 77)]
    assert receiver.pairer.late == 49
