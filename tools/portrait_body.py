"""Everything around the face: background, neck, ears and clothes."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from portrait_face import shade_skin, skin_albedo
from portrait_paint import (
    RIM,
    Canvas,
    Image,
    irradiance,
    mirrored,
    mix,
    rim,
    smoothstep,
    spline,
    to_linear,
)
from portrait_spec import CENTRE_X, Appearance


def paint_neck(canvas: Canvas, look: Appearance, face_shadow: Image) -> None:
    """Neck and upper chest; ``face_shadow`` (n, n) is how much the head shades the key light."""
    w = look.neck_half
    half = (
        (w * 1.0, 560),
        (w * 0.98, 690),
        (w * 1.0, 756),
        (w * 1.14, 802),
        (w * 1.6, 840),
        (w * 2.4, 874),
        (w * 2.9, 1040),
        (0, 1040),
    )
    outline = mirrored(((0, 560), *half), CENTRE_X)
    mask = canvas.fill(outline)
    x, y = canvas.x - CENTRE_X, canvas.y
    column = np.sqrt(np.clip(1.0 - (x / (w * 1.08)) ** 2, 0.0, 1.0)) * w * 0.8
    chest = smoothstep(790, 920, y)
    height = column * (1.0 - chest) + chest * (0.10 * (y - 820) + w * 0.62 - 0.0004 * x * x)
    for side in (-1, 1):
        tendon = np.abs(x * side - (w * 0.72 - (y - 700) * w * 0.0033))
        height = height + 6.0 * np.exp(-((tendon / 13.0) ** 2)) * smoothstep(660, 760, y) * (
            smoothstep(890, 850, y)
        )
        bone = y - (880 - (x * side) * 0.08)
        height = height + 6.0 * np.exp(-((bone / 11.0) ** 2)) * smoothstep(16, 60, x * side)
    height = height - 7.0 * canvas.spot(CENTRE_X, 874, 20, 18)
    albedo = skin_albedo(canvas, look, face=False)
    height = canvas.blur(height, 3.0)
    canvas.over(shade_skin(canvas, look, height, albedo, mask, face_shadow), mask)


def _place(half: Sequence[Sequence[float]], side: int) -> np.ndarray:
    """Picture points (m, 2) of right-half offsets, mirrored for side -1."""
    return np.asarray(half, np.float64) * [side, 1.0] + [CENTRE_X, 0.0]


def rounded(corners: np.ndarray, turns: int = 3) -> np.ndarray:
    """Closed polygon (m, 2) with its corners cut round."""
    for _ in range(turns):
        after = np.roll(corners, -1, axis=0)
        pair = np.stack([0.85 * corners + 0.15 * after, 0.15 * corners + 0.85 * after], 1)
        corners = pair.reshape(-1, 2)
    return corners


def paint_ear(canvas: Canvas, look: Appearance, side: int) -> Image:
    """One ear, to be partly covered by face and hair; returns its mask (n, n)."""
    outer = (
        (196, 410),
        (215, 399),
        (231, 406),
        (236, 436),
        (230, 470),
        (218, 498),
        (206, 511),
        (194, 502),
    )
    mask = canvas.fill(spline(_place(outer, side), 160, closed=True))
    height = canvas.inflate(mask, 7.0, 9.0)
    helix = ((206, 427), (217, 413), (226, 425), (225, 450), (217, 477), (210, 489))
    fold = spline(_place(helix, side), 50)
    groove = canvas.blur(canvas.strokes([fold, fold[::-1]], [5.5, 5.5]), 1.6)
    bowl = canvas.spot(CENTRE_X + side * 212, 458, 7, 24, 0.12 * side)
    height = height - 7.0 * groove - 9.0 * bowl
    albedo = skin_albedo(canvas, look)
    dark = albedo * np.float32([0.44, 0.27, 0.25])
    albedo = mix(albedo, dark, np.clip(0.75 * groove + 0.8 * bowl, 0.0, 0.9))
    lit = 0.85 if side < 0 else 0.4
    canvas.over(shade_skin(canvas, look, height, albedo, mask, lit), mask)
    return mask


def paint_cloth(
    canvas: Canvas,
    outline: np.ndarray,
    colour: tuple[float, float, float],
    radius: float,
    depth: float,
    texture: Image | float = 0.0,
    shadow: float = 0.5,
    stitch: float = 0.0,
    creases: Sequence[np.ndarray] = (),
) -> Image:
    """Paint one piece of clothing with rounded borders and folds; returns its mask (n, n).

    ``radius`` and ``depth`` (points) shape the border; ``texture`` is added to the relief;
    ``stitch`` is the distance of a seam from the border, 0 for none; ``creases`` are
    curves (m, 2) along which the cloth folds.
    """
    mask = canvas.fill(outline)
    canvas.drop_shadow(mask, 5.0, 7.0, 9.0, shadow)
    folds = canvas.noise(190) * 8.0 + canvas.noise(80) * 1.8
    height = canvas.inflate(mask, radius, depth) + folds
    if len(creases):
        fold = canvas.strokes(creases, [26.0] * len(creases))
        height = height - 16.0 * canvas.blur(fold, 9.0)
    if stitch:
        inside = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
        seam = np.exp(-(((inside / canvas.scale - stitch) / 1.3) ** 2)).astype(np.float32)
        height = height - 0.9 * seam
    normal = canvas.normals(height + texture)
    open_sky = canvas.occlusion(height)
    light = irradiance(normal, 0.35 + 0.65 * open_sky, open_sky, wrap=0.2)
    sheen = rim(canvas.normals(height), 2.0)[..., None] * RIM * 0.35
    base = to_linear(colour)
    canvas.over(base * light * 0.86 + (0.5 * base + 0.03) * sheen, mask)
    return mask


def paint_blazer(canvas: Canvas, look: Appearance) -> None:
    """A blouse under a blazer with lapels."""
    s = look.shoulder_half
    weave = 0.05 * canvas.noise(3.0) + 0.08 * canvas.noise(7.0)
    neck = spline(((104, 820), (84, 862), (46, 898), (0, 910)), 40)
    top = np.vstack([neck, (neck * [-1, 1])[::-1], [[-160, 1060], [160, 1060]]])
    paint_cloth(canvas, _place(top, 1), look.cloth_inner, 12, 6, 0.0, 0.35)
    ring = np.vstack([neck, (neck * [-1, 1])[::-1]])
    band = np.vstack([ring, (ring * [1.06, 1.0] + [0, 13])[::-1]])
    paint_cloth(canvas, _place(band, 1), look.cloth_inner, 6, 4, 0.0, 0.25)
    for side in (-1, 1):
        half = (
            (86, 806),
            (140, 826),
            (220, 846),
            (s * 0.84, 872),
            (s * 0.98, 922),
            (s + 26, 1060),
        )
        edge = spline(((86, 806), (122, 866), (98, 950), (36, 1060)), 40)
        body = np.vstack([spline(half, 60), edge[::-1]])
        arm = ((s * 0.80, 1040), (s * 0.79, 1000), (s * 0.72, 950), (s * 0.66, 920))
        pull = ((170, 1040), (200, 1010), (s * 0.68, 985), (s * 0.78, 980))
        folds = [spline(_place(line, side), 40) for line in (arm, pull)]
        paint_cloth(canvas, _place(body, side), look.cloth, 70, 48, weave, 0.5, 0.0, folds)
    for side in (-1, 1):
        upper = ((88, 800), (122, 812), (160, 852), (176, 892), (138, 900), (112, 868))
        lower = (
            (113, 868),
            (140, 897),
            (182, 906),
            (166, 962),
            (112, 1020),
            (52, 1070),
            (22, 1070),
            (86, 960),
        )
        shade = tuple(1.05 * c for c in look.cloth)
        paint_cloth(canvas, rounded(_place(lower, side)), shade, 6, 4, weave, 0.6, 7.0)
        paint_cloth(canvas, rounded(_place(upper, side)), shade, 6, 4, weave, 0.5, 7.0)


def paint_sweater(canvas: Canvas, look: Appearance) -> None:
    """A knitted sweater with a deep neck over a shirt with a collar."""
    s = look.shoulder_half
    wale = np.abs(np.sin(canvas.x * 0.38)) ** 0.7
    knit = 0.48 * wale + 0.20 * np.sin(canvas.y * 0.76 + 2.2 * wale)
    shirt = ((-132, 812), (0, 880), (132, 812), (150, 1060), (-150, 1060))
    darker = tuple(0.94 * c for c in look.cloth_inner)
    paint_cloth(canvas, _place(shirt, 1), darker, 8, 4, 0.0, 0.3)
    placket = _place(((-13, 880), (13, 880), (13, 1060), (-13, 1060)), 1)
    paint_cloth(canvas, placket, look.cloth_inner, 4, 2, 0.0, 0.3)
    for side in (-1, 1):
        edge = spline(((112, 806), (118, 868), (76, 950), (0, 1034)), 50)
        half = (
            (112, 806),
            (160, 822),
            (240, 850),
            (s * 0.84, 884),
            (s * 0.98, 936),
            (s + 34, 1060),
        )
        body = np.vstack([spline(half, 60), [[0, 1060]], edge[::-1]])
        arm = ((s * 0.74, 1050), (s * 0.73, 1010), (s * 0.66, 962), (s * 0.58, 925))
        pull = ((120, 1050), (180, 1020), (s * 0.6, 995), (s * 0.71, 990))
        folds = [spline(_place(line, side), 40) for line in (arm, pull)]
        paint_cloth(canvas, _place(body, side), look.cloth, 90, 56, knit, 0.45, 0.0, folds)
        tangent = np.gradient(edge, axis=0)
        out = np.stack([-tangent[:, 1], tangent[:, 0]], 1) / np.hypot(*tangent.T)[:, None]
        band = np.vstack([edge, (edge - out * 19.0)[::-1]])
        ribs = 0.6 * np.sin((canvas.y - side * (canvas.x - CENTRE_X) * 0.8) * 0.55)
        paint_cloth(canvas, _place(band, side), look.cloth, 8, 6, ribs, 0.4)
    for side in (-1, 1):
        wing = (
            (106, 784),
            (132, 800),
            (150, 846),
            (128, 902),
            (84, 938),
            (4, 884),
            (46, 866),
            (90, 826),
        )
        paint_cloth(canvas, rounded(_place(wing, side)), look.cloth_inner, 7, 4, 0.0, 0.55, 9.0)


GARMENTS = {"blazer": paint_blazer, "sweater": paint_sweater}
