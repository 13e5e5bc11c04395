"""Protects ROS parameters: they are the settings of the nodes' configurations, old names included.

Protects descriptors (description, range, choices, read-only) and the shipped parameter file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import rclpy
from rclpy.exceptions import InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from avatar_forcing_ros.config import PRESETS, SamplingConfig
from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.node_config import (
    NODE_CONFIGS,
    AvatarNodeConfig,
    DisplayNodeConfig,
    PerceptionNodeConfig,
    TelepresenceNodeConfig,
)
from avatar_forcing_ros.nodes.parameters import declare, invalid_choice, read, values
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.settings import settings_of

Made = Callable[..., Node]


@pytest.fixture
def node() -> Iterator[Made]:
    """A node with the parameters of a configuration, started with such arguments."""
    made: list[Node] = []
    context = rclpy.Context()

    def make(config: type, *args: str, name: str = "a_node") -> Node:
        context.init(["program", "--ros-args", *args])
        made.append(Node(name, context=context))
        declare(made[-1], config)
        return made[-1]

    yield make
    for each in made:
        each.destroy_node()
    context.try_shutdown()


@pytest.mark.parametrize("name", NODE_CONFIGS)
def test_descriptors_say_what_the_settings_say(node: Made, name: str) -> None:
    config = NODE_CONFIGS[name]
    made = node(config)
    for each in settings_of(config):
        descriptor = made.describe_parameter(each.name)
        assert descriptor.description == each.summary
        assert descriptor.read_only != each.live
        assert made.get_parameter(each.name).value == each.default
        assert bool(descriptor.additional_constraints) == bool(each.choices)
        ranges = [*descriptor.integer_range, *descriptor.floating_point_range]
        assert bool(ranges) == bool(each.limits and not each.choices)
        if each.high is not None:
            assert (ranges[0].from_value, ranges[0].to_value) == (each.low, each.high)
    assert read(made, config) == config()


def test_the_shipped_file_gives_every_node_its_own(node: Made) -> None:
    """Though its first section is of all nodes."""
    file = ("--params-file", str(shipped("config/avatar.yaml")))
    made = node(PerceptionNodeConfig, *file, name="perception_node")
    assert read(made, PerceptionNodeConfig) == PerceptionNodeConfig()


def test_one_setting_may_be_the_default_of_another(node: Made) -> None:
    made = node(TelepresenceNodeConfig, "-p", "robot_view:=true")
    assert values(made, TelepresenceNodeConfig)["robot_sound"] is True


def test_the_preset_is_the_default_of_sampling(node: Made) -> None:
    made = node(AvatarNodeConfig, "-p", "preset:=paper", "-p", "solver:=adams")
    sampling = read(made, AvatarNodeConfig).avatar.sampling
    assert sampling.solver == "adams"
    assert sampling.guidance == PRESETS["paper"].sampling.guidance == "separate"


def test_old_names_are_taken_at_the_start_and_later(
    node: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = node(AvatarNodeConfig, "-p", "evaluations:=4")
    assert read(made, AvatarNodeConfig).avatar.sampling == SamplingConfig(nfe=4)
    warnings: list[str] = []

    class Logger:
        warning = staticmethod(warnings.append)

    monkeypatch.setattr(made, "get_logger", Logger)
    assert made.set_parameters([Parameter("evaluations", value=5)])[0].successful
    assert made.get_parameter("nfe").value == 5
    (warning,) = warnings
    assert "parameter 'evaluations' is now called 'nfe'" in warning
    assert not made.set_parameters([Parameter("evaluations", value=1)])[0].successful
    assert made.get_parameter("nfe").value == 5


def test_the_new_name_wins(node: Made) -> None:
    made = node(TelepresenceNodeConfig, "-p", "most_viewers:=1", "-p", "max_viewers:=2")
    assert values(made, TelepresenceNodeConfig)["max_viewers"] == 2


@pytest.mark.parametrize(
    "given", ["image_size_px:=513", "cpu_threads:=0", "audio_guidance:=11.0", "evaluations:=2"]
)
def test_values_out_of_range_are_refused_by_ros(node: Made, given: str) -> None:
    with pytest.raises(InvalidParameterValueException):
        node(AvatarNodeConfig, "-p", given)


def test_a_value_that_is_no_choice_is_named(node: Made) -> None:
    made = node(DisplayNodeConfig, "-p", "image_transport:=theora")
    given: dict[str, Any] = values(made, DisplayNodeConfig)
    assert "'image_transport': expected one of raw, compressed" in invalid_choice(
        DisplayNodeConfig, given
    )
    with pytest.raises(ConfigError, match="image_transport"):
        read(made, DisplayNodeConfig)
    assert invalid_choice(DisplayNodeConfig, {"delay_ms": 3}) == ""
