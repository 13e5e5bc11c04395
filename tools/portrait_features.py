"""Facial features: eyes with lids and lashes, brows and lips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from portrait_paint import (
    Canvas,
    Image,
    height_curve,
    highlight,
    mix,
    ribbon,
    smoothstep,
    spline,
    to_linear,
)
from portrait_spec import CENTRE_X, EYE_DX, EYE_Y, MOUTH_Y, Appearance


@dataclass(frozen=True)
class Eye:
    """One eye's lids: offsets are from the eye's centre, positive towards the temple."""

    cx: float
    side: int
    upper: tuple[tuple[float, float], ...]
    lower: tuple[tuple[float, float], ...]

    def local(self, canvas: Canvas) -> Image:
        """Offset (n, n) of each pixel from the eye's centre towards the temple, points."""
        return (canvas.x - self.cx) * self.side

    def world(self, points: np.ndarray) -> np.ndarray:
        """Points (m, 2) from the eye's offsets to the picture."""
        return np.stack([self.cx + self.side * points[:, 0], EYE_Y + points[:, 1]], axis=1)

    def outline(self) -> np.ndarray:
        """Closed outline (m, 2) of the opening in the picture."""
        top, bottom = spline(self.upper, 60), spline(self.lower, 60)
        return self.world(np.vstack([top, bottom[::-1][1:]]))


def eyes_of(look: Appearance) -> tuple[Eye, Eye]:
    """The left and the right eye of the picture."""
    w, h = look.eye_width, look.eye_open
    upper = tuple(
        (x * w, y if abs(x) > 43 else y * h)
        for x, y in ((-46, 7), (-34, -7), (-16, -18), (4, -21), (26, -16), (46, -2))
    )
    lower = tuple(
        (x * w, y if abs(x) > 43 else y * (0.6 + 0.4 * h))
        for x, y in ((-46, 7), (-34, 12), (-12, 16), (10, 16.5), (30, 10), (46, -2))
    )
    return tuple(Eye(CENTRE_X + s * EYE_DX, s, upper, lower) for s in (-1, 1))


@dataclass(frozen=True)
class Lips:
    """Three curves y(|x|) from the middle to the corner of the mouth, points.

    Parted lips leave ``line`` by ``gap`` in the middle.
    """

    upper: tuple[tuple[float, float], ...]
    line: tuple[tuple[float, float], ...]
    lower: tuple[tuple[float, float], ...]
    half_width: float
    gap: float

    def curves(self, reach: Image) -> tuple[Image, Image, Image, Image]:
        """y at the offsets ``reach`` from the middle: upper lip's top and bottom, lower lip's.

        Bottom of the upper and top of the lower lip are the same where the lips touch.
        """
        upper, line, lower = (height_curve(c)(reach) for c in (self.upper, self.line, self.lower))
        # a wide smile opens up to the corners, lips that just part only in the middle
        open_half = self.half_width * (0.74 + 0.2 * min(self.gap / 24.0, 1.0))
        parted = self.gap * np.clip(1.0 - (reach / open_half) ** 2, 0.0, 1.0) ** 0.8
        return (
            upper - 0.12 * parted,
            line - 0.38 * parted,
            line + 0.62 * parted,
            lower + 0.55 * parted,
        )

    def fields(self, canvas: Canvas) -> tuple[Image, Image, Image, Image, Image]:
        """|x| and the four curves evaluated at each column, (n, n) each."""
        reach = np.abs(canvas.x[0] - CENTRE_X)
        shape = (canvas.n, canvas.n)
        return tuple(np.broadcast_to(row, shape) for row in (reach, *self.curves(reach)))

    def opening(self, count: int = 41) -> np.ndarray:
        """Closed outline (2 * count, 2) of what parted lips leave open, its top first."""
        x = np.linspace(-self.half_width, self.half_width, count)
        _, top, bottom, _ = self.curves(np.abs(x))
        wide = bottom - top > 0.5
        x, top, bottom = x[wide] + CENTRE_X, top[wide], bottom[wide]
        return np.vstack([np.stack([x, top], 1), np.stack([x, bottom], 1)[::-1]])


def lips_of(look: Appearance) -> Lips:
    """The mouth's curves for one person."""
    w, f, s = look.mouth_half_width / 73.0, look.lip_fullness, look.smile
    base = MOUTH_Y

    def lift(x: float) -> float:
        return base - s * (x / 73.0) ** 2

    upper = ((0, -17), (6, -18), (17, -22), (32, -18), (52, -9.5), (73, 0))
    line = ((0, 2.5), (14, 0.5), (32, 2.5), (54, 2), (73, 0))
    lower = ((0, 27), (16, 26.5), (34, 23), (50, 16.5), (64, 7.5), (73, 0))
    return Lips(
        tuple((x * w, lift(x) + y * f) for x, y in upper),
        tuple((x * w, lift(x) + y) for x, y in line),
        tuple((x * w, lift(x) + y * f) for x, y in lower),
        73.0 * w,
        look.mouth_gap,
    )


