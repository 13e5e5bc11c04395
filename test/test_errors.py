"""Errors say what was expected, what came and what to do, also from a worker process."""

from __future__ import annotations

import pickle

import pytest

from avatar_forcing_ros.errors import FaceNotFoundError, MediaError, missing_package


def test_message_has_all_three_parts_on_one_line() -> None:
    error = MediaError("audio a.wav", expected="samples", got="none", remedy="give another file")
    assert str(error) == "audio a.wav: expected samples, got none; give another file"


def test_errors_travel_between_processes() -> None:
    error = FaceNotFoundError("portrait", expected="a face", got="none", remedy="choose another")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is FaceNotFoundError
    assert str(back) == str(error)
    assert back.remedy == error.remedy


@pytest.mark.parametrize("name", ["avatar_forcing_ros.msg", "avatar_forcing_ros.action", "rclpy"])
def test_messages_and_actions_that_are_missing_belong_to_ros(name: str) -> None:
    missing = missing_package(ImportError(name=name))
    assert missing
    assert missing.what == "ROS 2"
    assert missing_package(ImportError(name="avatar_forcing_ros.nodes.none")) is None
