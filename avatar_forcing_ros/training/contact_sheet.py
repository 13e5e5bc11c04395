"""A conversation on one page, to be judged by eye: rows of pictures, then curves over time."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig.warp_renderer import WarpRenderer
from avatar_forcing_ros.timebase import FRAME_RATE_HZ
from avatar_forcing_ros.training.curve_plots import curve_plots
from avatar_forcing_ros.training.lettering import INK, PAPER, SOFT_INK, write
from avatar_forcing_ros.training.moments import Moment, moments
from avatar_forcing_ros.training.viewed_talk import ViewedFace, ViewedTalk
from avatar_forcing_ros.training.visualize import Renderers, face_colour

Image = NDArray[np.uint8]

_TILE_PX = 120
_GAP_PX = 2
_MARGIN_PX = 28
_LABEL_PX = 130  # names of the faces, left of their pictures
_COUNT = 15  # pictures in a row
_TITLE_PX, _CAPTION_PX = 52, 34
WIDTH_PX = 2 * _MARGIN_PX + _LABEL_PX + _COUNT * (_TILE_PX + _GAP_PX) - _GAP_PX
_ROOM = 1.32  # of the face's box, so that it may move


def contact_sheet(talk: ViewedTalk, renderers: Renderers) -> Image:
    """The page ``[H, W, 3]`` uint8 RGB, W = `WIDTH_PX`."""
    title = np.full((_TITLE_PX, WIDTH_PX, 3), PAPER, np.uint8)
    write(title, talk.title, (_MARGIN_PX, 20), 20, INK, bold=True)
    parts = [title]
    parts += [_moment_rows(talk, renderers, moment) for moment in moments(talk, _COUNT)]
    parts += curve_plots(talk, WIDTH_PX, _MARGIN_PX, _LABEL_PX)
    return np.concatenate(parts)


def _moment_rows(talk: ViewedTalk, renderers: Renderers, moment: Moment) -> Image:
    """One row of pictures for each face, their times above."""
    height = _CAPTION_PX + len(talk.faces) * (_TILE_PX + _GAP_PX) + 8
    rows = np.full((height, WIDTH_PX, 3), PAPER, np.uint8)
    write(rows, moment.title, (_MARGIN_PX, 10), 14, INK, bold=True)
    for k, frame in enumerate(moment.frames):
        x = _MARGIN_PX + _LABEL_PX + k * (_TILE_PX + _GAP_PX)
        write(rows, f"{frame / FRAME_RATE_HZ:.2f}", (x + 1, 14), 11, SOFT_INK)
    for i, face in enumerate(talk.faces):
        top = _CAPTION_PX + i * (_TILE_PX + _GAP_PX)
        _draw_row(rows[top : top + _TILE_PX], talk, face, renderers[face.who], moment)
    return rows


def _draw_row(
    row: Image, talk: ViewedTalk, face: ViewedFace, renderer: WarpRenderer, moment: Moment
) -> None:
    kind, _, source = face.title.partition(", ")
    write(row, kind, (_MARGIN_PX, 40), 13, face_colour(face), bold=True)
    write(row, source, (_MARGIN_PX, 58), 12, SOFT_INK)
    window = _head_window(renderer)
    speaking = talk.speaking.get(face.who)
    for k, frame in enumerate(moment.frames):
        picture = renderer.render(face.motion[frame])[window]
        x = _MARGIN_PX + _LABEL_PX + k * (_TILE_PX + _GAP_PX)
        tile = row[:, x : x + _TILE_PX]
        tile[:] = cv2.resize(picture, (_TILE_PX, _TILE_PX), interpolation=cv2.INTER_AREA)
        if speaking is not None and speaking[frame]:
            tile[-3:] = face_colour(face)


def _head_window(renderer: WarpRenderer) -> tuple[slice, slice]:
    """Rows and columns of the square around a portrait's face."""
    points = renderer.portrait.landmarks[:468, :2]
    low, high = points.min(0), points.max(0)
    side = min(int(_ROOM * float((high - low).max())), renderer.size_px)
    centre = 0.5 * (low + high)
    x, y = (int(np.clip(c - 0.5 * side, 0, renderer.size_px - side)) for c in centre)
    return slice(y, y + side), slice(x, x + side)
