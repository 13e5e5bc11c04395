"""Contact sheet of portraits: one row per picture, one column per pose of the face.

    python tools/portrait_sheet.py PICTURE... -o sheet.jpg [--size 512] [--tile 200]

For looking at how the renderer treats pictures. A picture that is refused gets a row with its
error's text. Prints the load time of each picture and the time of one frame.
"""

from __future__ import annotations

import argparse
import os
import textwrap
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import AvatarForcingError
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.rig.warp_renderer import WarpRenderer
from avatar_forcing_ros.runtime.load import load_portrait

Image = NDArray[np.uint8]

POSES: dict[str, dict[str, float]] = {
    "rest": {},
    "jaw": {"jaw_open": 0.6},
    "wide": {"jaw_open": 0.35, "mouth_wide": 0.9},
    "pucker": {"jaw_open": 0.57, "mouth_pucker": 0.6},
    "smile": {"smile_left": 0.8, "smile_right": 0.8, "cheek_raise": 0.5},
    "blink": {"blink_left": 1.0, "blink_right": 1.0},
    "yaw +20": {"head_yaw": 0.349},
    "yaw -20": {"head_yaw": -0.349},
    "pitch +15": {"head_pitch": 0.262},
}
TIMED_ROUNDS = 3
QUALITY = 88
_LABEL_PX = 18


def main() -> None:
    """Parse the command line, draw the sheet, print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE")
    parser.add_argument("-o", "--output", type=Path, required=True, help="JPEG file to write")
    parser.add_argument("--size", type=int, default=512, help="side of the frames (default 512)")
    parser.add_argument("--tile", type=int, default=200, help="side of a tile (default 200)")
    parser.add_argument("--quality", type=int, default=QUALITY, help="of the JPEG")
    args = parser.parse_args()
    rows = [headings(args.tile)]
    rows += [row(path, args.size, args.tile) for path in args.pictures]
    sheet = np.vstack(rows)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(
        str(args.output),
        np.ascontiguousarray(sheet[..., ::-1]),
        [cv2.IMWRITE_JPEG_QUALITY, args.quality],
    )


def headings(tile: int) -> Image:
    """The columns' names ``[h, W, 3]``."""
    strip = np.full((_LABEL_PX, tile * len(POSES), 3), 255, np.uint8)
    for column, name in enumerate(POSES):
        write(strip, name, (column * tile + 4, _LABEL_PX - 5))
    return strip


def row(path: Path, size: int, tile: int) -> Image:
    """The picture in every pose, below its name: ``[h, W, 3]`` RGB."""
    label = np.full((_LABEL_PX, tile * len(POSES), 3), 225, np.uint8)
    start = time.perf_counter()
    try:
        renderer = WarpRenderer(load_portrait(path, size))
    except (AvatarForcingError, OSError, cv2.error) as error:
        loaded = time.perf_counter() - start
        print(f"{path.name}: refused after {loaded:.2f} s: {error}", flush=True)
        write(label, f"{path.name}   refused after {loaded:.2f} s", (4, _LABEL_PX - 5))
        return np.vstack([label, refusal(path, str(error), tile)])
    loaded = time.perf_counter() - start
    frames = [renderer.render(coefficients.vector(**pose)) for pose in POSES.values()]
    frame_ms = frame_time_ms(renderer)
    print(f"{path.name}: loaded in {loaded:.2f} s, {frame_ms:.1f} ms a frame", flush=True)
    write(
        label,
        path.name,
        (4, _LABEL_PX - 5),
    )
    tiles = [cv2.resize(f, (tile, tile), interpolation=cv2.INTER_AREA) for f in frames]
    return np.vstack([label, np.hstack(tiles)])


def frame_time_ms(renderer: WarpRenderer) -> float:
    """Median over all poses, each drawn a few times."""
    times = []
    for _ in range(TIMED_ROUNDS):
        for pose in POSES.values():
            values = coefficients.vector(**pose)
            start = time.perf_counter()
            renderer.render(values)
            times.append(1000.0 * (time.perf_counter() - start))
    return float(np.median(times))


def refusal(path: Path, text: str, tile: int) -> Image:
    """The picture as it is, if it can be read at all, and `text` beside it ``[tile, W, 3]``."""
    strip = np.full((tile, tile * len(POSES), 3), 255, np.uint8)
    picture = cv2.imread(str(path))
    if picture is not None:
        scale = tile / max(picture.shape[:2])
        size = [max(1, round(side * scale)) for side in picture.shape[1::-1]]
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)[..., ::-1]
        strip[: size[1], : size[0]] = small
    columns = max(20, (len(POSES) - 1) * tile // 8)
    for line, words in enumerate(textwrap.wrap(text, columns)):
        write(strip, words, (tile + 8, 24 + 18 * line))
    return strip


def write(image: Image, text: str, at: tuple[int, int]) -> None:
    """Put small dark `text` into `image`."""
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(image, plain, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (20, 20, 20), 1, cv2.LINE_AA)


if __name__ == "__main__":
    os.environ.setdefault("GLOG_minloglevel", "2")  # the face tracker's greeting
    main()
