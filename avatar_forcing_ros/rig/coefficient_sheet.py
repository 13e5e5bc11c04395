"""Pages that show what every coefficient, and every named expression, does to a portrait."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.rig.coefficients import COEFFICIENTS, Coefficient
from avatar_forcing_ros.rig.expressions import EXPRESSIONS, Expression
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.rig.warp_renderer import WarpRenderer

Image = NDArray[np.uint8]

_TILE_PX = 150
_GAP_PX = 6
_MARGIN_PX = 28
_CAPTION_PX = 26
_COLUMNS = 3  # coefficients side by side, three tiles each
_EXPRESSION_COLUMNS, _EXPRESSION_PX = 5, 180
_INK, _SOFT_INK, _PAPER = (38, 42, 48), (120, 126, 134), (250, 250, 248)

# Pose limits are wider than what a conversation shows; the page shows the latter.
_SHOWN = {"head_yaw": 0.35, "head_pitch": 0.3, "head_roll": 0.3, "head_x": 0.15, "head_y": 0.15,
          "head_scale": 0.15}  # fmt: skip

MOUTH_SHAPES: dict[str, dict[str, float]] = {
    "a": {"jaw_open": 0.7, "mouth_wide": 0.1},
    "i": {"jaw_open": 0.12, "mouth_wide": 0.7, "upper_lip_raise": 0.2, "lower_lip_down": 0.3},
    "u": {"jaw_open": 0.1, "mouth_pucker": 1.0},
    "o": {"jaw_open": 0.42, "mouth_pucker": 0.65},
    "m": {"jaw_open": 0.15, "lips_close": 1.0},
    "f": {"jaw_open": 0.14, "upper_lip_raise": 0.7, "lips_close": 0.4},
}


def coefficient_sheet(portrait: Portrait) -> Image:
    """The page ``[H, W, 3]`` uint8 RGB: each coefficient at low, middle and high; a i u o m f."""
    renderer = WarpRenderer(portrait)
    cells = [_coefficient_cell(renderer, c) for c in COEFFICIENTS]
    while len(cells) % _COLUMNS:
        cells.append(np.full_like(cells[0], _PAPER))
    rows = [_beside(cells[i : i + _COLUMNS], 4 * _GAP_PX) for i in range(0, len(cells), _COLUMNS)]
    rows.append(_mouth_row(renderer, rows[0].shape[1]))
    return _framed(_below(rows, 2 * _GAP_PX))


def expression_sheet(portrait: Portrait) -> Image:
    """The page ``[H, W, 3]`` uint8 RGB: every named expression, as it looks in silence."""
    renderer = WarpRenderer(portrait)
    tiles = []
    for name in EXPRESSIONS:
        image = renderer.render(Expression(name).coefficients())
        tiles.append(_tagged(_tile(_face(renderer, image), _EXPRESSION_PX), name))
    while len(tiles) % _EXPRESSION_COLUMNS:
        tiles.append(np.full_like(tiles[0], _PAPER))
    rows = range(0, len(tiles), _EXPRESSION_COLUMNS)
    return _framed(
        _below([_beside(tiles[i : i + _EXPRESSION_COLUMNS], _GAP_PX) for i in rows], _GAP_PX)
    )


def _framed(page: Image) -> Image:
    height, width = page.shape[:2]
    framed = np.full((height + 2 * _MARGIN_PX, width + 2 * _MARGIN_PX, 3), _PAPER, np.uint8)
    framed[_MARGIN_PX:-_MARGIN_PX, _MARGIN_PX:-_MARGIN_PX] = page
    return framed


def _coefficient_cell(renderer: WarpRenderer, coefficient: Coefficient) -> Image:
    """Caption over three tiles: low, middle, high."""
    high = _SHOWN.get(coefficient.name, coefficient.high)
    values = (-high, 0.0, high) if coefficient.low < 0 else (0.0, 0.5 * high, high)
    is_pose = coefficient.name in coefficients.NAMES[coefficients.POSE]
    tiles = []
    for value in values:
        image = renderer.render(coefficients.vector(**{coefficient.name: value}))
        tile = _tile(image if is_pose else _face(renderer, image))
        label = f"{value:+.2f}".rstrip("0").rstrip(".") if value else "0"
        tiles.append(_tagged(tile, label))
    strip = _beside(tiles, _GAP_PX)
    return _below([_caption(coefficient.name, coefficient.meaning, strip.shape[1]), strip], 0)


def _mouth_row(renderer: WarpRenderer, width_px: int) -> Image:
    """The mouth shapes in one row of larger tiles."""
    count = len(MOUTH_SHAPES)
    side = (width_px - (count - 1) * _GAP_PX) // count
    tiles = []
    for name, values in MOUTH_SHAPES.items():
        image = renderer.render(coefficients.vector(**values))
        tiles.append(_tagged(_tile(_face(renderer, image, lower=True), side), name))
    strip = _beside(tiles, _GAP_PX)
    row = np.full((strip.shape[0], width_px, 3), _PAPER, np.uint8)
    row[:, : strip.shape[1]] = strip
    return _below([_caption("mouth shapes", "combinations as in speech", width_px), row], 0)


def _face(renderer: WarpRenderer, image: Image, lower: bool = False) -> Image:
    """The square around the face, or around its `lower` half, of a rendered image."""
    points = renderer.portrait.landmarks[:468, :2]
    low, high = points.min(0), points.max(0)
    side = (0.62 if lower else 1.06) * float((high - low).max())
    centre = 0.5 * (low + high)
    if lower:
        centre[1] = high[1] + 0.07 * side - 0.5 * side
    size = renderer.size_px
    x, y = (int(np.clip(c - 0.5 * side, 0, size - 1)) for c in centre)
    return image[y : y + int(side), x : x + int(side)]


def _tile(image: Image, side_px: int = _TILE_PX) -> Image:
    method = cv2.INTER_AREA if image.shape[0] > side_px else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (side_px, side_px), interpolation=method), np.uint8)


def _tagged(tile: Image, label: str) -> Image:
    """`tile` with a small label in its lower left corner."""
    out = tile.copy()
    (width, height), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_DUPLEX, 0.4, 1)
    out[-height - 9 :, : width + 10] = _PAPER
    _write(out, label, (5, out.shape[0] - 4), 0.4, _INK)
    return out


def _caption(title: str, text: str, width_px: int) -> Image:
    band = np.full((_CAPTION_PX, width_px, 3), _PAPER, np.uint8)
    base = _CAPTION_PX - 9
    _write(band, title, (1, base), 0.46, _INK)
    offset = cv2.getTextSize(title, cv2.FONT_HERSHEY_DUPLEX, 0.46, 1)[0][0] + 10
    room = width_px - offset
    scale = min(0.4, 0.4 * room / cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.4, 1)[0][0])
    cv2.putText(
        band, text, (offset, base), cv2.FONT_HERSHEY_SIMPLEX, scale, _SOFT_INK, 1, cv2.LINE_AA
    )
    return band


def _write(
    image: Image, text: str, place: tuple[int, int], scale: float, colour: tuple[int, int, int]
) -> None:
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_DUPLEX, scale, colour, 1, cv2.LINE_AA)


def _beside(images: list[Image], gap_px: int) -> Image:
    spacer = np.full((images[0].shape[0], gap_px, 3), _PAPER, np.uint8)
    parts = [part for image in images for part in (image, spacer)][:-1]
    return np.concatenate(parts, 1)


def _below(images: list[Image], gap_px: int) -> Image:
    spacer = np.full((gap_px, images[0].shape[1], 3), _PAPER, np.uint8)
    parts = [part for image in images for part in (image, spacer)][:-1]
    return np.concatenate(parts, 0)
