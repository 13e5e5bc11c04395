"""Faces that are too small for the detector in the whole image: found in tiles, then followed.

MediaPipe's detector shrinks what it is given to 128 pixels a side, and finds no face under a
tenth of that. Here it is given squares of the image, enlarged. While nobody is there, one tile of
the image is looked at with each image, so that the search costs little. A face once found is
followed in a square around it. Squares lie on whole pixels and move in steps, so that a still face
is enlarged in the same way in every image. Everything is counted in images, no clock is read: the
same images in the same order give the same faces.
"""

from __future__ import annotations

from functools import lru_cache
from math import hypot

import numpy as np

from avatar_forcing_ros.perception.face_backend import (
    SWITCH_RATIO,
    FaceBackend,
    Landmarks,
    Pixels,
    nearest_face,
    only_face,
    same_face,
    width_px,
)
from avatar_forcing_ros.perception.face_crop import Square, cut, face_square, whole_pixels
from avatar_forcing_ros.perception.plausible_face import is_certain, is_plausible

SEARCH_PX = 192  # the side that a square is brought to in which a face is searched
VIEW_PX = 256  # and one with a face in its middle
WHOLE_PART = 0.1  # of the longer side: a larger face is found in the whole image
TILE_PART = 0.26  # of the longer side: a face of a tenth of the tile is found in it
MIN_TILE_PX = 160  # a face that is smaller than a tenth of it shows no expression
TILE_OVERLAP = 0.4  # of a tile: a face of WHOLE_PART lies whole in one of them

PADDING = 1.5  # what the square around a face shows beside it, in parts of the face
FREE_SHARE = 0.1  # of the square's side, that the face may be off its middle before it moves
FREE_SIZE = 1.3  # by which the face may have grown or shrunk before the square is made anew
NEAR_IMAGES = 25  # in so many a lost face is looked for near its last place,
NEAR_SIZES = (2.0, 1.0, 3.0)  # in squares of such sizes, in turns

# after a face that was not confirmed: a doubtful one costs no more than a sure one
REST_IMAGES = 3


@lru_cache(maxsize=8)
def tiles(height: int, width: int) -> tuple[Square, ...]:
    """Squares that cover an image with overlaps, the middle ones first.

    None where a tile would be hardly smaller than the image.
    """
    longer = max(height, width)
    side = max(MIN_TILE_PX, round(TILE_PART * longer))
    if side > 0.8 * longer:
        return ()
    places = [
        Square(x, y, float(side)) for y in _middles(height, side) for x in _middles(width, side)
    ]
    return tuple(
        sorted(places, key=lambda s: hypot(s.centre_x - width / 2, s.centre_y - height / 2))
    )


