"""The launch files that ship: what they set exists, and ROS's launch starts what is planned."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("rclpy")

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.launch_arguments import ARGUMENTS
from avatar_forcing_ros.launch_plan import PACKAGE, PlannedNode, planned_nodes, wildcard_file
from avatar_forcing_ros.node_config import NODE_CONFIGS
from avatar_forcing_ros.nodes.interface import TOPICS
from avatar_forcing_ros.settings import settings_of

ROOT = Path(__file__).parents[1]
PATIENCE_S = 60.0
FILES = sorted((ROOT / "launch").glob("*.launch.py"))
TREES = {path.name: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
EVERYTHING = {
    **{argument.name: argument.name for argument in ARGUMENTS if not argument.choices},
    **{argument.name: "true" for argument in ARGUMENTS if "true" in argument.choices},
    "telepresence_port": "8443",
    "avatars": "",  # beside which nothing else is started
    "params_file": __file__,
}


def own(**given: str) -> list[PlannedNode]:
    return [node for node in planned_nodes(given) if node.package == PACKAGE]


def test_every_parameter_that_is_set_exists() -> None:
    nodes = own(**EVERYTHING)
    assert {node.executable for node in nodes} == set(NODE_CONFIGS)
    for node in nodes:
        known = {each.name for each in settings_of(NODE_CONFIGS[node.executable])}
        assert set(node.parameters) <= known | {"use_sim_time"}


def test_several_avatars_are_one_process_whose_parameters_are_for_all() -> None:
    (node,) = planned_nodes({"avatars": "left,right", "portrait": "2.0", "namespace": "hall"})
    file = Path(wildcard_file(node))
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    file.unlink()
    assert content == {"/**": {"ros__parameters": node.parameters}}
    assert node.parameters["avatars"] == "left,right"
    assert node.parameters["portrait"] == "2.0"


@pytest.mark.parametrize("given", [{"display": "true"}, {"camera": "usb_cam"}, {"speech": "true"}])
def test_what_belongs_to_one_avatar_is_not_started_beside_several(given: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="got " + "".join(f"{k}:={v}" for k, v in given.items())):
        planned_nodes({"avatars": "left,right", **given})


def test_every_node_is_an_executable_that_is_installed() -> None:
    cmake = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    for node in own(**EVERYTHING):
        assert (ROOT / "scripts" / node.executable).is_file()
        assert f"scripts/{node.executable}\n" in cmake


def test_remapped_topics_exist() -> None:
    known = {topic.name for topic in TOPICS}
    for node in own(**EVERYTHING):
        ends = re.compile("/compressed$|_info$")
        assert {ends.sub("", before) for before, _ in node.remappings} <= known


def literals(tree: ast.AST, function: str) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == function
    ]


def test_a_replay_gives_the_avatar_arguments_that_it_has() -> None:
    tree = TREES["replay.launch.py"]
    (include,) = literals(tree, "IncludeLaunchDescription")
    given = {
        key.value
        for node in ast.walk(include)
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant)
    }
    (inputs,) = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "INPUTS"
    ]
    assert isinstance(inputs, ast.Dict)
    given |= {key.value for key in inputs.keys if isinstance(key, ast.Constant)}
    assert {"namespace", "use_sim_time", "user_image"} <= given
    assert given <= {argument.name for argument in ARGUMENTS}


def test_rviz_shows_what_the_node_publishes() -> None:
    content = yaml.safe_load((ROOT / "config" / "avatar.rviz").read_text())
    manager = content["Visualization Manager"]
    assert manager["Global Options"]["Fixed Frame"] == "avatar_base"
    topics = {d["Topic"]["Value"] for d in manager["Displays"] if "Topic" in d}
    assert topics == {"/avatar/image_raw", "/avatar/markers"}
    assert "rviz_default_plugins/TF" in {d["Class"] for d in manager["Displays"]}


def test_foxglove_shows_and_publishes_what_the_node_has() -> None:
    from avatar_forcing_ros.rig.coefficients import NAMES

    content = json.loads((ROOT / "config" / "foxglove.json").read_text(encoding="utf-8"))
    panels, readme = content["configById"], (ROOT / "README.md").read_text(encoding="utf-8")

    def placed(layout: Any) -> list[str]:
        if isinstance(layout, str):
            return [layout]
        return placed(layout["first"]) + placed(layout["second"])

    assert sorted(placed(content["layout"])) == sorted(panels)
    topics = set(re.findall(r'"/([a-z_]+(?:/[a-z_]+)*)[".]', json.dumps(panels)))
    rows = {line.split("`")[1] for line in readme.splitlines() if line.startswith("| `")}
    known = {row.replace("~", "avatar_node").lstrip("/") for row in rows}
    assert "avatar_node/expression" in topics
    assert topics <= known
    paths = [path for name in ("face", "head") for path in panels[f"Plot!{name}"]["paths"]]
    for path in paths:
        assert path["value"] == f"/avatar/motion.values[{NAMES.index(path['label'])}]"


def loaded(path: Path) -> Any:
    """The launch file as a module; skips where ROS's own launch is not there."""
    pytest.importorskip("launch.actions")
    spec = importlib.util.spec_from_file_location("a_launch_file", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def described(path: Path) -> list[Any]:
    """What the launch file says to ROS's own launch."""
    return list(loaded(path).generate_launch_description().entities)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_ros_reads_the_arguments(path: Path) -> None:
    arguments = [e for e in described(path) if type(e).__name__ == "DeclareLaunchArgument"]
    assert arguments
    for argument in arguments:
        assert argument.description.partition(" Valid choices are")[0].endswith(".")
    if path.name == "avatar.launch.py":
        assert [argument.name for argument in arguments] == [a.name for a in ARGUMENTS]


@pytest.mark.parametrize("all_arguments", [False, True])
def test_ros_starts_what_is_planned(all_arguments: bool, tmp_path: Path) -> None:
    *arguments, nodes = described(ROOT / "launch" / "avatar.launch.py")
    from launch import LaunchContext
    from launch.utilities import perform_substitutions

    settings = tmp_path / "mine.yaml"
    settings.write_text("/**: {ros__parameters: {seed: 3}}")
    texts = {"namespace": "robot1", "portrait": "2.0", "log_level": "debug"}
    given = {**EVERYTHING, **texts, "params_file": str(settings)} if all_arguments else {}
    context = LaunchContext()
    context.launch_configurations.update(given)
    for argument in arguments:
        argument.visit(context)
    started = nodes.visit(context)
    planned = planned_nodes(given)
    assert len(started) == len(planned)
    context.extend_locals({"ros_specific_arguments": {"name": "(name)", "ns": "(namespace)"}})
    for action, plan in zip(started, planned, strict=True):
        action._perform_substitutions(context)
        assert action.node_name == f"{'/robot1' if all_arguments else ''}/{plan.name}"
        words = [perform_substitutions(context, part) for part in action.cmd[1:]]
        files = [after for before, after in pairwise(words) if before == "--params-file"]
        if plan.params_file:
            assert files.pop(0) == plan.params_file
        (content,) = yaml.safe_load(Path(files[0]).read_text()).values()
        assert content["ros__parameters"] == plan.parameters
        for before, after in plan.remappings:
            assert f"{before}:={after}" in words
        assert words[words.index("--log-level") + 1] == plan.log_level


def test_a_replay_begins_though_the_avatar_was_active_before_launch_knew_of_it() -> None:
    replay = loaded(ROOT / "launch" / "replay.launch.py")
    import rclpy
    from launch import LaunchDescription, LaunchService
    from launch.actions import OpaqueFunction, RegisterEventHandler, Shutdown, TimerAction
    from launch.event_handler import EventHandler
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.lifecycle import LifecycleNode

    ros = rclpy.Context()
    rclpy.init(args=[], context=ros)
    avatar = LifecycleNode("avatar_node", namespace="robot1", context=ros)
    avatar.trigger_configure()
    avatar.trigger_activate()
    executor = SingleThreadedExecutor(context=ros)
    executor.add_node(avatar)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    came: list[object] = []
    begins = EventHandler(
        matcher=lambda event: isinstance(event, replay.AvatarIsActive),
        entities=[OpaqueFunction(function=came.append), Shutdown(reason="it began")],
    )

    def ask(context: Any) -> None:
        replay.ask_until_active(context, "/robot1/avatar_node")

    patience = TimerAction(period=PATIENCE_S, actions=[Shutdown(reason="it does not begin")])
    service = LaunchService(noninteractive=True)
    service.include_launch_description(
        LaunchDescription([RegisterEventHandler(begins), patience, OpaqueFunction(function=ask)])
    )
    try:
        assert service.run() == 0
        assert len(came) == 1
    finally:
        executor.shutdown()
        thread.join(PATIENCE_S)
        avatar.destroy_node()
        rclpy.try_shutdown(context=ros)