def lip_paint(canvas: Canvas, look: Appearance, albedo: Image) -> tuple[Image, Image]:
    """Skin colour with painted lips (n, n, 3), and the lips' coverage (n, n)."""
    reach, upper, above, below, lower = lips_of(look).fields(canvas)
    half = lips_of(look).half_width
    y = canvas.y
    line = np.where(y < 0.5 * (above + below), above, below)
    side = smoothstep(half + 1.0, half - 5.0, reach)
    cover = smoothstep(-2.6, 2.2, y - upper) * smoothstep(2.6, -2.6, y - lower) * side
    lip = to_linear(look.lip)
    shade = np.where(y < line, 0.87, 1.0) - 0.10 * smoothstep(0.4, 1.0, reach / half)
    wrinkle = np.sin((canvas.x - CENTRE_X) * 0.9 + 1.5 * canvas.noise(14)) * 0.035
    paint = lip * (shade + wrinkle * (y > line))[..., None]
    albedo = mix(albedo, paint.astype(np.float32), cover * 0.88)
    seam = np.exp(-(((y - line) / (1.5 + 1.2 * smoothstep(60, 0, reach))) ** 2))
    seam = seam * smoothstep(half + 5.0, half - 8.0, reach)
    return mix(albedo, lip * np.float32([0.16, 0.07, 0.08]), seam * 0.9), cover


def paint_lip_gloss(canvas: Canvas, look: Appearance, height: Image, cover: Image) -> None:
    """Add wet highlights to the lips over the picture."""
    normal = canvas.normals(canvas.blur(height, 1.2) + 0.12 * canvas.noise(3.5))
    shine = 0.20 * highlight(normal, 60.0) + 0.05 * highlight(normal, 12.0)
    broken = np.clip(0.75 + 0.25 * canvas.noise(6.0), 0.0, 1.3)
    canvas.rgb += (shine * broken * cover * look.lip_gloss)[..., None]


def iris_colour(canvas: Canvas, look: Appearance, eye: Eye, radius: float) -> tuple[Image, Image]:
    """Iris colour (n, n, 3) and distance from its middle in radii (n, n)."""
    dx, dy = canvas.x - eye.cx, canvas.y - (EYE_Y - 1.5)
    distance = np.hypot(dx, dy) / radius
    angle = np.arctan2(dy, dx)
    fibres = sum(
        np.sin(angle * k + canvas.rng.uniform(0, 6.3) + 2.0 * distance) for k in (17, 29, 41, 63)
    )
    ring = smoothstep(0.36, 0.62, distance + 0.03 * fibres)
    colour = mix(to_linear(look.iris_inner) * 1.1, to_linear(look.iris), ring)
    colour = colour * (1.0 + 0.16 * fibres * smoothstep(0.3, 0.5, distance))[..., None]
    bowl = 0.55 + 0.75 * smoothstep(-0.7, 0.9, dy / radius)
    colour = colour * (bowl * (1.0 - 0.75 * smoothstep(0.74, 1.0, distance)))[..., None]
    pupil = smoothstep(0.40, 0.34, distance)
    return mix(colour, np.float32([0.004, 0.004, 0.005]), pupil), distance


def paint_eye(canvas: Canvas, look: Appearance, eye: Eye) -> None:
    """Paint eyeball, iris, catchlights and lid shadow inside one eye's opening."""
    opening = canvas.fill(eye.outline())
    u, v = eye.local(canvas), canvas.y - EYE_Y
    ball = np.sqrt(np.maximum(1.0 - (u / 66.0) ** 2 - (v / 62.0) ** 2, 0.02))
    white = to_linear((0.84, 0.825, 0.815)) * (0.24 + 0.60 * ball[..., None] ** 1.5)
    pink = to_linear((0.82, 0.52, 0.47))
    corner = np.clip(smoothstep(-28, -44, u) + 0.45 * smoothstep(30, 46, u), 0.0, 1.0)
    white = mix(white, pink * 0.75, corner * 0.8)
    radius = 24.2
    iris, distance = iris_colour(canvas, look, eye, radius)
    colour = mix(white, iris, smoothstep(1.03, 0.95, distance))
    top = height_curve(eye.upper)(u)
    low = height_curve(eye.lower)(u)
    depth = v - top
    colour = colour * (0.30 + 0.70 * smoothstep(-2.0, 15.0, depth))[..., None]
    colour = colour * (0.75 + 0.25 * smoothstep(0.0, 7.0, low - v))[..., None]
    canvas.over(colour, opening)
    waterline = np.exp(-(((v - low + 0.6) / 1.5) ** 2)) * smoothstep(46, 38, np.abs(u))
    canvas.over(to_linear((0.88, 0.62, 0.56)) * 0.75, waterline * 0.75)
    wet = np.exp(-(((v - low + 2.4) / 0.9) ** 2)) * smoothstep(36, 20, np.abs(u)) * opening
    canvas.rgb += (0.16 * wet)[..., None]
    glint = canvas.spot(eye.cx - 8.5, EYE_Y - 9.5, 5.2, 5.8) ** 0.5
    glint = smoothstep(0.52, 0.78, glint)
    canvas.over(np.float32([1.0, 0.99, 0.97]), glint * 0.96 * opening)
    small = smoothstep(0.5, 0.9, canvas.spot(eye.cx + 9.5, EYE_Y + 8.5, 3.6, 3.0))
    canvas.over(np.float32([0.75, 0.85, 0.95]), small * 0.45 * opening)


