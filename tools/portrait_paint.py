"""Painting primitives: an antialiased canvas, relief shading and noise.

Images are float32 arrays of shape (n, n) or (n, n, 3), linear light, with n = 1024 * scale.
Coordinates and lengths handed in are in points (1/1024 of the picture's side).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline, PchipInterpolator

Image = NDArray[np.float32]
SIDE = 1024
_SHIFT = 4

# Direction towards each light (x right, y down, z to the camera), and its linear RGB power.
KEY = (np.array([-0.52, -0.50, 0.69]), np.array([1.30, 1.20, 1.07]))
FILL = (np.array([0.70, -0.08, 0.71]), np.array([0.20, 0.24, 0.30]))
SKY = np.array([0.19, 0.205, 0.23])
BOUNCE = np.array([0.12, 0.09, 0.075])
RIM = np.array([0.62, 0.70, 0.80])


def to_linear(colour: Sequence[float] | Image) -> Image:
    """sRGB values in 0..1 to linear light, same shape."""
    value = np.asarray(colour, np.float32)
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def to_srgb(linear: Image) -> Image:
    """Linear light to sRGB in 0..1 with a soft shoulder above 0.7, same shape."""
    value = np.maximum(linear, 0.0)
    over = np.maximum(value - 0.6, 0.0)
    value = np.minimum(value, 0.6) + 0.4 * (1.0 - np.exp(-over / 0.4))
    return np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1 / 2.4) - 0.055)


def smoothstep(low: float, high: float, value: Image) -> Image:
    """Hermite step from 0 at ``low`` to 1 at ``high`` (``low`` may exceed ``high``)."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def mix(first: Image, second: Image, amount: Image | float) -> Image:
    """Linear blend; a (n, n) ``amount`` is applied to all three channels."""
    if isinstance(amount, np.ndarray) and amount.ndim == 2:
        amount = amount[..., None]
    return first * (1.0 - amount) + second * amount


def spline(points: Sequence[Sequence[float]], count: int = 96, closed: bool = False) -> NDArray:
    """Smooth curve through (k, 2) points, as (count, 2) samples."""
    nodes = np.asarray(points, np.float64)
    if closed:
        nodes = np.vstack([nodes, nodes[:1]])
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(nodes, axis=0).T))])
    curve = CubicSpline(length, nodes, bc_type="periodic" if closed else "natural")
    return curve(np.linspace(0.0, length[-1], count))


def height_curve(points: Sequence[Sequence[float]]) -> Callable[[Image], Image]:
    """Function y(x) through points sorted by x, constant outside them."""
    nodes = np.asarray(points, np.float64)
    curve = PchipInterpolator(nodes[:, 0], nodes[:, 1])
    low, high = nodes[0, 0], nodes[-1, 0]
    return lambda x: curve(np.clip(x, low, high)).astype(np.float32)


def mirrored(half: Sequence[Sequence[float]], centre: float) -> NDArray:
    """Closed outline (m, 2) from a half given top to bottom as (offset, y)."""
    right = np.asarray(half, np.float64)
    left = right[::-1].copy()
    left[:, 0] *= -1.0
    keep = left[np.abs(left[:, 0]) > 1e-6]
    return np.vstack([right, keep]) + np.array([centre, 0.0])


