"""The documents say what the code does: links, commands, topics, services, rig coefficients.

Tables of parameters are tested in test_settings.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from avatar_forcing_ros.cli import main
from avatar_forcing_ros.rig.coefficients import COEFFICIENTS
from avatar_forcing_ros.rig.face_names import mapping_table

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += sorted((ROOT / "models").glob("*/README.md"))


def test_the_rig_page_lists_every_coefficient() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", (ROOT / "docs/rig.md").read_text(), re.M)
    expected = [(c.name, f"{c.unit} | {c.low:g} … {c.high:g} | {c.meaning}") for c in COEFFICIENTS]
    assert rows == expected


def test_the_rig_page_shows_the_names_of_others_as_they_are() -> None:
    assert f"```\n{mapping_table()}\n```" in (ROOT / "docs/rig.md").read_text()


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


def test_readme_lists_the_interface_as_it_is() -> None:
    """Every topic and service of the tables, with type and meaning."""
    pytest.importorskip("rclpy")
    from avatar_forcing_ros.nodes.interface import SERVICES, TOPICS

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in readme.splitlines() if line.startswith("| `")}
    for topic in TOPICS:
        row = rows[topic.name]
        assert topic.meaning in row
        assert topic.type.replace("/msg/", "/") in row
        assert f"{'sensor data' if topic.sensor_data else 'reliable'}, {topic.depth}" in row
        assert f"| {'pub' if topic.publishes else 'sub'} |" in row
    for service in SERVICES:
        assert service.meaning in rows[service.name]


def test_readme_lists_the_interface_of_speech_node_as_it_is() -> None:
    """A topic and an action share a name there."""
    pytest.importorskip("rclpy")
    from avatar_forcing_ros.nodes.interface import SPEECH_ACTIONS, SPEECH_SERVICES, SPEECH_TOPICS

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = [
        f"| `{topic.name}` | {topic.type.replace('/msg/', '/')} | sub | reliable, {topic.depth} "
        f"| {topic.meaning} |"
        for topic in SPEECH_TOPICS
    ]
    for kind, table in (("service", SPEECH_SERVICES), ("action", SPEECH_ACTIONS)):
        for each in table:
            name = each.type.replace("/srv/", "/").replace("/action/", "/")
            rows.append(f"| `{each.name}` | {name} | {kind} | | {each.meaning} |")
    assert [row for row in rows if row not in readme.splitlines()] == []
