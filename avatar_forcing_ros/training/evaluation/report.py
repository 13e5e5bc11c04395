"""Figures to tables for people: on the screen and as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from avatar_forcing_ros.training.evaluation.bars import Bar

MEANINGS = {
    "lip_sync_r": "jaw follows the voice, Pearson's r",
    "lip_sync_lag_frames": "lag of the jaw, frames",
    "bilabial_closure": "lips meet for /m b p/, share",
    "rpcc_expression": "answers of the face, residual of r",
    "rpcc_pose": "answers of the head, residual of r",
    "sid_expression": "diversity of expression, bits",
    "sid_pose": "diversity of pose, bits",
    "var_expression": "variance of expression",
    "var_pose": "variance of pose",
    "fd_expression": "distance of expressions",
    "fd_pose": "distance of poses",
    "border_jerk_ratio": "jerk at block borders, times",
    "drift": "drift of the mean, std",
}
COMPARED = (
    "lip_sync_r",
    "rpcc_expression",
    "rpcc_pose",
    "var_expression",
    "var_pose",
    "fd_pose",
    "border_jerk_ratio",
)


def summary(figures: Mapping[str, Any]) -> str:
    """The whole result as aligned text."""
    told = figures["set"]
    head = (
        f"{told['conversations']} held-out conversations of {told['seconds']:g} s, "
        f"95 % intervals over conversations"
    )
    parts = [
        head,
        _columns(main_rows(figures)),
        _columns(ablation_rows(figures)) if figures["ablations"] else "",
        _columns(human_rows(figures)),
        _columns(bar_rows(figures["bars"])),
    ]
    return "\n\n".join(part for part in parts if part)


def page(figures: Mapping[str, Any], plots: Sequence[str]) -> str:
    """The same as a Markdown page that shows the `plots` beside it."""
    told, model = figures["set"], figures["model"]
    steps = model["origin"].get("steps")
    origin = f" (trained for {steps} steps)" if steps else ""
    lines = [
        "# Evaluation",
        "",
        f"`{model['weights']}`{origin} on {told['conversations']} conversations of "
        f"{told['seconds']:g} s of the split *{told['split']}*, seeds {told['first_seed']} to "
        f"{told['last_seed']}. Ranges are 95 % bootstrap intervals over conversations. What each "
        "figure means stands in `docs/METRICS.md`.",
        "",
        *_markdown(main_rows(figures)),
    ]
    if figures["ablations"]:
        lines += ["", "## Compared", "", *_markdown(ablation_rows(figures))]
        lines += ["", *(f"- `{n}`: {a['meaning']}" for n, a in figures["ablations"].items())]
        lines += ["", "\\* worse than the full model, with the whole interval of the difference."]
    lines += ["", "## Beside people", "", *_markdown(human_rows(figures))]
    lines += ["", "## Bars", "", *_markdown(bar_rows(figures["bars"]))]
    for name in plots:
        lines += ["", f"![{name.removesuffix('.png').replace('_', ' ')}]({name})"]
    return "\n".join(lines) + "\n"


def main_rows(figures: Mapping[str, Any]) -> list[list[str]]:
    """A row for every figure of the full model."""
    rows = [["figure", "value", "95 % interval", "truth", "meaning"]]
    for name, meaning in MEANINGS.items():
        entry = figures[name]
        rows.append(
            [name, number(entry["value"]), interval(entry), number(entry["ground_truth"]), meaning]
        )
    return rows


def ablation_rows(figures: Mapping[str, Any]) -> list[list[str]]:
    """A row for the full model and every other; a star where a figure is surely worse."""
    rows = [["variant", *COMPARED]]
    rows.append(["full", *(number(figures[key]["value"]) for key in COMPARED)])
    for name, entry in figures["ablations"].items():
        cells = []
        for key in COMPARED:
            worse = entry.get(f"{key}_worse_by")
            surely = worse is not None and worse["low"] is not None and worse["low"] > 0
            cells.append(number(entry[key]["value"]) + "*" * surely)
        rows.append([name, *cells])
    return rows


def human_rows(figures: Mapping[str, Any]) -> list[list[str]]:
    """A row for every figure that is known of people."""
    rows = [["of people", "value", "95 % interval", "truth", "published"]]
    for name, entry in figures["human"].items():
        published = entry["published"]
        rows.append(
            [
                name,
                number(entry["value"]),
                interval(entry),
                number(entry["ground_truth"]),
                f"{published[0]:g} … {published[1]:g}" if published else "",
            ]
        )
    return rows


def bar_rows(bars: Sequence[Bar]) -> list[list[str]]:
    """A row for every bar."""
    words = {True: "yes", False: "NO", None: "not measured"}
    rows = [["bar", "wanted", "value", "met"]]
    rows += [[b["name"], b["wanted"], number(b["value"]), words[b["met"]]] for b in bars]
    return rows


def number(value: float | None) -> str:
    """Three decimals, one from ten on, or a dash."""
    if value is None:
        return "–"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def interval(entry: Mapping[str, Any]) -> str:
    """From low to high."""
    return f"{number(entry['low'])} … {number(entry['high'])}"


def _columns(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]
