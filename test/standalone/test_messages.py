"""Message classes behave as rosidl's, and survive the wire."""

from __future__ import annotations

import array
import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rosbags.interfaces import Nodetype

from avatar_forcing_ros.standalone.messages import (
    deserialize_message,
    message_class,
    serialize_message,
    service_class,
    type_hash,
)
from avatar_forcing_ros.standalone.store import PLACEHOLDER, distribution, store_of

TYPES = [
    "sensor_msgs/msg/Image",
    "sensor_msgs/msg/CameraInfo",
    "sensor_msgs/msg/JointState",
    "diagnostic_msgs/msg/DiagnosticArray",
    "visualization_msgs/msg/MarkerArray",
    "rcl_interfaces/msg/ParameterEvent",
    "rcl_interfaces/msg/ParameterDescriptor",
    "rmw_dds_common/msg/ParticipantEntitiesInfo",
    "tf2_msgs/msg/TFMessage",
    "std_msgs/msg/Empty",
    "std_msgs/msg/Byte",
    "std_srvs/srv/SetBool_Response",
    "audio_common_msgs/msg/AudioStamped",
    "audio_common_msgs/msg/AudioDataStamped",
    "avatar_forcing_ros/msg/AvatarMotion",
    "avatar_forcing_ros/msg/AvatarState",
]


def scalars(base: str, bound: int) -> st.SearchStrategy[Any]:
    if base == "string":
        text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
        return text.map(lambda t: t[: bound or 20])
    if base == "bool":
        return st.booleans()
    if base == "byte":
        return st.binary(min_size=1, max_size=1)
    if base.startswith("float"):
        return st.floats(width=int(base[5:]), allow_nan=False)  # type: ignore[arg-type]
    info = np.iinfo(base)
    return st.integers(int(info.min), int(info.max))


def values(type_name: str, desc: Any) -> st.SearchStrategy[Any]:
    kind, detail = desc
    if kind == Nodetype.BASE:
        return scalars(*detail)
    if kind == Nodetype.NAME:
        return messages(type_name, detail)
    inner, limit = detail
    exact = kind == Nodetype.ARRAY
    one = values(type_name, inner)
    return st.lists(one, min_size=limit if exact else 0, max_size=limit or 3)


def messages(outer: str, type_name: str) -> st.SearchStrategy[Any]:
    store = store_of(outer)
    fields = [f for f in store.fielddefs[type_name][1] if f[0] != PLACEHOLDER]
    cls = message_class(type_name) if outer == type_name else None
    if cls is None:  # nested classes belong to the store of the outermost
        cls = store.types[type_name].__self__
    return st.fixed_dictionaries({name: values(outer, desc) for name, desc in fields}).map(
        lambda fields: cls(**fields)
    )


@pytest.mark.parametrize("type_name", TYPES)
def test_the_wire_changes_nothing(type_name: str) -> None:
    cls = message_class(type_name)

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(messages(type_name, type_name))
    def check(message: Any) -> None:
        data = serialize_message(message)
        again = deserialize_message(data, cls)
        assert again == message
        assert serialize_message(again) == data
        assert copy.deepcopy(message) == message

    check()


def test_defaults_are_rosidls() -> None:
    info = message_class("sensor_msgs/msg/CameraInfo")()
    assert info.header.stamp.sec == 0
    assert info.distortion_model == ""
    assert info.d == array.array("d")
    np.testing.assert_array_equal(info.k, np.zeros(9))
    assert message_class("geometry_msgs/msg/Quaternion")().w == 1.0
    assert message_class("diagnostic_msgs/msg/DiagnosticStatus")().level == b"\0"


def test_nested_defaults_are_not_shared() -> None:
    header = message_class("std_msgs/msg/Header")
    one, two = header(), header()
    one.stamp.sec = 5
    assert two.stamp.sec == 0


def test_constants_and_field_types() -> None:
    status = message_class("diagnostic_msgs/msg/DiagnosticStatus")
    assert status.WARN == b"\1"
    assert message_class("avatar_forcing_ros/msg/AvatarState").SPEAKING == 2
    assert message_class("sensor_msgs/msg/Image").get_fields_and_field_types() == {
        "header": "std_msgs/Header",
        "height": "uint32",
        "width": "uint32",
        "encoding": "string",
        "is_bigendian": "uint8",
        "step": "uint32",
        "data": "sequence<uint8>",
    }
    info = message_class("sensor_msgs/msg/CameraInfo").get_fields_and_field_types()
    assert (info["d"], info["k"]) == ("sequence<double>", "double[9]")
    descriptor = message_class("rcl_interfaces/msg/ParameterDescriptor")
    assert descriptor.get_fields_and_field_types()["integer_range"] == (
        "sequence<rcl_interfaces/IntegerRange, 1>"
    )


