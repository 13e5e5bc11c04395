"""Message and service classes that behave as rosidl's, and their CDR bytes.

``message_class("sensor_msgs/msg/Image")`` is what ``from sensor_msgs.msg import Image`` gives.
"""

from __future__ import annotations

import array
from functools import cache
from typing import Any, ClassVar

import numpy as np

from avatar_forcing_ros.standalone.definitions import DEFAULTS
from avatar_forcing_ros.standalone.fields import Field, make_field
from avatar_forcing_ros.standalone.store import PLACEHOLDER, standard, store_of


class _WireView:
    """What the serialiser reads instead of a message whose fields it cannot take as they are."""

    def __init__(self) -> None:
        setattr(self, PLACEHOLDER, 0)


class Message:
    """Base of all messages. Keyword arguments set fields; assigning checks type and range.

    Raises AssertionError, as rosidl does, for unknown fields and values that do not fit.
    """

    __slots__: ClassVar[tuple[str, ...]] = ()
    __hash__ = None  # type: ignore[assignment]
    _type_name: ClassVar[str]
    _fields: ClassVar[dict[str, Field]]
    _plain: ClassVar[bool]

    def __init__(self, **values: Any) -> None:
        unknown = values.keys() - self._fields.keys()
        if unknown:
            raise AssertionError(
                f"Invalid arguments passed to constructor: {', '.join(sorted(unknown))}"
            )
        for name, field in self._fields.items():
            if name in values:
                setattr(self, name, values[name])
            else:
                object.__setattr__(self, name, field.default())

    def __setattr__(self, name: str, value: Any) -> None:
        field = self._fields.get(name)
        if field is None:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        object.__setattr__(self, name, field.coerce(value))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        return all(
            np.array_equal(mine, theirs) if isinstance(mine, np.ndarray) else mine == theirs
            for mine, theirs in ((getattr(self, n), getattr(other, n)) for n in self._fields)
        )

    def __repr__(self) -> str:
        shown = []
        for name in self._fields:
            value = getattr(self, name)
            shown.append(f"{name}={value.tolist() if isinstance(value, array.array) else value!r}")
        package = type(self).__module__.rpartition(".")[0]
        return f"{package}.{type(self).__module__.rpartition('.')[2]}.{type(self).__name__}" + (
            f"({', '.join(shown)})"
        )

    @classmethod
    def get_fields_and_field_types(cls) -> dict[str, str]:
        """Field name → type in rosidl's words, for example ``sequence<uint8>``."""
        return {name: field.rosidl_type for name, field in cls._fields.items()}

    @classmethod
    def _from_wire(cls, *values: Any) -> Message:
        message = cls.__new__(cls)
        for (name, field), value in zip(cls._fields.items(), values, strict=False):
            convert = field.from_wire
            object.__setattr__(message, name, convert(value) if convert else value)
        return message

    def _wire_view(self) -> _WireView:
        view = _WireView()
        for name, field in self._fields.items():
            value = getattr(self, name)
            setattr(view, name, field.to_wire(value) if field.to_wire else value)
        return view


@cache
def message_class(type_name: str) -> type[Any]:
    """The class of a message, ``package/msg/Name``, or of half a service.

    Raises NotImplementedError where no definition is known.
    """
    return _build(type_name, store_of(type_name))


# classes by store: two packages of one name define AudioData, each in a store of its own
@cache
def _build(type_name: str, store: Any) -> type[Any]:
    constants, described = store.fielddefs[type_name]
    defaults = DEFAULTS.get(type_name, {})

    def nested(inner: str) -> type[Any]:
        return message_class(inner) if store is standard() else _build(inner, store)

    fields = {
        name: make_field(name, desc, defaults.get(name), nested)
        for name, desc in described
        if name != PLACEHOLDER
    }
    package, kind, short = type_name.split("/")
    body: dict[str, Any] = {
        name: bytes([value]) if wire == "byte" else value for name, wire, value in constants
    }
    body |= {
        "__slots__": tuple(fields),
        "__module__": f"{package}.{kind}",
        "__doc__": f"Message {type_name}.",
        "_type_name": type_name,
        "_store": store,
        "_fields": fields,
        "_plain": bool(fields) and all(field.to_wire is None for field in fields.values()),
    }
    cls: type[Message] = type(short, (Message,), body)
    store.types[type_name] = cls._from_wire
    return cls


@cache
def service_class(type_name: str) -> type[Any]:
    """The class of a service, ``package/srv/Name``, with ``Request`` and ``Response``."""
    package, kind, short = type_name.split("/")
    body = {
        "__module__": f"{package}.{kind}",
        "__doc__": f"Service {type_name}.",
        "_type_name": type_name,
        "Request": message_class(f"{type_name}_Request"),
        "Response": message_class(f"{type_name}_Response"),
    }
    return type(short, (), body)


def find(package: str, kind: str, short: str) -> type[Any]:
    """What ``from <package>.<kind> import <short>`` gives; kind is msg or srv."""
    name = f"{package}/{kind}/{short}"
    is_half = short.endswith(("_Request", "_Response"))
    return service_class(name) if kind == "srv" and not is_half else message_class(name)


def serialize_message(message: Message) -> bytes:
    """CDR bytes, little endian, led by the four bytes that say so.

    Raises TypeError for anything that is not a message.
    """
    if not isinstance(message, Message):
        raise TypeError(f"expected a message, got {type(message).__name__}")
    cls = type(message)
    view = message if cls._plain else message._wire_view()
    return bytes(cls._store.serialize_cdr(view, cls._type_name, little_endian=True))  # type: ignore[attr-defined]


def deserialize_message(data: bytes | memoryview, cls: type[Any]) -> Any:
    """The message of class ``cls`` in CDR bytes; raises rosbags' SerdeError for broken ones."""
    return cls._store.deserialize_cdr(data, cls._type_name)


def type_hash(cls: type[Any]) -> str:
    """``RIHS01_…``, by which ROS 2 tells whether two sides mean the same definition."""
    return _type_hash(cls._store, cls._type_name)


@cache
def _type_hash(store: Any, type_name: str) -> str:
    return str(store.hash_rihs01(type_name))
