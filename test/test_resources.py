"""Paths that somebody wrote: ``~`` is their home, wherever a path can be given."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest

from avatar_forcing_ros.cli.entry import build_parser
from avatar_forcing_ros.config import AvatarConfig, merged_config
from avatar_forcing_ros.resources import user_path
from avatar_forcing_ros.training.settings import PrepareSettings

ELSEWHERE = ("avatar-forcing bag ",)  # a shell hands its folders over as words of their own


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_the_home_is_found_and_all_else_stays(home: Path) -> None:
    assert user_path("~/a b/me.jpg") == home / "a b" / "me.jpg"
    assert user_path("a/~/b") == Path("a/~/b")
    assert user_path("~nobody-of-that-name/x") == Path("~nobody-of-that-name/x")


def test_every_setting_that_is_a_path_may_be_in_the_home(home: Path) -> None:
    """From a file, a flag or a parameter alike."""
    config = merged_config({"weights": "~/w"}, {"portrait": "~/me.jpg"})
    assert (config.weights, config.portrait) == (str(home / "w"), str(home / "me.jpg"))
    assert AvatarConfig().portrait == ""
    prepared = PrepareSettings(preset="paper", weights="~/w")
    assert prepared.weights == str(home / "w")


def flags(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name in action.choices:
                yield from flags(action.choices[name])
        else:
            yield parser.prog, action


def test_every_flag_that_is_a_path_may_be_in_the_home() -> None:
    kinds = [
        (command, action.dest, action.type)
        for command, action in flags(build_parser())
        if not f"{command} ".startswith(ELSEWHERE)
    ]
    assert [kind for kind in kinds if kind[2] is Path] == []
    assert len([kind for kind in kinds if kind[2] is user_path]) > 20
