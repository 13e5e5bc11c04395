"""One source tree, two build systems: what colcon, pip and ROS read must tell one story."""

from __future__ import annotations

import ast
import configparser
import os
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from avatar_forcing_ros.cli.entry import build_parser
from avatar_forcing_ros.cli.options import avatar_config

ROOT = Path(__file__).resolve().parents[1]
MESSAGES = sorted((ROOT / "msg").glob("*.msg"))
ACTIONS = sorted((ROOT / "action").glob("*.action"))
LAUNCH_FILES = sorted((ROOT / "launch").glob("*.launch.py"))
CMAKE = re.sub(r"#.*", "", (ROOT / "CMakeLists.txt").read_text())
PACKAGE = ElementTree.parse(ROOT / "package.xml").getroot()
# <depend>, <build_depend>, <exec_depend>, ...: what each of them names
DEPENDS = {tag.text for tag in PACKAGE if tag.tag.endswith("depend")}

# the rosidl grammar: type, [array], name, then a default or a constant's value
FIELD = re.compile(
    r"(?P<type>(?:[a-z][a-z0-9_]*/)?[A-Za-z][A-Za-z0-9]*)(?P<array>\[(?:<?=?\d+)?\])?"
    r"\s+(?P<name>[A-Za-z]\w*)(?P<constant>\s*=\s*\S.*)?(?P<default>\s+[^\s=].*)?"
)
PRIMITIVES = {"bool", "byte", "char", "string", "wstring", "float32", "float64"} | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}


def cmake_call(name: str) -> list[str]:
    """Arguments of each call of the CMake command `name`, one string a call."""
    return re.findall(rf"\b{name}\(([^()]*)\)", CMAKE)


def message_lines(path: Path) -> list[tuple[int, str, str]]:
    """Line number, code and comment of each line of a message file that is not empty."""
    lines = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        code, _, comment = line.partition("#")
        if line.strip():
            lines.append((number, code.strip(), comment.strip()))
    return lines


def message_fields(path: Path) -> list[re.Match[str]]:
    """The field and constant lines of a message file, parsed; a strange line is an error."""
    fields = []
    for number, code, _ in message_lines(path):
        if code:
            field = FIELD.fullmatch(code)
            assert field, f"{path.name}:{number}: not a message field: {code!r}"
            fields.append(field)
    return fields


def setup_cfg() -> configparser.ConfigParser:
    """What pip reads."""
    setup = configparser.ConfigParser()
    setup.read_string((ROOT / "setup.cfg").read_text())
    return setup


def test_versions_agree() -> None:
    setup = setup_cfg()
    changelog = re.findall(
        r"^(\d+\.\d+\.\d+) \(\d{4}-\d\d-\d\d\)\n-+$",
        (ROOT / "CHANGELOG.rst").read_text(),
        re.MULTILINE,
    )
    assert PACKAGE.findtext("version") == setup["metadata"]["version"] == changelog[0]
    assert PACKAGE.findtext("name") == setup["metadata"]["name"]


def test_ros_packages_that_are_imported_are_declared() -> None:
    ros = re.compile(r"rclpy|cv_bridge|std_srvs|\w+_(msgs|interfaces)")
    imported = {
        name.partition(".")[0]
        for path in (ROOT / "avatar_forcing_ros").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
        )
    }
    assert "rclpy" in imported
    assert {name for name in imported if ros.fullmatch(name)} <= DEPENDS


def test_rosdep_is_asked_for_nothing_by_pip() -> None:
    # it refuses, and installs nothing at all, where the system's Python belongs to apt
    assert not {name for name in DEPENDS if name.endswith("-pip")}


