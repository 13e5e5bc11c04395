"""The portrait in two layers: the person, who is warped, before a background that holds still.

The person is cut out by a matte: one that came with the portrait, or one made here from the mesh
and the picture. What the person hides of the background is filled in once, calmly.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.rig import face_landmarks as mesh
from avatar_forcing_ros.rig.image_ops import fill_outline, smooth_step
from avatar_forcing_ros.rig.inpaint import add_grain, fill_smoothly, grain_level
from avatar_forcing_ros.rig.portrait import Portrait

Image = NDArray[np.uint8]
Array = NDArray[np.float32]

_MIN_FACE_COVER = 0.9  # of the face's oval, that a matte must hold to be believed
_MATTE_LOW, _MATTE_HIGH = 0.2, 0.7  # of a matte: surely background, surely person
_SOFT_END = 0.08  # of the side, in which the person ends where the photo does
_CUT_BAND = 0.08  # of the side, at a photo's edge, from which it is continued
_FAINT = 1e-4  # how much that counts against background that is seen
_GRABCUT_PX = 160  # side of the picture in which a matte is made
_GRABCUT_ROUNDS = 3
_MIN_OUTLINE_STEP = 24  # grey levels across the outline of a head that was found


@dataclass(frozen=True)
class Layers:
    """The person over the background.

    `alpha` ``[S, S]`` 0…1, how much of a pixel is person; `image` ``[S, S, 3]`` what is seen at
    rest; `background` ``[S, S, 3]`` as if the person were not there. `matte` ``[S, S]`` 0…1 is the
    person alone: `alpha` also holds what of the image this background does not explain.
    """

    alpha: Array
    image: Image
    background: Image
    matte: Array

    def person(self, image: Image, part: tuple[slice, slice] = np.s_[:, :]) -> Image:
        """The person ``[h, w, 4]`` in `image` ``[h, w, 3]``, the `part` of the portrait it is.

        RGB times alpha, and alpha. Laid over the background it gives `image` again: what shines
        through is taken off.
        """
        alpha = self.alpha[part][..., None]
        colour = np.clip(image - (1.0 - alpha) * self.background[part], 0.0, 255.0 * alpha)
        return _to_uint8(np.concatenate([colour, 255.0 * alpha], axis=2))


def split_layers(portrait: Portrait) -> Layers:
    """The layers of `portrait`; takes some 0.1 s."""
    matte = portrait.matte
    if matte is None or not _holds_face(matte, portrait):
        matte = mesh_matte(portrait)
    matte = _person_only(matte, portrait)
    image = portrait.image.astype(np.float32)
    in_photo = np.ones(matte.shape, bool) if portrait.in_photo is None else portrait.in_photo
    reach = 2 * max(round(0.02 * portrait.size_px), 1) + 1
    near = cv2.dilate(matte, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    inwards = cv2.distanceTransform(np.asarray(in_photo, np.uint8), cv2.DIST_L2, 5)
    known = np.asarray((near < 0.02) & in_photo, np.float32)
    hidden = np.maximum(cv2.GaussianBlur(1.0 - known, (0, 0), 1.5), 1.0 - known)
    # where the photo cuts the person, a faint shade of them goes on beyond it
    cut = (inwards > 0.0) & (inwards < _CUT_BAND * portrait.size_px)
    filled = fill_smoothly(image, np.maximum(known, _FAINT * cut))
    background = image + hidden[..., None] * (filled - image)
    background = add_grain(background, hidden, grain_level(image, known > 0.0))

    end = _SOFT_END * portrait.size_px
    ends = smooth_step(inwards / end)  # 1 all over where the photo fills the square
    alpha = np.maximum(matte, (hidden > 1e-3) * _least_alpha(image, background)) * ends
    seen = background + alpha[..., None] * (image - background)
    rest = np.where((ends < 1.0)[..., None], seen, image)
    return Layers(
        np.asarray(alpha, np.float32),
        _to_uint8(rest),
        _to_uint8(background),
        np.asarray(matte * ends, np.float32),
    )


def _least_alpha(image: Array, background: Array) -> Array:
    """The least share ``[S, S]`` of a person of any colour that turns `background` to `image`."""
    darker = 1.0 - image / np.maximum(background, 1.0)
    lighter = (image - background) / np.maximum(255.0 - background, 1.0)
    return np.asarray(np.maximum(darker, lighter).max(-1).clip(0.0, 1.0), np.float32)


def _to_uint8(image: Array) -> Image:
    return np.asarray(np.clip(image + 0.5, 0.0, 255.0), np.uint8)


def _face(portrait: Portrait) -> Image:
    """255 inside the face's oval ``[S, S]``."""
    size = portrait.size_px, portrait.size_px
    return fill_outline(portrait.landmarks[mesh.OVAL, :2], size)


def _holds_face(matte: Array, portrait: Portrait) -> bool:
    face = _face(portrait) > 127
    if portrait.in_photo is not None:
        face &= portrait.in_photo
    return bool((matte[face] > 0.5).mean() > _MIN_FACE_COVER) if face.any() else False


