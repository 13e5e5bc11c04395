"""Words on pictures, phonetic signs among them, which OpenCV's fonts do not have."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

PAPER: Colour = (250, 250, 248)
INK: Colour = (38, 42, 48)
SOFT_INK: Colour = (128, 134, 142)
_ALIGNED = {"left": 0.0, "centre": 0.5, "right": 1.0}


def write(
    canvas: Image,
    text: str,
    place_px: tuple[int, int],
    size_px: int,
    colour: Colour = INK,
    align: str = "left",
    bold: bool = False,
) -> int:
    """Write `text` into `canvas` ``[H, W, 3]``; what lies outside of it is cut off.

    `place_px` is x of its left, centre or right, as `align` says, and y of the line's top.
    Returns the text's width in pixels.
    """
    mask = _mask(text, size_px, bold)
    height, width = mask.shape
    left, top = place_px[0] - round(_ALIGNED[align] * width), place_px[1]
    rows = slice(max(top, 0), max(min(top + height, canvas.shape[0]), 0))
    columns = slice(max(left, 0), max(min(left + width, canvas.shape[1]), 0))
    part = canvas[rows, columns]
    if part.size:
        cover = mask[
            rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]
        share = cover[..., None].astype(np.float32) / 255.0
        part[:] = (part + share * (np.array(colour, np.float32) - part) + 0.5).astype(np.uint8)
    return width


@lru_cache(maxsize=4096)
def _mask(text: str, size_px: int, bold: bool) -> Image:
    """How much of each pixel the letters cover; all lines of a size are equally high."""
    from PIL import Image as Picture
    from PIL import ImageDraw

    font = _font(size_px, bold)
    ascent, descent = font.getmetrics()
    sheet = Picture.new("L", (max(int(np.ceil(font.getlength(text))), 1), ascent + descent))
    ImageDraw.Draw(sheet).text((0, 0), text, fill=255, font=font)
    return np.asarray(sheet, np.uint8)


@lru_cache(maxsize=16)
def _font(size_px: int, bold: bool) -> FreeTypeFont:
    import matplotlib
    from PIL import ImageFont

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / name), size_px)
