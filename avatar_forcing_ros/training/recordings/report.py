"""What became of each recording: as JSON, as a page and as a summary, and which are finished."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from avatar_forcing_ros.atomic_write import atomic_write
from avatar_forcing_ros.media_files.writing import json_file
from avatar_forcing_ros.training.recordings.layouts import Recording
from avatar_forcing_ros.training.settings import PrepareSettings

FINISHED = "recordings"  # folder of what is known of each finished recording


class LeftOut(NamedTuple):
    """Seconds ``from_s … to_s`` that were left out, and why."""

    from_s: float
    to_s: float
    reason: str

    def __str__(self) -> str:
        return f"{_clock(self.from_s)} to {_clock(self.to_s)}: {self.reason}"


@dataclass
class Result:
    """What became of one recording."""

    name: str
    files: list[str]
    split: str
    seconds: float = 0.0
    kept_s: float = 0.0
    windows: int = 0
    rejected: list[LeftOut] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problem: str = ""
    """Why nothing of it can be used; else empty."""
    mouth_r: dict[str, list[float]] = field(default_factory=dict)
    """Pearson's r of the mouths of a and b with their "own" audio and with the "other"."""

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, ready for JSON."""
        return {**dataclasses.asdict(self), "rejected": [s._asdict() for s in self.rejected]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Result:
        """The inverse of `as_dict`; raises TypeError or KeyError for anything else."""
        spans = [LeftOut(**span) for span in values["rejected"]]
        return cls(**{**values, "rejected": spans})


@dataclass(frozen=True)
class Report:
    """The results of all recordings, by name."""

    results: list[Result]

    @property
    def windows(self) -> int:
        """Windows in all; each is two files."""
        return sum(result.windows for result in self.results)

    @property
    def summary(self) -> str:
        """Some lines for the terminal."""
        seconds = sum(result.seconds for result in self.results)
        kept_s = sum(result.kept_s for result in self.results)
        lines = [
            f"{len(self.results)} recordings, {_long(seconds)}; kept {_long(kept_s)} in "
            f"{self.windows} windows ({2 * self.windows} files: each person is the avatar once)"
        ]
        lines += [f"Not used: {r.name}: {r.problem}" for r in self.results if r.problem]
        lines += [f"Look at: {r.name}: {note}" for r in self.results for note in r.notes]
        held = {r.split for r in self.results if r.windows}
        for split, advice in (("train", "smaller"), ("valid", "larger")):
            if self.windows and split not in held:
                lines.append(
                    f"No recording fell into '{split}', which training needs: add recordings, or "
                    f"run again with a {advice} --valid-share"
                )
        return "\n".join(lines)

    def write(self, folder: Path) -> None:
        """``report.json`` and ``report.md`` in `folder`."""
        with json_file(folder / "report.json") as values:
            values["recordings"] = [result.as_dict() for result in self.results]
            values["totals"] = {
                "recordings": len(self.results),
                "used": sum(1 for result in self.results if result.windows),
                "seconds": round(sum(result.seconds for result in self.results), 2),
                "kept_s": round(sum(result.kept_s for result in self.results), 2),
                "windows": self.windows,
                "files": 2 * self.windows,
            }
        with atomic_write(folder / "report.md") as part:
            part.write_text(self._page(), encoding="utf-8")

    def _page(self) -> str:
        lines = ["# Prepared recordings", "", self.summary.replace("\n", "\n\n"), ""]
        lines += ["| recording | for | length | kept | windows | |", "|---|---|---|---|---|---|"]
        for r in self.results:
            state = "not used" if r.problem else "look at the notes" if r.notes else ""
            lines.append(
                f"| {r.name} | {r.split} | {_long(r.seconds)} | {_long(r.kept_s)} | {r.windows} "
                f"| {state} |"
            )
        for r in self.results:
            lines += ["", f"## {r.name}", "", f"Files: {', '.join(r.files)}."]
            entries = [f"Not used: {r.problem}"] if r.problem else []
            entries += [f"Note: {note}" for note in r.notes]
            entries += [f"Left out, {span}" for span in r.rejected]
            lines += ["", *(f"- {line}" for line in entries or ["All of it was kept."])]
        return "\n".join(lines) + "\n"


class FinishedRecordings:
    """Which recordings are finished: one small file each, written after the last window."""

    def __init__(self, folder: Path, settings: PrepareSettings) -> None:
        self._folder = folder / FINISHED
        self._settings = dataclasses.asdict(settings)

    def result_of(self, recording: Recording) -> Result | None:
        """What became of `recording` with these settings and files; None if it is to be done."""
        try:
            values = json.loads(self._path(recording).read_text(encoding="utf-8"))
            if values["made_from"] == self._made_from(recording):
                return Result.from_dict(values["result"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # never made, or not by this program: it is made again
        return None

    def add(self, recording: Recording, result: Result) -> None:
        """Keep the `result` of a finished `recording`."""
        with json_file(self._path(recording)) as values:
            values["made_from"] = self._made_from(recording)
            values["result"] = result.as_dict()

    def _path(self, recording: Recording) -> Path:
        return self._folder / f"{recording.slug}.json"

    def _made_from(self, recording: Recording) -> dict[str, Any]:
        """Settings and files; of a file that changes, size or time does."""
        paths = recording.files
        if self._settings["weights"]:
            paths = [*paths, Path(self._settings["weights"])]
        stats = [(path, path.stat()) for path in paths if path.exists()]
        return {
            "settings": self._settings,
            "split": recording.split,
            "problem": recording.problem,
            "files": [[str(path), stat.st_size, stat.st_mtime_ns] for path, stat in stats],
        }


def _clock(seconds: float) -> str:
    """Minutes and seconds: 3:07.2."""
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths % 600 // 10:02d}.{tenths % 10}"


def _long(seconds: float) -> str:
    """A duration in words."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
