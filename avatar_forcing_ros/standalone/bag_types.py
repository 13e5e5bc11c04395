"""Which definition a type's name means: two packages share one name, others are not known here."""

from __future__ import annotations

from typing import Any

from rosbags.interfaces import MessageDefinitionFormat
from rosbags.typesys import get_types_from_msg

from avatar_forcing_ros.standalone.store import other_audio, standard

_HASH = "RIHS01_"


def store_for(type_name: str, type_hash: str = "") -> Any | None:
    """The store that defines the type with that hash, or, without a hash, defines it at all."""
    for store in (standard(), other_audio()):
        if type_name in store.fielddefs and (
            not type_hash.startswith(_HASH) or store.hash_rihs01(type_name) == type_hash
        ):
            return store
    return None


def definition(type_name: str, type_hash: str = "") -> tuple[str | None, str]:
    """(text of the definition, hash) for a bag; None and what was told for a type not known."""
    store = store_for(type_name, type_hash)
    if store is None:
        return None, type_hash
    text, _ = store.generate_msgdef(type_name, ros_version=2)
    return str(text), str(store.hash_rihs01(type_name))


def recorded_hash(connection: Any) -> str:
    """The hash of a recorded topic's type: as written, from its definition, or as known here."""
    if connection.digest:
        return str(connection.digest)
    if connection.msgdef.format == MessageDefinitionFormat.MSG and connection.msgdef.data:
        from rosbags.typesys import Stores, get_typestore

        store = get_typestore(Stores.EMPTY)
        store.register(get_types_from_msg(connection.msgdef.data, connection.msgtype))
        return str(store.hash_rihs01(connection.msgtype))
    store_here = store_for(connection.msgtype)
    return str(store_here.hash_rihs01(connection.msgtype)) if store_here else ""


def hash_user_data(type_hash: str) -> bytes:
    """What an endpoint tells its partners of its type; nothing where no hash is known."""
    return f"typehash={type_hash};".encode() if type_hash.startswith(_HASH) else b""