def paint_lashes(canvas: Canvas, look: Appearance, eye: Eye) -> None:
    """Paint the lash line and the upper and lower lashes of one eye."""
    dark = to_linear(look.brow_colour) * 0.25
    top = spline(eye.upper, 80)
    thick = 1.3 + 2.0 * look.lash * np.sin(np.linspace(0.15, 0.78, 80) * np.pi)
    tail = top[-1] + np.array([[0.0, 0.0], [4.0, -2.2], [8.5, -5.5]]) * look.lash
    line = np.vstack([top, tail[1:]]) - np.array([0.0, 0.8])
    width = np.concatenate([thick, [thick[-1] * 0.7, 0.3]])
    canvas.over(dark, canvas.blur(canvas.fill(eye.world(ribbon(line, width))), 0.6) * 0.94)
    curves, widths = [], []
    for t in np.linspace(0.16, 1.0, int(30 + 16 * look.lash)):
        root = top[int(t * 79)] + [0.0, -0.5]
        length = (5.0 + 9.5 * t) * (0.45 + 0.55 * look.lash) * canvas.rng.uniform(0.6, 1.2)
        lean = -0.25 + 1.25 * t + canvas.rng.normal(0.0, 0.16)
        tip = root + length * np.array([np.sin(lean), -np.cos(lean) * 0.72])
        bend = 0.5 * (root + tip) + length * np.array([0.16 + 0.1 * t, 0.14])
        curves.append(eye.world(spline((root, bend, tip), 10)))
        widths.append(1.9)
    canvas.over(dark, canvas.strokes(curves, widths) * min(0.9, 0.4 + look.lash))
    low = spline(eye.lower, 80)
    curves = []
    for t in np.linspace(0.35, 0.95, 15):
        root = low[int(t * 79)] + [0.0, 1.4]
        length = canvas.rng.uniform(3.0, 5.0) * (0.5 + 0.5 * look.lash)
        lean = -0.2 + 0.9 * t
        tip = root + length * np.array([np.sin(lean), np.cos(lean)])
        curves.append(eye.world(spline((root, 0.5 * (root + tip) + [-0.4, 0.4], tip), 6)))
    canvas.over(dark * 3.0, canvas.strokes(curves, [0.8] * len(curves)) * 0.35 * look.lash)
    edge = eye.world(low[20:] + np.array([0.0, 0.8]))
    canvas.over(dark * 3.0, canvas.blur(canvas.strokes([edge[::-1]], [1.8]), 0.7) * 0.5)


def paint_brow(canvas: Canvas, look: Appearance, side: int) -> None:
    """Paint one eyebrow hair by hair over a soft shade."""
    spine = spline(look.brow_half, 120)
    u = np.linspace(0.0, 1.0, 120)
    profile = look.brow_thickness * np.interp(u, (0, 0.12, 0.45, 0.8, 1), (0.7, 1, 0.9, 0.55, 0.1))

    def place(points: np.ndarray) -> np.ndarray:
        return points * [side, 1.0] + [CENTRE_X, 0.0]

    colour = to_linear(look.brow_colour)
    under = canvas.blur(canvas.fill(place(ribbon(spine, profile * 0.42))), 2.6)
    canvas.over(colour * 1.3, under * 0.55)
    for shade, amount in ((1.5, 150), (0.8, 220)):
        curves, widths = [], []
        for _ in range(amount):
            t = canvas.rng.beta(1.15, 1.2)
            k = int(t * 119)
            across = canvas.rng.uniform(-0.5, 0.5)
            root = spine[k] + [0.0, (across + 0.1) * profile[k]]
            tangent = spine[min(k + 3, 119)] - spine[max(k - 3, 0)]
            angle = np.arctan2(tangent[1], tangent[0])
            angle += -0.75 * (1 - t) ** 2 - 0.55 * across
            angle += canvas.rng.normal(0.0, 0.08)
            length = canvas.rng.uniform(8.0, 14.0) * (0.7 + 0.02 * look.brow_thickness)
            tip = root + length * np.array([np.cos(angle), np.sin(angle)])
            bend = 0.5 * (root + tip) + [0.0, -1.2]
            curves.append(place(spline((root, bend, tip), 8)))
            widths.append(canvas.rng.uniform(0.9, 1.5))
        canvas.over(colour * shade, canvas.strokes(curves, widths) * 0.62)
