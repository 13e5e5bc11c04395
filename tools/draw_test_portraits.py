"""Draw the test set of portraits, with their landmarks and what is known of each.

    python tools/draw_test_portraits.py -o test/data/portraits [NAME...]

Writes NAME.jpg, NAME.landmarks.json and an entry in portraits.json for every picture, or for the
named ones. The same machine writes the same bytes.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent))

from draw_portrait import draw_with_head
from portrait_animal import draw_cat
from portrait_cast import SUBJECTS, Subject
from portrait_extras import lens_outlines
from portrait_mouth import opening_points
from portrait_paint import SIDE

from avatar_forcing_ros.perception.find_face import find_face
from avatar_forcing_ros.rig.landmark_files import save_landmark_file

SCALE = 0.75
INDEX = "portraits.json"


def main() -> None:
    """Parse the command line, draw, write files."""
    names = [subject.name for subject in SUBJECTS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write into")
    parser.add_argument("--scale", type=float, default=SCALE, help="supersampling (default 0.75)")
    args = parser.parse_args()
    unknown = sorted(set(args.names) - set(names))
    if unknown:
        parser.error(f"no such portrait: {', '.join(unknown)}; there are {', '.join(names)}")
    args.output.mkdir(parents=True, exist_ok=True)
    chosen = [s for s in SUBJECTS if not args.names or s.name in args.names]
    for number, subject in enumerate(chosen, 1):
        print(f"{number}/{len(chosen)} ", end="")
        entry = make(subject, args.output, args.scale)
        index = read_index(args.output)
        index[subject.name] = entry
        write_index(args.output, {name: index[name] for name in names if name in index})


def make(subject: Subject, folder: Path, scale: float) -> dict[str, Any]:
    """Draw one picture and its landmarks into `folder`; what is known of it."""
    if subject.person is None:
        rgb, head = draw_cat(scale, seed=3), None
        print("cat: done", flush=True)
    else:
        drawn, head = draw_with_head(subject.person, scale, verbose=True)
        rgb = np.ascontiguousarray(drawn[..., ::-1])
    pixels = photograph(subject, rgb, scale, folder)
    if head is None:
        size_px = [pixels.shape[1], pixels.shape[0]]
        return {"shows": subject.shows, "face": False, "size_px": size_px}
    # found where they are found best: in the whole, clean drawing
    landmarks = find_face(rgb) * np.float32(SIDE / rgb.shape[0])
    save_landmark_file(
        folder / f"{subject.name}.landmarks.json",
        np.round(cut_landmarks(subject, landmarks), 1),
        pixels.shape[1],
        pixels.shape[0],
    )
    return truth(subject, head, pixels)


def photograph(
    subject: Subject, rgb: NDArray[np.uint8], scale: float, folder: Path
) -> NDArray[np.uint8]:
    """Write the photo of a drawing (n, n, 3); its pixels (h, w, 3), RGB."""
    picture = subject.cut.take(rgb.astype(np.float32) / 255.0, scale)
    rng = np.random.default_rng(zlib.crc32(subject.name.encode()))
    pixels = np.clip(255.0 * subject.look(picture, rng) + 0.5, 0, 255).astype(np.uint8)
    cv2.imwrite(
        str(folder / f"{subject.name}.jpg"),
        np.ascontiguousarray(pixels[..., ::-1]),
        [cv2.IMWRITE_JPEG_QUALITY, subject.quality],
    )
    return pixels


def cut_landmarks(subject: Subject, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Landmarks (478, 3) of the drawing, 1024 a side, in the photo's pixels."""
    zoom = np.hypot(*subject.cut.matrix(1.0)[:, 0])
    flat = subject.cut.points(landmarks[:, :2] + 0.5)
    return np.column_stack([flat, landmarks[:, 2] * zoom]).astype(np.float32)


def truth(
    subject: Subject, head: NDArray[np.float32], pixels: NDArray[np.uint8]
) -> dict[str, Any]:
    """What the drawing knows: outlines in pixels of the picture."""
    opening = opening_points(subject.person)
    outline = opening if opening is None else subject.cut.points(opening)
    lenses = [subject.cut.points(lens) for lens in lens_outlines(subject.person)]
    return {
        "shows": subject.shows,
        "face": True,
        "size_px": [pixels.shape[1], pixels.shape[0]],
        "turn_deg": subject.cut.turn_deg,
        "yaw_deg": 0.0,
        "gap_px": 0.0 if outline is None else round(gap(outline), 2),
        "teeth": bool(subject.person.mouth_gap and subject.person.teeth),
        "opening_px": None if outline is None else rounded(outline[::2]),
        "head_px": rounded(subject.cut.points(head_outline(head))),
        "lenses_px": [rounded(lens[::4]) for lens in lenses],
    }


def gap(outline: NDArray[np.float64]) -> float:
    """Greatest height of an opening (2m, 2) across the mouth, px."""
    half = len(outline) // 2
    return float(np.hypot(*(outline[::-1][:half] - outline[:half]).T).max())


def head_outline(head: NDArray[np.float32]) -> NDArray[np.float64]:
    """Outline (m, 2) in points of what covers the background with face, ears and hair."""
    solid = cv2.morphologyEx((head > 0.5).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((9, 9)))
    contours, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(contours, key=cv2.contourArea)
    simple = cv2.approxPolyDP(largest, 0.004 * head.shape[0], True)[:, 0]
    return (simple + 0.5) * (SIDE / head.shape[0])


def rounded(points: NDArray[np.float64]) -> list[list[float]]:
    """Points (m, 2) for JSON."""
    return [[round(float(x), 1), round(float(y), 1)] for x, y in points]


def read_index(folder: Path) -> dict[str, Any]:
    """The entries that `folder` has."""
    path = folder / INDEX
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write_index(folder: Path, index: dict[str, Any]) -> None:
    """Write the entries, one a line."""
    lines = [f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in index.items()]
    (folder / INDEX).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
