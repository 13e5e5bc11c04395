"""What ``display_node`` says about itself in /diagnostics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from avatar_forcing_ros.nodes.screen import AnyScreen
from avatar_forcing_ros.nodes.speaker import AnySpeaker
from avatar_forcing_ros.sync.playout import Playout
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ


class DisplayReport:
    """Makes a status of the present counts; rates and warnings are since the last one."""

    def __init__(self, node_name: str, now_ns: int) -> None:
        self._name = node_name
        self._last_ns = now_ns
        self._last: dict[str, int] = {}

    def status(
        self,
        playout: Playout,
        *,
        now_ns: int,
        received: Mapping[str, int],
        errors: Mapping[str, int],
        screen: AnyScreen | None,
        speaker: AnySpeaker | None,
        speaker_wanted: bool,
    ) -> Any:
        """A DiagnosticStatus."""
        bad = sum(errors.values())
        news = self._news(
            shown=playout.shown_frames,
            frames=received.get("frames", 0),
            rebuffers=playout.rebuffers,
            resets=playout.resets,
            bad=bad,
        )
        elapsed_s = max(1e-9, (now_ns - self._last_ns) / 1e9)
        self._last_ns = now_ns
        running = speaker is not None and speaker.is_running
        warnings = [
            (speaker_wanted and not running, "no sound: the speaker cannot be used"),
            (bad and news["bad"], "messages that were lost or cannot be read"),
            (news["resets"] > 1, "stamps jump; do picture and sound have the same clock?"),
            (news["rebuffers"], "came later than planned: waiting longer from now on"),
            (screen is not None and not news["frames"], "no frames are coming"),
        ]
        message = next((text for true, text in warnings if true), "")
        values: dict[str, object] = {
            "shown fps": round(news["shown"] / elapsed_s, 1),
            "frames received": received.get("frames", 0),
            "frames shown": playout.shown_frames,
            "frames skipped": playout.skipped_frames,
            "frames late": playout.late_frames,
            "sound messages received": received.get("sounds", 0),
            "sound missing ms": playout.missing_samples * 1000 // SAMPLE_RATE_HZ,
            "sound dropped ms": playout.dropped_samples * 1000 // SAMPLE_RATE_HZ,
            "rebuffers": playout.rebuffers,
            "resets": playout.resets,
            "A/V offset ms": round(playout.av_offset_ms, 1),
            "window": "on" if screen is not None else "off",
            "speaker": "on" if running else "failed" if speaker_wanted else "off",
            "speaker underruns": speaker.underruns if speaker is not None else 0,
            "messages without stamp": received.get("unstamped", 0),
            "errors": bad,
        }
        values |= {f"errors: {reason}": n for reason, n in sorted(errors.items())}
        return DiagnosticStatus(
            level=DiagnosticStatus.WARN if message else DiagnosticStatus.OK,
            name=f"{self._name}: playout",
            message=message or "in sync",
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )

    def _news(self, **counts: int) -> dict[str, int]:
        """How much each count has grown since the last time."""
        grown = {name: count - self._last.get(name, 0) for name, count in counts.items()}
        self._last = counts
        return grown
