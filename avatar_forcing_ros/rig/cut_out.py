"""The person without their background, to stand before another one: soft edges, clean colours.

Beside the outline a photo's pixel is part person, part background. Both colours are known nearby:
the background's from outside, the person's from inside. The place between them is the share, and
the person's own colour goes on outwards in place of the mixture.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.rig.image_ops import smooth_step
from avatar_forcing_ros.rig.inpaint import fill_smoothly
from avatar_forcing_ros.rig.layers import Layers

Image = NDArray[np.uint8]
Array = NDArray[np.float32]

_BAND = 5 / 512  # of the side: as far as that a matte's outline may be wrong
_RIM = 8 / 512  # of the side, inside of the outline, whose colours are not yet trusted
_SPARE = 8 / 512  # of the side, past the outline, where there is colour for whoever scales it
_PLAIN = 40.0  # grey levels between person and background that tell them apart half
_TEXTURE_REACH = 6 / 512  # of the side, over which the background's texture is measured
_MIN_NOISE, _MAX_NOISE = 0.04, 0.45  # of the way between the colours, that tells nothing


@dataclass(frozen=True)
class CutOut:
    """The person alone.

    `alpha` ``[S, S]`` 0…1; `beyond` ``[S, S, 3]`` the person's colours from within, continued past
    the outline; `own` ``[S, S]`` how much of a pixel's colour is the image's, not `beyond`'s.
    `straight`: RGB comes as it is, else times alpha.
    """

    alpha: Array
    beyond: Array
    own: Array
    straight: bool

    def person(self, image: Image, part: tuple[slice, slice] = np.s_[:, :]) -> Image:
        """The person ``[h, w, 4]`` RGBA in `image` ``[h, w, 3]``, the `part` of the portrait."""
        alpha, beyond = self.alpha[part][..., None], self.beyond[part]
        colour = beyond + self.own[part][..., None] * (image - beyond)
        if not self.straight:
            colour = colour * alpha
        values = np.concatenate([colour, 255.0 * alpha], axis=2)
        return np.asarray(np.clip(values + 0.5, 0.0, 255.0), np.uint8)


def cut_out(layers: Layers, *, straight: bool) -> CutOut:
    """The person of `layers`; takes some 0.05 s.

    Raises MediaError where the person was not told from the background.
    """
    if layers.matte.min() > 0.5:
        raise MediaError(
            "portrait", expected="a person who stands out from what is behind them",
            got="an image in which no outline was found",
            remedy="put a matte NAME.matte.png (white: the person) beside it, choose another "
            "image, or leave the background at 'portrait'",
        )  # fmt: skip
    side = len(layers.matte)
    matte = smooth_step((layers.matte - 0.25) / 0.5)
    image, behind = layers.image.astype(np.float32), layers.background.astype(np.float32)
    inside = cv2.erode((matte > 0.98).astype(np.uint8), _disc(_RIM * side))
    beyond = fill_smoothly(image, inside.astype(np.float32))
    alpha = _share(image, beyond, behind, matte)
    own = smooth_step((alpha - 0.8) / 0.2)
    sure = cv2.erode((matte > 0.9).astype(np.float32), _disc(0.4 * _RIM * side))
    own *= cv2.GaussianBlur(sure, (0, 0), side / 512.0)
    near = cv2.dilate((alpha > 0.5 / 255.0).astype(np.float32), _disc(_SPARE * side))
    # no colour where nothing is: files are smaller, and what ignores alpha shows black
    beyond *= near[..., None]
    return CutOut(alpha, beyond, np.asarray(own, np.float32), straight)


def _share(image: Array, person: Array, behind: Array, matte: Array) -> Array:
    """Alpha ``[S, S]`` near the outline of `matte`, by where `image` is between both colours.

    As far as these differ by more than the background's own texture; else the matte decides.
    """
    across = person - behind
    length2 = (across * across).sum(-1)  # [S, S]
    share = ((image - behind) * across).sum(-1) / np.maximum(length2, 1.0)
    noise = _texture(image, matte) / np.maximum(np.sqrt(length2), 1.0)
    noise = np.clip(1.5 * noise, _MIN_NOISE, _MAX_NOISE)
    share = np.clip((share - noise) / (1.0 - 2.0 * noise), 0.0, 1.0)
    trust = (1.0 - 2.0 * noise) * length2 / (length2 + np.float32(_PLAIN**2))
    alpha = matte + trust * (share - matte)
    reach = _disc(_BAND * len(matte))
    return np.asarray(
        np.clip(alpha, cv2.erode(matte, reach), cv2.dilate(matte, reach)), np.float32
    )


def _texture(image: Array, matte: Array) -> Array:
    """Standard deviation ``[S, S]`` of the background's colours around each place."""
    side = len(matte)
    far = cv2.erode((matte < 0.02).astype(np.float32), _disc(_BAND * side))
    outside = np.asarray(far, np.float32)
    sigma = _TEXTURE_REACH * side
    weight = np.maximum(cv2.GaussianBlur(outside, (0, 0), sigma), 1e-3)[..., None]
    seen = outside[..., None]
    mean = cv2.GaussianBlur(image * seen, (0, 0), sigma) / weight
    variance = cv2.GaussianBlur(image * image * seen, (0, 0), sigma) / weight - mean * mean
    total = np.maximum(variance, 0.0).sum(-1)
    return np.sqrt(np.maximum(fill_smoothly(total[..., None], outside)[..., 0], 0.0))


def _disc(radius_px: float) -> NDArray[np.uint8]:
    side = 2 * max(round(radius_px), 1) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
