"""What some of the drawn people wear or have in their faces: glasses and wrinkles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from portrait_paint import Canvas, Image, smoothstep, spline, to_linear
from portrait_spec import CENTRE_X, EYE_DX, EYE_Y, Appearance, Colour


@dataclass(frozen=True)
class Glasses:
    """One pair; lengths in points, the lens' outline relative to its middle, outer side right."""

    lens: tuple[tuple[float, float], ...]
    lens_dx: float
    lens_y: float
    rim: float
    bridge_y: float
    colour: Colour
    shine: float
    tint: float


GLASSES = {
    "thick": Glasses(
        lens=((-62, -22), (-40, -37), (0, -41), (44, -39), (66, -30), (66, 4), (50, 38),
              (14, 50), (-28, 46), (-54, 22)),
        lens_dx=EYE_DX + 2.0, lens_y=EYE_Y + 6.0, rim=11.0, bridge_y=-16.0,
        colour=(0.055, 0.045, 0.05), shine=0.5, tint=0.02,
    ),
    "thin": Glasses(
        lens=((-54, -6), (-42, -24), (0, -31), (42, -25), (56, -6), (44, 22), (0, 31), (-42, 23)),
        lens_dx=EYE_DX, lens_y=EYE_Y + 5.0, rim=4.2, bridge_y=-10.0,
        colour=(0.50, 0.42, 0.30), shine=1.0, tint=0.015,
    ),
}  # fmt: skip


def lens_outlines(look: Appearance) -> list[np.ndarray]:
    """Closed outlines (m, 2) of both lenses in points; the rim runs along them. Left first."""
    if not look.glasses:
        return []
    pair = GLASSES[look.glasses]
    curve = spline(pair.lens, 160, closed=True)
    middle = [(CENTRE_X + side * pair.lens_dx, pair.lens_y) for side in (-1, 1)]
    return [curve * [side, 1.0] + at for side, at in zip((-1, 1), middle, strict=True)]


def paint_glasses(canvas: Canvas, look: Appearance) -> None:
    """Paint lenses, rims, bridge and temples with their shadow on the skin."""
    if not look.glasses:
        return
    pair = GLASSES[look.glasses]
    outlines = lens_outlines(look)
    inside = np.maximum(*(canvas.fill(outline) for outline in outlines))
    widths = [pair.rim] * len(outlines)
    rims = _bands(canvas, outlines, widths, closed=True)
    inner = pair.lens_dx + min(x for x, _ in pair.lens)
    y = pair.lens_y + pair.bridge_y
    bridge = spline([(CENTRE_X - inner, y), (CENTRE_X, y - 9), (CENTRE_X + inner, y)], 40)
    frame = np.maximum(rims, _bands(canvas, [bridge], [pair.rim * 0.95]))
    outer = pair.lens_dx + max(x for x, _ in pair.lens)
    for side in (-1, 1):
        temple = np.array([(CENTRE_X + side * v, y + 4.0) for v in (outer - 2, outer + 20, 214)])
        frame = np.maximum(frame, _bands(canvas, [temple], [pair.rim * 0.9]))
    canvas.drop_shadow(frame, 6.0, 12.0, 5.0, 0.42)
    canvas.over(to_linear((0.75, 0.85, 0.92)), inside * pair.tint)
    slope = canvas.x + 0.55 * canvas.y
    for outline in outlines:
        start = float((outline[:, 0] + 0.55 * outline[:, 1]).min())
        streak = smoothstep(38, 44, slope - start) * smoothstep(70, 64, slope - start)
        streak = streak + 0.6 * smoothstep(78, 81, slope - start) * smoothstep(
            90, 87, slope - start
        )
        canvas.rgb += (0.035 * streak * canvas.fill(outline))[..., None]
    relief = canvas.inflate(frame, 0.5 * pair.rim, 0.5 * pair.rim)
    normal = canvas.normals(relief)
    light = np.clip(normal @ np.float32([-0.52, -0.62, 0.59]), 0.0, 1.0)
    colour = to_linear(pair.colour) * (0.35 + 0.8 * light)[..., None]
    colour = colour + (0.5 * pair.shine * light**14)[..., None]
    canvas.over(colour.astype(np.float32), frame)


