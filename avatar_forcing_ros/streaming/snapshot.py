"""A conversation as bytes and back: tensors in safetensors, everything else as JSON beside them.

Only numbers, strings, arrays and objects of a few named classes are written, and nothing that is
read can be anything else, or run. A checksum finds damage; it keeps out nobody who means harm.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from avatar_forcing_ros.errors import ConversationError
from avatar_forcing_ros.model.attention import KeysValues
from avatar_forcing_ros.model.blocks import BlockKeys
from avatar_forcing_ros.streaming.audio_window import MelWindow, WaveWindow
from avatar_forcing_ros.streaming.kv_cache import KVCache
from avatar_forcing_ros.streaming.motion_anchor import AnchorState
from avatar_forcing_ros.streaming.speech_front_end import SpeechFrontEnd
from avatar_forcing_ros.streaming.speech_level import CleanSpeechLevel, SpeechLevel
from avatar_forcing_ros.streaming.state import Conditions, MotionState, StreamState
from avatar_forcing_ros.streaming.tone_removal import HighPass, ToneRemoval

MAGIC = b"AVATARFORCING-SNAPSHOT\n"
VERSION = 1
MAX_BYTES = 1 << 30
DIGEST_BYTES = 16
_KIND = "kind"  # of a JSON object that stands for something that JSON has not

STREAM_CLASSES: tuple[type, ...] = (
    StreamState, MotionState, KVCache, BlockKeys, KeysValues, Conditions, AnchorState, MelWindow,
    WaveWindow, SpeechFrontEnd, HighPass, ToneRemoval, SpeechLevel, CleanSpeechLevel,
)  # fmt: skip


def to_bytes(value: Any, model: Mapping[str, Any], classes: tuple[type, ...]) -> bytes:
    """`value`, made of plain values, arrays, tensors and objects of `classes`, as bytes.

    `model` says for which model it is, in JSON's own types. Raises TypeError for anything else.
    """
    writer = _Writer(classes)
    tree = {"version": VERSION, "model": model, "value": writer.plain(value)}
    content = save(writer.tensors, {"tree": json.dumps(tree)})
    return MAGIC + _digest(content) + content


def from_bytes(
    data: bytes,
    model: Mapping[str, Any],
    classes: Mapping[type, frozenset[str]],
    device: torch.device | str = "cpu",
) -> Any:
    """The reverse of `to_bytes`, with tensors on `device`.

    `classes` may be made, with fields of just these names. Raises ConversationError for bytes
    that are no snapshot, damaged, of another version or of another `model`.
    """
    content = _content(data)
    try:
        tensors = load(content)
        header_bytes = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + header_bytes])
        tree = json.loads(header["__metadata__"]["tree"])
        version, of, value = tree["version"], tree["model"], tree["value"]
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(error) from error
    if version != VERSION:
        raise _refused(f"version {VERSION}", f"version {version}", "use the release that made it")
    if of != model:
        wanted, got = _difference(model, of)
        remedy = "restore it with the weights, preset and precision that it was made with"
        raise _refused(f"one of this model ({wanted})", got, remedy)
    try:
        return _Reader(tensors, classes, device).value(value)
    except (KeyError, TypeError, ValueError, RecursionError, AttributeError) as error:
        raise _damaged(error) from error


def fields_of(cls: type) -> frozenset[str]:
    """The names of a data class's or a named tuple's fields."""
    if dataclasses.is_dataclass(cls):
        return frozenset(each.name for each in dataclasses.fields(cls))
    return frozenset(cast("Any", cls)._fields)


def _content(data: bytes) -> bytes:
    if not data.startswith(MAGIC):
        remedy = "give what a conversation's snapshot gave"
        raise _refused("a snapshot of a conversation", f"{len(data)} other bytes", remedy)
    if len(data) > MAX_BYTES:
        raise _refused(f"at most {MAX_BYTES} bytes", str(len(data)), "give another snapshot")
    digest_end = len(MAGIC) + DIGEST_BYTES
    content = data[digest_end:]
    if data[len(MAGIC) : digest_end] != _digest(content):
        raise _damaged("its checksum differs")
    return content


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()


class _Writer:
    def __init__(self, classes: tuple[type, ...]) -> None:
        self._names = {cls: cls.__name__ for cls in classes}
        self.tensors: dict[str, Tensor] = {}

    def plain(self, value: Any) -> Any:
        """`value` as JSON has it, its arrays and tensors put aside."""
        if value is None or isinstance(value, (bool, int, float, str)):
            # numpy's float64 is a float: the same bits come back
            return float(value) if isinstance(value, float) else value
        if isinstance(value, (np.bool_, np.integer)):
            return value.item()
        if isinstance(value, Tensor):
            return self._aside("tensor", value.detach().cpu())
        if isinstance(value, np.ndarray):
            return self._array(value)
        cls = type(value)
        if cls in self._names:
            content = {name: getattr(value, name) for name in _state_names(value)}
            return {_KIND: self._names[cls], "fields": self._each(content)}
        if cls in (list, tuple):
            return {_KIND: cls.__name__, "items": [self.plain(each) for each in value]}
        if cls is dict and all(isinstance(key, str) for key in value):
            return {_KIND: "dict", "fields": self._each(value)}
        raise TypeError(f"a snapshot has no {cls.__name__}")

    def _each(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self.plain(each) for name, each in values.items()}

    def _array(self, array: np.ndarray[Any, Any]) -> dict[str, Any]:
        if array.dtype == np.complex64:  # which not every release of safetensors knows
            return self._aside("complex64", torch.from_numpy(array.view(np.float32).copy()))
        return self._aside("array", torch.from_numpy(array.copy()))

    def _aside(self, kind: str, tensor: Tensor) -> dict[str, Any]:
        name = str(len(self.tensors))
        # memory of its own: several may share theirs, which safetensors refuses
        self.tensors[name] = tensor.clone(memory_format=torch.contiguous_format)
        return {_KIND: kind, "name": name}


class _Reader:
    def __init__(
        self,
        tensors: dict[str, Tensor],
        classes: Mapping[type, frozenset[str]],
        device: torch.device | str,
    ) -> None:
        self._tensors, self._device = tensors, device
        self._classes = {cls.__name__: (cls, names) for cls, names in classes.items()}

    def value(self, plain: Any) -> Any:
        """What was written as `plain`."""
        if plain is None or isinstance(plain, (bool, int, float, str)):
            return plain
        kind = plain[_KIND]
        if kind in ("list", "tuple"):
            items = [self.value(each) for each in plain["items"]]
            return items if kind == "list" else tuple(items)
        if kind in ("tensor", "array", "complex64"):
            return self._kept(kind, self._tensors[plain["name"]])
        values = {name: self.value(each) for name, each in plain["fields"].items()}
        return values if kind == "dict" else self._made(kind, values)

    def _kept(self, kind: str, tensor: Tensor) -> Any:
        if kind == "tensor":
            return tensor.to(self._device)
        array = tensor.numpy().copy()
        return array.view(np.complex64) if kind == "complex64" else array

    def _made(self, kind: str, values: dict[str, Any]) -> Any:
        cls, names = self._classes[kind]
        if values.keys() != names:
            raise ValueError(f"other fields of {kind}")
        if dataclasses.is_dataclass(cls) or issubclass(cls, tuple):
            return cls(**values)
        made = cls.__new__(cls)
        vars(made).update(values)
        return made


def _state_names(value: Any) -> list[str]:
    """The names of all that an object remembers."""
    if dataclasses.is_dataclass(value) or isinstance(value, tuple):
        return sorted(fields_of(type(value)))
    return sorted(vars(value))


def _difference(model: Mapping[str, Any], other: Any) -> tuple[str, str]:
    """The first of what differs, of both."""
    other = other if isinstance(other, Mapping) else {}
    for name, value in model.items():
        if name not in other or other[name] != value:
            return f"{name} {value}", f"{name} {other.get(name, 'unknown')}"
    return "all of it", "one with more"


def _damaged(why: object) -> ConversationError:
    what = why if isinstance(why, str) else f"{type(why).__name__}: {why}"
    return _refused("a whole snapshot", f"a damaged one ({what})", "make it anew")


def _refused(expected: str, got: str, remedy: str) -> ConversationError:
    return ConversationError("snapshot", expected=expected, got=got, remedy=remedy)