class Canvas:
    """Pixel grid of a square picture with ``scale`` pixels per point."""

    def __init__(self, scale: float, seed: int) -> None:
        self.scale = scale
        self.n = round(SIDE * scale)
        axis = (np.arange(self.n, dtype=np.float32) + 0.5) / scale
        self.x, self.y = np.meshgrid(axis, axis)
        self.rng = np.random.default_rng(seed)
        self.rgb = np.zeros((self.n, self.n, 3), np.float32)

    def pixels(self, points: NDArray) -> NDArray:
        """Points (m, 2) as fixed-point pixel coordinates for OpenCV's drawing calls."""
        return np.round((points * self.scale - 0.5) * (1 << _SHIFT)).astype(np.int32)

    def fill(self, points: NDArray) -> Image:
        """Antialiased coverage (n, n) of a closed polygon (m, 2)."""
        mask = np.zeros((self.n, self.n), np.uint8)
        cv2.fillPoly(mask, [self.pixels(np.asarray(points))], 255, cv2.LINE_AA, _SHIFT)
        return mask.astype(np.float32) / 255.0

    def quads(self, target: NDArray[np.uint8], corners: NDArray, colours: NDArray) -> None:
        """Draw convex quads (q, 4, 2) with 4-channel colours (q, 4) over ``target``."""
        fixed = self.pixels(corners)
        for quad, colour in zip(fixed, colours.tolist(), strict=True):
            cv2.fillConvexPoly(target, quad, colour, cv2.LINE_AA, _SHIFT)

    def strokes(self, curves: Sequence[NDArray], widths: Sequence[float]) -> Image:
        """Coverage (n, n) of hairs: (m, 2) curves, each tapering from its width to a point."""
        mask = np.zeros((self.n, self.n), np.uint8)
        for curve, width in zip(curves, widths, strict=True):
            taper = 0.5 * width * np.linspace(1.0, 0.08, len(curve)) ** 0.8
            polygon = ribbon(curve, taper)
            cv2.fillPoly(mask, [self.pixels(polygon)], 255, cv2.LINE_AA, _SHIFT)
        return mask.astype(np.float32) / 255.0

    def blur(self, image: Image, sigma: float) -> Image:
        """Gaussian blur with ``sigma`` in points, done on a smaller picture where that is safe."""
        pixels = sigma * self.scale
        if pixels < 0.3:
            return image
        factor = int(min(16, max(1, pixels // 3)))
        small = image
        if factor > 1:
            side = max(self.n // factor, 8)
            small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
            pixels *= side / self.n
        small = cv2.GaussianBlur(small, (0, 0), pixels, borderType=cv2.BORDER_REPLICATE)
        if factor > 1:
            small = cv2.resize(small, (self.n, self.n), interpolation=cv2.INTER_CUBIC)
            small = cv2.GaussianBlur(small, (0, 0), 0.6 * factor)  # no grid in the normals
        return small

    def shift(self, image: Image, dx: float, dy: float) -> Image:
        """Image moved by (dx, dy) points, borders repeated."""
        matrix = np.float32([[1, 0, dx * self.scale], [0, 1, dy * self.scale]])
        size = (self.n, self.n)
        return cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REPLICATE)

    def spot(self, cx: float, cy: float, rx: float, ry: float, turn: float = 0.0) -> Image:
        """Gaussian spot (n, n), 1 at its centre; ``turn`` in radians."""
        dx, dy = self.x - cx, self.y - cy
        c, s = np.cos(turn), np.sin(turn)
        u, v = (dx * c + dy * s) / rx, (dy * c - dx * s) / ry
        return np.exp(-(u * u + v * v))

    def noise(self, size: float) -> Image:
        """Smooth noise (n, n) with features of about ``size`` points, unit variance."""
        side = max(int(SIDE / size), 4)
        grid = self.rng.standard_normal((side, side)).astype(np.float32)
        image = cv2.resize(grid, (self.n, self.n), interpolation=cv2.INTER_CUBIC)
        return image / max(float(image.std()), 1e-6)

    def normals(self, height: Image) -> Image:
        """Unit normals (n, n, 3) of a height field in points, z towards the camera."""
        gy, gx = np.gradient(height, 1.0 / self.scale)
        inverse = 1.0 / np.sqrt(gx * gx + gy * gy + 1.0)
        return np.stack([-gx * inverse, -gy * inverse, inverse], axis=-1).astype(np.float32)

    def inflate(self, mask: Image, radius: float, height: float) -> Image:
        """Pillow-like relief of a mask: a quarter-round of ``radius`` points at its border."""
        binary = (mask > 0.5).astype(np.uint8)
        distance = cv2.distanceTransform(binary, cv2.DIST_L2, 5) / self.scale
        t = np.clip(distance / radius, 0.0, 1.0)
        relief = np.sqrt(np.maximum(1.0 - (1.0 - t) ** 2, 0.0)).astype(np.float32)
        return self.blur(relief * height, radius * 0.12 + 0.8)

    def occlusion(self, height: Image) -> Image:
        """Ambient occlusion (n, n) in 0..1 (1 is open) from a height field in points."""
        total = np.zeros_like(height)
        for sigma, weight in ((4.0, 0.35), (10.0, 0.45), (24.0, 0.5)):
            total += weight * np.clip((self.blur(height, sigma) - height) / sigma, 0.0, 1.2)
        return np.exp(-1.5 * total)

    def cast_shadow(self, height: Image, reach: float = 70.0) -> Image:
        """Key light that reaches each pixel, 0..1, by marching the height field to the light."""
        direction = KEY[0]
        shadow = np.zeros_like(height)
        for step in np.linspace(4.0, reach, 14):
            dx, dy = direction[:2] * step
            blocker = self.shift(height, -dx, -dy) - height - direction[2] * step
            shadow = np.maximum(shadow, smoothstep(-0.10 * step, 0.22 * step, blocker))
        return 1.0 - self.blur(shadow, 3.0)

    def over(self, colour: Image, mask: Image | float) -> None:
        """Composite a linear colour, (3,) or (n, n, 3), over the picture."""
        self.rgb = mix(self.rgb, np.asarray(colour, np.float32), mask)

    def drop_shadow(
        self, mask: Image, dx: float, dy: float, blur: float, depth: float, on: Image | float = 1.0
    ) -> None:
        """Darken what is painted so far, where ``on`` (n, n) is 1, by a mask's soft shadow."""
        shade = self.blur(self.shift(mask, dx, dy), blur) * on
        tint = np.array([0.80, 0.95, 1.0], np.float32) * depth
        self.rgb = self.rgb * (1.0 - shade[..., None] * tint)


def ribbon(curve: NDArray, half_width: NDArray) -> NDArray:
    """Closed polygon (2m, 2) around a curve (m, 2) with half widths (m,)."""
    tangent = np.gradient(curve, axis=0)
    tangent /= np.maximum(np.hypot(*tangent.T)[:, None], 1e-9)
    side = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1) * half_width[:, None]
    return np.vstack([curve + side, (curve - side)[::-1]])


def irradiance(normal: Image, light: Image | float, open_sky: Image | float, wrap: float) -> Image:
    """Diffuse light (n, n, 3): ``light`` scales the key, ``open_sky`` the ambient terms."""
    result = np.zeros_like(normal)
    for (direction, power), amount in ((KEY, light), (FILL, open_sky)):
        facing = (normal @ direction.astype(np.float32) + wrap) / (1.0 + wrap)
        lit = np.maximum(facing, 0.0) * amount
        result += lit[..., None] * power.astype(np.float32)
    up = 0.5 - 0.5 * normal[..., 1]
    ambient = up[..., None] * SKY + (1.0 - up)[..., None] * BOUNCE
    scale = open_sky[..., None] if isinstance(open_sky, np.ndarray) else open_sky
    return (result + ambient * scale).astype(np.float32)


def highlight(normal: Image, power: float, direction: NDArray = KEY[0]) -> Image:
    """Blinn highlight (n, n) of a light for a viewer straight ahead."""
    half = direction + np.array([0.0, 0.0, 1.0])
    half = (half / np.linalg.norm(half)).astype(np.float32)
    return np.maximum(normal @ half, 0.0) ** power


def rim(normal: Image, power: float = 3.0) -> Image:
    """Light (n, n) that grazes the border of a form, stronger on the right side."""
    edge = np.clip(1.0 - normal[..., 2], 0.0, 1.0) ** power
    return edge * np.clip(0.35 + 0.65 * normal[..., 0], 0.0, 1.0)
