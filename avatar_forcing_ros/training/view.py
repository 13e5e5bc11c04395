"""A conversation as a video: its faces side by side, who speaks, the sounds said, a clock."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.atomic_write import atomic_write
from avatar_forcing_ros.media_files.writing import Mp4Writer
from avatar_forcing_ros.rig.warp_renderer import WarpRenderer
from avatar_forcing_ros.timebase import FRAME_RATE_HZ, SAMPLES_PER_FRAME
from avatar_forcing_ros.training.lettering import INK, PAPER, SOFT_INK, Colour, write
from avatar_forcing_ros.training.synthetic.speech import Phoneme
from avatar_forcing_ros.training.viewed_talk import ViewedFace, ViewedTalk

Image = NDArray[np.uint8]
Renderers = Mapping[str, WarpRenderer]  # by `who`
Progress = Callable[[int, int], None]

TELLING: Colour = (23, 118, 128)
MADE: Colour = (206, 106, 36)
USER: Colour = (112, 104, 158)
_MARGIN_PX = 20
_GAP_PX = 16
_HEAD_PX = 46  # title and clock
_LABEL_PX = 26
_LINE_PX = 5  # under the face of who speaks
_TAPE_PX = 36
_TAPE_S = 1.2  # of speech that the tape shows
_FAINT: Colour = (230, 231, 230)
_WRITTEN_FRAMES = 5  # at a time


def face_colour(face: ViewedFace) -> Colour:
    """The colour that stands for a face in videos and plots."""
    return MADE if face.made else {"avatar": TELLING, "user": USER}[face.who]


def write_view(
    talk: ViewedTalk, renderers: Renderers, path: Path, progress: Progress | None = None
) -> None:
    """Write `talk` as an MP4; the sound is silence where the talk has none.

    `renderers` draw the faces of the two people, at one size. Raises OutputError if `path`
    cannot be written.
    """
    page = _empty_page(talk, renderers["avatar"].size_px)
    height, width = page.shape[:2]
    with atomic_write(path) as part, Mp4Writer(part, width, height) as writer:
        for first in range(0, talk.frames, _WRITTEN_FRAMES):
            stop = min(first + _WRITTEN_FRAMES, talk.frames)
            pictures = [_frame(talk, renderers, page, i) for i in range(first, stop)]
            heard = slice(first * SAMPLES_PER_FRAME, stop * SAMPLES_PER_FRAME)
            silence = np.zeros(heard.stop - heard.start, np.float32)
            writer.write(np.stack(pictures), silence if talk.sound is None else talk.sound[heard])
            if progress:
                progress(stop, talk.frames)


def _empty_page(talk: ViewedTalk, side_px: int) -> Image:
    """What is the same in all frames ``[H, W, 3]``, both even: H.264 wants it."""
    count = len(talk.faces)
    width = 2 * _MARGIN_PX + count * side_px + (count - 1) * _GAP_PX
    height = _HEAD_PX + _LABEL_PX + side_px + _LINE_PX + _TAPE_PX + 12
    page = np.full((height + height % 2, width + width % 2, 3), PAPER, np.uint8)
    write(page, talk.title, (_MARGIN_PX, 14), 15, INK, bold=True)
    for i, face in enumerate(talk.faces):
        left = _left_px(i, side_px)
        page[_HEAD_PX + 7 : _HEAD_PX + 16, left : left + 9] = face_colour(face)
        write(page, face.title, (left + 16, _HEAD_PX + 2), 14, SOFT_INK)
        page[_line(side_px), left : left + side_px] = _FAINT
    return page


def _frame(talk: ViewedTalk, renderers: Renderers, page: Image, index: int) -> Image:
    out = page.copy()
    now_s = (index + 0.5) / FRAME_RATE_HZ
    minutes, seconds = divmod(index / FRAME_RATE_HZ, 60.0)
    clock = f"{int(minutes)}:{seconds:05.2f}"
    write(out, clock, (out.shape[1] - _MARGIN_PX, 14), 15, SOFT_INK, "right")
    for i, face in enumerate(talk.faces):
        picture = renderers[face.who].render(face.motion[index])
        side = len(picture)
        left, top = _left_px(i, side), _HEAD_PX + _LABEL_PX
        columns = slice(left, left + side)
        out[top : top + side, columns] = picture
        speaking = talk.speaking.get(face.who)
        if speaking is not None and speaking[index]:
            out[_line(side), columns] = face_colour(face)
        below = top + side + _LINE_PX
        tape = out[below : below + _TAPE_PX, columns]
        _draw_tape(tape, talk.phonemes.get(face.who, []), now_s, face_colour(face))
    return out


def _left_px(index: int, side_px: int) -> int:
    return _MARGIN_PX + index * (side_px + _GAP_PX)


def _line(side_px: int) -> slice:
    top = _HEAD_PX + _LABEL_PX + side_px
    return slice(top, top + _LINE_PX)


def _draw_tape(strip: Image, phonemes: list[Phoneme], now_s: float, colour: Colour) -> None:
    """The sounds around `now_s`, moving left under a fixed mark; the present one stands out."""
    middle, px_per_s = strip.shape[1] // 2, strip.shape[1] / _TAPE_S
    begin_s, end_s = now_s - 0.5 * _TAPE_S, now_s + 0.5 * _TAPE_S
    first = bisect_left(phonemes, begin_s, key=lambda sound: sound[1])
    for start_s, stop_s, ipa in phonemes[first:]:
        if start_s > end_s:
            break
        now = start_s <= now_s < stop_s
        x = middle + round((0.5 * (start_s + stop_s) - now_s) * px_per_s)
        write(strip, ipa.strip("ˈˌː"), (x, 8), 15, colour if now else SOFT_INK, "centre")
        if now:
            strip[3:7, middle - 1 : middle + 1] = colour
