"""The face: sculpted relief, skin and its light."""

from __future__ import annotations

import cv2
import numpy as np
from portrait_extras import paint_glasses, wrinkle_lines
from portrait_features import (
    eyes_of,
    lip_paint,
    lips_of,
    paint_brow,
    paint_eye,
    paint_lashes,
    paint_lip_gloss,
)
from portrait_mouth import paint_opening
from portrait_paint import (
    KEY,
    RIM,
    Canvas,
    Image,
    height_curve,
    highlight,
    irradiance,
    mirrored,
    mix,
    rim,
    smoothstep,
    spline,
    to_linear,
)
from portrait_spec import CENTRE_X, EYE_Y, MOUTH_Y, Appearance
from scipy.interpolate import RBFInterpolator

# Sculpting table: for each height y, pairs (offset from the middle line, depth to the viewer).
SCULPTURE = {
    150: ((0, -120), (90, -135)),
    222: ((0, -44), (100, -66), (170, -118)),
    310: ((0, -6), (60, -10), (120, -34), (180, -96)),
    360: ((0, 0), (60, -2), (130, -30), (190, -108)),
    398: ((0, 4), (30, 6), (70, 5), (110, -6), (150, -36), (196, -122)),
    420: ((0, -1), (22, -4), (90, -12), (150, -46)),
    440: ((0, -2), (20, -12), (45, -33), (90, -22), (136, -52), (165, -68), (200, -132)),
    470: ((0, 13), (18, 3), (40, -24), (90, -31), (140, -46), (180, -92)),
    500: ((0, 28), (16, 17), (34, -12), (60, -25), (110, -28), (150, -50), (190, -115)),
    530: ((0, 44), (18, 33), (38, -3), (60, -20), (110, -30), (150, -57), (185, -116)),
    553: ((0, 58), (18, 49), (36, 18), (50, -6), (72, -18), (120, -40), (160, -78)),
    568: ((0, 50), (16, 40), (38, 14), (52, -8)),
    581: ((0, 22), (20, 18), (40, -3), (60, -15), (110, -42), (160, -92)),
    600: ((0, 21), (12, 22), (40, 11), (72, -13), (120, -54), (165, -115)),
    633: ((0, 27), (40, 15), (72, -12), (110, -48), (150, -104)),
    680: ((0, 9), (40, 4), (80, -22), (120, -70)),
    715: ((0, 17), (35, 9), (75, -35), (110, -84)),
    750: ((0, -22), (45, -36)),
}


