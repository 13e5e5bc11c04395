"""A conversation on one page, to be judged by eye: its highlights as images, then curves.

Highlights are found in the motion alone; the curves are the main coefficients of all faces, one
under the other, with speech shaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig.coefficients import INDEX
from avatar_forcing_ros.rig.warp_renderer import WarpRenderer
from avatar_forcing_ros.timebase import FRAME_RATE_HZ
from avatar_forcing_ros.training.metrics.behaviour import mouth_opening, runs, smile
from avatar_forcing_ros.training.visualize import (
    BACKGROUND,
    MARGIN_PX,
    SOFT_TEXT,
    TEXT,
    Colour,
    ConversationView,
    FaceView,
    Image,
    Renderers,
    write_text,
)

Series = NDArray[np.float64]

_TILE_PX, _GAP_PX = 120, 2
_LABEL_PX = 130  # names of the faces, left of their images
_COUNT = 15  # images in a row
_TITLE_PX, _CAPTION_PX = 52, 34
WIDTH_PX = 2 * MARGIN_PX + _LABEL_PX + _COUNT * (_TILE_PX + _GAP_PX) - _GAP_PX
_FACE_MARGIN = 1.32  # of the face's box, so that it may move

# title, coefficients of which the mean is drawn, smallest range
_CURVES: tuple[tuple[str, tuple[str, ...], tuple[float, float]], ...] = (
    ("jaw_open", ("jaw_open",), (0.0, 0.6)),
    ("lips_close", ("lips_close",), (0.0, 1.0)),
    ("mouth_wide", ("mouth_wide",), (0.0, 0.5)),
    ("mouth_pucker", ("mouth_pucker",), (0.0, 0.8)),
    ("smile", ("smile_left", "smile_right"), (0.0, 0.6)),
    ("blink", ("blink_left", "blink_right"), (0.0, 1.0)),
    ("brow_up", ("brow_up_left", "brow_up_right"), (0.0, 0.5)),
    ("gaze_x", ("gaze_x",), (-0.4, 0.4)),
    ("gaze_y", ("gaze_y",), (-0.4, 0.4)),
    ("yaw, rad", ("head_yaw",), (-0.15, 0.15)),
    ("pitch, rad", ("head_pitch",), (-0.15, 0.15)),
    ("roll, rad", ("head_roll",), (-0.15, 0.15)),
)
_PAGE_S = 20.0  # of the conversation in one plot: a frame is then some pixels wide
_DPI = 100
_CURVE_PX, _EDGE_PX = 76, 34


def contact_sheet(view: ConversationView, renderers: Renderers) -> Image:
    """The page ``[H, W, 3]`` uint8 RGB, W = `WIDTH_PX`."""
    title = np.full((_TITLE_PX, WIDTH_PX, 3), BACKGROUND, np.uint8)
    write_text(title, view.title, (MARGIN_PX, 20), 20, bold=True)
    parts = [title]
    parts += [_rows(view, renderers, highlight) for highlight in find_highlights(view, _COUNT)]
    parts += curve_plots(view)
    return np.concatenate(parts)


def _rows(view: ConversationView, renderers: Renderers, highlight: Highlight) -> Image:
    """One row of images for each face, their times above."""
    height = _CAPTION_PX + len(view.faces) * (_TILE_PX + _GAP_PX) + 8
    rows = np.full((height, WIDTH_PX, 3), BACKGROUND, np.uint8)
    write_text(rows, highlight.title, (MARGIN_PX, 10), 14, bold=True)
    for k, frame in enumerate(highlight.frames):
        x = MARGIN_PX + _LABEL_PX + k * (_TILE_PX + _GAP_PX)
        write_text(rows, f"{frame / FRAME_RATE_HZ:.2f}", (x + 1, 14), 11, SOFT_TEXT)
    for i, face in enumerate(view.faces):
        top = _CAPTION_PX + i * (_TILE_PX + _GAP_PX)
        _draw_row(rows[top : top + _TILE_PX], view, face, renderers[face.who], highlight)
    return rows


def _draw_row(
    row: Image,
    view: ConversationView,
    face: FaceView,
    renderer: WarpRenderer,
    highlight: Highlight,
) -> None:
    kind, _, source = face.title.partition(", ")
    write_text(row, kind, (MARGIN_PX, 40), 13, face.colour, bold=True)
    write_text(row, source, (MARGIN_PX, 58), 12, SOFT_TEXT)
    window = _head_window(renderer)
    speaking = view.speaking.get(face.who)
    for k, frame in enumerate(highlight.frames):
        image = renderer.render(face.motion[frame])[window]
        x = MARGIN_PX + _LABEL_PX + k * (_TILE_PX + _GAP_PX)
        tile = row[:, x : x + _TILE_PX]
        tile[:] = cv2.resize(image, (_TILE_PX, _TILE_PX), interpolation=cv2.INTER_AREA)
        if speaking is not None and speaking[frame]:
            tile[-3:] = face.colour


def _head_window(renderer: WarpRenderer) -> tuple[slice, slice]:
    """Rows and columns of the square around a portrait's face."""
    points = renderer.portrait.landmarks[:468, :2]
    low, high = points.min(0), points.max(0)
    side = min(int(_FACE_MARGIN * float((high - low).max())), renderer.size_px)
    centre = 0.5 * (low + high)
    x, y = (int(np.clip(c - 0.5 * side, 0, renderer.size_px - side)) for c in centre)
    return slice(y, y + side), slice(x, x + side)


