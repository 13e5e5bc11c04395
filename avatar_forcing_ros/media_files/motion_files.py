"""Motion in files: our own ``.npz``, Live Link Face's ``.csv``, VRM weights as ``.json``.

The ending decides. A CSV file has ARKit's 52 shapes and nine angles in the columns of Live Link
Face; it is read by the names of its columns, in any order. There is no standard file for VRM's
expressions; ours is one object::

    {"format": "vrm-1.0-expressions", "fps": 25, "names": ["happy", ...],
     "weights": [[0.0, ...], ...],                    one list a frame, in the order of names
     "head_euler_yxz_rad": [[x, y, z], ...]}          the bone "head", optional

The head's angles are those of a VRM 1.0 model, which looks along z (x to its left, y up), in the
order that three.js calls YXZ.
"""

from __future__ import annotations

import csv
import json
import math
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError, OutputError
from avatar_forcing_ros.rig.coefficients import COUNT, INDEX, NAMES, clip
from avatar_forcing_ros.rig.face_names import (
    ARKIT,
    ARKIT_SHAPES,
    HEAD_ANGLES,
    VRM,
    arkit_to_rig,
    rig_to_arkit,
    rig_to_vrm,
    vrm_to_rig,
)
from avatar_forcing_ros.timebase import FRAME_RATE_HZ, frame_stamp_s

ENDINGS = (".npz", ".csv", ".json")
CSV_HEAD = ("Timecode", "BlendShapeCount")
VRM_FORMAT, VRM_HEAD = "vrm-1.0-expressions", "head_euler_yxz_rad"
HEAD_XYZ = [INDEX["head_pitch"], INDEX["head_yaw"], INDEX["head_roll"]]
TIMECODE_RATES_HZ = (24, 25, 30, 48, 50, 60, 90, 100, 120)
LIVE_LINK_RATE_HZ = 60  # of Live Link Face unless set otherwise
DAY_S = 86_400
MAX_NAMED = 8  # names in one sentence
_TIMECODE = re.compile(r"(\d+):(\d+):(\d+)[:;](\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Motion:
    """Coefficients over time, from whichever file."""

    values: NDArray[np.float32]  # [T, K] within their ranges
    stamps_s: NDArray[np.float64]  # [T] rising, from 0 on
    notes: tuple[str, ...] = ()  # a sentence each on what was left out or assumed

    @property
    def frames(self) -> int:
        """Frames of 40 ms until it has ended."""
        return int(self.stamps_s[-1] * FRAME_RATE_HZ + 1e-6) + 1

    @property
    def rate_hz(self) -> float:
        """Rows a second, as they usually follow each other."""
        if len(self.stamps_s) < 2:
            return float(FRAME_RATE_HZ)
        return round(1.0 / float(np.median(np.diff(self.stamps_s))), 3)

    def even(self) -> NDArray[np.float32]:
        """Values ``[T', K]`` at `rate_hz` without gaps; a missing row is the one before."""
        count = round(float(self.stamps_s[-1]) * self.rate_hz) + 1
        at = np.arange(count) / self.rate_hz + 0.5 / self.rate_hz
        return self.values[np.searchsorted(self.stamps_s, at, side="right") - 1]


def check_motion_ending(path: Path) -> None:
    """Raises OutputError for a name whose ending is no motion file's."""
    if path.suffix.lower() not in ENDINGS:
        raise OutputError(
            f"motion {path}",
            expected="a name that ends in .npz, .csv (ARKit, as Live Link Face writes it) or "
            ".json (VRM 1.0 expressions)",
            got=path.suffix or "no ending",
            remedy="rename it",
        )


def write_motion(
    part: Path,
    values: NDArray[np.float32],
    latent: NDArray[np.float32] | None = None,
    *,
    rate_hz: float = FRAME_RATE_HZ,
) -> None:
    """Write coefficients ``[T, K]`` to `part` in the format of its ending.

    An ``.npz`` holds `names` [K], `values` [T, K], `stamp_s` [T] and, where it is given, `latent`
    [T, D]. Raises OutputError for another ending.
    """
    check_motion_ending(part)
    ending = part.suffix.lower()
    if ending == ".csv":
        _write_csv(part, rig_to_arkit(values), rate_hz)
    elif ending == ".json":
        _write_vrm(part, values, rate_hz)
    else:
        stamps = [frame_stamp_s(i) * FRAME_RATE_HZ / rate_hz for i in range(len(values))]
        more = {} if latent is None else {"latent": latent}
        with part.open("wb") as file:
            np.savez(file, names=np.array(NAMES), values=values, stamp_s=np.array(stamps), **more)


def read_motion(path: Path) -> Motion:
    """The motion in `path`, by its ending.

    Names that are not known are left out, those that are missing are 0; `notes` tell it. Raises
    MediaError for a file that cannot be read or holds no motion.
    """
    readers: dict[str, Callable[[Path], Motion]] = {
        ".npz": _read_npz, ".csv": _read_csv, ".json": _read_vrm
    }  # fmt: skip
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise _bad(path, "a name that ends in .npz, .csv or .json", path.suffix or "no ending")
    try:
        motion = reader(path)
    except OSError as error:
        raise _bad(path, "a file that can be read", error.strerror or str(error)) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise _bad(path, "text in UTF-8", str(error)) from error
    if not len(motion.values):
        raise _bad(path, "at least one frame of motion", "none")
    return motion


def _bad(path: Path, expected: str, got: str) -> MediaError:
    return MediaError(
        f"motion {path}",
        expected=expected,
        got=got,
        remedy="give a .csv of Live Link Face, a .json of VRM weights or an .npz that this "
        "package has written",
    )


def _write_csv(part: Path, shapes: NDArray[np.float32], rate_hz: float) -> None:
    """`shapes` ``[T, 61]`` a row a frame, eight decimals, timecode from 00:00:00:00.000 on."""
    whole = max(1, round(rate_hz))
    with part.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join([*CSV_HEAD, *map(_capitalised, ARKIT.names)]) + "\n")
        for i, row in enumerate(shapes):
            second, frame = divmod(i, whole)
            minute, hour = second // 60 % 60, second // 3600
            code = f"{hour:02d}:{minute:02d}:{second % 60:02d}:{frame:02d}.000"
            file.write(f"{code},{len(row)}," + ",".join(f"{v:.8f}" for v in row) + "\n")


