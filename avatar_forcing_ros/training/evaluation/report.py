"""Metrics to tables for people, on the screen and as a page, and the thresholds to reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from avatar_forcing_ros.training.evaluation.variants import BEFORE, WITHOUT_USER

Threshold = dict[str, Any]
MIN_DRIFT_MINUTES = 10.0  # less says nothing about half an hour

MEANINGS = {
    "lip_sync_r": "jaw follows the speech, Pearson's r",
    "lip_sync_lag_frames": "lag of the jaw, frames",
    "bilabial_closure": "lips meet for /m b p/, share",
    "rpcc_expression": "responses of the face, residual of r",
    "rpcc_pose": "responses of the head, residual of r",
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


def thresholds(metrics: Mapping[str, Any], speed_name: str, speed_ms: float) -> list[Threshold]:
    """Every threshold of the compact model: its name, what is wanted, the value, if it is met.

    `met` is None for what these metrics cannot tell.
    """
    lag = metrics["lip_sync_lag_frames"]["value"]
    out = [
        _at_least("lip_sync_r", metrics["lip_sync_r"]["value"], 0.85),
        _threshold("lip_sync_lag_frames", "-1 to 1", lag, lag is not None and abs(lag) <= 1),
        _at_least("bilabial_closure", metrics["bilabial_closure"]["value"], 0.8),
    ]
    ablations = metrics["ablations"]
    for part in ("expression", "pose"):
        for name in WITHOUT_USER:
            if name in ablations:
                worse = ablations[name][f"rpcc_{part}_worse_by"]
                met = worse["low"] is not None and worse["low"] > 0
                wanted = "> 0, with its whole interval"
                row = _threshold(f"rpcc_{part} worse with {name}", wanted, worse["low"], met)
                out.append(row | worse)
    if BEFORE in ablations:
        out += _preference_thresholds(metrics, ablations[BEFORE])
    out.append(_at_most("border_jerk_ratio", metrics["border_jerk_ratio"]["value"], 1.2))
    minutes = metrics["drift"]["minutes"]
    drift = _at_most(f"drift over {minutes:g} minutes", metrics["drift"]["value"], 0.2)
    out.append(drift if minutes >= MIN_DRIFT_MINUTES else drift | {"met": None})
    out.append(_at_most(speed_name, round(speed_ms, 1), 40.0))
    return out


def _preference_thresholds(
    metrics: Mapping[str, Any], before: Mapping[str, Any]
) -> list[Threshold]:
    out = []
    for name in ("rpcc", "var", "sid"):
        for part in ("expression", "pose"):
            key = f"{name}_{part}"
            real = metrics[key]["ground_truth"]
            nearer = abs(before[key]["value"] - real) - abs(metrics[key]["value"] - real)
            nearer = round(nearer, 4)
            label = f"{key} nearer to the truth than before preference"
            out.append(_threshold(label, "> 0", nearer, nearer > 0))
    lost = before["lip_sync_r"]["value"] - metrics["lip_sync_r"]["value"]
    return [*out, _at_most("lip_sync_r lost by preference", round(lost, 4), 0.02)]


def _at_least(name: str, value: float | None, limit: float) -> Threshold:
    return _threshold(name, f">= {limit:g}", value, value is not None and value >= limit)


def _at_most(name: str, value: float | None, limit: float) -> Threshold:
    return _threshold(name, f"<= {limit:g}", value, value is not None and value <= limit)


def _threshold(name: str, wanted: str, value: float | None, met: bool) -> Threshold:
    """`met` counts only where there is a value."""
    return {"name": name, "wanted": wanted, "value": value, "met": None if value is None else met}


def summary(metrics: Mapping[str, Any]) -> str:
    """The whole result as aligned text."""
    info = metrics["set"]
    head = (
        f"{info['conversations']} held-out conversations of {info['seconds']:g} s, "
        f"95 % intervals over conversations"
    )
    parts = [
        head,
        _columns(main_rows(metrics)),
        _columns(ablation_rows(metrics)) if metrics["ablations"] else "",
        _columns(human_rows(metrics)),
        _columns(threshold_rows(metrics["thresholds"])),
    ]
    return "\n\n".join(part for part in parts if part)


def page(metrics: Mapping[str, Any], plots: Sequence[str]) -> str:
    """The same as a Markdown page that shows the `plots` beside it."""
    info, model = metrics["set"], metrics["model"]
    steps = model["origin"].get("steps")
    origin = f" (trained for {steps} steps)" if steps else ""
    lines = [
        "# Evaluation",
        "",
        f"`{model['weights']}`{origin} on {info['conversations']} conversations of "
        f"{info['seconds']:g} s of the split *{info['split']}*, seeds {info['first_seed']} to "
        f"{info['last_seed']}. Ranges are 95 % bootstrap intervals over conversations. What each "
        "metric means is explained in `docs/METRICS.md`.",
        "",
        *_markdown(main_rows(metrics)),
    ]
    if metrics["ablations"]:
        lines += ["", "## Compared", "", *_markdown(ablation_rows(metrics))]
        lines += ["", *(f"- `{n}`: {a['meaning']}" for n, a in metrics["ablations"].items())]
        lines += ["", "\\* worse than the full model, with the whole interval of the difference."]
    lines += ["", "## Human behaviour", "", *_markdown(human_rows(metrics))]
    lines += ["", "## Thresholds", "", *_markdown(threshold_rows(metrics["thresholds"]))]
    for name in plots:
        lines += ["", f"![{name.removesuffix('.png').replace('_', ' ')}]({name})"]
    return "\n".join(lines) + "\n"


def main_rows(metrics: Mapping[str, Any]) -> list[list[str]]:
    """A row for every metric of the full model."""
    rows = [["metric", "value", "95 % interval", "truth", "meaning"]]
    for name, meaning in MEANINGS.items():
        entry = metrics[name]
        rows.append(
            [name, number(entry["value"]), interval(entry), number(entry["ground_truth"]), meaning]
        )
    return rows


def ablation_rows(metrics: Mapping[str, Any]) -> list[list[str]]:
    """A row for the full model and every other; a star where a metric is surely worse."""
    rows = [["variant", *COMPARED]]
    rows.append(["full", *(number(metrics[key]["value"]) for key in COMPARED)])
    for name, entry in metrics["ablations"].items():
        cells = []
        for key in COMPARED:
            worse = entry.get(f"{key}_worse_by")
            surely = worse is not None and worse["low"] is not None and worse["low"] > 0
            cells.append(number(entry[key]["value"]) + "*" * surely)
        rows.append([name, *cells])
    return rows


def human_rows(metrics: Mapping[str, Any]) -> list[list[str]]:
    """A row for every metric that is known of people."""
    rows = [["human behaviour", "value", "95 % interval", "truth", "published"]]
    for name, entry in metrics["human"].items():
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


def threshold_rows(entries: Sequence[Threshold]) -> list[list[str]]:
    """A row for every threshold."""
    words = {True: "yes", False: "NO", None: "not measured"}
    rows = [["threshold", "wanted", "value", "met"]]
    rows += [[e["name"], e["wanted"], number(e["value"]), words[e["met"]]] for e in entries]
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