@pytest.mark.parametrize(
    "data", [b"\1\2", bytearray(b"\1\2"), [1, 2], np.array([1, 2], np.uint8), memoryview(b"\1\2")]
)
def test_bytes_come_in_many_forms(data: Any) -> None:
    image = message_class("sensor_msgs/msg/Image")(data=data)
    assert image.data == array.array("B", [1, 2])


def test_an_array_is_kept_not_copied() -> None:
    pixels = array.array("B", b"\1\2")
    image = message_class("sensor_msgs/msg/Image")(data=pixels)
    assert image.data is pixels


@pytest.mark.parametrize(
    ("type_name", "field", "value"),
    [
        ("std_msgs/msg/String", "data", 1),
        ("std_msgs/msg/Bool", "data", 1),
        ("std_msgs/msg/UInt8", "data", 256),
        ("std_msgs/msg/UInt8", "data", -1),
        ("std_msgs/msg/Int64", "data", 0.5),
        ("std_msgs/msg/Float32", "data", 1),
        ("std_msgs/msg/Byte", "data", b"ab"),
        ("std_msgs/msg/Header", "stamp", 0),
        ("sensor_msgs/msg/Image", "data", "text"),
        ("sensor_msgs/msg/Image", "data", [256]),
        ("sensor_msgs/msg/Image", "data", np.zeros((2, 2), np.uint8)),
        ("sensor_msgs/msg/Image", "data", np.zeros(2, np.float32)),
        ("sensor_msgs/msg/CameraInfo", "k", [0.0] * 8),
        ("sensor_msgs/msg/JointState", "name", "head"),
        ("sensor_msgs/msg/JointState", "name", [1]),
        ("rcl_interfaces/msg/ParameterDescriptor", "integer_range", [None]),
    ],
)
def test_what_does_not_fit_is_refused(type_name: str, field: str, value: Any) -> None:
    message = message_class(type_name)()
    with pytest.raises(AssertionError, match=field):
        setattr(message, field, value)


def test_unknown_fields_are_refused() -> None:
    cls = message_class("std_msgs/msg/String")
    with pytest.raises(AssertionError, match="text"):
        cls(text="x")
    with pytest.raises(AttributeError, match="text"):
        cls().text = "x"


def test_equality_and_repr() -> None:
    cls = message_class("std_msgs/msg/String")
    assert cls(data="a") == cls(data="a")
    assert cls(data="a") != cls(data="b")
    assert cls(data="a") != "a"
    assert repr(cls(data="a")) == "std_msgs.msg.String(data='a')"


def test_services_have_two_halves() -> None:
    trigger = service_class("std_srvs/srv/Trigger")
    assert trigger.Request() == trigger.Request()
    assert trigger.Response(success=True, message="m").message == "m"


def test_a_message_without_fields_has_one_byte() -> None:
    assert serialize_message(message_class("std_msgs/msg/Empty")()) == b"\0\1\0\0\0"


@pytest.mark.skipif(distribution() != "jazzy", reason="the digests are those of Jazzy")
def test_hashes_are_those_of_ros() -> None:
    # from the type descriptions that a ROS 2 Jazzy installs
    known = {
        "std_msgs/msg/String": "df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18",
        "rcl_interfaces/msg/Log": (
            "e28ce254ca8abc06abf92773b74602cdbf116ed34fbaf294fb9f81da9f318eac"
        ),
        "rmw_dds_common/msg/ParticipantEntitiesInfo": (
            "91a0593bacdcc50ea9bdcf849a938b128412cc1ea821245c663bcd26f83c295e"
        ),
        "rcl_interfaces/srv/SetParameters_Request": (
            "130d46386b7e84ea9ecf60608a4d83cbe5e5cb7c6cc5b712b7a4e3a6c254e932"
        ),
    }
    for name, digest in known.items():
        assert type_hash(message_class(name)) == f"RIHS01_{digest}"


def test_unknown_types_are_named() -> None:
    with pytest.raises(NotImplementedError, match="moveit_msgs/msg/Thing"):
        message_class("moveit_msgs/msg/Thing")
    with pytest.raises(TypeError, match="str"):
        serialize_message("text")  # type: ignore[arg-type]