def _capitalised(name: str) -> str:
    return name[0].upper() + name[1:]


def _read_csv(path: Path) -> Motion:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    names = [name.strip() for name in rows[0]] if rows else []
    places, notes = _columns(path, names)
    codes = [_timecode(row[0]) if row else None for row in rows[1:]]
    has_time = names[0].lower() == "timecode"
    rate_hz, guess = _timecode_rate([code for code in codes if code])
    if not has_time:
        guess = f"there is no column Timecode: {LIVE_LINK_RATE_HZ} rows a second are assumed"
    shapes: list[NDArray[np.float32]] = []
    stamps: list[float] = []
    empty = again = 0
    for line, (row, code) in enumerate(zip(rows[1:], codes, strict=True), start=2):
        if len(row) < len(names):  # as the app writes them where it sees no face
            empty += bool(row)
            continue
        if has_time and code is None:
            raise _bad(path, "HH:MM:SS:FF as timecode", f"{row[0]!r} in line {line}")
        stamp_s = code[0] + code[1] / rate_hz if code else (line - 2) / LIVE_LINK_RATE_HZ
        if stamps and stamp_s < stamps[-1] - DAY_S / 2:  # past midnight
            stamp_s += DAY_S
        if stamps and stamp_s <= stamps[-1]:
            again += 1
            continue
        out = np.zeros(len(ARKIT.names), np.float32)
        for column, place in places:
            out[place] = _number(path, row[column], line, names[column])
        shapes.append(out)
        stamps.append(stamp_s)
    notes += [f"{empty} rows without values were left out"] * bool(empty)
    notes += [f"{again} rows whose timecode does not rise were left out"] * bool(again)
    notes += [guess] * bool(guess)
    values = arkit_to_rig(np.array(shapes, np.float32).reshape(-1, len(ARKIT.names)))
    return _motion(path, values, np.array(stamps, np.float64), notes)


def _columns(path: Path, names: Sequence[str]) -> tuple[list[tuple[int, int]], list[str]]:
    """Known columns and their places among ARKit's names, and notes; case does not matter."""
    known = {name.lower(): place for name, place in ARKIT.index.items()}
    places = [(i, known[name.lower()]) for i, name in enumerate(names) if name.lower() in known]
    if not places:
        raise _bad(path, "a first line with ARKit's names, as EyeBlinkLeft", _some(names))
    twice = [names[i] for i, place in places if [p for _, p in places].count(place) > 1]
    if twice:
        raise _bad(path, "every column once", f"{_some(twice)} twice")
    head = {name.lower() for name in CSV_HEAD}
    strange = [n for n in names if n and n.lower() not in known and n.lower() not in head]
    found = {place for _, place in places}
    needed = [*ARKIT_SHAPES, *HEAD_ANGLES]
    return places, _notes(strange, [n for n in needed if ARKIT.index[n] not in found], "columns")


def _notes(strange: Sequence[str], missing: Sequence[str], what: str) -> list[str]:
    notes = []
    if strange:
        notes.append(f"{what} that are not known were left out: {_some(strange)}")
    if missing:
        notes.append(f"{what} that are missing count as 0: {_some(missing)}")
    return notes


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return (", ".join(names[:MAX_NAMED]) or "nothing") + more


