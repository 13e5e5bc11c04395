"""Lint and types are tests: what the developer runs is what decides."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_ruff_finds_nothing() -> None:
    done = run("ruff", "check", ".")
    assert done.returncode == 0, done.stdout


def test_mypy_finds_nothing() -> None:
    done = run("mypy")
    assert done.returncode == 0, done.stdout


def test_marked_tests_are_where_make_looks_for_them() -> None:
    """It searches one folder for each mark, since to collect them all takes a while."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    folders = dict(re.findall(r"-m (\w+) (test/\w+)$", makefile, re.MULTILINE))
    assert set(folders) == {"browser", "either_audio"}
    for path in (ROOT / "test").rglob("*.py"):
        for mark, folder in folders.items():
            if f"mark.{mark}" in path.read_text(encoding="utf-8"):
                assert path.is_relative_to(ROOT / folder), f"{path}: {mark} belongs in {folder}"
