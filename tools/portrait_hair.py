"""Hair: thousands of strands in locks along guide curves, lit after they are laid down."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from portrait_paint import (
    FILL,
    KEY,
    RIM,
    Canvas,
    Image,
    mirrored,
    mix,
    rim,
    smoothstep,
    spline,
    to_linear,
)
from portrait_spec import CENTRE_X, Appearance

_SAMPLES = 48


@dataclass(frozen=True)
class Locks:
    """A sheet of hair between guide curves (ordered across the sheet, each root to tip).

    ``clumps`` locks of ``strands`` hairs; ``width``, ``wave`` (with ``wave_length``) and
    ``stray`` are in points; ``spread`` is a lock's half width and ``inset`` the margin left free,
    both as parts of the sheet; ``ragged`` shortens hairs, ``gather`` draws a lock together at its
    tip, ``shade`` is its brightness.
    """

    guides: tuple[tuple[tuple[float, float], ...], ...]
    clumps: int
    strands: int
    width: float = 2.4
    spread: float = 0.06
    wave: float = 0.0
    wave_length: float = 150.0
    stray: float = 2.0
    shade: float = 1.0
    ragged: float = 0.06
    gather: float = 0.45
    inset: float = 0.0


@dataclass(frozen=True)
class Curls:
    """Short coily hair inside a mirrored outline; ``fade`` is where the sides thin out (y)."""

    outline_half: tuple[tuple[float, float], ...]
    count: int = 1900
    strands: int = 9
    radius: float = 10.5
    width: float = 1.5
    fade: tuple[float, float] = (400.0, 300.0)


BOB_LEFT = (
    (
        (602, 224),
        (548, 214),
        (474, 232),
        (398, 288),
        (348, 360),
        (322, 440),
        (308, 530),
        (312, 620),
        (330, 674),
        (366, 704),
    ),
    (
        (600, 196),
        (535, 172),
        (450, 184),
        (368, 242),
        (316, 332),
        (288, 440),
        (276, 560),
        (284, 660),
        (308, 708),
        (352, 734),
    ),
    (
        (596, 170),
        (520, 136),
        (425, 146),
        (344, 208),
        (290, 316),
        (260, 440),
        (248, 580),
        (258, 684),
        (288, 732),
        (340, 758),
    ),
    (
        (590, 135),
        (505, 102),
        (402, 112),
        (322, 178),
        (266, 300),
        (240, 440),
        (229, 590),
        (238, 692),
        (270, 746),
        (328, 774),
    ),
    (
        (580, 94),
        (552, 83),
        (500, 75),
        (408, 86),
        (314, 152),
        (252, 280),
        (224, 440),
        (215, 590),
        (224, 688),
        (254, 748),
        (314, 784),
    ),
)
BOB_RIGHT = (
    (
        (600, 224),
        (646, 236),
        (682, 282),
        (702, 350),
        (714, 434),
        (718, 530),
        (710, 620),
        (692, 674),
        (658, 704),
    ),
    (
        (598, 196),
        (660, 200),
        (714, 256),
        (738, 340),
        (748, 440),
        (750, 560),
        (742, 660),
        (718, 708),
        (672, 734),
    ),
    (
        (594, 170),
        (668, 168),
        (730, 226),
        (758, 322),
        (772, 440),
        (777, 580),
        (768, 684),
        (738, 732),
        (684, 758),
    ),
    (
        (585, 135),
        (668, 128),
        (740, 192),
        (774, 305),
        (790, 440),
        (795, 590),
        (787, 692),
        (756, 746),
        (696, 774),
    ),
    (
        (577, 94),
        (612, 86),
        (668, 96),
        (742, 158),
        (782, 288),
        (802, 440),
        (808, 590),
        (800, 688),
        (771, 748),
        (710, 784),
    ),
)
BOB_BACK = (
    ((330, 420), (270, 560), (272, 690), (326, 800)),
    ((400, 420), (360, 600), (352, 710), (380, 840)),
    ((512, 420), (512, 600), (512, 700), (512, 850)),
    ((624, 420), (664, 600), (672, 710), (644, 840)),
    ((694, 420), (754, 560), (752, 690), (698, 800)),
)
CROP_HALF = (
    (0, 96),
    (84, 102),
    (142, 126),
    (184, 172),
    (202, 238),
    (202, 300),
    (205, 360),
    (201, 398),
    (195, 396),
    (189, 350),
    (184, 300),
    (172, 262),
    (140, 240),
    (90, 228),
    (40, 223),
    (0, 222),
)

SWEPT = tuple(
    ((512 + hx, hy), (512 + 0.55 * hx + 0.50 * sx, 0.46 * hy + 0.50 * sy), (512 + sx, sy))
    for hx, hy, sx, sy in (
        (-190, 404, -210, 384), (-186, 366, -216, 300), (-170, 306, -214, 226),
        (-138, 262, -184, 152), (-84, 240, -112, 104), (-20, 233, -26, 88),
        (48, 236, 62, 92), (112, 250, 144, 122), (154, 282, 200, 184), (176, 330, 216, 262),
        (188, 378, 214, 330), (191, 404, 208, 384),
    )
)  # fmt: skip

BACK = {
    "swept": (),
    "bob": (
        Locks(BOB_BACK, 30, 14, 8.0, 0.06, 3.0, 150.0, shade=0.34, ragged=0.03),
        Locks(BOB_BACK, 70, 44, 1.6, 0.05, 7.0, 150.0, shade=0.5, ragged=0.03),
    ),
    "crop": (),
}
_STYLE = {"wave": 15.0, "wave_length": 330.0}
_UNDER_BOB = {
    "clumps": 40,
    "strands": 16,
    "width": 6.0,
    "shade": 0.8,
    "ragged": 0.2,
    "inset": 0.07,
    **_STYLE,
}
_BOB = {"strands": 100, "width": 1.5, "spread": 0.07, "ragged": 0.05, "gather": 0.6, **_STYLE}
_FLY = {"strands": 2, "width": 0.9, "spread": 0.08, "stray": 3.0, "shade": 1.05, **_STYLE}
FRONT = {
    "bob": (
        Locks(BOB_RIGHT, **_UNDER_BOB),
        Locks(BOB_LEFT, **_UNDER_BOB),
        Locks(BOB_RIGHT, 44, **_BOB),
        Locks(BOB_LEFT, 54, **_BOB),
        Locks(BOB_RIGHT, 36, **_FLY),
        Locks(BOB_LEFT, 40, **_FLY),
        Locks(BOB_RIGHT[:2], 14, 2, 0.8, 0.3, stray=6.0),
        Locks(BOB_LEFT[:2], 16, 2, 0.8, 0.3, stray=6.0),
    ),
    "crop": (Curls(CROP_HALF),),
    "swept": (
        Locks(SWEPT, 60, 10, 8.0, 0.03, 2.0, 200.0, shade=0.6, ragged=0.02, gather=0.1),
        Locks(SWEPT, 70, 22, 1.6, 0.03, 5.0, 200.0, stray=3.0, ragged=0.03, gather=0.2),
        Locks(SWEPT, 40, 2, 0.9, 0.04, 4.0, 200.0, stray=6.0, shade=1.1, ragged=0.1),
    ),
}
EARS = ("crop", "swept")
"""Styles that leave the ears free."""
_laid: dict[tuple, tuple[NDArray[np.uint8], dict]] = {}


def _sheet(locks: Locks) -> NDArray:
    """Guide curves resampled to the same length, (g, samples, 2)."""
    return np.stack([spline(guide, _SAMPLES) for guide in locks.guides])


def _across(sheet: NDArray, position: NDArray) -> NDArray:
    """Points of the sheet at ``position`` (samples,) in 0..1 across it, (samples, 2)."""
    scaled = np.clip(position, -0.05, 1.05) * (len(sheet) - 1)
    low = np.clip(scaled.astype(int), 0, len(sheet) - 2)
    part = (scaled - low)[:, None]
    rows = np.arange(_SAMPLES)
    return sheet[low, rows] * (1.0 - part) + sheet[low + 1, rows] * part


def _clump(canvas: Canvas, locks: Locks, sheet: NDArray, middle: float) -> tuple[list, list]:
    """Curves (samples, 2) and brightness (samples,) of the strands of one lock."""
    rng = canvas.rng
    along = np.linspace(0.0, 1.0, _SAMPLES)
    drift = rng.normal(0.0, locks.spread * 0.9)
    phase, lean = 1.5 * middle + rng.normal(0.0, 0.3), rng.normal(0.0, 1.0)
    tone = rng.normal(1.0, 0.09)
    reach = 1.0 - abs(rng.normal(0.0, locks.ragged))
    curves, tones = [], []
    for _ in range(locks.strands):
        offset = float(np.clip(rng.normal(0.0, 0.5), -1.0, 1.0))
        gathered = offset * locks.spread * (1.0 - locks.gather * along)
        curve = _across(sheet, middle + gathered + drift * along**1.4)
        length = np.hypot(*np.diff(curve, axis=0).T).sum()
        tangent = np.gradient(curve, axis=0)
        tangent /= np.maximum(np.hypot(*tangent.T)[:, None], 1e-6)
        side = np.stack([-tangent[:, 1], tangent[:, 0]], 1)
        turn = 2 * np.pi * along * length / locks.wave_length + phase + 0.3 * offset
        amount = locks.wave * along * np.sin(turn) + locks.stray * rng.normal() * along**2
        curve = curve + side * (amount + 2.0 * lean * along)[:, None]
        keep = reach * (1.0 - 0.4 * abs(rng.normal(0.0, locks.ragged)))
        picks = np.linspace(0.0, max(keep, 0.3) * (_SAMPLES - 1), _SAMPLES)
        rows = np.arange(_SAMPLES)
        curve = np.stack([np.interp(picks, rows, curve[:, k]) for k in (0, 1)], 1)
        edge = 1.0 - 0.38 * offset**2 - 0.08 * offset
        depth = 0.86 + 0.14 * np.sin(turn + 0.8)
        curves.append(curve)
        crease = 0.42 + 0.58 * np.sqrt(smoothstep(-0.01, 0.16, along))
        tones.append(crease * locks.shade * tone * edge * depth * rng.normal(1.0, 0.09))
    return curves, tones


def _lay(
    canvas: Canvas, buffer: NDArray[np.uint8], width: float, curve: NDArray, tone: NDArray
) -> None:
    """Draw one strand into the buffer (n, n, 4): tangent x, tangent y, brightness, coverage."""
    tangent = np.gradient(curve, axis=0)
    tangent /= np.maximum(np.hypot(*tangent.T)[:, None], 1e-6)
    along = np.linspace(0.0, 1.0, len(curve))
    half = 0.5 * width * np.minimum(1.0, 0.10 + 3.0 * (1.0 - along))
    half = half * np.minimum(1.0, 0.35 + 9.0 * along) + 0.1
    side = np.stack([-tangent[:, 1], tangent[:, 0]], 1) * half[:, None]
    left, right = curve + side, curve - side
    corners = np.stack([left[:-1], left[1:], right[1:], right[:-1]], 1)
    colour = np.empty((len(curve) - 1, 4))
    colour[:, :2] = 127.5 + 127.5 * tangent[:-1]
    colour[:, 2] = np.clip(128.0 * tone[:-1], 0, 255)
    colour[:, 3] = 255.0
    canvas.quads(buffer, corners, colour)


def lay_curls(canvas: Canvas, buffer: NDArray[np.uint8], curls: Curls) -> None:
    """Draw coily hair into the buffer (n, n, 4), smaller towards the sides and the neck."""
    rng = canvas.rng
    outline = spline(mirrored(curls.outline_half, CENTRE_X), 400, closed=True)
    inside = canvas.fill(outline)
    base = canvas.blur(inside, 3.0)
    buffer[..., 2] = np.where(base > 0.02, 34, buffer[..., 2])
    thin = smoothstep(*curls.fade, canvas.y)
    buffer[..., 3] = np.clip(255.0 * smoothstep(0.1, 0.9, base) * (0.35 + 0.65 * thin), 0, 255)
    x = rng.uniform(CENTRE_X - 220, CENTRE_X + 220, 9 * curls.count)
    y = rng.uniform(90, 400, 9 * curls.count)
    rows, columns = ((v * canvas.scale).astype(int) for v in (y, x))
    keep = np.flatnonzero(inside[rows, columns] > 0.5)[: curls.count]
    turn = np.linspace(0.0, 1.0, 15)
    for k in keep[np.argsort(y[keep] + rng.normal(0.0, 40.0, len(keep)))]:
        size = curls.radius * (0.28 + 0.72 * float(smoothstep(345.0, 215.0, y[k])))
        size *= rng.uniform(0.7, 1.2)
        start = rng.uniform(0, 2 * np.pi)
        sweep = rng.choice((-1, 1)) * rng.uniform(1.0, 1.9) * np.pi
        tone = rng.normal(1.12, 0.18)
        for offset in rng.normal(0.0, 0.5, curls.strands):
            radius = size * (1.0 - 0.45 * turn) * (1.0 + 0.42 * offset)
            angle = start + sweep * turn
            curve = np.stack([x[k] + radius * np.cos(angle), y[k] + radius * np.sin(angle)], 1)
            shade = tone * (1.0 - 0.5 * min(offset * offset, 1.0))
            shade = shade * np.sin(np.pi * (0.15 + 0.7 * turn))
            _lay(canvas, buffer, curls.width, curve, shade * rng.normal(1.0, 0.1))
    buffer[..., 3] = np.clip(buffer[..., 3] * (0.25 + 0.75 * thin), 0, 255)


def lay_hair(canvas: Canvas, groups: tuple[Locks | Curls, ...]) -> NDArray[np.uint8]:
    """Draw groups of locks, back to front, into a buffer (n, n, 4); see ``_lay``.

    Strands take most of the time of a picture: the same hair is drawn once.
    """
    key = (canvas.scale, groups, repr(canvas.rng.bit_generator.state))
    if key in _laid:
        buffer, canvas.rng.bit_generator.state = _laid[key]
        return buffer
    buffer = np.zeros((canvas.n, canvas.n, 4), np.uint8)
    buffer[..., :2] = 128
    buffer[..., 2] = 60
    for locks in groups:
        if isinstance(locks, Curls):
            lay_curls(canvas, buffer, locks)
            continue
        sheet = _sheet(locks)
        middles = (np.arange(locks.clumps) + canvas.rng.uniform(0, 1, locks.clumps)) / locks.clumps
        middles = locks.inset + (1.0 - 2.0 * locks.inset) * middles
        order = np.argsort(-middles + canvas.rng.normal(0.0, 0.25, locks.clumps))
        for middle in middles[order]:
            curves, tones = _clump(canvas, locks, sheet, float(middle))
            for curve, tone in zip(curves, tones, strict=True):
                _lay(canvas, buffer, locks.width, curve, tone)
    _laid[key] = buffer, canvas.rng.bit_generator.state
    return buffer


def shade_hair(canvas: Canvas, look: Appearance, buffer: NDArray[np.uint8]) -> tuple[Image, Image]:
    """Light the strands: colour (n, n, 3) and coverage (n, n)."""
    data = buffer.astype(np.float32)
    alpha = data[..., 3] / 255.0
    tone = 0.94 * np.maximum(data[..., 2] / 128.0, 0.02) ** 0.75
    flat = (data[..., :2] - 127.5) / 127.5
    volume = canvas.blur(canvas.inflate(canvas.blur(alpha, 3.0), 120.0, 92.0), 6.0)
    normal = canvas.normals(volume)
    slope = -(normal[..., :2] * flat).sum(-1) / np.maximum(normal[..., 2], 0.45)
    tangent = np.concatenate([flat, slope[..., None]], -1)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=-1, keepdims=True), 1e-6)
    light = np.zeros_like(normal)
    shine = np.zeros_like(normal)
    for (direction, power), strength in ((KEY, 1.0), (FILL, 0.8)):
        way = direction.astype(np.float32)
        along = tangent @ way
        facing = np.clip((normal @ way + 0.35) / 1.35, 0.0, 1.0)
        lit = np.sqrt(np.maximum(1.0 - along * along, 0.0)) * facing**1.3
        light += lit[..., None] * power.astype(np.float32) * strength
        half = way + np.float32([0, 0, 1])
        half /= np.linalg.norm(half)
        bend = tangent @ half + 0.10 * (tone - 1.0) - 0.06
        spec = np.sqrt(np.maximum(1.0 - bend * bend, 0.0))
        lobe = (0.55 * spec**28 + 0.35 * spec**120) * facing
        shine += lobe[..., None] * power.astype(np.float32) * strength
    dark, mid, pale = (to_linear(c) for c in (look.hair_dark, look.hair_mid, look.hair_light))
    body = mix(dark, mid, np.clip(smoothstep(0.25, 1.15, tone), 0.0, 1.0)) * (light + 0.22)
    body = body * (0.35 + 0.65 * tone[..., None])
    colour = body + pale * shine * (tone[..., None] ** 1.5) * 0.5
    edge = rim(canvas.normals(canvas.blur(volume, 4.0)), 2.0)
    colour = colour + (mid * 0.8 + pale * 0.3) * (edge * tone)[..., None] * RIM * 1.5
    if look.hair_style == "crop":
        soft = smoothstep(290.0, 330.0, canvas.y)
        alpha = alpha * (1.0 - soft) + canvas.blur(alpha, 4.0) * soft
    return colour.astype(np.float32), alpha