@dataclass(frozen=True)
class Highlight:
    """`count` images, every `step_frames` from `first_frame` on, and why they are shown."""

    title: str
    first_frame: int
    step_frames: int
    count: int

    @property
    def frames(self) -> list[int]:
        return [self.first_frame + i * self.step_frames for i in range(self.count)]


def find_highlights(view: ConversationView, count: int = 15) -> list[Highlight]:
    """Speaking, a nod, a smile, a look aside, listening and a generator's fastest turn.

    Each where the conversation has most of it, at 5 images a second, quick things at 12.5. In one
    too short for `count` images there are fewer; without overlap while there is room.
    """
    avatar, user = view.faces[0].motion, view.faces[-1].motion
    slow, quick = 5, 2  # frames from one image to the next
    mouth, other = _speed(mouth_opening(avatar)), _speed(mouth_opening(user))
    gaze = np.abs(avatar[:, [INDEX["gaze_x"], INDEX["gaze_y"]]]).sum(axis=1).astype(np.float64)
    wanted: list[tuple[str, Series, int]] = [
        ("speech", mouth, slow),
        ("nod", _speed(avatar[:, INDEX["head_pitch"]]), quick),
        ("smile", _speed(smile(avatar)), slow),
        ("gaze", _speed(gaze), quick),
        ("listening", other - 2.0 * mouth, slow),
    ]
    generated = [face.motion for face in view.faces if face.generated]
    if generated:
        angles = [INDEX[name] for name in ("head_yaw", "head_pitch", "head_roll")]
        turn = _speed(generated[0][:, angles])
        wanted.append(("fast turn", turn, quick))
    taken = np.zeros(view.frames, bool)
    out = []
    for title, score, step in wanted:
        shown = min(count, 1 + (view.frames - 1) // step)
        span = 1 + (shown - 1) * step
        total = np.convolve(score, np.ones(span), mode="valid")
        free = np.convolve(taken, np.ones(span), mode="valid") < 0.5
        if free.any():
            total = np.where(free, total, -np.inf)
        first = int(total.argmax())
        taken[first : first + span] = True
        out.append(Highlight(title, first, step, shown))
    return out


def _speed(values: NDArray[np.float32] | Series) -> Series:
    """How fast `values` ``[T]`` or ``[T, n]`` change from frame to frame, squared: ``[T]``."""
    rows = values.reshape(len(values), -1).astype(np.float64)
    return np.asarray((np.diff(rows, axis=0, prepend=rows[:1]) ** 2).sum(axis=1))


def curve_plots(view: ConversationView) -> list[Image]:
    """Plots ``[H, WIDTH_PX, 3]`` of up to 20 s each; faint lines are a generator's blocks."""
    frames = round(_PAGE_S * FRAME_RATE_HZ)
    return [_plot(view, slice(first, first + frames)) for first in range(0, view.frames, frames)]


def _plot(view: ConversationView, part: slice) -> Image:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    left = MARGIN_PX + _LABEL_PX  # of the curves
    height = 2 * _EDGE_PX + len(_CURVES) * _CURVE_PX
    figure = Figure(figsize=(WIDTH_PX / _DPI, height / _DPI), dpi=_DPI, facecolor=_rgb(BACKGROUND))
    canvas: Any = FigureCanvasAgg(figure)  # its methods have no types
    axes = figure.subplots(len(_CURVES), 1, sharex=True)
    figure.subplots_adjust(
        left=left / WIDTH_PX,
        right=1.0 - MARGIN_PX / WIDTH_PX,
        top=1.0 - _EDGE_PX / height,
        bottom=_EDGE_PX / height,
        hspace=0.14,
    )
    for axis, (title, names, span) in zip(axes, _CURVES, strict=True):
        _style(axis, title)
        axis.yaxis.set_label_coords(-44 / (WIDTH_PX - MARGIN_PX - left), 0.5)
        _shade(axis, view, part)
        _draw_curve(axis, view, names, span, part)
        axis.set_xlim(part.start / FRAME_RATE_HZ, part.stop / FRAME_RATE_HZ)
    axes[-1].tick_params(axis="x", labelbottom=True)
    axes[0].legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(view.faces), frameon=False,
        fontsize=9, labelcolor=_rgb(TEXT), borderaxespad=0.2,
    )  # fmt: skip
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _draw_curve(
    axis: Any,
    view: ConversationView,
    names: tuple[str, ...],
    span: tuple[float, float],
    part: slice,
) -> None:
    low, high = span
    # the user's curve lies below the avatar's
    for face in sorted(view.faces, key=lambda face: face.who != "user"):
        values = face.motion[part][:, [INDEX[name] for name in names]].mean(axis=1)
        times_s = (np.arange(len(values)) + part.start + 0.5) / FRAME_RATE_HZ
        user = face.who == "user"
        axis.plot(
            times_s, values, color=_rgb(face.colour), label=face.title,
            linewidth=0.8 if user else 1.3, alpha=0.6 if user else 1.0,
        )  # fmt: skip
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    edge = 0.06 * (high - low)
    axis.set_ylim(low - edge, high + edge)


