"""The page about many processes says what there is: files that can be read, flags and figures."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from avatar_forcing_ros.cli.entry import build_parser
from avatar_forcing_ros.node_config import AvatarNodeConfig
from avatar_forcing_ros.settings import settings_of

PAGE = (Path(__file__).parents[1] / "docs/SCALE.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)


def documents() -> list[Any]:
    return [found for block in blocks("yaml") for found in yaml.safe_load_all(block)]


def test_parameters_of_nodes_exist() -> None:
    sections = [value for each in documents() for value in each.values() if "kind" not in each]
    given = [each["ros__parameters"] for each in sections if "ros__parameters" in each]
    known = {each.name for each in settings_of(AvatarNodeConfig)}
    assert len(given) == 2
    assert {name for each in given for name in each} <= known


def test_a_service_has_the_pods_that_there_are() -> None:
    deployment, service = [each for each in documents() if "kind" in each]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"] == labels == deployment["spec"]["selector"]["matchLabels"]
    ports = {each["targetPort"] for each in service["spec"]["ports"]}
    probes = [
        container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")
    ]
    assert ports == {each["port"] for each in probes} == {8080}
    mounted = {each["name"] for each in container["volumeMounts"]}
    assert mounted == {each["name"] for each in deployment["spec"]["template"]["spec"]["volumes"]}


def commands() -> list[list[str]]:
    (unit,) = blocks("ini")
    (line,) = re.findall(r"^ExecStart=(.*)$", unit.replace("\\\n", ""), re.M)
    deployment = next(each for each in documents() if each.get("kind") == "Deployment")
    started = deployment["spec"]["template"]["spec"]["containers"][0]["command"]
    return [shlex.split(line.replace("%i", "1"))[1:], started[1:]]


@pytest.mark.parametrize("command", commands(), ids=("systemd", "kubernetes"))
def test_programs_are_started_with_flags_that_they_have(command: list[str]) -> None:
    options = build_parser().parse_args(command)
    assert options.open_health
    assert options.token_file
