"""Writes what is made from the settings: config/avatar.yaml, config/settings.yaml, README tables.

Run it after a change to `config.py` or `node_config.py`; a test fails until then:

    .venv/bin/python tools/write_settings.py
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from avatar_forcing_ros.cli.options import SECTIONS as FILE_SECTIONS
from avatar_forcing_ros.config import AvatarConfig
from avatar_forcing_ros.node_config import NODE_CONFIGS
from avatar_forcing_ros.settings import Setting, settings_of

ROOT = Path(__file__).parents[1]
WIDTH = 98
NODES_HEAD = """\
# Parameters of the nodes, each at its default (of the compact preset), for
#   ros2 run avatar_forcing_ros avatar_node --ros-args --params-file avatar.yaml
# A file may hold any subset. Those marked * may be changed while the node runs (ros2 param set),
# those that are commented out depend on others unless they are set.
# Qualities of service: qos_overrides.<topic>.<publisher|subscription>.<policy>.
# Made by tools/write_settings.py.
"""
FILE_HEAD = """\
# Settings of an avatar, each at its default. A file may hold any subset of them:
#   avatar-forcing render --config my.yaml …   (parameters of the nodes: avatar.yaml)
# Flags on the command line win over the file; the file wins over these defaults. Those that are
# commented out are the preset's own unless they are set; here those of compact.
# Made by tools/write_settings.py.
"""
# what each section of avatar.yaml is for; the first is of every node, unless a later one has more
SECTIONS = {
    "avatar_node": "/**",
    "perception_node": "/**/perception_node",
    "display_node": "/**/display_node",
    "telepresence_node": "/**/telepresence_node",
    "speech_node": "/**/speech_node",
}
TYPES = {bool: "bool", int: "int", float: "double", str: "string"}
TABLE_HEAD = "| parameter | type | default | | meaning |\n|---|---|---|---|---|\n"
BLOCK = re.compile(r"(<!-- parameters of (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def documents() -> dict[Path, str]:
    """What each file is to hold."""
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    return {
        ROOT / "config" / "avatar.yaml": node_parameters(),
        ROOT / "config" / "settings.yaml": settings_file(),
        readme: BLOCK.sub(lambda m: f"{m[1]}{table(NODE_CONFIGS[m[2]])}{m[3]}", text),
    }


def node_parameters() -> str:
    """The file of parameters."""
    parts = [NODES_HEAD]
    for node, section in SECTIONS.items():
        lines = [line for each in settings_of(NODE_CONFIGS[node]) for line in entry(each, 4)]
        parts.append("\n".join([f"# {node}", f"{section}:", "  ros__parameters:", *lines, ""]))
    return "\n".join(parts)


def settings_file() -> str:
    """The file that ``--config`` takes."""
    parts = [FILE_HEAD, *sections(settings_of(AvatarConfig))]
    for config, name in FILE_SECTIONS.items():
        parts += [f"{name}:", *(line for each in settings_of(config) for line in entry(each, 2))]
    return "\n".join(parts) + "\n"


def sections(settings: Iterable[Setting]) -> Iterable[str]:
    """Lines of nested settings."""
    for path, members in groupby(settings, lambda each: each.path[:-1]):
        if path:
            yield f"{path[0]}:"
        for each in members:
            yield from entry(each, 2 * len(path), each.path[-1], mark_live=False)


def entry(each: Setting, indent: int, name: str = "", *, mark_live: bool = True) -> Iterable[str]:
    """A comment and a line ``name: default``."""
    text = "* " * (each.live and mark_live) + each.summary
    margin = " " * indent + "# "
    yield textwrap.fill(
        text, WIDTH, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False
    )
    optional = "# " * bool(each.of_preset or each.same_as)
    value = json.dumps(each.default, ensure_ascii=False)
    yield f"{' ' * indent}{optional}{name or each.name}: {value}"


def table(config: type) -> str:
    """The README's table of parameters."""
    rows = [
        f"| `{each.name}` | {TYPES.get(each.kind, 'string[]')} | {shown(each.default)} "
        f"| {'live' * each.live} | {each.summary} |\n"
        for each in settings_of(config)
    ]
    return TABLE_HEAD + "".join(rows)


def shown(default: object) -> str:
    """A default as a person reads it."""
    if isinstance(default, list):
        return ", ".join(default)
    return json.dumps(default).strip('"') or "(empty)"


def main() -> None:
    """Write all files that are not current."""
    for path, text in documents().items():
        if text != (path.read_text(encoding="utf-8") if path.exists() else ""):
            path.write_text(text, encoding="utf-8")
            print(f"Wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
