"""Random messages with plain chance, for checks that take many at once."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype

from avatar_forcing_ros.standalone.messages import message_class
from avatar_forcing_ros.standalone.store import PLACEHOLDER, store_of


def random_message(type_name: str, chance: random.Random) -> Any:
    """A message whose fields are all filled at random; lists hold up to three."""
    fields = store_of(type_name).fielddefs[type_name][1]
    return message_class(type_name)(
        **{name: _value(desc, chance) for name, desc in fields if name != PLACEHOLDER}
    )


def _value(desc: Any, chance: random.Random) -> Any:
    kind, detail = desc
    if kind == Nodetype.NAME:
        return random_message(detail, chance)
    if kind == Nodetype.BASE:
        return _scalar(detail[0], chance)
    inner, limit = detail
    count = limit if kind == Nodetype.ARRAY else chance.randint(0, limit or 3)
    return [_value(inner, chance) for _ in range(count)]


def _scalar(base: str, chance: random.Random) -> Any:
    if base == "string":
        return "".join(chance.choices("abä€ ", k=chance.randint(0, 9)))
    if base == "bool":
        return chance.random() < 0.5
    if base == "byte":
        return chance.randbytes(1)
    if base.startswith("float"):
        return float(np.float32(chance.uniform(-1e6, 1e6)))
    info = np.iinfo(base)
    return chance.randint(int(info.min), int(info.max))
