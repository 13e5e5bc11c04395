"""What several conversations over WebRTC at a time were like, from what their callers observed."""

from __future__ import annotations

from collections.abc import Sequence

from avatar_forcing_ros.benchmarks.web_caller import Observed
from avatar_forcing_ros.benchmarks.web_metrics import (
    Metrics,
    conversation_metrics,
    reactions_ms,
    spread,
)

MIN_FPS = 24.75  # 25 but for one frame of a hundred
MAX_P95_MS = 300.0


def many_metrics(
    observed: Sequence[Observed], begin_s: float, end_s: float, onset_s: float
) -> Metrics:
    """Delays over all conversations and of each; `holds` says whether all were quick enough."""
    each = [conversation_metrics(one, begin_s, end_s, onset_s) for one in observed]
    reaction = spread([ms for one in observed for ms in reactions_ms(one, begin_s, end_s)])
    slowest = min(one["fps"] for one in each)
    return {
        "conversations": len(each),
        "reaction_ms": reaction,
        "slowest_fps": slowest,
        "holds": slowest >= MIN_FPS and reaction.get("p95", float("inf")) <= MAX_P95_MS,
        "each": [{name: row for name, row in one.items() if name != "minutes"} for one in each],
    }


def many_as_table(metrics: Metrics) -> str:
    """The metrics for a person to read."""
    header = f"{'conversation':<14}{'frames a second':>16}{'reaction, ms':>14}{'p95':>7}"
    lines = [f"{header}{'speech, ms':>12}{'silence, ms':>13}{'skipped':>9}{'reduced':>9}"]

    def ms(row: Metrics, name: str = "median") -> str:
        return f"{row[name]:.0f}" if name in row else "none"

    for number, one in enumerate(metrics["each"], 1):
        reaction = one["reaction_ms"]
        lines.append(
            f"{number:<14}{one['fps']:>16}{ms(reaction):>14}{ms(reaction, 'p95'):>7}"
            f"{ms(one['speech_ms']):>12}{ms(one['silence_ms']):>13}{one['skipped_blocks']:>9}"
            f"{100 * one['reduced_share']:>7.0f} %"
        )
    reaction, count = metrics["reaction_ms"], metrics["conversations"]
    share, memory = metrics["percent_of_a_core"], metrics["memory_mb"]
    verdict = "holds" if metrics["holds"] else "does not hold"
    lines += [
        f"{'all':<14}{metrics['slowest_fps']:>16}{ms(reaction):>14}{ms(reaction, 'p95'):>7}"
        "   (frames a second: the slowest)",
        "",
        f"25 frames a second and a p95 reaction of {MAX_P95_MS:.0f} ms at "
        f"{metrics['image_size_px']} px: {verdict} with {count} conversation(s)",
        f"avatars {share['avatar']} % of a core, web server {share['web']} %, callers "
        f"{share['caller']} %, on this machine all three",
        f"memory {metrics['ready_mb']:.0f} MB with the first avatar ready, at most "
        f"{memory['most']:.0f} MB: {metrics['more_mb_each']:.0f} MB more for each conversation",
    ]
    return "\n".join(lines)
