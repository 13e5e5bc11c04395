"""What happens to a picture after it was drawn: the cut of a photo, its light, age and medium.

Pictures are float32 arrays (h, w, 3), sRGB, RGB, 0..1. Each look is a function of the picture
and random numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from portrait_paint import SIDE, Image, mix, smoothstep

Look = Callable[[Image, np.random.Generator], Image]
_PAPER = 0.965


@dataclass(frozen=True)
class Cut:
    """The part of the drawing that the photo shows.

    ``left``, ``top``, ``width`` and ``height`` in points; the picture is ``width_px`` wide.
    ``turn_deg`` turns the photo clockwise. With ``border`` (part of the width) it lies
    on a white page, as a scan does.
    """

    left: float = 0.0
    top: float = 0.0
    width: float = SIDE
    height: float = SIDE
    width_px: int = 512
    turn_deg: float = 0.0
    border: float = 0.0

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of the picture."""
        return self.width_px, round(self.width_px * self.height / self.width)

    def matrix(self, scale: float) -> NDArray[np.float64]:
        """Affine map (2, 3) from pixels of a drawing with ``scale`` to those of the photo."""
        wide, high = self.size_px
        zoom = wide / self.width * (1.0 - 2.0 * self.border)
        angle = np.radians(self.turn_deg)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        middle = np.array([self.left + 0.5 * self.width, self.top + 0.5 * self.height])
        linear = turn * zoom / scale
        # points are pixel centres + 0.5, as on the canvas
        shift = np.array([0.5 * wide, 0.5 * high]) - turn @ middle * zoom
        shift += linear @ np.array([0.5, 0.5]) - 0.5
        return np.column_stack([linear, shift])

    def take(self, drawing: Image, scale: float) -> Image:
        """The photo (h, w, 3) of a drawing (n, n, 3); a page's white where it ends."""
        matrix = self.matrix(scale)
        shrink = float(np.hypot(matrix[0, 0], matrix[1, 0]))
        if shrink < 1.0:
            drawing = cv2.GaussianBlur(
                drawing, (0, 0), 0.45 * (1.0 / shrink**2 - 1.0) ** 0.5 + 1e-3
            )
        if self.border:
            corners = np.array([self.left, self.top, self.width, self.height]) * scale
            x0, y0, w, h = (round(v) for v in corners)
            page = np.full_like(drawing, _PAPER)
            page[y0 : y0 + h, x0 : x0 + w] = drawing[y0 : y0 + h, x0 : x0 + w]
            drawing = page
        return cv2.warpAffine(
            drawing, matrix, self.size_px, flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_CONSTANT if self.border else cv2.BORDER_REPLICATE,
            borderValue=(_PAPER,) * 3,
        )  # fmt: skip

    def points(self, points: NDArray) -> NDArray:
        """Points (m, 2) of the drawing, 1024 a side, as pixels of the photo."""
        matrix = self.matrix(1.0)
        return (np.asarray(points, np.float64) - 0.5) @ matrix[:, :2].T + matrix[:, 2]


def grey_of(picture: Image) -> Image:
    """Luminance (h, w)."""
    return (picture @ np.float32([0.299, 0.587, 0.114])).astype(np.float32)


def grained(picture: Image, rng: np.random.Generator, sigma: float, size: float = 0.6) -> Image:
    """The picture with film grain of deviation ``sigma``, the same in all channels."""
    grain = rng.standard_normal(picture.shape[:2]).astype(np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), size)
    grain *= sigma / max(float(grain.std()), 1e-6)
    light = grey_of(picture)
    return picture + (grain * (0.4 + 2.4 * light * (1.0 - light)))[..., None]


def grey(picture: Image, rng: np.random.Generator) -> Image:
    """A black-and-white photo with some grain."""
    tone = grey_of(picture)
    tone = 0.03 + 0.84 * mix(tone, smoothstep(0.0, 1.0, tone), 0.5)
    return grained(np.repeat(tone[..., None], 3, 2), rng, 0.03)


def dark(picture: Image, rng: np.random.Generator) -> Image:
    """A photo of which a sixth of the light is left, with a sensor's noise."""
    left = picture * (0.12 / float(grey_of(picture).mean()))
    noise = rng.normal(0.0, 0.011, picture.shape) + rng.normal(0.0, 0.012, (*left.shape[:2], 1))
    return left + noise.astype(np.float32)


def marble(picture: Image, rng: np.random.Generator) -> Image:
    """A photo of a statue: one stone, veined, with hard light."""
    tone = grey_of(picture)
    tone = 0.05 + 0.82 * mix(tone, smoothstep(0.05, 1.0, tone), 0.6)
    veins = _clouds(rng, tone.shape, (120.0, 40.0, 14.0))
    vein = np.exp(-np.abs(veins) / 0.07) * smoothstep(-0.2, 1.2, _clouds(rng, tone.shape, (90.0,)))
    tone = tone * (1.0 - 0.16 * vein + 0.015 * _clouds(rng, tone.shape, (40.0, 12.0)))
    return grained(tone[..., None] * np.float32([0.985, 0.975, 0.95]), rng, 0.02)


