"""Index sets of the 478-point face mesh (MediaPipe FaceMesh with refined irises).

*Left* is the person's own left, the right side of an unmirrored picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.intp]

LANDMARK_COUNT = 478


def _ids(*rows: str) -> Indices:
    return np.array([[int(i) for i in row.split()] for row in rows], np.intp)


FOREHEAD_TOP, CHIN, NOSE_TIP, NOSE_BASE = 10, 152, 1, 2
EAR_RIGHT, EAR_LEFT = 234, 454
JAW_ANGLE_RIGHT, JAW_ANGLE_LEFT = 58, 288
MOUTH_RIGHT, MOUTH_LEFT = 61, 291
OVAL = _ids(
    "10 338 297 332 284 251 389 356 454 323 361 288 397 365 379 378 400 377 152 148 176 149 150 "
    "136 172 58 132 93 234 127 162 21 54 103 67 109"
)[0]

# Rows of 11 from the person's right mouth corner to the left one, outer row first, inner last.
LIP_UPPER = _ids(
    "61 185 40 39 37 0 267 269 270 409 291",
    "76 184 74 73 72 11 302 303 304 408 306",
    "62 183 42 41 38 12 268 271 272 407 292",
    "78 191 80 81 82 13 312 311 310 415 308",
)
LIP_LOWER = _ids(
    "61 146 91 181 84 17 314 405 321 375 291",
    "76 77 90 180 85 16 315 404 320 307 306",
    "62 96 89 179 86 15 316 403 319 325 292",
    "78 95 88 178 87 14 317 402 318 324 308",
)
INNER_UPPER, INNER_LOWER = LIP_UPPER[-1], LIP_LOWER[-1]
LIPS: Indices = np.unique(np.concatenate([LIP_UPPER.ravel(), LIP_LOWER.ravel()]))


@dataclass(frozen=True)
class EyeIndices:
    """One eye; rows run from the outer to the inner corner, lids without the corners."""

    outer: int
    inner: int
    upper: Indices  # [7] lash line of the upper lid
    lower: Indices  # [7]
    upper_ring: Indices  # [7] skin above the upper lash line
    brow_ring: Indices  # [7] skin between that and the brow
    lower_ring: Indices  # [7] skin below the lower lash line
    iris: Indices  # [5] centre first
    brow_upper: Indices  # [5] from the outer end to the nose
    brow_lower: Indices  # [5]


EYE_RIGHT = EyeIndices(
    33,
    133,
    _ids("246 161 160 159 158 157 173")[0],
    _ids("7 163 144 145 153 154 155")[0],
    _ids("247 30 29 27 28 56 190")[0],
    _ids("113 225 224 223 222 221 189")[0],
    _ids("25 110 24 23 22 26 112")[0],
    np.arange(468, 473),
    _ids("70 63 105 66 107")[0],
    _ids("46 53 52 65 55")[0],
)
EYE_LEFT = EyeIndices(
    263,
    362,
    _ids("466 388 387 386 385 384 398")[0],
    _ids("249 390 373 374 380 381 382")[0],
    _ids("467 260 259 257 258 286 414")[0],
    _ids("342 445 444 443 442 441 413")[0],
    _ids("255 339 254 253 252 256 341")[0],
    np.arange(473, 478),
    _ids("300 293 334 296 336")[0],
    _ids("276 283 282 295 285")[0],
)
