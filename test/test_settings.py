"""Every setting has one source: what is offered of it anywhere is made from its field.

Protects help texts, defaults that are the same everywhere, and generated files that are current.
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, make_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml

from avatar_forcing_ros import config, node_config
from avatar_forcing_ros.cli.options import (
    SECTIONS,
    add_avatar_options,
    add_server_options,
    add_speech_options,
    avatar_config,
    responder_config,
    server_config,
    speech_config,
)
from avatar_forcing_ros.config import (
    AvatarConfig,
    LiveServerConfig,
    ResponderConfig,
    SamplingConfig,
    ServerConfig,
    SpeechConfig,
    merged_config,
)
from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.launch_arguments import ARGUMENTS, SETTINGS, parameters_of
from avatar_forcing_ros.node_config import NODE_CONFIGS, AvatarNodeConfig, TelepresenceNodeConfig
from avatar_forcing_ros.settings import Config, Setting, from_flat, part, setting, settings_of

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(
    {
        each
        for module in (config, node_config)
        for _, each in inspect.getmembers(module, inspect.isclass)
        if issubclass(each, Config) and each is not Config
    },
    key=lambda each: each.__name__,
)


def generator() -> Any:
    """The tool that writes what is generated."""
    spec = importlib.util.spec_from_file_location("writer", ROOT / "tools" / "write_settings.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def offered(kind: type) -> Iterator[Setting]:
    """Settings that do not depend on the preset or on others."""
    return (each for each in settings_of(kind) if not (each.of_preset or each.same_as))


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_server_options(parser)
    add_speech_options(parser)
    add_avatar_options(parser, live=True)
    return parser.parse_args(words)


def undocumented(kind: type) -> list[str]:
    """Fields that are neither a part nor a setting with a help text."""
    hints = get_type_hints(kind)
    found = {each.name: each.metadata.get("setting") for each in fields(kind)}
    return [
        name
        for name, about in found.items()
        if not is_dataclass(hints[name]) and not (about and about.help.strip())
    ]


@pytest.mark.parametrize("kind", CONFIGS)
def test_every_field_has_a_help_text(kind: type) -> None:
    assert undocumented(kind) == []
    for each in settings_of(kind):
        assert not each.help.endswith(".")
        each.check(each.name, each.default)


def test_a_field_without_help_is_found() -> None:
    """The check itself can fail."""
    bad = make_dataclass("Bad", [("plain", int, 3), ("empty", int, setting(3, " "))])
    assert undocumented(bad) == ["plain", "empty"]


def test_generated_files_are_current() -> None:
    """Run tools/write_settings.py where this fails."""
    for path, text in generator().documents().items():
        assert path.read_text(encoding="utf-8") == text, path.name


def test_the_settings_file_states_the_defaults() -> None:
    file = yaml.safe_load((ROOT / "config" / "settings.yaml").read_text(encoding="utf-8"))
    for kind, name in SECTIONS.items():
        assert from_flat(kind, file.pop(name)) == kind()
    assert merged_config(file, {}) == AvatarConfig()
    for each in offered(AvatarConfig):
        value: Any = file
        for name in each.path:
            value = value[name]
        assert value == each.default


@pytest.mark.parametrize("node", NODE_CONFIGS)
def test_the_parameter_file_states_the_defaults(node: str) -> None:
    text = (ROOT / "config" / "avatar.yaml").read_text(encoding="utf-8")
    section = "/**" if node == "avatar_node" else f"/**/{node}"
    stated = yaml.safe_load(text)[section]["ros__parameters"]
    assert stated == {each.name: each.default for each in offered(NODE_CONFIGS[node])}


@pytest.mark.parametrize("node", NODE_CONFIGS)
def test_the_readme_lists_every_parameter(node: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition(f"<!-- parameters of {node} -->")[2].partition("<!-- end -->")[0]
    rows = {line.split("`")[1]: line for line in table.splitlines() if "`" in line}
    assert list(rows) == [each.name for each in settings_of(NODE_CONFIGS[node])]
    assert all(each.summary in rows[each.name] for each in settings_of(NODE_CONFIGS[node]))


@pytest.mark.parametrize("kind", [AvatarConfig, *SECTIONS])
def test_flags_have_the_settings_defaults(kind: type) -> None:
    assert avatar_config(parsed()) == AvatarConfig()
    assert server_config(parsed()) == LiveServerConfig()
    assert speech_config(parsed()) == SpeechConfig()
    assert responder_config(parsed()) == ResponderConfig()
    for each in settings_of(kind):
        words = [each.flag] if each.kind is bool else [each.flag, str(each.default)]
        assert getattr(parsed(*words), each.name) == (True if each.kind is bool else each.default)


def test_flags_reach_every_section(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "cpu_threads: 2\nlive: {gather_ms: 9}\nserver: {port: 81, max_viewers: 1}\n"
        "speech: {speech_voice: +f3}\nresponder: {responder: answer, turn_pause_s: 1}\n"
    )
    given = parsed(
        *("--config", str(file), "--no-anchor-enabled", "--deadline-ms", "7", "--port", "82"),
        *("--solver", "euler", "--open-to-viewers", "--listener", "listen", "--no-barge-in"),
        *("--speech-language", "de"),
    )
    avatar, server = avatar_config(given), server_config(given)
    assert (avatar.cpu_threads, avatar.sampling.solver) == (2, "euler")
    assert not avatar.anchor.enabled
    assert (avatar.live.deadline_ms, avatar.live.gather_ms) == (7.0, 9.0)
    speech, answers = speech_config(given), responder_config(given)
    assert (speech.speech_voice, speech.speech_language) == ("+f3", "de")
    assert (answers.responder, answers.listener) == ("answer", "listen")
    assert (answers.turn_pause_s, answers.barge_in) == (1.0, False)
    assert (server.port, server.max_viewers, server.open_to_viewers) == (82, 1, True)


@pytest.mark.parametrize("text", ["server: 3", "server: {prot: 81}", "server: {port: 0}"])
def test_a_server_section_of_no_use_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    given = parsed("--config", str(file))
    assert avatar_config(given) == AvatarConfig()
    with pytest.raises(ConfigError, match="expected"):
        server_config(given)


def test_an_old_flag_is_taken_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert avatar_config(parsed("--steps", "4")).sampling == SamplingConfig(nfe=4)
    assert "--steps is now called --nfe" in caplog.text


def test_launch_arguments_have_the_settings_defaults() -> None:
    """Those that are empty leave the parameter alone; the others are what it is by default."""
    for argument in ARGUMENTS:
        for node, parameter in argument.sets:
            about = SETTINGS[node][parameter]
            given = parameters_of(node, {a.name: "" for a in ARGUMENTS} | {argument.name: "1"})
            if argument.default:
                assert argument.default == str(about.default).lower()
            elif about.kind is not bool:
                assert given == {parameter: 1 if about.kind is int else "1"}
            assert set(about.choices) <= {*argument.choices}
            if about.default and not (about.same_as or argument.default):
                assert str(about.default) in argument.description


def test_nodes_and_commands_share_their_settings() -> None:
    """What a command offers, a node offers with the same default and help."""
    for kind, node in ((AvatarConfig, AvatarNodeConfig), (ServerConfig, TelepresenceNodeConfig)):
        shared = {each.name: each for each in settings_of(node)}
        for each in settings_of(kind):
            assert shared[each.name].default == each.default
            assert shared[each.name].summary == each.summary


def test_parts_are_built_from_flat_names() -> None:
    flat = {"anchor.mean_s": 3.0, "nfe": 5, "audio_data.channels": 2, "unknown": 1}
    node = from_flat(AvatarNodeConfig, flat)
    assert node.avatar.anchor.mean_s == 3.0
    assert node.avatar.sampling.nfe == 5
    assert node.inputs.audio.data.channels == 2


@pytest.mark.parametrize(
    ("about", "good", "bad"),
    [
        ({"low": 1}, [1, 10**12], [0, -1]),
        ({"low": 0.5, "high": 4.0}, [0.5, 4.0], [0.49, 4.01, float("nan")]),
        ({"above": 0}, [1e-9, 1e9], [0.0, -1.0, float("nan")]),
        ({"low": 128, "high": 2048, "step": 2}, [128, 2048], [127, 129, 2050]),
        ({"choices": ("a", "b")}, ["a"], ["c", ""]),
        ({}, ["anything", -1], []),
    ],
)
def test_limits(about: dict[str, Any], good: list[Any], bad: list[Any]) -> None:
    made = Setting(None, "some text", **about)
    for value in good:
        made.check("name", value)
    for value in bad:
        with pytest.raises(ConfigError, match="name: expected"):
            made.check("name", value)


def test_names_in_a_node_are_unique() -> None:
    for kind in NODE_CONFIGS.values():
        names = [each.name for each in settings_of(kind)]
        assert len(names) == len(set(names))


def test_lists_are_not_shared() -> None:
    owner = make_dataclass("Owner", [("names", list[str], setting(["a"], "names"))])
    owner().names.append("b")
    assert owner().names == ["a"]
    nested = make_dataclass("Nested", [("owner", owner, part(owner, "of."))])
    assert [each.name for each in settings_of(nested)] == ["of.names"]