def test_changelog_headings_are_underlined_in_full() -> None:
    # catkin_generate_changelog and bloom refuse a heading whose underline is too short
    lines = (ROOT / "CHANGELOG.rst").read_text().splitlines()
    underlines = [i for i, line in enumerate(lines) if re.fullmatch(r"-{3,}", line)]
    assert underlines
    for i in underlines:
        assert re.fullmatch(r"Forthcoming|\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\)", lines[i - 1])
        assert len(lines[i]) == len(lines[i - 1])


def test_licence_is_the_one_that_is_declared() -> None:
    licence = PACKAGE.find("license")
    assert licence is not None
    assert licence.text == "Apache-2.0"
    text = (ROOT / licence.attrib["file"]).read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_cmake_generates_every_message() -> None:
    (call,) = cmake_call("rosidl_generate_interfaces")
    assert re.findall(r"msg/\w+\.msg", call) == [f"msg/{path.name}" for path in MESSAGES]
    assert re.findall(r"action/\w+\.action", call) == [f"action/{path.name}" for path in ACTIONS]
    assert ACTIONS
    assert PACKAGE.findtext("member_of_group") == "rosidl_interface_packages"


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_message_uses_declared_types(path: Path) -> None:
    (call,) = cmake_call("rosidl_generate_interfaces")
    generated_with = set(call.split("DEPENDENCIES")[1].split())
    names = []
    for field in message_fields(path):
        package, _, kind = field["type"].rpartition("/")
        if package:
            assert package in DEPENDS & generated_with, field[0]
        else:
            assert kind in PRIMITIVES or kind in {other.stem for other in MESSAGES}, field[0]
        style = r"[A-Z][A-Z0-9_]*" if field["constant"] else r"[a-z](_?[a-z0-9])*"
        assert re.fullmatch(style, field["name"]), f"rosidl refuses the name {field['name']}"
        names.append(field["name"])
    assert len(names) == len(set(names))
    assert names[0] == "header"


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_message_is_read_alike_by_rosbags(path: Path) -> None:
    typesys = pytest.importorskip("rosbags.typesys")
    store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
    name = f"avatar_forcing_ros/msg/{path.stem}"
    store.register(typesys.get_types_from_msg(path.read_text(), name))
    constants, fields = store.fielddefs[name]
    parsed = message_fields(path)
    assert [f["name"] for f in parsed if f["constant"]] == [constant[0] for constant in constants]
    assert [f["name"] for f in parsed if not f["constant"]] == [field[0] for field in fields]


@pytest.mark.parametrize("path", [*MESSAGES, *ACTIONS], ids=lambda path: path.stem)
def test_message_explains_every_group_of_fields(path: Path) -> None:
    blocks = re.split(r"\n\n|\n---\n", path.read_text().strip())
    for block in blocks:
        assert block.startswith("#"), f"no comment above: {block.splitlines()[0]}"


@pytest.mark.parametrize("folder", ["config", "launch", "models"])
def test_cmake_installs_folder(folder: str) -> None:
    (loop,) = cmake_call("foreach")
    variable, *folders = loop.split()
    assert any(call.startswith(f"DIRECTORY ${{{variable}}}") for call in cmake_call("install"))
    assert folder in folders


@pytest.mark.parametrize("folder", ["config", "models"])
def test_pip_installs_what_cmake_installs(folder: str) -> None:
    installed = set()
    for destination, patterns in setup_cfg()["options.data_files"].items():
        for pattern in patterns.split():
            for path in ROOT.glob(pattern):
                installed.add((destination, path.relative_to(ROOT)))
    for path in (path.relative_to(ROOT) for path in (ROOT / folder).rglob("*")):
        if (ROOT / path).is_file():
            assert (f"share/avatar_forcing_ros/{path.parent}", path) in installed


def test_cmake_installs_python_package_after_the_generated_one() -> None:
    generated = CMAKE.index("rosidl_generate_interfaces(")
    ours = CMAKE.index("install(DIRECTORY avatar_forcing_ros/")
    assert generated < ours, "the generated, empty __init__.py would replace ours"
    # a sub-package of one of these names would mix with the generated one
    for name in ("msg", "srv", "action"):
        assert not (ROOT / "avatar_forcing_ros" / name).exists()


