"""What shows between parted lips: upper teeth, their shade and the dark behind them."""

from __future__ import annotations

import numpy as np
from portrait_features import lips_of
from portrait_paint import Canvas, Image, mix, smoothstep, to_linear
from portrait_spec import Appearance

# Borders between the upper teeth, from the middle outwards, and how far each one reaches down.
_BORDERS = (0.0, 25.0, 45.0, 63.0, 76.0, 87.0, 96.0)
_REACH = (1.0, 0.86, 0.93, 0.84, 0.80, 0.76)
_SIDE = 42.0  # half of the width over which the lips' shadow falls


def paint_opening(canvas: Canvas, look: Appearance) -> None:
    """Paint what is seen between the lips; nothing where they touch."""
    lips = lips_of(look)
    outline = lips.opening()
    if not look.mouth_gap or len(outline) < 3:
        return
    reach, _, above, below, _ = lips.fields(canvas)
    soft = min(1.1, 0.2 * look.mouth_gap)
    open_part = smoothstep(-soft, soft, canvas.y - above) * smoothstep(
        -soft, soft, below - canvas.y
    )
    open_part = open_part * smoothstep(0.3, 1.4, below - above)
    deep = to_linear(look.lip) * np.float32([0.075, 0.030, 0.032])
    glow = smoothstep(0.2, 1.0, (canvas.y - above) / np.maximum(below - above, 1.0))
    inside = deep * (0.7 + 1.1 * glow * smoothstep(70.0, 10.0, reach))[..., None]
    if look.teeth:
        colour, cover = _teeth(canvas, look, reach, above, below)
        inside = mix(inside, colour, cover)
    canvas.over(inside, open_part)
    # the lips' inner borders: the upper lip shades, the lower one is wet
    under = np.exp(-(((canvas.y - above - 0.6) / (0.8 + 0.07 * look.mouth_gap)) ** 2)) * open_part
    canvas.rgb = canvas.rgb * (1.0 - 0.6 * under[..., None])
    wet = np.exp(-(((canvas.y - below - 1.2) / 1.1) ** 2)) * smoothstep(_SIDE, 10.0, reach)
    broken = np.clip(0.6 + 0.4 * np.sin(0.31 * canvas.x + look.seed), 0.0, 1.0)
    canvas.rgb += (0.10 * look.lip_gloss * wet * broken * (below - above > 1.0))[..., None]


def _teeth(
    canvas: Canvas, look: Appearance, reach: Image, above: Image, below: Image
) -> tuple[Image, Image]:
    """Colour (n, n, 3) and coverage (n, n) of the upper teeth."""
    widest = look.mouth_half_width / 84.0
    borders = np.asarray(_BORDERS) * widest
    lips = lips_of(look)
    middle_top, middle_bottom = (float(v) for v in np.ravel(lips.curves(np.zeros(1))[1:3]))
    # the row of teeth follows the smile, not the lip's edge
    hang = middle_top + look.teeth * (middle_bottom - middle_top)
    line = hang - 0.72 * look.smile * (reach / 73.0) ** 2
    cover = np.zeros_like(reach)
    tone = np.zeros_like(reach)
    for k, part in enumerate(_REACH):
        low, high = borders[k], borders[k + 1]
        middle, half = 0.5 * (low + high), 0.5 * (high - low)
        across = (reach - middle) / half
        edge = line - (1.0 - part) * 8.0 - 2.6 * np.abs(across) ** 5
        one = smoothstep(1.06, 0.96, np.abs(across)) * smoothstep(0.9, -0.9, canvas.y - edge)
        round_ = 1.0 - 0.52 * np.abs(across) ** 4.0
        cover = np.maximum(cover, one)
        tone = np.where(np.abs(across) <= 1.0, round_, tone)
    shade = tone * (1.0 - 0.62 * smoothstep(0.25, 1.0, reach / borders[-1]))  # the cheeks' shadow
    fall = smoothstep(-1.0, 12.0, canvas.y - above)  # and the upper lip's
    shade = shade * (0.50 + 0.50 * fall) * (0.96 + 0.02 * canvas.noise(9.0))
    enamel = to_linear((0.90, 0.86, 0.77))
    root = to_linear((0.87, 0.80, 0.68))
    near_gum = smoothstep(16.0, 0.0, canvas.y - above)
    colour = mix(np.broadcast_to(enamel, (*reach.shape, 3)), root, 0.6 * near_gum)
    colour = colour * (0.74 * shade)[..., None]
    return colour.astype(np.float32), cover


def opening_points(look: Appearance) -> np.ndarray | None:
    """Outline (m, 2) of the opening in points, None for closed lips."""
    return lips_of(look).opening() if look.mouth_gap else None
