"""Draw one of the default portraits (no real person) and find its face landmarks and outline.

python tools/draw_portrait.py ada -o models/portraits/ada.png --landmarks
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent))

from portrait_backdrops import paint_background
from portrait_body import GARMENTS, paint_ear, paint_neck
from portrait_face import paint_face
from portrait_hair import BACK, EARS, FRONT, lay_hair, shade_hair
from portrait_paint import SIDE, Canvas, mirrored, mix, smoothstep, spline, to_linear, to_srgb
from portrait_spec import CENTRE_X, PEOPLE, Appearance

from avatar_forcing_ros.perception.find_face import find_face
from avatar_forcing_ros.perception.person_matte import person_matte
from avatar_forcing_ros.rig.landmark_files import save_landmark_file

COLLAR_Y = 790.0  # hair that hangs behind the neck is not seen below


def draw(look: Appearance, scale: float = 2.0, verbose: bool = True) -> NDArray[np.uint8]:
    """Paint one person; BGR picture (n, n, 3), uint8, n = 1024 * scale."""
    return draw_with_head(look, scale, verbose)[0]


def draw_with_head(
    look: Appearance, scale: float, verbose: bool
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The picture as ``draw`` returns it, and the coverage (n, n) of face, ears and hair."""
    start = time.monotonic()

    def report(stage: str) -> None:
        if verbose:
            spent = time.monotonic() - start
            print(f"\r{look.name}: {stage:<12} {spent:6.1f} s", end="", flush=True)

    canvas = Canvas(scale, look.seed)
    paint_background(canvas, look)
    report("hair")
    front, cover = shade_hair(canvas, look, lay_hair(canvas, FRONT[look.hair_style]))
    behind = np.zeros_like(cover)
    if BACK[look.hair_style]:
        back, mask = shade_hair(canvas, look, lay_hair(canvas, BACK[look.hair_style]))
        canvas.over(back * 0.5, mask)
        behind = mask * (canvas.y < COLLAR_Y)
    report("neck")
    head = canvas.fill(spline(mirrored(look.outline_half, CENTRE_X), 400, closed=True))
    if look.hair_style == "crop":
        cover = cover * np.maximum(head, smoothstep(330.0, 290.0, canvas.y))
    caster = np.maximum(head, 0.8 * cover)
    shade = canvas.blur(canvas.shift(caster, 16.0, 62.0), 15.0)
    if look.hair_style == "bob":
        wide = [(1.035 * x, 0.96 * y) for x, y in look.outline_half]
        nape = canvas.fill(spline(mirrored(wide, CENTRE_X), 400, closed=True))
        canvas.over(to_linear(look.hair_dark) * 0.7, canvas.blur(nape, 5.0))
    paint_neck(canvas, look, 1.0 - 0.86 * shade)
    GARMENTS[look.garment](canvas, look)
    report("face")
    for side in (-1, 1) if look.hair_style in EARS else ():
        behind = np.maximum(behind, paint_ear(canvas, look, side))
    fringe = canvas.blur(canvas.shift(cover, 10.0, 15.0), 9.0)
    paint_face(canvas, look, 1.0 - 0.72 * fringe)
    canvas.drop_shadow(cover, 4.0, 6.0, 5.0, 0.35, head)
    canvas.over(front, cover)
    report("done")
    if verbose:
        print()
    picture = np.clip(to_srgb(canvas.rgb), 0.0, 1.0)
    picture = 255.0 * mix(picture, smoothstep(0.0, 1.0, picture), 0.16)
    picture += canvas.rng.normal(0.0, 0.6, picture.shape)
    picture = np.clip(np.round(picture), 0, 255).astype(np.uint8)[..., ::-1]
    return picture, np.maximum(np.maximum(head, cover), behind)


def main() -> None:
    """Parse the command line, draw, write the picture and, if asked, its landmarks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("person", choices=sorted(PEOPLE))
    parser.add_argument("-o", "--output", type=Path, required=True, help="PNG file to write")
    beside = "write NAME.landmarks.json and NAME.matte.png too"
    parser.add_argument("--landmarks", action="store_true", help=beside)
    parser.add_argument("--scale", type=float, default=2.0, help="supersampling (default 2)")
    args = parser.parse_args()
    picture = draw(PEOPLE[args.person], args.scale)
    picture = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(args.output), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    if args.landmarks:
        points = find_face(np.ascontiguousarray(picture[..., ::-1]))
        save_landmark_file(args.output.with_suffix(".landmarks.json"), points, SIDE, SIDE)
        matte = person_matte(np.ascontiguousarray(picture[..., ::-1]))
        if matte is not None:
            grey = np.round(255.0 * matte).astype(np.uint8)
            cv2.imwrite(str(args.output.with_suffix(".matte.png")), grey)


if __name__ == "__main__":
    main()
