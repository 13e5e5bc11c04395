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
from avatar_forcing_ros.rig.coefficients import INDEX
from avatar_forcing_ros.timebase import FRAME_RATE_HZ
from avatar_forcing_ros.training.evaluation.metrics_table import (
    ANCHORED,
    PARTS,
    WITHOUT_ANCHOR,
    Rollouts,
    Truth,
    true_streams,
)
from avatar_forcing_ros.training.evaluation.variants import FULL, DriftPlan
from avatar_forcing_ros.training.metrics.behaviour import loudness, smile
from avatar_forcing_ros.training.rollout import Motion

TRUE, GENERATED, USER, WITHOUT = "0.25", "tab:blue", "tab:orange", "tab:red"
LOUDNESS = "0.85"
LIPS_S, RESPONSE_S = 8.0, 16.0
MIN_DB = -60.0
DPI = 110


def draw_all(
    folder: Path, metrics: Mapping[str, Any], truth: Truth, rollouts: Rollouts, plan: DriftPlan
) -> list[str]:
    """Draw what there is to draw; the names of the files in `folder`."""
    drawn = {
        "lips.png": lips(truth, rollouts),
        "responses.png": responses(truth, rollouts),
        "drift.png": drift(truth, rollouts, plan),
    }
    drawn["listening.png"] = listening(metrics)
    if metrics["ablations"]:
        drawn["reactivity.png"] = reactivity(metrics)
    if any(name.startswith("nfe_") for name in metrics["ablations"]):
        drawn["compute.png"] = compute(metrics)
    for name, figure in drawn.items():
        with atomic_write(folder / name) as part:
            figure.savefig(part, dpi=DPI)
    return list(drawn)


