"""Drawn animals: parts of their faces pass for a human face at first sight."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from portrait_paint import (
    SIDE,
    Canvas,
    Image,
    highlight,
    irradiance,
    mirrored,
    mix,
    smoothstep,
    spline,
    to_linear,
    to_srgb,
)
from portrait_spec import CENTRE_X, Colour


def _fur(canvas: Canvas, mask: Image, colour: Colour, pale: Image, relief: Image) -> None:
    """Short hair over a form: ``relief`` (n, n) lights it, ``pale`` (n, n) whitens it."""
    rng = canvas.rng
    base = to_linear(colour)
    strands = np.zeros_like(mask)
    for _ in range(2):
        curves, widths = [], []
        for _ in range(2600):
            x, y = rng.uniform(0, SIDE, 2)
            away = np.arctan2(y - 520.0, x - CENTRE_X) + rng.normal(0.0, 0.35)
            length = rng.uniform(12.0, 30.0)
            tip = np.array([x, y]) + length * np.array([np.cos(away), np.sin(away)])
            bend = 0.5 * (np.array([x, y]) + tip) + rng.normal(0.0, 2.0, 2)
            curves.append(spline(((x, y), bend, tip), 6))
            widths.append(rng.uniform(1.6, 3.4))
        strands += 0.5 * canvas.strokes(curves, widths)
    tone = 0.82 + 0.25 * strands + 0.03 * canvas.noise(24.0)
    albedo = mix(np.broadcast_to(base, canvas.rgb.shape), to_linear((0.93, 0.90, 0.85)), pale)
    normal = canvas.normals(canvas.blur(relief, 4.0) + 1.2 * canvas.blur(strands, 1.0))
    open_sky = canvas.occlusion(relief)
    light = irradiance(normal, open_sky, open_sky, wrap=0.4)
    canvas.over(albedo * tone[..., None] * light, mask)


def _eye(canvas: Canvas, x: float, y: float, radius: float, iris: Colour, slit: float) -> None:
    """A round eye: dark rim, iris with a pupil as narrow as ``slit``, highlights."""
    away = np.hypot(canvas.x - x, (canvas.y - y) * 1.06) / radius
    canvas.over(to_linear((0.06, 0.04, 0.035)), smoothstep(1.22, 1.10, away))
    angle = np.arctan2(canvas.y - y, canvas.x - x)
    rays = 1.0 + 0.10 * np.sin(37 * angle) * np.sin(53 * angle + 1.0)
    bowl = 0.45 + 0.75 * smoothstep(-0.8, 0.9, (canvas.y - y) / radius)
    rim = 1.0 - 0.6 * smoothstep(0.75, 1.0, away)
    colour = to_linear(iris) * (rays * bowl * rim)[..., None]
    canvas.over(colour.astype(np.float32), smoothstep(1.03, 0.98, away))
    u, v = (canvas.x - x) / (radius * slit), (canvas.y - y) / (radius * 0.86)
    canvas.over(np.float32([0.004, 0.004, 0.005]), smoothstep(1.04, 0.94, np.hypot(u, v)))
    glint = canvas.spot(x - 0.30 * radius, y - 0.36 * radius, 0.22 * radius, 0.20 * radius)
    canvas.over(np.float32([1.0, 1.0, 0.98]), smoothstep(0.4, 0.6, glint))
    low = canvas.spot(x + 0.34 * radius, y + 0.40 * radius, 0.16 * radius, 0.12 * radius)
    canvas.over(np.float32([0.7, 0.8, 0.9]), 0.5 * smoothstep(0.4, 0.7, low))


def _line(canvas: Canvas, points: Sequence[Sequence[float]], width: float, depth: float) -> None:
    path = spline(points, 60)
    mask = canvas.blur(canvas.strokes([path, path[::-1]], [width, width]), 0.8)
    canvas.over(to_linear((0.12, 0.07, 0.06)), np.clip(mask, 0.0, 1.0) * depth)


def draw_cat(scale: float, seed: int) -> NDArray[np.uint8]:
    """A cat that looks into the camera; RGB picture (n, n, 3), uint8, n = 1024 * scale."""
    canvas = Canvas(scale, seed)
    glow = canvas.spot(560, 420, 560, 560)
    canvas.rgb = mix(
        np.broadcast_to(to_linear((0.34, 0.42, 0.36)), canvas.rgb.shape),
        to_linear((0.72, 0.76, 0.66)), glow,
    ).astype(np.float32)  # fmt: skip
    colour = (0.66, 0.52, 0.40)
    chest = canvas.fill(
        spline(mirrored(((0, 640), (250, 720), (330, 900), (330, 1060), (0, 1060)), CENTRE_X), 200)
    )
    pale = 0.8 * canvas.spot(512, 900, 150, 170)
    _fur(canvas, chest, colour, pale, canvas.inflate(chest, 160, 90))
    for side in (-1, 1):
        ear = np.array([(120, 250), (232, 60), (318, 250), (300, 400), (160, 380)], np.float64)
        shape = spline(ear * [side, 1.0] + [CENTRE_X, 0.0], 120, closed=True)
        mask = canvas.fill(shape)
        _fur(canvas, mask, colour, 0.0 * mask, canvas.inflate(mask, 40, 24))
        inner = (ear - [226, 250]) * [0.55, 0.6] + [226, 262]
        pink = canvas.fill(spline(inner * [side, 1.0] + [CENTRE_X, 0.0], 120, closed=True))
        canvas.over(to_linear((0.80, 0.58, 0.52)), 0.75 * canvas.blur(pink, 8.0))
    half = ((0, 196), (110, 206), (230, 270), (304, 400), (318, 520), (280, 640), (180, 730),
            (80, 772), (0, 780))  # fmt: skip
    head = canvas.fill(spline(mirrored(half, CENTRE_X), 300, closed=True))
    relief = canvas.inflate(head, 190.0, 150.0)
    muzzle = canvas.spot(446, 640, 84, 62) + canvas.spot(578, 640, 84, 62)
    relief = relief + 42.0 * muzzle + 40.0 * canvas.spot(512, 540, 46, 130)
    relief = relief + 26.0 * canvas.spot(512, 728, 60, 34)
    relief = relief - 18.0 * (canvas.spot(386, 448, 80, 70) + canvas.spot(638, 448, 80, 70))
    pale = np.clip(1.1 * muzzle + canvas.spot(512, 740, 90, 60), 0.0, 0.9)
    canvas.drop_shadow(head, 8.0, 20.0, 22.0, 0.5)
    _fur(canvas, head, colour, pale, relief)
    for x in (-96, -48, 0, 48, 96):
        stripe = ((CENTRE_X + 1.5 * x, 214), (CENTRE_X + 1.1 * x, 270), (CENTRE_X + 0.8 * x, 330))
        _line(canvas, stripe, 20.0, 0.45)
    for side in (-1, 1):
        _eye(canvas, CENTRE_X + side * 124.0, 450.0, 62.0, (0.70, 0.66, 0.26), 0.62)
        lid = [(CENTRE_X + side * x, y) for x, y in ((48, 470), (84, 400), (130, 378), (196, 412))]
        _line(canvas, lid, 8.0, 0.8)
        corner = [(CENTRE_X + side * x, y) for x, y in ((62, 468), (50, 486), (44, 510))]
        _line(canvas, corner, 9.0, 0.8)
    _nose_and_mouth(canvas)
    picture = 255.0 * np.clip(to_srgb(canvas.rgb), 0.0, 1.0)
    picture += canvas.rng.normal(0.0, 0.6, picture.shape)
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)


def _nose_and_mouth(canvas: Canvas) -> None:
    """A cat's nose, mouth and whiskers."""
    nose = mirrored(((0, 566), (34, 566), (46, 580), (22, 606), (0, 616)), CENTRE_X)
    patch = canvas.blur(canvas.fill(spline(nose, 120, closed=True)), 1.5)
    shine = highlight(canvas.normals(canvas.inflate(patch, 24, 16)), 30.0)
    canvas.over(to_linear((0.72, 0.42, 0.40)) + 0.2 * shine[..., None], patch)
    for side in (-1, 1):
        hole = canvas.spot(CENTRE_X + side * 24, 592, 11, 6, -0.5 * side)
        canvas.over(np.float32([0.02, 0.008, 0.008]), np.clip(1.2 * hole, 0.0, 0.9))
        mouth = [(CENTRE_X + side * x, y) for x, y in ((0, 640), (22, 672), (64, 686), (112, 662))]
        _line(canvas, mouth, 7.0, 0.85)
        for k in range(5):
            root, bend = (92, 628 + 13 * k), (210, 616 + 19 * k)
            tip = (330 + 20 * (k % 2), 560 + 46 * k)
            path = [(CENTRE_X + side * x, y) for x, y in (root, bend, tip)]
            hair = canvas.strokes([spline(path, 40)], [4.0])
            canvas.over(np.float32([0.95, 0.95, 0.92]), 0.9 * hair)
    _line(canvas, ((CENTRE_X, 612), (CENTRE_X, 626), (CENTRE_X, 642)), 6.0, 0.8)
