"""The documents say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from avatar_forcing_ros.cli import main
from avatar_forcing_ros.rig.coefficients import COEFFICIENTS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += sorted((ROOT / "models").glob("*/README.md"))


def test_the_rig_page_lists_every_coefficient() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", (ROOT / "docs/rig.md").read_text(), re.M)
    told = [(c.name, f"{c.unit} | {c.low:g} … {c.high:g} | {c.meaning}") for c in COEFFICIENTS]
    assert rows == told


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_exist(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    used = set(re.findall(r"avatar-forcing (\w+)((?: +[\w.]+)*)", text))
    for command, _ in used:
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        assert stop.value.code == 0, command
    makes = set(re.findall(r"`?make (\w+)`?", text))
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    assert makes <= targets
