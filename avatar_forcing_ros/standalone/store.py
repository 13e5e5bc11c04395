"""Definitions of all messages: the store of ``rosbags``, completed by what it lacks."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.standalone.definitions import AUDIO, OTHER_AUDIO, SERVICES, blocks

OWN_PACKAGE = "avatar_forcing_ros"
# what the wire carries for a message without fields; hidden from Python as rosidl hides it
PLACEHOLDER = "structure_needs_at_least_one_member"
_PLACEHOLDER_FIELD: Any = (PLACEHOLDER, (Nodetype.BASE, ("uint8", 0)))
_DISTRIBUTIONS = {
    "humble": Stores.ROS2_HUMBLE,
    "iron": Stores.ROS2_IRON,
    "jazzy": Stores.ROS2_JAZZY,
    "kilted": Stores.ROS2_KILTED,
    "lyrical": Stores.ROS2_LYRICAL,
}


def distribution() -> str:
    """The ROS 2 release whose wire format is spoken: ROS_DISTRO, or jazzy."""
    name = os.environ.get("ROS_DISTRO", "jazzy")
    if name not in _DISTRIBUTIONS:
        raise ConfigError(
            "ROS_DISTRO",
            expected=" or ".join(_DISTRIBUTIONS),
            got=name,
            remedy="set one of these, or unset the variable",
        )
    return name


def _base_store() -> Any:
    """The messages of the release; ``char`` is uint8 in ROS 2, and so it is hashed there."""
    store = get_typestore(_DISTRIBUTIONS[distribution()])
    for name, (constants, fields) in list(store.fielddefs.items()):
        store.fielddefs[name] = (constants, [(field, _char_is_uint8(d)) for field, d in fields])
    return store


def _char_is_uint8(desc: Any) -> Any:
    kind, detail = desc
    if kind == Nodetype.BASE:
        return (kind, ("uint8", 0)) if detail[0] == "char" else desc
    return desc if kind == Nodetype.NAME else (kind, (_char_is_uint8(detail[0]), detail[1]))


def _add(store: Any, name: str, text: str) -> None:
    (constants, fields), *_ = get_types_from_msg(text, name).values()
    store.fielddefs[name] = (constants, fields or [_PLACEHOLDER_FIELD])


def _add_services(store: Any) -> None:
    """Each service as two messages, its request and its response."""
    for name, text in blocks(SERVICES).items():
        request, _, response = text.partition("---")
        _add(store, f"{name}_Request", request)
        _add(store, f"{name}_Response", response)


@lru_cache(maxsize=1)
def standard() -> Any:
    """The store that holds every message this package can speak."""
    store = _base_store()
    _add_services(store)
    for name, text in blocks(AUDIO).items():
        _add(store, name, text)
    for path in sorted(shipped("msg").glob("*.msg")):
        _add(store, f"{OWN_PACKAGE}/msg/{path.stem}", path.read_text(encoding="utf-8"))
    return store


@lru_cache(maxsize=1)
def other_audio() -> Any:
    """A second store for the other package that is called audio_common_msgs."""
    store = _base_store()
    for name, text in blocks(OTHER_AUDIO).items():
        _add(store, name, text)
    return store


def store_of(type_name: str) -> Any:
    """The store that defines a message; raises NotImplementedError where none does."""
    for store in (standard(), other_audio()):
        if type_name in store.fielddefs:
            return store
    raise NotImplementedError(f"{type_name} is not known without a ROS installation")
