"""Mouths at the sounds a, i, u, o, m, f: as the data tells them beside a generator's."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.rig import face_landmarks as mesh
from avatar_forcing_ros.rig.coefficients import INDEX
from avatar_forcing_ros.rig.warp_renderer import WarpRenderer
from avatar_forcing_ros.timebase import FRAME_RATE_HZ
from avatar_forcing_ros.training.lettering import INK, PAPER, SOFT_INK, write
from avatar_forcing_ros.training.synthetic.speech import Phoneme
from avatar_forcing_ros.training.synthetic.visemes import sounds_of
from avatar_forcing_ros.training.view import face_colour
from avatar_forcing_ros.training.viewed_talk import Motion, ViewedFace, ViewedTalk

Image = NDArray[np.uint8]

SOUNDS: dict[str, str] = {"a": "ɑa", "i": "i", "u": "u", "o": "oɔ", "m": "m", "f": "f"}
EXAMPLES = 3
_SHOWN = ("jaw_open", "lips_close", "mouth_wide", "mouth_pucker")
_TILE_PX = (150, 118)  # width, height
_GAP_PX, _MARGIN_PX, _LABEL_PX, _TITLE_PX = 4, 28, 92, 84
_VALUES_PX = 24  # under each tile of means
_GROUP_GAP_PX = 30
_HIDDEN = ("blink_left", "blink_right", "gaze_x", "gaze_y")


def phoneme_sheet(talk: ViewedTalk, renderer: WarpRenderer) -> Image:
    """The page ``[H, W, 3]`` uint8 RGB: a row for each sound, for each avatar a group of tiles.

    The first tile of a group has the mean of the face's coefficients at the middle of the sound,
    over all its occurrences, the others show single ones; the head looks ahead in all of them.
    Raises MediaError for a talk whose sounds are not known.
    """
    if not talk.phonemes:
        raise MediaError(
            "mouth shapes",
            expected="a generated conversation, whose sounds are known",
            got=talk.title,
            remedy="give a seed instead of a file",
        )
    avatars = [face for face in talk.faces if face.who == "avatar"]
    row_px = _TILE_PX[1] + _VALUES_PX
    height = _TITLE_PX + len(SOUNDS) * row_px + _MARGIN_PX
    width = _group_left(len(avatars)) - _GROUP_GAP_PX + _MARGIN_PX
    page = np.full((height, width, 3), PAPER, np.uint8)
    write(page, f"{talk.title}: mouth shapes", (_MARGIN_PX, 20), 18, INK, bold=True)
    for g, face in enumerate(avatars):
        _head(page, face, _group_left(g))
    for k, (name, letters) in enumerate(SOUNDS.items()):
        top = _TITLE_PX + k * row_px
        row = page[top : top + row_px]
        frames = sound_frames(talk.phonemes["avatar"], letters, talk.frames)
        write(row, name, (_MARGIN_PX, 34), 26, INK, bold=True)
        write(row, f"{len(frames)} x", (_MARGIN_PX, 68), 12, SOFT_INK)
        if not frames:
            write(row, "not said", (_group_left(0), 48), 12, SOFT_INK)
            continue
        for g, face in enumerate(avatars):
            _draw_group(row, _group_left(g), face.motion[frames], renderer)
    return page


def sound_frames(phonemes: list[Phoneme], letters: str, frames: int) -> list[int]:
    """The frames, of `frames`, at the middle of each sound of `letters`.

    Of a diphthong, or what else is written as several sounds, only the first one counts.
    """
    out = []
    for start_s, end_s, ipa in phonemes:
        sounds = sounds_of(ipa)
        if sounds and sounds[0] in letters:
            out.append(int((start_s + 0.5 * (end_s - start_s) / len(sounds)) * FRAME_RATE_HZ))
    return [frame for frame in out if 0 <= frame < frames]


def _group_left(group: int) -> int:
    tiles = (1 + EXAMPLES) * (_TILE_PX[0] + _GAP_PX) - _GAP_PX
    return _MARGIN_PX + _LABEL_PX + group * (tiles + _GROUP_GAP_PX)


def _head(page: Image, face: ViewedFace, left: int) -> None:
    write(page, face.title, (left, 52), 13, face_colour(face), bold=True)
    for k, text in enumerate(("mean", *["example"] * EXAMPLES)):
        write(page, text, (left + k * (_TILE_PX[0] + _GAP_PX), 67), 11, SOFT_INK)


def _draw_group(row: Image, left: int, motion: Motion, renderer: WarpRenderer) -> None:
    """Mean and examples of `motion` ``[n, K]`` at one sound."""
    at_rest = motion.copy()
    at_rest[:, coefficients.POSE] = 0.0
    at_rest[:, [INDEX[name] for name in _HIDDEN]] = 0.0
    mean = at_rest.mean(axis=0)
    count = min(EXAMPLES, len(motion))
    chosen = np.linspace(0, len(motion) - 1, count).round().astype(int)
    for k, values in enumerate((mean, *at_rest[chosen])):
        x = left + k * (_TILE_PX[0] + _GAP_PX)
        row[: _TILE_PX[1], x : x + _TILE_PX[0]] = _mouth(renderer, values)
    told = "   ".join(f"{name.split('_')[1]} {mean[INDEX[name]]:.2f}" for name in _SHOWN)
    write(row, told, (left, _TILE_PX[1] + 3), 11, SOFT_INK)


def _mouth(renderer: WarpRenderer, values: NDArray[np.float32]) -> Image:
    """The part around the mouth of the picture of `values` ``[K]``, as a tile."""
    picture = renderer.render(values)
    centre = renderer.portrait.landmarks[[mesh.MOUTH_LEFT, mesh.MOUTH_RIGHT], :2].mean(axis=0)
    half_width = 0.40 * renderer.frame.width_px
    half_height = half_width * _TILE_PX[1] / _TILE_PX[0]
    x, y = centre[0], centre[1] + 0.2 * half_height  # the jaw goes down
    size = renderer.size_px
    rows = slice(max(int(y - half_height), 0), min(int(y + half_height), size))
    columns = slice(max(int(x - half_width), 0), min(int(x + half_width), size))
    tile = cv2.resize(picture[rows, columns], _TILE_PX, interpolation=cv2.INTER_AREA)
    return np.asarray(tile, np.uint8)
