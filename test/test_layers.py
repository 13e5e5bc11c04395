"""Protects the layers: imports go down only, and each heavy dependency lives in one place."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import avatar_forcing_ros

PACKAGE = Path(avatar_forcing_ros.__file__).parent
NAME = PACKAGE.name

LAYER = {
    "errors": 0,
    "timebase": 0,
    "media": 0,
    "config": 0,
    "node_config": 0,
    "settings": 0,
    "strict": 0,
    "resources": 0,
    "launch_arguments": 0,
    "launch_plan": 0,
    "process_group": 0,
    "atomic_write": 0,
    "downmix": 0,
    "weight_sources": 0,
    "model": 1,
    "rig": 1,
    "perception": 2,
    "streaming": 3,
    "sync": 3,
    "media_files": 4,
    "runtime": 5,
    "training": 5,
    "responder": 6,
    "offline": 7,
    "nodes": 7,
    "web": 7,
    "benchmarks": 8,
    "cli": 9,
    "msg": 0,
    "action": 0,
    "__init__": 0,
}
# which places may import a dependency; everybody else may not
HOME = {
    "mediapipe": {"perception"},
    "pillow_heif": {"rig"},
    "rclpy": {"nodes", "benchmarks"},
    "aiohttp": {"web", "responder", "benchmarks"},
    "aiortc": {"web", "benchmarks"},
    "espeakng_loader": {"training"},
    "torch": {"model", "streaming", "runtime", "offline", "training", "benchmarks"},
    "av": {"media_files", "web", "benchmarks"},
    "transformers": {"model"},
    "rosbags": {"nodes"},
    "sounddevice": {"nodes"},
    "huggingface_hub": {"runtime"},
}


def place(path: Path) -> str:
    """The folder of the package, or the module directly in it, that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Full dotted names that the file imports, wherever in the file it does so."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: write imports in full"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def violations(path: Path) -> list[str]:
    """What the file imports and should not."""
    here = place(path)
    wrong = []
    for name in sorted(imports(path)):
        parts = name.split(".")
        if parts[0] == NAME and len(parts) > 1:
            there = parts[1]
            higher = LAYER[there] > LAYER[here]
            sibling = LAYER[there] == LAYER[here] >= 1 and there != here
            if higher or sibling:
                wrong.append(f"{here} imports {name}")
        elif here not in HOME.get(parts[0], {here}):
            wrong.append(f"{here} imports {name}")
    return wrong


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.name))
def test_imports_go_down_only(path: Path) -> None:
    assert violations(path) == []


def test_every_folder_has_a_layer() -> None:
    folders = {place(p) for p in PACKAGE.rglob("*.py")}
    assert folders <= set(LAYER)


def test_a_forbidden_import_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check itself can fail: a made-up module that reaches up and takes torch."""
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    (tmp_path / "rig").mkdir()
    bad = tmp_path / "rig" / "bad.py"
    bad.write_text(f"import torch\nfrom {NAME}.runtime import session\n")
    assert len(violations(bad)) == 2


def test_the_architecture_page_names_what_there_is() -> None:
    """Each file in backticks, from the root or from the package."""
    text = (Path(__file__).parent.parent / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w/.]+\.(?:py|md|txt))`", text)
    assert len(named) > 30
    roots = (PACKAGE, PACKAGE.parent)
    assert [n for n in named if not any((root / n).is_file() for root in roots)] == []