def test_ros_offers_pips_commands_and_the_nodes() -> None:
    nodes = (ROOT / "avatar_forcing_ros" / "nodes").glob("*_node.py")
    commands = {node.stem: "avatar_forcing_ros.nodes.executable:run_executable" for node in nodes}
    for line in setup_cfg()["options.entry_points"]["console_scripts"].strip().splitlines():
        name, target = line.split("=")
        commands[name.strip()] = target.strip()
    programs = [
        ROOT / word
        for call in cmake_call("install")
        if call.startswith("PROGRAMS")
        for word in call.partition("DESTINATION")[0].split()[1:]
    ]
    assert {path.name for path in programs} == set(commands)
    for path in programs:
        assert os.access(path, os.X_OK), f"{path.name} is not executable"
        text = path.read_text()
        assert text.startswith("#!/usr/bin/env python3\n"), "a virtual environment must win"
        module, function = commands[path.name].split(":")
        (called,) = [node for node in ast.parse(text).body if isinstance(node, ast.ImportFrom)]
        assert (called.module, called.names[0].name) == (module, function)
        assert f'{function}("{path.name}"' in text or function == "main"


def launch_arguments(path: Path) -> dict[str, dict[str, str]]:
    """Default value and description of each argument that a launch file declares by itself."""
    arguments = {}
    for node in ast.walk(ast.parse(path.read_text(), path)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "DeclareLaunchArgument":
            keywords = {str(word.arg): ast.literal_eval(word.value) for word in node.keywords}
            arguments[str(ast.literal_eval(node.args[0]))] = keywords
    return arguments


# avatar.launch.py has its arguments from launch_arguments.py
@pytest.mark.parametrize(
    "path",
    [path for path in LAUNCH_FILES if path.name != "avatar.launch.py"],
    ids=lambda path: path.name,
)
def test_launch_file_describes_its_arguments(path: Path) -> None:
    tree = ast.parse(path.read_text(), path)
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert "generate_launch_description" in functions
    used = {
        ast.literal_eval(node.args[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "LaunchConfiguration"
    }
    declared = launch_arguments(path)
    assert set(declared) == used
    for name, keywords in declared.items():
        assert keywords["description"].endswith("."), f"{name}: say what it does, in a sentence"


def test_demo_launch_file_changes_no_default_of_the_command() -> None:
    arguments = launch_arguments(ROOT / "launch" / "demo.launch.py")
    flags = [
        f"--{name.replace('_', '-')}={keywords['default_value']}"
        for name, keywords in arguments.items()
    ]
    parser = build_parser()
    launched, bare = parser.parse_args(["demo", *flags]), parser.parse_args(["demo"])
    assert launched.output_dir == bare.output_dir
    assert avatar_config(launched) == avatar_config(bare)


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_launch_file_imports_are_declared(path: Path) -> None:
    imported = {
        node.module.split(".")[0]
        for node in ast.walk(ast.parse(path.read_text(), path))
        if isinstance(node, ast.ImportFrom) and node.module
    }
    assert imported
    assert imported <= DEPENDS | {PACKAGE.findtext("name")}


def test_definitions_of_other_packages_are_built_and_named() -> None:
    script = (ROOT / "scripts" / "ros_messages").read_text(encoding="utf-8")
    page = (ROOT / "interfaces" / "README.md").read_text(encoding="utf-8")
    definitions = sorted((ROOT / "interfaces").rglob("*.msg"))
    assert definitions
    for path in definitions:
        folder = path.parent.relative_to(ROOT / "interfaces")
        assert f'"{folder.parts[0]}"' in script, folder
        assert f"| `{folder}` |" in page
        for field in message_fields(path):
            assert field["type"] in PRIMITIVES or "/" in field["type"], field[0]
