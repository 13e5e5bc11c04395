"""What a conversation over WebRTC was like, from what its caller observed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from avatar_forcing_ros.benchmarks.measures import percentiles
from avatar_forcing_ros.benchmarks.web_caller import Observed
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS

LATE_S = 1.5 * FRAME_PERIOD_NS / 1e9  # after the frame before
SILENCE_S = 1.5  # within which it comes after it was asked for
AUDIBLE_S = 0.1  # up to when something was heard before, for a stop to count
MINUTE_S = 60.0
Metrics = dict[str, Any]


def conversation_metrics(
    observed: Observed, begin_s: float, end_s: float, onset_s: float
) -> Metrics:
    """Delays, rates and losses in that time; each speech becomes audible after `onset_s`."""
    speech_ms = [
        1000 * (received_s - pushed_s - onset_s)
        for pushed_s, received_s in zip(
            observed.speech_pushed_s, observed.speech_received_s, strict=False
        )
    ]
    states = [state for at_s, state in observed.states if begin_s <= at_s < end_s]
    skipped = [state["skipped_blocks"] for state in states]
    return {
        "reaction_ms": spread(reactions_ms(observed, begin_s, end_s)),
        "speech_ms": spread(speech_ms),
        "speeches_lost": len(observed.speech_pushed_s) - len(speech_ms),
        "silence_ms": spread(_silences_ms(observed)),
        **_images(observed, begin_s, end_s),
        "pictures_sent": sum(begin_s <= at_s < end_s for at_s in observed.sent_s),
        "reduced_share": round(float(np.mean([s["reduced"] for s in states])), 3) if states else 0,
        "skipped_blocks": skipped[-1] - skipped[0] if states else 0,
        "reconnects": observed.reconnects,
        "minutes": _minutes(observed, begin_s, end_s),
    }


def _images(observed: Observed, begin_s: float, end_s: float) -> Metrics:
    received = np.array([at_s for at_s in observed.received_s if begin_s <= at_s < end_s])
    gaps_s = np.diff(received) if len(received) > 1 else np.zeros(1)
    return {
        "fps": round(len(received) / (end_s - begin_s), 2),
        "late_pictures": int((gaps_s > LATE_S).sum()),
        "longest_gap_ms": round(1000 * float(gaps_s.max()), 1),
    }


def _minutes(observed: Observed, begin_s: float, end_s: float) -> list[Metrics]:
    """The same minute by minute.

    `audio_ahead_ms` is by how much sooner than in the first minute audio comes, beside the images
    that it belongs to.
    """
    starts = np.arange(begin_s, end_s - MINUTE_S / 2, MINUTE_S)
    ahead_ms = [_audio_ahead_ms(observed, at_s, at_s + MINUTE_S) for at_s in starts]
    return [
        {
            "fps": _images(observed, at_s, min(at_s + MINUTE_S, end_s))["fps"],
            "reaction_ms": spread(reactions_ms(observed, at_s, at_s + MINUTE_S)).get("median"),
            "audio_ahead_ms": round(here_ms - ahead_ms[0], 1),
        }
        for at_s, here_ms in zip(starts, ahead_ms, strict=True)
    ]


def _audio_ahead_ms(observed: Observed, begin_s: float, end_s: float) -> float:
    """Milliseconds that images take more than audio; but for a constant, by their streams' clocks.

    A stream begins anew with every connection: the median is that of most of the time.
    """
    transit_s = [
        [at_s - stream_s for at_s, stream_s in times if begin_s <= at_s < end_s]
        for times in (observed.video_times_s, observed.audio_times_s)
    ]
    if not all(transit_s):
        return float("nan")
    video_s, audio_s = map(np.median, transit_s)
    return float(1000 * (video_s - audio_s))


def _silences_ms(observed: Observed) -> list[float]:
    """For every stop in the middle of something audible when the last of it came."""
    audible_s = np.array(observed.audible_s)
    silences = []
    for stopped_s in observed.stopped_s:
        if not ((audible_s > stopped_s - AUDIBLE_S) & (audible_s <= stopped_s)).any():
            continue  # between two words
        rest = audible_s[(audible_s > stopped_s) & (audible_s < stopped_s + SILENCE_S)]
        silences.append(1000 * float(rest.max(initial=stopped_s) - stopped_s))
    return silences


def reactions_ms(observed: Observed, begin_s: float, end_s: float) -> list[float]:
    """For every camera frame of that time how long after it the first came that depends on it.

    One that was left out counts until the first that depends on a later one.
    """
    reactions, at = [], 0
    for number, received_s in observed.answered:
        last = at + (number - at) % 65_536
        if last >= len(observed.sent_s):
            continue  # of before: none of ours
        for index in range(at, last + 1):
            if begin_s <= observed.sent_s[index] < end_s:
                reactions.append(1000 * (received_s - observed.sent_s[index]))
        at = max(at, last + 1)
    return reactions


def spread(values_ms: list[float]) -> dict[str, float]:
    """How many there are, and of any the median, p95 and the worst."""
    found = percentiles(values_ms, ("worst", 100)) if values_ms else {}
    return {"count": len(values_ms), **found}


def as_table(metrics: Metrics) -> str:
    """The metrics for a person to read."""
    lines = [f"{'':<34}{'median':>9}{'p95':>9}{'worst':>9}   ms"]
    for name, row in (
        ("from a camera frame to its answer", metrics["reaction_ms"]),
        ("from speech to its audio", metrics["speech_ms"]),
        ("from a stop to silence", metrics["silence_ms"]),
    ):
        values = "".join(f"{row.get(k, float('nan')):>9.0f}" for k in ("median", "p95", "worst"))
        lines.append(f"{name:<34}{values}   of {row['count']}")
    memory, share = metrics["memory_mb"], metrics["percent_of_a_core"]
    lines += [
        "",
        f"{metrics['fps']} frames a second came, {metrics['late_pictures']} late "
        f"(longest gap {metrics['longest_gap_ms']} ms); "
        f"{metrics['speeches_lost']} speeches were not heard",
        f"{metrics['reconnects']} times connected again, {metrics['skipped_blocks']} blocks "
        f"skipped, reduced quality {100 * metrics['reduced_share']:.0f} % of the time",
        f"avatar {share['avatar']} % of a core, web server {share['web']} %, "
        f"caller {share['caller']} %; memory {memory['begin']:.0f} MB, "
        f"at the end {memory['end']:.0f} MB ({memory['growth_a_minute']:+.2f} MB a minute)",
    ]
    if len(metrics["minutes"]) > 1:
        lines += [
            "",
            f"{'minute':>6}{'frames a second':>17}{'reaction, ms':>14}{'audio ahead, ms':>17}",
        ]
        lines += [
            f"{number:>6}{row['fps']:>17}{row['reaction_ms'] or math.nan:>14.0f}"
            f"{row['audio_ahead_ms']:>17}"
            for number, row in enumerate(metrics["minutes"], 1)
        ]
    return "\n".join(lines)
