"""Parameters: types, ranges, callbacks, and what others see of them."""

from __future__ import annotations

from typing import Any

import pytest
from support import PATIENCE_S

from avatar_forcing_ros.standalone.exceptions import (
    InvalidParameterException,
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterAlreadyDeclaredException,
    ParameterImmutableException,
    ParameterNotDeclaredException,
    ParameterUninitializedException,
)
from avatar_forcing_ros.standalone.messages import message_class, service_class
from avatar_forcing_ros.standalone.parameter import (
    Parameter,
    get_parameter_value,
    parameter_value_to_python,
)

Descriptor = message_class("rcl_interfaces/msg/ParameterDescriptor")
FloatRange = message_class("rcl_interfaces/msg/FloatingPointRange")
IntRange = message_class("rcl_interfaces/msg/IntegerRange")
Result = message_class("rcl_interfaces/msg/SetParametersResult")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "NOT_SET"),
        (True, "BOOL"),
        (2, "INTEGER"),
        (2.0, "DOUBLE"),
        ("x", "STRING"),
        ([b"a"], "BYTE_ARRAY"),
        ([True, False], "BOOL_ARRAY"),
        ([1, 2], "INTEGER_ARRAY"),
        ([1.0], "DOUBLE_ARRAY"),
        (["a", "b"], "STRING_ARRAY"),
    ],
)
def test_types_follow_values_and_survive_messages(value: Any, kind: str) -> None:
    parameter = Parameter("name", value=value)
    assert parameter.type_ == Parameter.Type[kind]
    again = Parameter.from_parameter_msg(parameter.to_parameter_msg())
    assert (again.name, again.type_, again.value) == ("name", parameter.type_, value)


def test_what_cannot_be_a_parameter() -> None:
    for value in ({}, [1, 2.0], object()):
        with pytest.raises(TypeError, match="not a type"):
            Parameter("name", value=value)
    with pytest.raises(ValueError, match="do not agree"):
        Parameter("name", Parameter.Type.INTEGER, "text")
    assert parameter_value_to_python(get_parameter_value("[1, 2]")) == [1, 2]
    assert parameter_value_to_python(get_parameter_value("1e3")) == 1000.0
    assert parameter_value_to_python(get_parameter_value("{a: b}")) == "{a: b}"


@pytest.fixture
def node(ros: Any) -> Any:
    return ros().node()


def test_declared_once_and_then_known(node: Any) -> None:
    assert node.declare_parameter("rate", 25).value == 25
    assert node.get_parameter("rate").value == 25
    assert node.has_parameter("rate")
    assert node.describe_parameter("rate").type == Parameter.Type.INTEGER.value
    with pytest.raises(ParameterAlreadyDeclaredException):
        node.declare_parameter("rate", 25)
    with pytest.raises(InvalidParameterException):
        node.declare_parameter("", 25)
    with pytest.raises(ParameterNotDeclaredException):
        node.get_parameter("other")
    with pytest.raises(ParameterNotDeclaredException):
        node.set_parameters([Parameter("other", value=1)])
    node.undeclare_parameter("rate")
    assert not node.has_parameter("rate")
    assert node.get_parameter_or("rate", Parameter("rate", value=3)).value == 3


def test_a_type_without_a_value(node: Any) -> None:
    node.declare_parameter("later", Parameter.Type.STRING)
    with pytest.raises(ParameterUninitializedException):
        node.get_parameter("later")
    assert not node.set_parameters([Parameter("later", value=1)])[0].successful
    assert node.set_parameters([Parameter("later", value="x")])[0].successful
    assert node.get_parameter("later").value == "x"


def test_static_and_dynamic_types(node: Any) -> None:
    node.declare_parameter("static", 1.0)
    node.declare_parameter("dynamic", 1.0, Descriptor(dynamic_typing=True))
    refused, taken = node.set_parameters(
        [Parameter("static", value=1), Parameter("dynamic", value="text")]
    )
    assert refused.reason == ("Wrong parameter type, expected 'Type.DOUBLE' got 'Type.INTEGER'")
    assert not refused.successful
    assert taken.successful
    assert not node.set_parameters([Parameter("static")])[0].successful


@pytest.mark.parametrize(
    ("value", "fits"), [(0, True), (10, True), (5, True), (7, True), (6, False), (11, False)]
)
def test_integer_ranges(node: Any, value: int, fits: bool) -> None:
    allowed = IntRange(from_value=1, to_value=10, step=2)
    node.declare_parameter("n", 1, Descriptor(integer_range=[allowed]))
    assert node.set_parameters([Parameter("n", value=value)])[0].successful is (
        fits and value != 0
    )


@pytest.mark.parametrize(
    ("value", "fits"), [(0.0, True), (0.3, True), (1.0, True), (0.35, False), (1.1, False)]
)
def test_float_ranges(node: Any, value: float, fits: bool) -> None:
    allowed = FloatRange(from_value=0.0, to_value=1.0, step=0.1)
    node.declare_parameter("x", 0.5, Descriptor(floating_point_range=[allowed]))
    assert node.set_parameters([Parameter("x", value=value)])[0].successful is fits