def _person_only(matte: Array, portrait: Portrait) -> Array:
    """`matte` made decided, without what is not joined to the face, with the whole face."""
    side = portrait.size_px
    sure = smooth_step((matte - _MATTE_LOW) / (_MATTE_HIGH - _MATTE_LOW))
    face = _face(portrait)
    sure = np.maximum(sure, face.astype(np.float32) / 255.0)
    _, labels = cv2.connectedComponents((sure > 0.3).astype(np.uint8))
    joined = (labels == np.bincount(labels[face > 127]).argmax()).astype(np.uint8)
    reach = 2 * max(side // 64, 1) + 1
    joined = cv2.dilate(joined, np.ones((reach, reach), np.uint8))
    return np.asarray(cv2.GaussianBlur(sure * joined, (0, 0), side / 512.0), np.float32)


def mesh_matte(portrait: Portrait) -> Array:
    """How much of each pixel is person ``[S, S]``, by the mesh and the colours of the picture.

    The face is surely person, a head and shoulders around it probably; the picture's upper corners
    are background. GrabCut (Rother et al. 2004) decides between them. Where what it finds is no
    head with an outline, all of the picture is taken as one layer.
    """
    scale = np.float32(_GRABCUT_PX / portrait.size_px)
    small = _shrunk(portrait.image)
    away, mask = _guess(portrait.landmarks * scale)
    if portrait.in_photo is not None:
        mask[_shrunk(portrait.in_photo.astype(np.uint8)) == 0] = cv2.GC_BGD
    if not np.isin(mask, (cv2.GC_BGD, cv2.GC_PR_BGD)).any():
        return np.ones(portrait.image.shape[:2], np.float32)
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(
        small, mask, (0, 0, 0, 0), *models, _GRABCUT_ROUNDS, cv2.GC_INIT_WITH_MASK
    )  # fmt: skip
    found = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    square = np.ones((5, 5), np.uint8)
    person = np.asarray(cv2.morphologyEx(found, cv2.MORPH_CLOSE, square), np.uint8)
    if not _is_head(person, small, away):
        return np.ones(portrait.image.shape[:2], np.float32)
    soft = cv2.GaussianBlur(cv2.dilate(person, np.ones((3, 3))).astype(np.float32), (0, 0), 1.2)
    size = portrait.size_px, portrait.size_px
    return np.asarray(cv2.resize(soft, size, interpolation=cv2.INTER_CUBIC).clip(0, 1), np.float32)


def _shrunk(image: Image) -> Image:
    size = _GRABCUT_PX, _GRABCUT_PX
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _is_head(person: NDArray[np.uint8], image: Image, away: Array) -> bool:
    """Whether `person` ``[h, w]`` holds a usual head and ends at an edge of `image` around it."""
    if (person[away < 0.9] > 0).mean() < 0.97:
        return False
    square = np.ones((3, 3), np.uint8)
    around = (away > 0.9) & (away < 1.6)
    outline = (cv2.morphologyEx(person, cv2.MORPH_GRADIENT, square) > 0) & around
    blurred = cv2.GaussianBlur(image, (0, 0), 1.0)
    step = cv2.morphologyEx(blurred, cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8)).max(-1)
    return bool(outline.any() and np.median(step[outline]) > _MIN_OUTLINE_STEP)


def _guess(points: Array) -> tuple[Array, NDArray[np.uint8]]:
    """A usual head around the landmarks `points` ``[478, 3]`` of the small picture.

    How far each pixel is from its middle, 1 on its outline, and GrabCut's first mask.
    """
    frame = mesh.face_frame(points)
    y, x = np.mgrid[0:_GRABCUT_PX, 0:_GRABCUT_PX].astype(np.float32)
    local = frame.local(np.dstack([x, y, np.full_like(x, frame.origin_px[2])]))
    across, down = local[..., 0] / frame.width_px, local[..., 1] / frame.height_px
    chin = frame.local(points[[mesh.CHIN]])[0, 1] / frame.height_px
    crown = frame.local(points[[mesh.FOREHEAD_TOP]])[0, 1] / frame.height_px - 0.28
    middle, radius = 0.5 * (crown + chin), 0.5 * (chin - crown)
    away = np.hypot(across / 0.62, (down - middle) / radius)
    shoulders = (down > chin + 0.25) & (np.abs(across) < 0.5 + 1.6 * (down - chin - 0.25))
    neck = (down > middle) & (np.abs(across) < 0.35)
    mask = np.full(x.shape, cv2.GC_PR_BGD, np.uint8)
    mask[(away > 1.6) & ~((down > chin) & (np.abs(across) < 1.6))] = cv2.GC_BGD
    mask[(away < 1.0) | shoulders | neck] = cv2.GC_PR_FGD
    face = fill_outline(points[mesh.OVAL, :2], (_GRABCUT_PX, _GRABCUT_PX)) > 127
    mask[cv2.erode(face.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0] = cv2.GC_FGD
    return np.asarray(away, np.float32), mask
