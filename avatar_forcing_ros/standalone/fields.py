"""One field of a message: its default, what it accepts, and how it looks on the wire.

Values are kept as rosidl keeps them: sequences of numbers as ``array.array``, arrays of fixed
length as numpy arrays, ``byte`` as bytes of length one, everything else as plain Python.
"""

from __future__ import annotations

import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype

# wire name → (name in rosidl, type code of array.array, numpy type)
_NUMBERS: dict[str, tuple[str, str, Any]] = {
    "int8": ("int8", "b", np.int8),
    "uint8": ("uint8", "B", np.uint8),
    "int16": ("int16", "h", np.int16),
    "uint16": ("uint16", "H", np.uint16),
    "int32": ("int32", "i", np.int32),
    "uint32": ("uint32", "I", np.uint32),
    "int64": ("int64", "q", np.int64),
    "uint64": ("uint64", "Q", np.uint64),
    "float32": ("float", "f", np.float32),
    "float64": ("double", "d", np.float64),
}


@dataclass(frozen=True)
class Field:
    """``to_wire`` and ``from_wire`` are None where the serialiser takes the value as it is."""

    name: str
    rosidl_type: str
    default: Callable[[], Any]
    coerce: Callable[[Any], Any]
    to_wire: Callable[[Any], Any] | None = None
    from_wire: Callable[[Any], Any] | None = None


def make_field(name: str, desc: Any, default: Any, nested: Callable[[str], type[Any]]) -> Field:
    """The field ``name`` as the store describes it; ``nested`` finds the classes of messages."""
    kind, detail = desc
    if kind == Nodetype.NAME:
        return _message(name, detail, nested(detail))
    if kind == Nodetype.BASE:
        return _scalar(name, detail[0], detail[1], default)
    (inner_kind, inner), length = detail
    if kind == Nodetype.ARRAY:
        if inner_kind == Nodetype.BASE and inner[0] in _NUMBERS:
            return _fixed_numbers(name, inner[0], length)
        return _list(name, inner_kind, inner, nested, length, f"[{length}]", exact=True)
    if inner_kind == Nodetype.BASE and inner[0] in _NUMBERS:
        return _numbers(name, inner[0], length)
    return _list(name, inner_kind, inner, nested, length, f", {length}" * bool(length))


def _refuse(name: str, wanted: str, value: object) -> AssertionError:
    # rosidl checks with assert, so code that catches it expects this class
    shown = repr(value)
    return AssertionError(
        f"The '{name}' field must be {wanted}, got {type(value).__name__} {shown[:60]}"
    )


def _checked(name: str, kind: type[Any], wanted: str) -> Callable[[Any], Any]:
    def coerce(value: Any) -> Any:
        if not isinstance(value, kind):
            raise _refuse(name, wanted, value)
        return value

    return coerce


def _message(name: str, type_name: str, cls: type[Any]) -> Field:
    package, _, short = type_name.split("/")
    plain = cls._plain
    return Field(
        name,
        f"{package}/{short}",
        cls,
        _checked(name, cls, f"a sub message of type '{short}'"),
        None if plain else cls._wire_view,
    )


def _scalar(name: str, base: str, bound: int, default: Any) -> Field:
    if base == "string":
        shown = f"string<{bound}>" if bound else "string"

        def coerce_text(value: Any) -> str:
            if not isinstance(value, str) or (bound and len(value) > bound):
                raise _refuse(name, f"a string{f' of at most {bound}' * bool(bound)}", value)
            return value

        return Field(name, shown, lambda: default or "", coerce_text)
    if base == "bool":
        return Field(name, "boolean", lambda: bool(default), _checked(name, bool, "a bool"))
    if base == "byte":

        def coerce_byte(value: Any) -> bytes:
            if not isinstance(value, bytes) or len(value) != 1:
                raise _refuse(name, "bytes of length 1", value)
            return value

        # the serialiser holds a byte for a signed number
        return Field(
            name,
            "octet",
            lambda: b"\0",
            coerce_byte,
            lambda value: int.from_bytes(value, "little", signed=True),
            lambda value: bytes([value & 0xFF]),
        )
    rosidl, code, dtype = _NUMBERS[base]
    if code in "fd":
        return Field(
            name,
            rosidl,
            lambda: float(default or 0),
            _checked(name, float, "a float"),
        )
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)

    def coerce_integer(value: Any) -> int:
        if not isinstance(value, int) or not low <= value <= high:
            raise _refuse(name, f"an int in [{low}, {high}]", value)
        return value

    return Field(name, rosidl, lambda: default or 0, coerce_integer)


