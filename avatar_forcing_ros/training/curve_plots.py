"""The course of the main coefficients of all faces, one under the other, speech shaded."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig.coefficients import INDEX
from avatar_forcing_ros.timebase import FRAME_RATE_HZ
from avatar_forcing_ros.training.lettering import INK, PAPER, SOFT_INK, Colour
from avatar_forcing_ros.training.viewed_talk import ViewedFace, ViewedTalk
from avatar_forcing_ros.training.visualize import face_colour

Image = NDArray[np.uint8]

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
_PAGE_S = 20.0  # of the talk in one plot: a frame is then some pixels wide
_DPI = 100
_CURVE_PX, _EDGE_PX = 76, 34


def curve_plots(talk: ViewedTalk, width_px: int, margin_px: int, label_px: int) -> list[Image]:
    """Plots ``[H, width_px, 3]`` of up to 20 s each.

    Curves begin `label_px` right of the margin. Faint lines stand where a generator's blocks
    begin.
    """
    page_frames = round(_PAGE_S * FRAME_RATE_HZ)
    return [
        _plot(talk, first, first + page_frames, (width_px, margin_px, label_px))
        for first in range(0, talk.frames, page_frames)
    ]


def _plot(talk: ViewedTalk, first: int, stop: int, layout_px: tuple[int, int, int]) -> Image:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width, margin, label = layout_px
    height = 2 * _EDGE_PX + len(_CURVES) * _CURVE_PX
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor=_tone(PAPER))
    canvas: Any = FigureCanvasAgg(figure)  # its methods have no types
    axes = figure.subplots(len(_CURVES), 1, sharex=True)
    figure.subplots_adjust(
        left=(margin + label) / width,
        right=1.0 - margin / width,
        top=1.0 - _EDGE_PX / height,
        bottom=_EDGE_PX / height,
        hspace=0.14,
    )
    for axis, (title, names, span) in zip(axes, _CURVES, strict=True):
        _dress(axis, title)
        axis.yaxis.set_label_coords(-44 / (width - 2 * margin - label), 0.5)
        _shade(axis, talk, first, stop)
        _draw(axis, talk, names, span, slice(first, stop))
        axis.set_xlim(first / FRAME_RATE_HZ, stop / FRAME_RATE_HZ)
    axes[-1].tick_params(axis="x", labelbottom=True)
    axes[0].legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(talk.faces), frameon=False,
        fontsize=9, labelcolor=_tone(INK), borderaxespad=0.2,
    )  # fmt: skip
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _draw(
    axis: Any,
    talk: ViewedTalk,
    names: tuple[str, ...],
    span: tuple[float, float],
    part: slice,
) -> None:
    low, high = span
    for face in sorted(talk.faces, key=_depth):
        values = face.motion[part][:, [INDEX[name] for name in names]].mean(axis=1)
        times_s = (np.arange(len(values)) + part.start + 0.5) / FRAME_RATE_HZ
        user = face.who == "user"
        axis.plot(
            times_s, values, color=_tone(face_colour(face)), label=face.title,
            linewidth=0.8 if user else 1.3, alpha=0.6 if user else 1.0,
        )  # fmt: skip
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    edge = 0.06 * (high - low)
    axis.set_ylim(low - edge, high + edge)


def _depth(face: ViewedFace) -> int:
    """The user's curve lies below the avatar's."""
    return 0 if face.who == "user" else 1


def _shade(axis: Any, talk: ViewedTalk, first: int, stop: int) -> None:
    """The avatar's speech in the lower half, the user's in the upper one, and block borders."""
    for who, (low, high) in (("avatar", (0.0, 0.5)), ("user", (0.5, 1.0))):
        face = talk.faces[0 if who == "avatar" else -1]
        for start, end in _spans(talk.speaking.get(who, np.zeros(0, bool))[first:stop]):
            axis.axvspan(
                (first + start) / FRAME_RATE_HZ, (first + end) / FRAME_RATE_HZ, low, high,
                color=_tone(face_colour(face)), alpha=0.10, linewidth=0.0,
            )  # fmt: skip
    borders = [frame / FRAME_RATE_HZ for frame in talk.borders if first <= frame < stop]
    if borders:
        axis.vlines(
            borders, 0.0, 1.0, transform=axis.get_xaxis_transform(), color=_tone(SOFT_INK),
            alpha=0.16, linewidth=0.5,
        )  # fmt: skip


def _spans(active: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last + 1 of each run of true values."""
    edges = np.flatnonzero(np.diff(np.r_[0, active.astype(np.int8), 0]))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _dress(axis: Any, title: str) -> None:
    axis.set_facecolor("white")
    axis.set_ylabel(title, rotation=0, ha="right", va="center", fontsize=9, color=_tone(INK))
    axis.tick_params(labelsize=8, colors=_tone(SOFT_INK), length=2, labelbottom=False)
    axis.locator_params(axis="y", nbins=3)
    axis.locator_params(axis="x", nbins=20)
    for side in axis.spines.values():
        side.set_color("#dcdedd")


def _tone(colour: Colour) -> tuple[float, float, float]:
    red, green, blue = (part / 255.0 for part in colour)
    return red, green, blue