def _between(low: float, high: float, value: Image, soft: float) -> Image:
    """1 from ``low`` to ``high``, with soft borders inside."""
    return smoothstep(low, low + soft, value) * smoothstep(high, high - soft, value)


def _bands(
    canvas: Canvas, curves: list[np.ndarray], widths: list[float], closed: bool = False
) -> Image:
    """Coverage (n, n) of bands of even width along curves (m, 2)."""
    total = np.zeros((canvas.n, canvas.n), np.float32)
    for curve, width in zip(curves, widths, strict=True):
        tangent = np.gradient(curve, axis=0)
        if closed:
            tangent = np.roll(curve, -1, axis=0) - np.roll(curve, 1, axis=0)
        side = np.stack([-tangent[:, 1], tangent[:, 0]], 1)
        side *= 0.5 * width / np.maximum(np.hypot(*tangent.T)[:, None], 1e-9)
        if closed:
            wide, narrow = canvas.fill(curve + side), canvas.fill(curve - side)
            total = np.maximum(total, np.abs(wide - narrow))
        else:
            total = np.maximum(total, canvas.fill(np.vstack([curve + side, (curve - side)[::-1]])))
    return total


def wrinkle_lines(canvas: Canvas, look: Appearance) -> Image:
    """Coverage (n, n) of the lines of an old face, deepest 1."""
    rng = np.random.default_rng(look.seed)  # the canvas draws the same people without them
    fine, deep = [], []
    for k, y in enumerate((258, 286, 312, 338)):
        half = 120 - 12 * abs(k - 1.5)
        sway = rng.uniform(-5, 5, 7)
        xs = np.linspace(-half, half, 7) + rng.uniform(-6, 6, 7)
        bow = 10.0 * (xs / half) ** 2
        deep.append(np.stack([CENTRE_X + xs, y + bow + sway], 1))
    for side in (-1, 1):
        deep.append(_on_side(side, ((13, 402), (17, 376), (12, 350))))
        deep.append(_on_side(side, ((50, 560), (86, 600), (104, 640), (102, 668))))
        deep.append(_on_side(side, ((88, 650), (98, 676), (92, 704))))
        fine += [
            _on_side(side, ((52, 476), (88, 486), (126, 474))),
            _on_side(side, ((60, 490), (94, 503), (134, 486))),
            _on_side(side, ((112, 566), (140, 604), (146, 650))),
            _on_side(side, ((132, 548), (162, 580), (170, 622))),
            _on_side(side, ((58, 392), (96, 384), (136, 400))),
        ]
        for lift in (-20, -7, 6, 19):
            fine.append(
                _on_side(
                    side, ((143, 441 + 0.45 * lift), (160, 441 + lift), (182, 437 + 1.7 * lift))
                )
            )
        for x in (10, 24, 38, 52):
            fine.append(_on_side(side, ((x, 602 - 0.05 * x), (x * 0.98, 612), (x * 0.95, 622))))
    lines = [(curve, 2.6 + 0.6 * rng.random()) for curve in fine]
    lines += [(curve, 4.4 + 1.2 * rng.random()) for curve in deep]
    total = np.zeros((canvas.n, canvas.n), np.float32)
    for curve, width in lines:
        path = spline(curve, 60)
        middle = len(path) // 2
        mask = canvas.strokes([path[middle - 1 :], path[: middle + 1][::-1]], [width, width])
        total = np.maximum(total, mask * (1.0 if width > 4.0 else 0.75))
    return canvas.blur(total, 0.9) * look.wrinkles


def _on_side(side: int, points: tuple[tuple[float, float], ...]) -> np.ndarray:
    return np.array([(CENTRE_X + side * x, y) for x, y in points])
