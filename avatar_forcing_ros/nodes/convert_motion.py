"""Motion ↔ AvatarMotion messages.

The rig's head angles are REP-103 rotations of the head frame already, so ``head_rpy`` holds them
as they are, in radians: x = head_roll, y = head_pitch, z = head_yaw. ``head_translation`` is in
head widths along the same axes (x forward out of the face, y to the avatar's left, z up):
y = head_x and z = head_y, while x is how far the head must come forward for its image to grow
by head_scale when it is looked at from VIEW_DISTANCE_HEAD_WIDTHS away.
"""

from __future__ import annotations

import array
from functools import lru_cache
from typing import Any

import numpy as np
from geometry_msgs.msg import Vector3
from numpy.typing import NDArray

from avatar_forcing_ros.msg import AvatarMotion
from avatar_forcing_ros.nodes.diagnostics import BadMessage
from avatar_forcing_ros.rig.coefficients import COUNT, INDEX, NAMES, clip

Values = NDArray[np.float32]

# from where a portrait is seen: about a metre, as the renderer's perspective assumes
VIEW_DISTANCE_HEAD_WIDTHS = 6.0


def motion_to_msg(
    header: Any,
    block_index: int,
    frame_in_block: int,
    latent: Values | None,
    values: Values,
    speech_level: float,
    speaking: bool,
) -> Any:
    """The AvatarMotion of one frame.

    `latent` ``[D]`` float32 or None where the motion was measured; `values` ``[K]`` rig
    coefficients in the order of NAMES. Raises ValueError for another shape of `values`.
    """
    if values.shape != (COUNT,):
        raise ValueError(f"expected {COUNT} rig coefficients, got shape {values.shape}")
    return AvatarMotion(
        header=header,
        block_index=int(block_index),
        frame_in_block=int(frame_in_block),
        latent=_floats(np.zeros(0) if latent is None else latent),
        names=list(NAMES),
        values=_floats(values),
        head_rpy=_vector(head_rpy_rad(values)),
        head_translation=_vector(head_translation(values)),
        speech_level=float(speech_level),
        speaking=bool(speaking),
    )


def head_rpy_rad(values: Values) -> NDArray[np.float64]:
    """Roll, pitch and yaw ``[3]`` in rad about fixed REP-103 axes, of coefficients ``[K]``."""
    rows = [INDEX["head_roll"], INDEX["head_pitch"], INDEX["head_yaw"]]
    return values[rows].astype(np.float64)


def head_translation(values: Values) -> NDArray[np.float64]:
    """The head's offset ``[3]`` in head widths: forward, to the avatar's left, up."""
    left, up, nearer = (float(values[INDEX[n]]) for n in ("head_x", "head_y", "head_scale"))
    # sizes are as 1 / distance: from d away to d / (1 + nearer)
    return np.array([VIEW_DISTANCE_HEAD_WIDTHS * nearer / (1.0 + nearer), left, up])


def _floats(values: NDArray[Any]) -> array.array[float]:
    return array.array("f", np.asarray(values, np.float32).tobytes())


def _vector(xyz: NDArray[np.float64]) -> Any:
    x, y, z = xyz.tolist()
    return Vector3(x=x, y=y, z=z)


def msg_to_values(msg: Any) -> tuple[Values, tuple[str, ...]]:
    """Rig coefficients ``[K]`` float32 within their ranges, and the names that are none.

    Names may come in any order; those that are missing are 0. The unknown ones are ignored and
    handed back, to be logged. Raises BadMessage where names and values do not belong together,
    or a value is not finite.
    """
    names, given = tuple(msg.names), np.array(msg.values, np.float32)
    if len(names) != len(given):
        raise BadMessage(
            "names",
            "motion message",
            expected="as many names as values",
            got=f"{len(names)} names and {len(given)} values",
            remedy="publish a value for each name",
        )
    places, sources, unknown = _places(names)
    if len(set(places)) < len(places):
        raise BadMessage(
            "names",
            "motion message",
            expected="every name once",
            got="a coefficient twice",
            remedy="publish one value for each name",
        )
    if not np.isfinite(given).all():
        raise BadMessage(
            "not_finite",
            "motion message",
            expected="finite values",
            got=f"{np.count_nonzero(~np.isfinite(given))} that are not",
            remedy="check the node that publishes them",
        )
    values = np.zeros(COUNT, np.float32)
    values[list(places)] = given[list(sources)]
    return clip(values), unknown


# a publisher sends the same names with every frame
@lru_cache(maxsize=8)
def _places(names: tuple[str, ...]) -> tuple[tuple[int, ...], tuple[int, ...], tuple[str, ...]]:
    """Places in the vector, where in the message they come from, and unknown names."""
    known = [(INDEX[name], i) for i, name in enumerate(names) if name in INDEX]
    unknown = tuple(name for name in names if name not in INDEX)
    return tuple(place for place, _ in known), tuple(i for _, i in known), unknown