def _number(path: Path, text: str, line: int, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _bad(path, "numbers", f"{text!r} as {name} in line {line}")
    return value


def _timecode(text: str) -> tuple[int, float] | None:
    """Whole seconds and frames of ``HH:MM:SS:FF.sss``; None for anything else."""
    found = _TIMECODE.fullmatch(text.strip())
    if not found:
        return None
    hours, minutes, seconds = (int(found[i]) for i in (1, 2, 3))
    return hours * 3600 + minutes * 60 + seconds, float(found[4])


def _timecode_rate(codes: Sequence[tuple[int, float]]) -> tuple[float, str]:
    """Frames a second of timecodes, which do not tell it, and a note where it is a guess.

    It is seen where a second ends: there frames begin at 0 again.
    """
    if not codes:
        return float(LIVE_LINK_RATE_HZ), ""
    most = max(int(frame) for _, frame in codes) + 1
    rate = next((rate for rate in TIMECODE_RATES_HZ if rate >= most), most)
    if any(b[0] != a[0] for a, b in pairwise(codes)) or rate > LIVE_LINK_RATE_HZ:
        return float(rate), ""
    guess = f"less than a second of timecode: {LIVE_LINK_RATE_HZ} frames a second are assumed"
    return float(LIVE_LINK_RATE_HZ), guess


def _motion(
    path: Path, values: NDArray[np.float32], stamps_s: NDArray[np.float64], notes: Sequence[str]
) -> Motion:
    """`stamps_s` from 0 on; raises MediaError where they do not rise."""
    if len(stamps_s) and not (np.diff(stamps_s) > 0.0).all():
        raise _bad(path, "times that rise from row to row", "some that do not")
    begin = stamps_s[:1].sum()
    return Motion(values, stamps_s - begin, tuple(notes))


def _write_vrm(part: Path, values: NDArray[np.float32], rate_hz: float) -> None:
    document = {
        "format": VRM_FORMAT,
        "fps": rate_hz,
        "names": list(VRM.names),
        "weights": _rounded(rig_to_vrm(values)),
        VRM_HEAD: _rounded(values[:, HEAD_XYZ]),
    }
    part.write_text(json.dumps(document) + "\n", encoding="utf-8")


def _rounded(rows: NDArray[np.float32]) -> list[list[float]]:
    return [[round(float(value), 8) for value in row] for row in rows]


def _read_vrm(path: Path) -> Motion:
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise _bad(path, "JSON", str(error)) from error
    if not isinstance(document, Mapping):
        raise _bad(path, "an object with fps, names and weights", type(document).__name__)
    names = document.get("names")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _bad(path, "names of VRM 1.0 expressions under 'names'", _shown(names))
    known = [(i, VRM.index[name]) for i, name in enumerate(names) if name in VRM.index]
    if not known or len(set(names)) < len(names):
        raise _bad(path, "names of VRM 1.0 expressions, each once", _some(names))
    rate_hz = document.get("fps")
    if not isinstance(rate_hz, (int, float)) or not 0.0 < rate_hz < math.inf:
        raise _bad(path, "frames a second under 'fps'", _shown(rate_hz))
    given = _rows(path, document.get("weights"), "weights", len(names))  # [T, n]
    weights = np.zeros((len(given), len(VRM.names)), np.float32)
    weights[:, [place for _, place in known]] = given[:, [i for i, _ in known]]
    values = vrm_to_rig(np.clip(weights, 0.0, 1.0))
    if VRM_HEAD in document:
        head = _rows(path, document[VRM_HEAD], VRM_HEAD, 3)
        if len(head) != len(values):
            raise _bad(path, f"{len(values)} rows of {VRM_HEAD}", str(len(head)))
        values[:, HEAD_XYZ] = head
    notes = _notes(
        [name for name in names if name not in VRM.index],
        [name for name in VRM.names if name not in names],
        "expressions",
    )
    return _motion(path, clip(values), np.arange(len(values)) / rate_hz, notes)


def _rows(path: Path, given: Any, name: str, width: int) -> NDArray[np.float32]:
    """``[T, width]`` finite numbers."""
    try:
        rows = np.array(given, np.float32).reshape(len(given), width)
    except (TypeError, ValueError) as error:
        raise _bad(path, f"lists of {width} numbers under '{name}'", _shown(given)) from error
    if not np.isfinite(rows).all():
        raise _bad(path, f"finite numbers under '{name}'", "some that are not")
    return rows


def _shown(value: Any) -> str:
    return "nothing" if value is None else f"{json.dumps(value)[:60]}"


def _read_npz(path: Path) -> Motion:
    try:
        with np.load(path) as stored:
            arrays = {name: np.asarray(stored[name]) for name in stored.files}
        names = [str(name) for name in arrays["names"]]
        given = arrays["values"].astype(np.float32).reshape(-1, len(names))
        usual = np.arange(len(given)) / FRAME_RATE_HZ
        stamps = arrays.get("stamp_s", usual).astype(np.float64).reshape(len(given))
    except (KeyError, ValueError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        expected = "arrays 'names' [K], 'values' [T, K] and, unless 25 a second, 'stamp_s' [T]"
        raise _bad(path, expected, str(error)) from error
    known = [(i, INDEX[name]) for i, name in enumerate(names) if name in INDEX]
    if not known or not np.isfinite(given).all() or not np.isfinite(stamps).all():
        raise _bad(path, "finite values of the rig's coefficients", _some(names))
    values = np.zeros((len(given), COUNT), np.float32)
    values[:, [place for _, place in known]] = given[:, [i for i, _ in known]]
    notes = _notes(
        [name for name in names if name not in INDEX],
        [name for name in NAMES if name not in names],
        "coefficients",
    )
    return _motion(path, clip(values), stamps, notes)