def test_a_default_out_of_range_is_refused(node: Any) -> None:
    allowed = IntRange(from_value=1, to_value=10)
    with pytest.raises(InvalidParameterValueException, match="out of range"):
        node.declare_parameter("n", 11, Descriptor(integer_range=[allowed]))


def test_read_only(node: Any) -> None:
    node.declare_parameter("fixed", 1, Descriptor(read_only=True))
    assert "read-only" in node.set_parameters([Parameter("fixed", value=2)])[0].reason
    with pytest.raises(ParameterImmutableException):
        node.undeclare_parameter("fixed")


def test_overrides_win_and_must_fit(ros: Any) -> None:
    node = ros("--ros-args", "-p", "rate:=50", "-p", "names:=[]").node()
    assert node.declare_parameter("rate", 25).value == 50
    assert node.declare_parameter("names", ["a"]).value == []
    other = ros("--ros-args", "-p", "rate:=fast").node()
    with pytest.raises(InvalidParameterTypeException, match="INTEGER"):
        other.declare_parameter("rate", 25)


def test_overrides_can_declare_themselves(ros: Any) -> None:
    node = ros("--ros-args", "-p", "a.b:=1").node(
        automatically_declare_parameters_from_overrides=True
    )
    assert node.get_parameters_by_prefix("a")["b"].value == 1


def test_callbacks_change_refuse_and_learn(node: Any) -> None:
    learnt: list[Any] = []
    node.declare_parameter("n", 1)
    node.declare_parameter("m", 1)

    def refuse_negative(parameters: list[Parameter]) -> Any:
        bad = [p.name for p in parameters if p.value < 0]
        return Result(successful=not bad, reason=f"negative: {bad}")

    def also_m(parameters: list[Parameter]) -> list[Parameter]:
        return [*parameters, Parameter("m", value=parameters[0].value)]

    node.add_on_set_parameters_callback(refuse_negative)
    node.add_pre_set_parameters_callback(also_m)
    node.add_post_set_parameters_callback(lambda ps: learnt.append([p.name for p in ps]))
    assert "negative" in node.set_parameters_atomically([Parameter("n", value=-1)]).reason
    assert node.get_parameter("n").value == 1
    assert node.set_parameters_atomically([Parameter("n", value=5)]).successful
    assert node.get_parameter("m").value == 5
    assert learnt == [["n", "m"]]
    node.remove_on_set_parameters_callback(refuse_negative)
    assert node.set_parameters([Parameter("n", value=-1)])[0].successful


def test_lists_below_prefixes(node: Any) -> None:
    for name in ("a", "x.a", "x.y.a"):
        node.declare_parameter(name, 1)
    everything = node.list_parameters([], 0)
    assert set(everything.names) == {"use_sim_time", "a", "x.a", "x.y.a"}
    assert set(everything.prefixes) == {"x", "x.y"}
    assert set(node.list_parameters(["x"], 1).names) == {"x.a"}
    assert set(node.list_parameters([], 1).names) == {"use_sim_time", "a"}


def test_services_serve_another_process(ros: Any, peer: Any) -> None:
    here = ros()
    node = here.node()
    peer("server")

    def ask(name: str, **request: Any) -> Any:
        kind = service_class(f"rcl_interfaces/srv/{name}")
        words = "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
        client = node.create_client(kind, f"/peer/{words}")
        assert client.wait_for_service(PATIENCE_S)
        future = client.call_async(kind.Request(**request))
        here.until(future.done)
        return future.result()

    assert set(ask("ListParameters").result.names) == {"use_sim_time", "gain", "names"}
    both = ["gain", "names"]
    got = ask("GetParameters", names=both).values
    assert [parameter_value_to_python(value) for value in got] == [1.0, ["a", "b"]]
    assert list(ask("GetParameterTypes", names=both).types) == [3, 9]
    assert [d.name for d in ask("DescribeParameters", names=both).descriptors] == both
    assert ask("GetParameters", names=["gain", "nothing"]).values == []
    new = [Parameter("gain", value=2.0), Parameter("names", value=1), Parameter("no", value=1)]
    messages = [parameter.to_parameter_msg() for parameter in new]
    assert [r.successful for r in ask("SetParameters", parameters=messages).results] == [
        True,
        False,
        False,
    ]
    assert ask("GetParameters", names=["gain"]).values[0].double_value == 2.0
    assert not ask("SetParametersAtomically", parameters=messages).result.successful


def test_events_tell_everyone(ros: Any) -> None:
    here = ros()
    listener = here.node("listener")
    events: list[Any] = []
    event = message_class("rcl_interfaces/msg/ParameterEvent")
    listener.create_subscription(event, "/parameter_events", events.append, 10)
    node = here.node("speaker")
    here.until(lambda: node.count_subscribers("/parameter_events"))
    node.declare_parameter("n", 1)
    node.set_parameters([Parameter("n", value=2)])
    mine = lambda: [e for e in events if e.node == "/speaker"]  # noqa: E731
    here.until(lambda: any(e.changed_parameters for e in mine()))
    assert any(p.name == "n" for e in mine() for p in e.new_parameters)
