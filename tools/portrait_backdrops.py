"""Backgrounds behind the drawn people: calm ones, straight lines, lights out of focus."""

from __future__ import annotations

import numpy as np
from portrait_paint import Canvas, mix, smoothstep, to_linear
from portrait_spec import Appearance


def paint_background(canvas: Canvas, look: Appearance) -> None:
    """Paint the backdrop; the same person looks the same in front of any of them."""
    studio(canvas, look)  # always: it draws from the canvas' random numbers
    if look.backdrop != "studio":
        BACKDROPS[look.backdrop](canvas, look)


def studio(canvas: Canvas, look: Appearance) -> None:
    """A calm studio gradient with a soft glow behind the head."""
    base, glow = to_linear(look.background), to_linear(look.background_glow)
    spot = canvas.spot(600, 400, 520, 560)
    rgb = mix(np.broadcast_to(base, canvas.rgb.shape), glow, spot * 0.85)
    fall = 1.0 - 0.38 * smoothstep(380, 860, np.hypot(canvas.x - 540, (canvas.y - 440)))
    clouds = 1.0 + 0.012 * canvas.noise(260) + 0.006 * canvas.noise(120)
    canvas.rgb = (rgb * (fall * clouds)[..., None]).astype(np.float32)


def blinds(canvas: Canvas, look: Appearance) -> None:
    """Window blinds: level slats, cords and the window's frame."""
    pitch = 34.0
    phase = np.mod(canvas.y + 9.0, pitch) / pitch  # 0 at a slat's upper edge
    slat = 0.62 + 0.34 * np.clip(np.sin(np.pi * phase / 0.86), 0.0, 1.0) ** 0.7
    gap = smoothstep(0.84, 0.87, phase) * smoothstep(1.0, 0.97, phase)
    base, glow = to_linear(look.background), to_linear(look.background_glow)
    light = 0.75 + 0.35 * canvas.spot(250, 300, 520, 620)
    rgb = base * (slat * light)[..., None]
    rgb = mix(rgb, glow * 1.35, gap)
    for x in (168.0, 512.0, 856.0):
        cord = smoothstep(3.2, 2.2, np.abs(canvas.x - x))
        rgb = mix(rgb, base * 0.30, cord * 0.8)
    frame = smoothstep(44.0, 40.0, canvas.x) + smoothstep(980.0, 984.0, canvas.x)
    rgb = mix(rgb, to_linear((0.36, 0.31, 0.27)), np.clip(frame, 0.0, 1.0))
    canvas.rgb = rgb.astype(np.float32)


def shelves(canvas: Canvas, look: Appearance) -> None:
    """Shelves full of books: upright and level lines with much contrast."""
    rng = np.random.default_rng(look.seed)
    wood = to_linear(look.background)
    grain = 1.0 + 0.08 * np.sin(canvas.y * 0.9 + 3.0 * np.sin(canvas.x * 0.011))
    board = np.zeros_like(canvas.x)
    shade = np.zeros_like(canvas.x)
    canvas.rgb = np.broadcast_to(wood * 0.22, canvas.rgb.shape).astype(np.float32)
    for bottom in np.arange(130.0, 1200.0, 216.0):
        x = rng.uniform(-20.0, 0.0)
        while x < 1024.0:
            width = rng.uniform(20.0, 48.0)
            top = bottom - rng.uniform(132.0, 176.0)
            hue = np.array(SPINES[rng.integers(len(SPINES))]) * rng.uniform(0.25, 0.85)
            _book(canvas, x, width, top, bottom, hue)
            x += width + rng.choice((0.0, 0.0, 0.0, 7.0))
        below = canvas.y - bottom
        board += smoothstep(0.0, 1.5, below) * smoothstep(26.0, 24.5, below)
        shade += smoothstep(26.0, 27.0, below) * smoothstep(66.0, 28.0, below)
    canvas.over(wood * grain[..., None], board)
    canvas.rgb = canvas.rgb * (1.0 - 0.6 * shade)[..., None]


def _book(
    canvas: Canvas, x: float, width: float, top: float, bottom: float, hue: np.ndarray
) -> None:
    """One spine with gilded bands, painted into its own box of the canvas."""
    edges = np.array([x, x + width, top, bottom]) * canvas.scale
    x0, x1, y0, y1 = (int(v) for v in np.clip(np.round(edges), 0, canvas.n))
    if x1 <= x0 or y1 <= y0:
        return
    box = np.s_[y0:y1, x0:x1]
    across = (canvas.x[box] - x) / (0.5 * width) - 1.0
    bulge = np.sqrt(np.clip(1.0 - across**2, 0.05, 1.0))
    colour = to_linear(hue) * (0.35 + 0.65 * bulge)[..., None]
    for part in (0.14, 0.2, 0.82):
        band = np.abs(canvas.y[box] - (top + part * (bottom - top))) < 2.0
        colour = mix(colour, to_linear((0.80, 0.68, 0.40)), 0.7 * band)
    canvas.rgb[box] = colour


def bokeh(canvas: Canvas, look: Appearance) -> None:
    """Street lights far out of focus: large discs with soft borders."""
    rng = np.random.default_rng(look.seed)
    canvas.rgb = canvas.rgb * smoothstep(1200.0, -200.0, canvas.y)[..., None]
    for _ in range(46):
        x, y = rng.uniform(-40, 1064), rng.normal(420, 240)
        radius = rng.uniform(26.0, 78.0)
        away = np.hypot(canvas.x - x, canvas.y - y)
        disc = smoothstep(radius + 2.5, radius - 2.5, away)
        ring = 0.78 + 0.22 * smoothstep(0.6 * radius, radius, away)
        hue = to_linear(LIGHTS[rng.integers(len(LIGHTS))]) * rng.uniform(0.10, 0.55)
        canvas.rgb = canvas.rgb + (disc * ring)[..., None] * hue
    canvas.rgb = canvas.blur(canvas.rgb, 1.5)


SPINES = (
    (0.80, 0.26, 0.20), (0.22, 0.36, 0.52), (0.86, 0.80, 0.66), (0.25, 0.42, 0.30),
    (0.72, 0.52, 0.20), (0.30, 0.22, 0.30), (0.90, 0.88, 0.84), (0.16, 0.17, 0.20),
)  # fmt: skip
LIGHTS = ((1.0, 0.72, 0.36), (1.0, 0.42, 0.24), (0.98, 0.92, 0.74), (0.40, 0.66, 1.0))
BACKDROPS = {"blinds": blinds, "shelves": shelves, "bokeh": bokeh}
