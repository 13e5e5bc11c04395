"""Plots of an evaluation, for people to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from avatar_forcing_ros.atomic_write import atomic_write
from avatar_forcing_ros.rig.coefficients import EXPRESSION, INDEX, POSE
from avatar_forcing_ros.rig.figures import loudness, smile
from avatar_forcing_ros.timebase import FRAME_RATE_HZ
from avatar_forcing_ros.training.evaluation.drift_plan import DriftPlan
from avatar_forcing_ros.training.evaluation.figures import FREE, HELD, Rolled
from avatar_forcing_ros.training.evaluation.measuring import Truth
from avatar_forcing_ros.training.evaluation.rollout import Script
from avatar_forcing_ros.training.evaluation.variants import FULL

TRUE, MADE, USER, WITHOUT = "0.25", "tab:blue", "tab:orange", "tab:red"
SOUND = "0.85"
LIPS_S, ANSWER_S = 8.0, 16.0
LEAST_DB = -60.0
DPI = 110


def draw_all(
    folder: Path, figures: Mapping[str, Any], truth: Truth, rolled: Rolled, plan: DriftPlan
) -> list[str]:
    """Draw what there is to draw; the names of the files in `folder`."""
    drawn = {
        "lips.png": lips(truth, rolled),
        "answers.png": answers(truth, rolled),
        "drift.png": drift(truth, rolled, plan),
    }
    if figures["ablations"]:
        drawn["reactivity.png"] = reactivity(figures)
    if any(name.startswith("evaluations_") for name in figures["ablations"]):
        drawn["effort.png"] = effort(figures)
    for name, figure in drawn.items():
        with atomic_write(folder / name) as part:
            figure.savefig(part, dpi=DPI)
    return list(drawn)


def lips(truth: Truth, rolled: Rolled) -> Figure:
    """The jaw over the seconds in which the avatar speaks most, with the voice's loudness."""
    where, span = _busiest([t.avatar_speaking.astype(float) for t in truth.talks], LIPS_S)
    talk, times_s = truth.talks[where], np.arange(span.start, span.stop) / FRAME_RATE_HZ
    figure, (axes,) = _figure(1, 3.6)
    voice = np.maximum(loudness(talk.avatar_audio)[span], LEAST_DB)
    beside = axes.twinx()
    beside.fill_between(times_s, LEAST_DB, voice, color=SOUND, linewidth=0)
    beside.set(ylim=(LEAST_DB, 0.0), ylabel="loudness, dBFS")
    axes.set_zorder(beside.get_zorder() + 1)
    axes.patch.set_visible(False)
    for motion, colour, label in (
        (talk.avatar_motion, TRUE, "true"),
        (rolled.made[FULL][where], MADE, "generated"),
    ):
        axes.plot(times_s, motion[span, INDEX["jaw_open"]], color=colour, label=label)
    axes.set(xlabel="time, s", ylabel="jaw_open", title="The jaw and the voice")
    axes.set_xlim(times_s[0], times_s[-1])
    axes.set_ylim(bottom=0.0)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def answers(truth: Truth, rolled: Rolled) -> Figure:
    """Smile and yaw of the user and of the avatar, with and without the user."""
    livelier = [np.abs(np.gradient(smile(t.user_motion))) for t in truth.talks]
    where, span = _busiest(livelier, ANSWER_S)
    talk, times_s = truth.talks[where], np.arange(span.start, span.stop) / FRAME_RATE_HZ
    shown: list[tuple[NDArray[np.float32], str, str, str]] = [
        (talk.user_motion, USER, "user", ":"),
        (talk.avatar_motion, TRUE, "true avatar", "-"),
        (rolled.made[FULL][where], MADE, "generated", "-"),
    ]
    if "no_user" in rolled.made:
        shown.append((rolled.made["no_user"][where], WITHOUT, "generated without the user", "--"))
    figure, (above, below) = _figure(2, 5.4)
    for motion, colour, label, line in shown:
        style: dict[str, Any] = {"color": colour, "label": label, "linestyle": line}
        above.plot(times_s, smile(motion)[span], **style)
        turned = motion[span, INDEX["head_yaw"]] * (-1.0 if label == "user" else 1.0)
        below.plot(times_s, np.degrees(turned), **style)
    above.set(ylabel="smile", title="Answers to the user")
    below.set(xlabel="time, s", ylabel="yaw, degrees\n(user's mirrored)")
    for axes in (above, below):
        axes.set_xlim(times_s[0], times_s[-1])
    figure.legend(*above.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def reactivity(figures: Mapping[str, Any]) -> Figure:
    """rPCC of the full model and of all others, with their intervals."""
    entries = {FULL: figures, **figures["ablations"]}
    figure = Figure(figsize=(9.0, 1.4 + 0.3 * len(entries)), layout="constrained")
    pair = figure.subplots(1, 2, sharey=True)
    for axes, part in zip(pair, ("expression", "pose"), strict=True):
        rows = [entry[f"rpcc_{part}"] for entry in entries.values()]
        values = np.array([row["value"] for row in rows])
        ends = np.array([[row["low"], row["high"]] for row in rows]).T
        # a residual is greater on sets drawn again: both ends may lie above the value
        middle = ends.mean(axis=0)
        colours = [MADE] + [WITHOUT if n.startswith("no_user") else "0.6" for n in entries][1:]
        axes.barh(list(entries), values, color=colours)
        axes.errorbar(
            middle,
            list(entries),
            xerr=ends[1] - middle,
            fmt="none",
            ecolor="k",
            lw=1.0,
            capsize=2.5,
        )
        axes.axvline(values[0], color=MADE, linewidth=0.8, linestyle=":")
        axes.set(title=part, xlabel="rPCC (0: answers as the true avatar)")
        axes.grid(axis="x", alpha=0.3)
    pair[0].invert_yaxis()
    return figure


def effort(figures: Mapping[str, Any]) -> Figure:
    """What fewer evaluations and shorter blocks cost."""
    ablations = figures["ablations"]
    own = {
        "evaluations_": figures["model"]["sampling"]["evaluations"],
        "block_": figures["model"]["block_frames"],
    }
    labels = {"evaluations_": "function evaluations a block", "block_": "frames of a block"}
    shown = {
        "lip_sync_r": "lip sync, r",
        "border_jerk_ratio": "jerk at borders",
        "fd_pose": "distance of poses",
    }
    figure = Figure(figsize=(9.0, 5.0), layout="constrained")
    grid = figure.subplots(2, len(shown), squeeze=False)
    for row, (prefix, at) in zip(grid, own.items(), strict=True):
        points = {
            int(n.removeprefix(prefix)): a for n, a in ablations.items() if n.startswith(prefix)
        }
        points[at] = figures
        counts = sorted(points)
        for axes, (name, label) in zip(row, shown.items(), strict=True):
            values = [points[k][name]["value"] for k in counts]
            ends = [[points[k][name][end] for k in counts] for end in ("low", "high")]
            axes.fill_between(counts, *ends, color=MADE, alpha=0.15, linewidth=0)
            axes.plot(counts, values, color=MADE, marker="o", markersize=4)
            axes.plot(
                at, points[at][name]["value"], "o", color=USER, markersize=7, label="default"
            )
            axes.set(title=label, xticks=counts, xlabel=labels[prefix])
            axes.grid(alpha=0.3)
    grid[0, 0].legend(loc="best")
    return figure


def drift(truth: Truth, rolled: Rolled, plan: DriftPlan) -> Figure:
    """How far the running mean of the long streams is from where the true avatar's mean is."""
    real = [Script([truth.talks[i] for i in order]).truth() for order in plan.orders]
    rest = np.concatenate(real).mean(axis=0)
    window = max(2, min(60 * FRAME_RATE_HZ, len(real[0]) // 6))
    ways = {"true": (real, TRUE), "generated": (rolled.streams[HELD], MADE)}
    if FREE in rolled.streams:
        ways["without the anchor"] = (rolled.streams[FREE], WITHOUT)
    figure, pair = _figure(2, 5.0)
    for axes, (name, part) in zip(pair, (("expression", EXPRESSION), ("pose", POSE)), strict=True):
        for label, (streams, colour) in ways.items():
            away = np.array(
                [_strayed((m - rest)[:, part] / truth.spread[part], window) for m in streams]
            )  # [streams, windows]
            minutes = (np.arange(away.shape[1]) + 0.5) * window / FRAME_RATE_HZ / 60.0
            axes.plot(minutes, away.T, color=colour, alpha=0.25, linewidth=0.8)
            axes.plot(minutes, away.mean(axis=0), color=colour, label=label)
        axes.set(ylabel=f"{name}, std")
        axes.set_ylim(bottom=0.0)
        axes.grid(alpha=0.3)
    pair[0].set_title(f"How far the mean of {window / FRAME_RATE_HZ:.0f} s strays")
    pair[0].legend(loc="upper right", ncols=3)
    pair[1].set_xlabel("time, minutes")
    return figure


def _strayed(motion: NDArray[np.floating[Any]], window: int) -> NDArray[np.float64]:
    whole = len(motion) // window * window
    means = motion[:whole].reshape(-1, window, motion.shape[1]).mean(axis=1, dtype=np.float64)
    return np.asarray(np.abs(means).mean(axis=1))


def _busiest(series: Sequence[NDArray[np.floating[Any]]], seconds: float) -> tuple[int, slice]:
    """The clip, and the `seconds` of it, where the sum of its series is largest."""
    frames = min(round(seconds * FRAME_RATE_HZ), min(map(len, series)))
    sums = [np.convolve(s, np.ones(frames), "valid") for s in series]
    clip = int(np.argmax([s.max() for s in sums]))
    start = int(sums[clip].argmax())
    return clip, slice(start, start + frames)


def _figure(rows: int, height_in: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(9.0, height_in), layout="constrained")
    return figure, list(figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0])