def pencil(picture: Image, rng: np.random.Generator) -> Image:
    """A drawing in pencil: contours, hatching in the shadows, the grain of paper."""
    tone = grey_of(picture)
    blurred = cv2.GaussianBlur(tone, (0, 0), 5.0)
    lines = np.clip(tone / np.maximum(blurred, 0.02), 0.0, 1.0) ** 2.2
    smooth = cv2.GaussianBlur(tone, (0, 0), 2.5)
    y, x = np.mgrid[: tone.shape[0], : tone.shape[1]].astype(np.float32)
    sway = 2.5 * _clouds(rng, tone.shape, (60.0,))
    stroke = 0.5 + 0.5 * np.sin(1.35 * (x + 0.75 * y) + sway)
    cross = 0.5 + 0.5 * np.sin(1.25 * (x - 1.2 * y) + sway)
    shade = 1.0 - 0.42 * smoothstep(0.72, 0.15, smooth) * (0.35 + 0.65 * stroke)
    shade = shade * (1.0 - 0.50 * smoothstep(0.38, 0.05, smooth) * (0.3 + 0.7 * cross))
    paper = 1.0 + 0.045 * rng.standard_normal(tone.shape).astype(np.float32)
    result = 0.05 + 0.90 * lines * shade
    result = result * (1.0 + (paper - 1.0) * smoothstep(0.15, 0.6, result))
    return result[..., None] * np.float32([0.99, 0.985, 0.97])


def painting(picture: Image, rng: np.random.Generator) -> Image:
    """An old painting in oil: brush strokes, yellowed varnish, a canvas' weave and cracks."""
    small = np.clip(picture * 255.0, 0, 255).astype(np.uint8)
    for _ in range(2):
        small = cv2.bilateralFilter(small, 9, 28, 5)
    oil = small.astype(np.float32) / 255.0
    strokes = rng.standard_normal(oil.shape[:2]).astype(np.float32)
    strokes = cv2.GaussianBlur(cv2.GaussianBlur(strokes, (0, 0), 0.8), (13, 3), 5.0, sigmaY=0.7)
    oil = oil * (1.0 + 0.9 * strokes * 0.25)[..., None]
    tone = grey_of(oil)[..., None]
    oil = mix(oil, np.repeat(tone, 3, 2), 0.25) ** 1.18
    oil = oil * np.float32([1.02, 0.86, 0.58]) + np.float32([0.035, 0.022, 0.006])
    y, x = np.mgrid[: oil.shape[0], : oil.shape[1]].astype(np.float32)
    weave = np.sin(1.9 * x + 0.3 * np.sin(0.05 * y)) * np.sin(1.9 * y)
    crack = np.exp(-((_clouds(rng, oil.shape[:2], (34.0, 15.0, 7.0)) / 0.022) ** 2))
    middle = np.hypot(x / oil.shape[1] - 0.5, y / oil.shape[0] - 0.45)
    edge = 1.0 - 0.45 * smoothstep(0.35, 0.75, middle)
    oil = oil * (edge * (1.0 + 0.045 * weave) * (1.0 - 0.20 * crack))[..., None]
    return grained(oil, rng, 0.02)


def harsh(picture: Image, rng: np.random.Generator) -> Image:
    """Much local contrast, as portraits of lined faces are often printed."""
    tone = grey_of(picture)
    near = cv2.GaussianBlur(tone, (0, 0), 14.0)
    fine = cv2.GaussianBlur(tone, (0, 0), 2.0)
    gain = 1.0 + (0.9 * (tone - near) + 0.8 * (tone - fine)) / np.maximum(tone, 0.08)
    picture = picture * np.clip(gain, 0.2, 1.8)[..., None]
    return grained(smoothstep(-0.05, 1.02, np.clip(picture, 0.0, 1.0)), rng, 0.03)


def plain(picture: Image, rng: np.random.Generator) -> Image:
    """A photo with little grain."""
    return grained(picture, rng, 0.010)


def _clouds(rng: np.random.Generator, shape: tuple[int, ...], sizes: tuple[float, ...]) -> Image:
    """Sum of smooth noises (h, w) of unit deviation, features of ``sizes`` pixels."""
    total = np.zeros(shape[:2], np.float32)
    for k, size in enumerate(sizes):
        grid = rng.standard_normal([max(4, int(side / size)) for side in shape[:2]])
        layer = cv2.resize(grid.astype(np.float32), shape[1::-1], interpolation=cv2.INTER_CUBIC)
        total += layer * 0.6**k
    return total / max(float(total.std()), 1e-6)