def sculpt(canvas: Canvas, look: Appearance, mask: Image) -> Image:
    """Height field (n, n) of the bare head in points."""
    nodes, depths = [], []
    for y, row in SCULPTURE.items():
        for x, z in row:
            inner = 480 < y < 590 and 10 < x < 56
            wide = x * look.nose_width if inner else x
            for side in (-1, 1) if x else (1,):
                nodes.append((CENTRE_X + side * wide, y))
                depths.append(z * look.relief)
    rbf = RBFInterpolator(nodes, depths, kernel="thin_plate_spline", smoothing=4.0)
    axis = np.linspace(100.0, 924.0, 128)
    gx, gy = np.meshgrid(axis, axis)
    coarse = rbf(np.stack([gx.ravel(), gy.ravel()], 1)).reshape(gx.shape).astype(np.float32)
    step = axis[1] - axis[0]
    map_x, map_y = (canvas.x - 100.0) / step, (canvas.y - 100.0) / step
    height = cv2.remap(coarse, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    height = canvas.blur(height, 3.0)
    binary = (mask > 0.5).astype(np.uint8)
    distance = cv2.distanceTransform(binary, cv2.DIST_L2, 5) / canvas.scale
    t = np.clip(distance / 46.0, 0.0, 1.0)
    rounding = 30.0 * (1.0 - np.sqrt(np.maximum(1.0 - (1.0 - t) ** 2, 0.0)))
    return height - canvas.blur(rounding.astype(np.float32), 3.0)


def sculpt_details(canvas: Canvas, look: Appearance, height: Image) -> Image:
    """Add lids, lips, nose wings and philtrum to the head's relief (n, n)."""
    height = height.copy()
    for eye in eyes_of(look):
        u = eye.local(canvas)
        inside = smoothstep(54, 40, np.abs(u))
        top = EYE_Y + height_curve(eye.upper)(u)
        low = EYE_Y + height_curve(eye.lower)(u)
        crease = top - 11.0 - 3.0 * inside
        height += 9.0 * np.exp(-(((canvas.y - (top - 3.0)) / 13.0) ** 2)) * inside
        height -= 7.0 * np.exp(-(((canvas.y - crease) / 4.0) ** 2)) * inside
        height += 5.0 * np.exp(-(((canvas.y - (low + 6.0)) / 7.0) ** 2)) * inside
        height -= 2.5 * np.exp(-(((canvas.y - (low + 24.0)) / 9.0) ** 2)) * inside
    reach, upper, above, below, lower = lips_of(look).fields(canvas)
    taper = np.sqrt(np.clip(1.0 - (reach / lips_of(look).half_width) ** 2, 0.0, 1.0))
    y = canvas.y
    line = np.where(y < 0.5 * (above + below), above, below)
    upper_t = np.clip((above - y) / np.maximum(above - upper, 1.0), 0.0, 1.0)
    lower_t = np.clip((y - below) / np.maximum(lower - below, 1.0), 0.0, 1.0)
    height += 8.0 * np.sin(np.pi * upper_t**0.75) * taper
    height += 13.0 * np.sin(np.pi * lower_t**0.72) * taper
    height -= 7.0 * np.exp(-(((y - line) / 3.0) ** 2)) * np.minimum(taper * 2.0, 1.0)
    height -= 7.0 * canvas.spot(CENTRE_X, lips_of(look).lower[0][1] + 13, 44, 10)
    height -= 5.0 * canvas.spot(CENTRE_X, 600, 8, 15)
    height += 5.0 * canvas.spot(CENTRE_X, 558, 21, 17)
    for side in (-1, 1):
        wing = CENTRE_X + side * 36.0 * look.nose_width
        height += 7.0 * canvas.spot(CENTRE_X + side * 112, 530, 48, 36, -0.4 * side)
        height += 12.0 * canvas.spot(wing, 566, 13, 13)
        height -= 6.0 * canvas.spot(wing + side * 15, 566, 5, 16, -0.35 * side)
        corner = lips_of(look).half_width + 5.0
        height -= 5.0 * canvas.spot(CENTRE_X + side * corner, MOUTH_Y - look.smile, 8, 9)
    if look.wrinkles:
        height -= 9.0 * canvas.blur(wrinkle_lines(canvas, look), 1.2)
    return height


def skin_albedo(canvas: Canvas, look: Appearance, face: bool = True) -> Image:
    """Skin colour (n, n, 3), linear; with ``face`` its red zones, beard and freckles."""
    base, red = to_linear(look.skin), to_linear(look.skin_red)
    colour = np.broadcast_to(base, (canvas.n, canvas.n, 3)).astype(np.float32)
    if not face:
        return colour * (1.0 + 0.012 * canvas.noise(5.0) + 0.02 * canvas.noise(90.0))[..., None]
    spot = canvas.spot
    flush = 0.5 * (spot(512, 552, 40, 30) + spot(512, 720, 60, 34))
    for side in (-1, 1):
        flush = flush + look.blush * spot(CENTRE_X + side * 126, 528, 66, 44, -0.35 * side)
        flush = flush + 0.35 * spot(CENTRE_X + side * 40, 568, 20, 18)
        flush = flush + 0.22 * spot(CENTRE_X + side * 90, 476, 50, 15)
        flush = flush + 0.30 * spot(CENTRE_X + side * 90, 420, 56, 18)
        flush = flush + 0.9 * spot(CENTRE_X + side * 212, 450, 14, 70)
    flush = flush + 0.05 * canvas.noise(46) + 0.035 * canvas.noise(12)
    colour = mix(colour, red, np.clip(flush, 0.0, 0.9) * 0.55)
    colour = colour * (1.0 + 0.018 * canvas.noise(5.0) + 0.02 * canvas.noise(90.0))[..., None]
    if look.stubble:
        colour = mix(colour, colour * np.float32([0.42, 0.44, 0.50]), beard(canvas, look))
    if look.freckles:
        colour = mix(colour, red * 0.62, freckles(canvas, look))
    return colour.astype(np.float32)


def beard(canvas: Canvas, look: Appearance) -> Image:
    """Coverage (n, n) of a short beard's shade."""
    x, y = np.abs(canvas.x - CENTRE_X), canvas.y
    edge = height_curve(((0, 668), (40, 664), (96, 656), (140, 606), (176, 540), (200, 470)))
    cheek = smoothstep(-16, 26, y - edge(x))
    lip = canvas.spot(CENTRE_X, 602, 60, 10)
    lip = lip + canvas.spot(CENTRE_X - 76, 640, 14, 36) + canvas.spot(CENTRE_X + 76, 640, 14, 36)
    grain = 0.84 + 0.09 * canvas.noise(2.0) + 0.03 * canvas.noise(7.0)
    return np.clip(np.clip(cheek + 0.85 * lip, 0, 1) * grain, 0.0, 1.0) * look.stubble


def freckles(canvas: Canvas, look: Appearance) -> Image:
    """Coverage (n, n) of freckles over nose and cheeks."""
    total = np.zeros((canvas.n, canvas.n), np.float32)
    for _ in range(90):
        x = canvas.rng.normal(0.0, 85.0)
        y = 505.0 + canvas.rng.normal(0.0, 24.0) + abs(x) * 0.05
        size = canvas.rng.uniform(1.1, 2.3)
        x0, y0 = (int((v - 8) * canvas.scale) for v in (CENTRE_X + x, y))
        x1, y1 = (int((v + 8) * canvas.scale) for v in (CENTRE_X + x, y))
        box = np.s_[y0:y1, x0:x1]
        dx, dy = canvas.x[box] - CENTRE_X - x, canvas.y[box] - y
        total[box] += np.exp(-(dx * dx + dy * dy) / size**2) * canvas.rng.uniform(0.3, 1.0)
    return np.clip(total, 0.0, 1.0) * look.freckles


def face_marks(canvas: Canvas, look: Appearance, albedo: Image) -> Image:
    """Paint nostrils, nose wing folds, lid creases and eye shadow into the skin (n, n, 3)."""
    deep = to_linear(look.skin_red) * np.float32([0.22, 0.14, 0.14])
    for side in (-1, 1):
        x = CENTRE_X + side * 19.0 * look.nose_width
        hole = canvas.spot(x, 575.5, 12.5 * look.nose_width, 5.2, 0.25 * side) * 1.25
        albedo = mix(albedo, deep, np.clip(hole, 0, 0.88))
        wing = CENTRE_X + side * 50.0 * look.nose_width
        fold = spline(((wing - side * 3, 552), (wing + side * 1, 566), (wing - side * 7, 579)), 40)
        mask = canvas.blur(canvas.strokes([fold], [4.5]), 2.4)
        albedo = mix(albedo, deep * 2.2, np.clip(mask * 0.8, 0, 1))
        end = CENTRE_X + side * max(94.0, look.mouth_half_width + 14.0)
        smile_fold = spline(((wing + side * 4, 566), (wing + side * 24, 592), (end, 630)), 40)
        mask = canvas.blur(canvas.strokes([smile_fold], [7.0]), 5.0)
        albedo = mix(albedo, deep * 3.0, mask * 0.34)
    for eye in eyes_of(look):
        u = eye.local(canvas)
        top = EYE_Y + height_curve(eye.upper)(u)
        near = smoothstep(62, 36, np.abs(u - 4))
        lid = smoothstep(-22, -4, canvas.y - top) * smoothstep(10, 0, canvas.y - top) * near
        albedo = mix(albedo, to_linear(look.skin_red) * 0.55, lid * (0.25 + 0.4 * look.eye_shadow))
        w = look.eye_width
        crease = [(x * w, y) for x, y in ((-40, -8), (-22, -26), (4, -35), (30, -29), (52, -11))]
        line = eye.world(spline(crease, 50))
        mask = canvas.strokes([line[::-1], line], [4.2, 2.0])
        albedo = mix(albedo, deep * 1.5, canvas.blur(mask, 1.3) * 0.75)
    if look.wrinkles:
        lines = np.clip(0.42 * wrinkle_lines(canvas, look), 0.0, 0.9)
        albedo = mix(albedo, albedo * np.float32([0.34, 0.25, 0.22]), lines)
    return albedo


def shade_skin(
    canvas: Canvas, look: Appearance, height: Image, albedo: Image, mask: Image, lit: Image | float
) -> Image:
    """Light the skin (n, n, 3): wrapped diffuse, light bleeding through red, soft highlights.

    ``lit`` scales the key light (shadows of hair); ``height`` and ``mask`` are (n, n).
    """
    smooth = canvas.normals(canvas.blur(height, 2.2))
    open_sky = canvas.occlusion(height)
    open_sky = open_sky * (0.5 + 0.5 * lit)
    shadow = (0.25 + 0.75 * canvas.cast_shadow(height)) * lit
    light = irradiance(smooth, shadow, open_sky, wrap=0.28)
    weight = np.maximum(canvas.blur(mask, 6.0), 1e-3)
    bled = light.copy()
    for channel, sigma in enumerate((9.0, 4.0, 2.4)):
        cover = np.maximum(canvas.blur(mask, sigma), 1e-2)
        bled[..., channel] = canvas.blur(light[..., channel] * mask, sigma) / cover
    detail = canvas.normals(height + 0.07 * canvas.noise(2.2) + 0.04 * canvas.noise(4.5))
    oil = 0.5 + 0.5 * (canvas.spot(512, 300, 110, 70) + canvas.spot(512, 520, 36, 70))
    gloss = 0.055 * highlight(detail, 9.0) + 0.075 * highlight(detail, 34.0)
    fill = 0.03 * highlight(detail, 20.0, np.array([0.70, -0.08, 0.71]))
    sheen = (gloss * shadow + fill) * oil * look.gloss * open_sky
    edge = rim(canvas.normals(canvas.blur(height, 4.0)), 2.6) * np.clip(weight, 0, 1)
    result = albedo * bled + sheen[..., None] * KEY[1].astype(np.float32) * 1.3
    return result + albedo * edge[..., None] * (RIM * 1.3).astype(np.float32)


def paint_face(canvas: Canvas, look: Appearance, hair_light: Image | float) -> Image:
    """Paint the whole face; ``hair_light`` (n, n) dims the key light. Returns the mask (n, n)."""
    outline = mirrored(look.outline_half, CENTRE_X)
    mask = canvas.fill(spline(outline, 400, closed=True))
    height = sculpt_details(canvas, look, sculpt(canvas, look, mask))
    albedo, lip_cover = lip_paint(canvas, look, skin_albedo(canvas, look))
    albedo = face_marks(canvas, look, albedo)
    canvas.over(shade_skin(canvas, look, height, albedo, mask, hair_light), mask)
    paint_lip_gloss(canvas, look, height, lip_cover)
    paint_opening(canvas, look)
    for eye in eyes_of(look):
        paint_eye(canvas, look, eye)
        paint_lashes(canvas, look, eye)
    for side in (-1, 1):
        paint_brow(canvas, look, side)
    paint_glasses(canvas, look)
    return mask
