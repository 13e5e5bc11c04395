"""Which files of a folder are recordings of two people, by their names."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.training.dataset import SPLITS

ENDINGS = (".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v")
PAIRED = (("_a", "_b"), ("_left", "_right"), (".left", ".right"))
PAIRS_FILE = "pairs.csv"
LAYOUTS = (
    "two videos of one conversation, one person each with their own audio: NAME_a.mp4 and "
    "NAME_b.mp4 (or NAME_left and NAME_right, NAME.left and NAME.right)",
    "one video with two faces side by side and two audio channels, the left one for the left "
    "face: any other name",
    f"a file {PAIRS_FILE} with the columns a and b: one video of each person a line, any names",
)


@dataclass(frozen=True)
class Source:
    """Video and audio of one person: a file, or the left (0) or right (1) half of one."""

    path: Path
    half: int | None = None


@dataclass(frozen=True)
class Recording:
    """One conversation: person a and person b.

    `split` is ``train`` or ``valid`` where the table of pairs says so; `problem` says why it
    cannot be used as it is.
    """

    name: str
    a: Source
    b: Source
    split: str = ""
    problem: str = ""

    @property
    def files(self) -> list[Path]:
        """The files that it consists of, each once."""
        return list(dict.fromkeys((self.a.path, self.b.path)))

    @property
    def slug(self) -> str:
        """The name as it stands in names of files."""
        return re.sub(r"[^A-Za-z0-9_.]+", "_", self.name).strip(".") or "_"


def find_recordings(folder: Path) -> list[Recording]:
    """The recordings in `folder`, by name.

    Raises MediaError where there are none, where two would be written to the same files, and for
    a table of pairs that cannot be read.
    """
    if not folder.is_dir():
        raise _no_recordings(folder, "no folder of that name")
    paths = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in ENDINGS]
    listed = list(_listed(folder / PAIRS_FILE))
    taken = {source.path for recording in listed for source in (recording.a, recording.b)}
    found = listed + list(_by_name([path for path in paths if path not in taken]))
    if not found:
        raise _no_recordings(folder, "no video")
    slug, count = Counter(recording.slug.lower() for recording in found).most_common(1)[0]
    if count > 1:
        names = sorted(p.name for r in found if r.slug.lower() == slug for p in r.files)
        raise MediaError(
            f"recordings in {folder}",
            expected="names that differ in more than their endings and signs",
            got=", ".join(names),
            remedy="rename one of them",
        )
    return sorted(found, key=lambda recording: recording.name)


def _by_name(paths: list[Path]) -> Iterator[Recording]:
    for path in paths:
        ending = next((k for pair in PAIRED for k in pair if path.stem.endswith(k)), "")
        name = path.stem.removesuffix(ending)
        if not ending or not name:
            yield Recording(path.stem, Source(path, 0), Source(path, 1))
            continue
        first, second = next(pair for pair in PAIRED if ending in pair)
        other = second if ending == first else first
        partner = next((p for p in paths if p.stem == name + other), None)
        if partner is None:
            yield Recording(
                path.stem,
                Source(path),
                Source(path),
                problem=f"its partner {name}{other}{path.suffix} is missing; add it, or rename "
                "the file if both people are in it",
            )
        elif ending == first:
            yield Recording(name, Source(path), Source(partner))


def _listed(table: Path) -> Iterator[Recording]:
    """The pairs in the CSV file `table`, if there is one."""
    if not table.exists():
        return
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, skipinitialspace=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _bad_table(table, f"one that cannot be read ({type(error).__name__})") from error
    for line, row in enumerate(rows, start=2):
        a, b = ((row.get(column) or "").strip() for column in "ab")
        if not a or not b:
            raise _bad_table(table, f"line {line} without both")
        split = (row.get("split") or "").strip()
        if split not in ("", *SPLITS):
            raise _bad_table(table, f"line {line} with the split '{split}'")
        missing = [name for name in (a, b) if not (table.parent / name).is_file()]
        problem = f"{PAIRS_FILE} names {', '.join(missing)}, which is not there" if missing else ""
        halves = (0, 1) if a == b else (None, None)
        first, second = (Source(table.parent / n, h) for n, h in zip((a, b), halves, strict=True))
        yield Recording(Path(a).stem, first, second, split, problem)


def _bad_table(table: Path, got: str) -> MediaError:
    return MediaError(
        f"table {table}",
        expected="CSV with the columns a and b, a file's name in each, and perhaps split, "
        "train or valid",
        got=got,
        remedy="correct it",
    )


def _no_recordings(folder: Path, got: str) -> MediaError:
    return MediaError(
        f"recordings in {folder}",
        expected="; or ".join(LAYOUTS),
        got=got,
        remedy=f"name the files so; videos end in {', '.join(ENDINGS)}",
    )