def _middles(length: int, side: int) -> list[float]:
    """Middles of overlapping windows of `side` that cover `length`."""
    rest = length - side
    if rest <= 0:
        return [length / 2]
    count = 1 + -(-rest // round((1.0 - TILE_OVERLAP) * side))
    return [side / 2 + rest * i / (count - 1) for i in range(count)]


def faces_in_square(
    backend: FaceBackend, pixels: Pixels, square: Square, view_px: int = VIEW_PX
) -> list[Landmarks]:
    """All faces in the `square` of `pixels`, each ``[478, 3]`` in pixels of the image."""
    left, top, side = whole_pixels(square)
    corner = np.array([left, top, 0.0], np.float32)
    view = cut(pixels, square, view_px)
    return [np.asarray(face * np.float32(side) + corner) for face in backend.faces(view)]


class SmallFaceSearch:
    """Looks for small faces by `backend`, which treats each image on its own."""

    def __init__(self, backend: FaceBackend) -> None:
        self._backend = backend
        self._turn = 0
        self._rest = 0  # images in which nothing is looked for

    def next_image(self) -> None:
        """To be called once for each image."""
        self._rest = max(0, self._rest - 1)

    def near(self, pixels: Pixels, last: Landmarks, images_ago: int) -> Landmarks | None:
        """The widest face around where `last` was `images_ago`."""
        place = square_around(last)
        side = place.side * NEAR_SIZES[images_ago % len(NEAR_SIZES)]
        return self._widest(pixels, Square(place.centre_x, place.centre_y, side))

    def next_tile(self, pixels: Pixels, beside: Landmarks | None = None) -> Landmarks | None:
        """The widest face in the tile whose turn it is, if it is by far wider than `beside`."""
        places = tiles(*pixels.shape[:2])
        if not places or self._rest:
            return None
        self._turn += 1
        return self._widest(pixels, places[self._turn % len(places)], beside)

    def confirmed(self, pixels: Pixels, face: Landmarks) -> Landmarks | None:
        """`face`, if it is found in `pixels` twice more, in the same place, and looks like one."""
        if self._rest:
            return None
        first = self._again(pixels, face)
        second = None if first is None else self._again(pixels, first)
        if first is not None and second is not None and is_certain(first, second):
            return second
        self._rest = REST_IMAGES
        return None

    def _widest(
        self, pixels: Pixels, square: Square, beside: Landmarks | None = None
    ) -> Landmarks | None:
        """The widest face in `square`, confirmed, if it is by far wider than `beside`."""
        if self._rest:
            return None
        found = faces_in_square(self._backend, pixels, square, SEARCH_PX)
        least_px = 0.0 if beside is None else SWITCH_RATIO * width_px(beside)
        found = [face for face in found if width_px(face) > least_px]
        face = self.confirmed(pixels, max(found, key=width_px)) if found else None
        return face if face is not None and width_px(face) > least_px else None

    def _again(self, pixels: Pixels, face: Landmarks) -> Landmarks | None:
        """The same `face`, looked for with itself in the middle."""
        found = faces_in_square(self._backend, pixels, square_around(face))
        nearest = nearest_face(found, face) if found else None
        return nearest if nearest is not None and same_face(nearest, face) else None


class FaceFollower:
    """Follows one face in an enlarged square around it, by a `backend` for one face."""

    def __init__(self, backend: FaceBackend) -> None:
        self._backend = backend
        self._square: Square | None = None  # None: no face is followed
        self._moved = False  # the backend looks first where the face was in the square before

    def start(self, pixels: Pixels, face: Landmarks) -> Landmarks | None:
        """Follow the `face` that is in `pixels`; None, and nobody is followed, if it is not."""
        self._backend.faces(np.zeros((64, 64, 3), np.uint8))  # it forgets whom it had
        self._square, self._moved = square_around(face), False
        alone = only_face(pixels, face)  # a neighbour may be seen better
        found = self._look(alone, self._square)
        if found is None or not same_face(found, face):
            self.stop()
            return None
        return self.follow(pixels)

    def follow(self, pixels: Pixels) -> Landmarks | None:
        """The face, now in `pixels`; None where it is lost, and from then on."""
        if self._square is None:
            return None
        found = self._look(pixels, self._square)
        if found is None or self._moved:
            found = self._look(pixels, self._square)  # once more, from where it is
        if found is None or not is_plausible(found):
            self.stop()
            return None
        square = square_around(found)
        self._moved = _left(self._square, square)
        if self._moved:
            self._square = square
        return found

    def stop(self) -> None:
        """Follow nobody."""
        self._square = None

    def _look(self, pixels: Pixels, square: Square) -> Landmarks | None:
        found = faces_in_square(self._backend, pixels, square)
        return found[0] if found else None


def square_around(face: Landmarks) -> Square:
    """The square, on whole pixels, in which `face` is looked at."""
    left, top, side = whole_pixels(face_square(face, PADDING))
    return Square(left + 0.5 * side, top + 0.5 * side, float(side))


def _left(square: Square, wanted: Square) -> bool:
    """Whether the face is off the middle of `square`, or of another size, than `wanted` is."""
    away = max(abs(wanted.centre_x - square.centre_x), abs(wanted.centre_y - square.centre_y))
    grown = wanted.side / square.side
    return away > FREE_SHARE * square.side or not 1.0 / FREE_SIZE < grown < FREE_SIZE