def _numbers(name: str, base: str, bound: int) -> Field:
    rosidl, code, dtype = _NUMBERS[base]

    def coerce(value: Any) -> Any:
        if isinstance(value, array.array) and value.typecode == code:
            result = value
        elif isinstance(value, (bytes, bytearray, memoryview)) and code == "B":
            result = array.array(code, bytes(value))
        elif isinstance(value, np.ndarray) and value.dtype == dtype and value.ndim == 1:
            result = from_wire(np.ascontiguousarray(value))
        elif isinstance(value, Iterable) and not isinstance(value, (str, np.ndarray)):
            try:
                result = array.array(code, value)
            except (TypeError, OverflowError) as error:
                raise _refuse(name, f"a sequence of {rosidl}", value) from error
        else:
            raise _refuse(name, f"a one-dimensional sequence of {rosidl}", value)
        if bound and len(result) > bound:
            raise _refuse(name, f"at most {bound} values", value)
        return result

    def from_wire(value: Any) -> Any:
        numbers = array.array(code)
        numbers.frombytes(value.view(np.uint8))
        return numbers

    shown = f"sequence<{rosidl}{f', {bound}' * bool(bound)}>"
    return Field(
        name,
        shown,
        lambda: array.array(code),
        coerce,
        lambda value: np.frombuffer(value, dtype) if len(value) else np.empty(0, dtype),
        from_wire,
    )


def _fixed_numbers(name: str, base: str, length: int) -> Field:
    rosidl, code, dtype = _NUMBERS[base]

    def coerce(value: Any) -> Any:
        numbers = np.asarray(value)
        kind = np.integer if code not in "fd" else np.number
        fits = numbers.shape == (length,) and np.issubdtype(numbers.dtype, kind)
        converted = numbers.astype(dtype) if fits else numbers
        if not fits or (kind is np.integer and not np.array_equal(numbers, converted)):
            raise _refuse(name, f"{length} numbers of type {rosidl}", value)
        return converted

    return Field(
        name,
        f"{rosidl}[{length}]",
        lambda: np.zeros(length, dtype),
        coerce,
        None,
        lambda value: np.array(value),  # writable, and free of the buffer that it came in
    )


def _list(
    name: str,
    inner_kind: Any,
    inner: Any,
    nested: Callable[[str], type[Any]],
    limit: int,
    suffix: str,
    exact: bool = False,
) -> Field:
    """Sequences and arrays of text, truth values, bytes and messages: a Python list."""
    if inner_kind == Nodetype.NAME:
        item = make_field(name, (inner_kind, inner), None, nested)
    else:
        item = _scalar(name, inner[0], inner[1], None)

    def coerce(value: Any) -> list[Any]:
        if isinstance(value, (str, bytes, bytearray)) or not isinstance(value, Iterable):
            raise _refuse(name, f"a sequence of {item.rosidl_type}", value)
        values = [item.coerce(one) for one in value]
        if (limit and len(values) > limit) or (exact and len(values) != limit):
            raise _refuse(name, f"{'' if exact else 'at most '}{limit} values", value)
        return values

    to_wire, from_wire = _list_on_wire(inner_kind, inner, item)
    inner_name = item.rosidl_type
    shown = f"{inner_name}{suffix}" if exact else f"sequence<{inner_name}{suffix}>"
    default = (lambda: [item.default() for _ in range(limit)]) if exact else list
    return Field(name, shown, default, coerce, to_wire, from_wire)


def _list_on_wire(inner_kind: Any, inner: Any, item: Field) -> tuple[Any, Any]:
    if inner_kind == Nodetype.BASE and inner[0] == "bool":
        return (lambda values: np.array(values, np.bool_)), (lambda values: values.tolist())
    if inner_kind == Nodetype.BASE and inner[0] == "byte":
        return (
            lambda values: np.frombuffer(b"".join(values), np.uint8),
            lambda values: [bytes([one]) for one in values.view(np.uint8).tolist()],
        )
    if item.to_wire is not None:
        view = item.to_wire
        return (lambda values: [view(one) for one in values]), None
    return None, None