def _shade(axis: Any, view: ConversationView, part: slice) -> None:
    """The avatar's speech in the lower half, the user's in the upper one, and block borders."""
    for who, (low, high) in (("avatar", (0.0, 0.5)), ("user", (0.5, 1.0))):
        face = view.faces[0 if who == "avatar" else -1]
        for start, end in runs(view.speaking.get(who, np.zeros(0, bool))[part]):
            span_s = ((part.start + frame) / FRAME_RATE_HZ for frame in (start, end))
            axis.axvspan(*span_s, low, high, color=_rgb(face.colour), alpha=0.10, linewidth=0.0)
    borders = [frame / FRAME_RATE_HZ for frame in view.borders if part.start <= frame < part.stop]
    if borders:
        axis.vlines(
            borders, 0.0, 1.0, transform=axis.get_xaxis_transform(), color=_rgb(SOFT_TEXT),
            alpha=0.16, linewidth=0.5,
        )  # fmt: skip


def _style(axis: Any, title: str) -> None:
    axis.set_facecolor("white")
    axis.set_ylabel(title, rotation=0, ha="right", va="center", fontsize=9, color=_rgb(TEXT))
    axis.tick_params(labelsize=8, colors=_rgb(SOFT_TEXT), length=2, labelbottom=False)
    axis.locator_params(axis="y", nbins=3)
    axis.locator_params(axis="x", nbins=20)
    for side in axis.spines.values():
        side.set_color("#dcdedd")


def _rgb(colour: Colour) -> tuple[float, float, float]:
    red, green, blue = (part / 255.0 for part in colour)
    return red, green, blue