def lips(truth: Truth, rollouts: Rollouts) -> Figure:
    """The jaw over the seconds in which the avatar speaks most, with the loudness."""
    speaking = [item.avatar_speaking.astype(float) for item in truth.conversations]
    which, span = _busiest(speaking, LIPS_S)
    conversation = truth.conversations[which]
    times_s = np.arange(span.start, span.stop) / FRAME_RATE_HZ
    figure, (axes,) = _figure(1, 3.6)
    level = np.maximum(loudness(conversation.avatar_audio)[span], MIN_DB)
    right = axes.twinx()
    right.fill_between(times_s, MIN_DB, level, color=LOUDNESS, linewidth=0)
    right.set(ylim=(MIN_DB, 0.0), ylabel="loudness, dBFS")
    axes.set_zorder(right.get_zorder() + 1)
    axes.patch.set_visible(False)
    for motion, colour, label in (
        (conversation.avatar_motion, TRUE, "true"),
        (rollouts.clips[FULL][which], GENERATED, "generated"),
    ):
        axes.plot(times_s, motion[span, INDEX["jaw_open"]], color=colour, label=label)
    axes.set(xlabel="time, s", ylabel="jaw_open", title="The jaw and the loudness of the speech")
    axes.set_xlim(times_s[0], times_s[-1])
    axes.set_ylim(bottom=0.0)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def responses(truth: Truth, rollouts: Rollouts) -> Figure:
    """Smile and yaw of the user and of the avatar, with and without the user."""
    smiling = [np.abs(np.gradient(smile(item.user_motion))) for item in truth.conversations]
    which, span = _busiest(smiling, RESPONSE_S)
    conversation = truth.conversations[which]
    times_s = np.arange(span.start, span.stop) / FRAME_RATE_HZ
    shown: list[tuple[Motion, str, str, str]] = [
        (conversation.user_motion, USER, "user", ":"),
        (conversation.avatar_motion, TRUE, "true avatar", "-"),
        (rollouts.clips[FULL][which], GENERATED, "generated", "-"),
    ]
    if "no_user" in rollouts.clips:
        without = rollouts.clips["no_user"][which]
        shown.append((without, WITHOUT, "generated without the user", "--"))
    figure, (above, below) = _figure(2, 5.4)
    for motion, colour, label, line in shown:
        style: dict[str, Any] = {"color": colour, "label": label, "linestyle": line}
        above.plot(times_s, smile(motion)[span], **style)
        yaw = motion[span, INDEX["head_yaw"]] * (-1.0 if label == "user" else 1.0)
        below.plot(times_s, np.degrees(yaw), **style)
    above.set(ylabel="smile", title="Responses to the user")
    below.set(xlabel="time, s", ylabel="yaw, degrees\n(user's mirrored)")
    for axes in (above, below):
        axes.set_xlim(times_s[0], times_s[-1])
    figure.legend(*above.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def reactivity(metrics: Mapping[str, Any]) -> Figure:
    """rPCC of the full model and of all others, with their intervals."""
    entries = {FULL: metrics, **metrics["ablations"]}
    figure = Figure(figsize=(9.0, 1.4 + 0.3 * len(entries)), layout="constrained")
    pair = figure.subplots(1, 2, sharey=True)
    for axes, part in zip(pair, ("expression", "pose"), strict=True):
        rows = [entry[f"rpcc_{part}"] for entry in entries.values()]
        values = np.array([row["value"] for row in rows])
        ends = np.array([[row["low"], row["high"]] for row in rows]).T
        # a residual is greater on resampled sets: both ends may lie above the value
        middle = ends.mean(axis=0)
        colours = [WITHOUT if name.startswith("no_user") else "0.6" for name in entries]
        colours[0] = GENERATED
        axes.barh(list(entries), values, color=colours)
        whiskers: dict[str, Any] = {"fmt": "none", "ecolor": "k", "lw": 1.0, "capsize": 2.5}
        axes.errorbar(middle, list(entries), xerr=ends[1] - middle, **whiskers)
        axes.axvline(values[0], color=GENERATED, linewidth=0.8, linestyle=":")
        axes.set(title=part, xlabel="rPCC (0: responds as the true avatar)")
        axes.grid(axis="x", alpha=0.3)
    pair[0].invert_yaxis()
    return figure


def listening(metrics: Mapping[str, Any]) -> Figure:
    """How often each event of the user is answered, how often the same comes without it."""
    kinds = metrics["contingency"]
    figure = Figure(figsize=(9.0, 1.6 + 0.45 * len(kinds)), layout="constrained")
    axes = figure.subplots()
    at = np.arange(len(kinds))
    shown = (
        ("true listener", "ground_truth", TRUE, -0.27),
        ("generated", "value", GENERATED, 0.0),
        ("generated, without the event", "base_rate", "0.75", 0.27),
    )
    for label, key, colour, shift in shown:
        widths = [each[key] or 0.0 for each in kinds.values()]
        axes.barh(at + shift, widths, height=0.25, color=colour, label=label)
    for k, each in enumerate(kinds.values()):
        if each["low"] is not None:
            axes.plot([each["low"], each["high"]], [k, k], color="k", linewidth=1.0)
    axes.set(yticks=at, yticklabels=[name.replace("_", " ") for name in kinds])
    axes.set(xlabel="answered within 0.3 to 1.3 s, share", xlim=(0.0, 1.0))
    axes.set_title("Answers to the user, by an avatar that listens")
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def compute(metrics: Mapping[str, Any]) -> Figure:
    """What fewer function evaluations and shorter blocks cost in quality."""
    ablations = metrics["ablations"]
    own = {
        "nfe_": metrics["model"]["sampling"]["nfe"],
        "block_": metrics["model"]["block_frames"],
    }
    labels = {"nfe_": "function evaluations a block", "block_": "frames of a block"}
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
        points[at] = metrics
        counts = sorted(points)
        for axes, (name, label) in zip(row, shown.items(), strict=True):
            values = [points[k][name]["value"] for k in counts]
            ends = [[points[k][name][end] for k in counts] for end in ("low", "high")]
            axes.fill_between(counts, *ends, color=GENERATED, alpha=0.15, linewidth=0)
            axes.plot(counts, values, color=GENERATED, marker="o", markersize=4)
            axes.plot(
                at, points[at][name]["value"], "o", color=USER, markersize=7, label="default"
            )
            axes.set(title=label, xticks=counts, xlabel=labels[prefix])
            axes.grid(alpha=0.3)
    grid[0, 0].legend(loc="best")
    return figure


def drift(truth: Truth, rollouts: Rollouts, plan: DriftPlan) -> Figure:
    """How far the running mean of the long streams is from the true avatar's mean."""
    real = true_streams(truth, plan)
    rest = np.concatenate(real).mean(axis=0)
    window = max(2, min(60 * FRAME_RATE_HZ, len(real[0]) // 6))
    runs = {"true": (real, TRUE), "generated": (rollouts.streams[ANCHORED], GENERATED)}
    if WITHOUT_ANCHOR in rollouts.streams:
        runs["without the anchor"] = (rollouts.streams[WITHOUT_ANCHOR], WITHOUT)
    figure, pair = _figure(2, 5.0)
    for axes, (name, part) in zip(pair, PARTS.items(), strict=True):
        for label, (streams, colour) in runs.items():
            offsets = [(motion - rest)[:, part] / truth.spread[part] for motion in streams]
            away = np.array([_window_distances(offset, window) for offset in offsets])
            minutes = (np.arange(away.shape[1]) + 0.5) * window / FRAME_RATE_HZ / 60.0
            axes.plot(minutes, away.T, color=colour, alpha=0.25, linewidth=0.8)
            axes.plot(minutes, away.mean(axis=0), color=colour, label=label)
        axes.set(ylabel=f"{name}, std")
        axes.set_ylim(bottom=0.0)
        axes.grid(alpha=0.3)
    pair[0].set_title(f"How far the mean of {window / FRAME_RATE_HZ:.0f} s drifts")
    pair[0].legend(loc="upper right", ncols=3)
    pair[1].set_xlabel("time, minutes")
    return figure


def _window_distances(motion: NDArray[np.floating[Any]], window: int) -> NDArray[np.float64]:
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
