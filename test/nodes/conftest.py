"""Fixtures that several nodes' tests share."""

from __future__ import annotations

from typing import Any

import pytest

from avatar_forcing_ros.nodes import avatar_node
from avatar_forcing_ros.runtime.load import build_session
from avatar_forcing_ros.runtime.session import Session


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[Session]:
    """The sessions that nodes have built, which they keep to themselves."""
    built: list[Session] = []

    def build(*arguments: Any, **options: Any) -> Session:
        built.append(build_session(*arguments, **options))
        return built[-1]

    monkeypatch.setattr(avatar_node, "build_session", build)
    return built
