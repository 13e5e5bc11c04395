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
ANSWERS = ("nod_to_nod", "smile_to_smile", "brow_to_brow", "phrase_end_to_nod")
LOST_ANSWERS = {"no_user_audio": "phrase_end_to_nod", "no_user_motion": "smile_to_smile"}
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
        _at_least("lip_sync_r", metrics["lip_sync_r"]["value"], 0.89),
        _threshold("lip_sync_lag_frames", "-1 to 1", lag, lag is not None and abs(lag) <= 1),
        _at_least("bilabial_closure", metrics["bilabial_closure"]["value"], 0.83),
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
    out += _listening_thresholds(metrics) + _motion_thresholds(metrics)
    if BEFORE in ablations:
        out += _preference_thresholds(metrics, ablations[BEFORE])
    out.append(_at_most("border_jerk_ratio", metrics["border_jerk_ratio"]["value"], 1.1))
    minutes = metrics["drift"]["minutes"]
    drift = _at_most(f"drift over {minutes:g} minutes", metrics["drift"]["value"], 0.2)
    out.append(drift if minutes >= MIN_DRIFT_MINUTES else drift | {"met": None})
    out.append(_at_most(speed_name, round(speed_ms, 1), 40.0))
    return out


def _listening_thresholds(metrics: Mapping[str, Any]) -> list[Threshold]:
    """Whether answers are to the user: more of them than by chance, as many as the truth's."""
    out = []
    for kind in ANSWERS:
        found = metrics["contingency"].get(kind)
        if found is None:
            continue
        rate, base, true = (found[key] for key in ("value", "base_rate", "ground_truth"))
        known = rate is not None and base is not None and true is not None
        times = round(rate / max(base, 1e-3), 2) if known else None
        out.append(_at_least(f"{kind} rate over its base rate", times, 2.0))
        out.append(_at_most(f"{kind} rate away from the truth's, share", _share_off(found), 0.3))
    alike = metrics["similarity_between_users"]
    limit = round(alike["ground_truth"] + 0.1, 3)
    out.append(_at_most("similarity_between_users", alike["value"], limit))
    for name, kind in LOST_ANSWERS.items():
        worse = metrics["ablations"].get(name, {}).get("contingency", {}).get(kind, {})
        if "worse_by" in worse:
            gap = worse["worse_by"]
            met = gap["low"] is not None and gap["low"] > 0
            wanted = "> 0, with its whole interval"
            out.append(_threshold(f"{kind} rate worse with {name}", wanted, gap["low"], met) | gap)
    return out


def _motion_thresholds(metrics: Mapping[str, Any]) -> list[Threshold]:
    """Variance and speed against the truth's."""
    entries = {key: metrics[key] for key in ("var_expression", "var_pose")}
    entries["head_speed_deg_s"] = metrics["human"]["head_speed_deg_s"]
    return [
        _at_most(f"{key} away from the truth's, share", _share_off(each), 0.15)
        for key, each in entries.items()
    ]


def _share_off(each: Mapping[str, Any]) -> float | None:
    value, true = each["value"], each["ground_truth"]
    return round(abs(value / true - 1.0), 3) if value is not None and true else None


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
        _columns(listening_rows(metrics)),
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
        "",
        "## Listening",
        "",
        *_markdown(listening_rows(metrics)),
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


def listening_rows(metrics: Mapping[str, Any]) -> list[list[str]]:
    """A row for each kind of answer, and for how alike those to different users are."""
    rows = [["answer", "rate", "95 % interval", "truth", "without event", "r", "r by chance"]]
    for name, each in metrics["contingency"].items():
        numbers = (number(each[key]) for key in ("base_rate", "correlation", "control"))
        found = (number(each["value"]), interval(each), number(each["ground_truth"]))
        rows.append([name, *found, *numbers])
    alike = metrics["similarity_between_users"]
    found = (number(alike["value"]), interval(alike), number(alike["ground_truth"]))
    return [*rows, ["similarity_between_users", *found, "", "", ""]]


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
