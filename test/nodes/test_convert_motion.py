"""Protects motion messages: names decide, axes are REP-103, and nothing broken gets through."""

from __future__ import annotations

import random
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from std_msgs.msg import Header

from avatar_forcing_ros.nodes.diagnostics import BadMessage
from avatar_forcing_ros.rig.coefficients import COUNT, HIGH, LOW, NAMES, vector

messages = pytest.importorskip("avatar_forcing_ros.msg", reason="own messages are not built")
convert = pytest.importorskip("avatar_forcing_ros.nodes.convert_motion")
AvatarMotion = messages.AvatarMotion


def some_values() -> np.ndarray:
    share = np.linspace(0.1, 0.9, COUNT, dtype=np.float32)
    return LOW + share * (HIGH - LOW)


def message(values: np.ndarray, **changes):
    fields = {"latent": None, "speech_level": 0.5, "speaking": True} | changes
    return convert.motion_to_msg(Header(frame_id="avatar"), 3, 1, values=values, **fields)


def test_a_frame_there_and_back_is_the_same() -> None:
    values, latent = some_values(), np.arange(32, dtype=np.float32)
    msg = message(values, latent=latent)
    assert (msg.block_index, msg.frame_in_block, msg.header.frame_id) == (3, 1, "avatar")
    assert (msg.speech_level, msg.speaking) == (0.5, True)
    assert tuple(msg.names) == NAMES
    back, unknown = convert.msg_to_values(msg)
    assert back.dtype == np.float32
    assert np.array_equal(back, values)
    assert unknown == ()
    assert np.array_equal(msg.latent, latent)


@pytest.mark.parametrize(
    ("moved", "axis", "rad"),
    [
        ({"head_yaw": 0.3}, "z", 0.3),  # to the avatar's left: from x towards y
        ({"head_pitch": 0.2}, "y", 0.2),  # down: from z towards x
        ({"head_roll": 0.1}, "x", 0.1),  # to the right shoulder: from y towards z
    ],
)
def test_turns_keep_their_signs(moved: dict[str, float], axis: str, rad: float) -> None:
    rpy = message(vector(**moved)).head_rpy
    expected = {"x": 0.0, "y": 0.0, "z": 0.0, axis: rad}
    assert {"x": rpy.x, "y": rpy.y, "z": rpy.z} == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("moved", "xyz"),
    [
        ({"head_x": 0.2}, (0.0, 0.2, 0.0)),
        ({"head_y": -0.1}, (0.0, 0.0, -0.1)),
        # a quarter larger at four fifths of the distance: 6 - 6 / 1.25 head widths nearer
        ({"head_scale": 0.25}, (1.2, 0.0, 0.0)),
        ({"head_scale": -0.25}, (-2.0, 0.0, 0.0)),
    ],
)
def test_moves_are_in_head_widths(moved: dict[str, float], xyz: tuple) -> None:
    offset = message(vector(**moved)).head_translation
    assert (offset.x, offset.y, offset.z) == pytest.approx(xyz, abs=1e-6)


def test_names_come_in_any_order_with_gaps_and_strangers() -> None:
    values = some_values()
    msg = message(values)
    pairs = list(zip(msg.names, msg.values, strict=True))
    random.Random(5).shuffle(pairs)
    pairs = [("ear_wiggle", 0.4), *[p for p in pairs if p[0] != "jaw_open"], ("nod", 9.0)]
    msg.names, msg.values = [n for n, _ in pairs], [v for _, v in pairs]
    back, unknown = convert.msg_to_values(msg)
    assert unknown == ("ear_wiggle", "nod")
    expected = values.copy()
    expected[NAMES.index("jaw_open")] = 0.0
    assert np.array_equal(back, expected)


def test_no_names_is_the_neutral_face() -> None:
    back, unknown = convert.msg_to_values(AvatarMotion())
    assert not back.any()
    assert unknown == ()


def test_values_are_limited() -> None:
    msg = AvatarMotion(names=["jaw_open", "head_yaw", "blink_left"], values=[3.0, -2.0, -0.1])
    back, _ = convert.msg_to_values(msg)
    assert np.array_equal(back, vector(jaw_open=1.0, head_yaw=-0.6))


@pytest.mark.parametrize(
    ("reason", "names", "values"),
    [
        ("names", ["jaw_open"], []),
        ("names", ["jaw_open"], [0.1, 0.2]),
        ("names", [], [0.1]),
        ("names", ["jaw_open", "jaw_open"], [0.1, 0.2]),
        ("not_finite", ["jaw_open"], [float("nan")]),
        ("not_finite", ["jaw_open", "head_yaw"], [0.1, float("inf")]),
    ],
)
def test_bad_values_are_reported(reason: str, names: list[str], values: list[float]) -> None:
    msg = SimpleNamespace(names=names, values=values)
    with pytest.raises(BadMessage, match=r"expected .*, got .*; ") as told:
        convert.msg_to_values(msg)
    assert told.value.reason == reason


def test_a_measured_motion_has_no_latent() -> None:
    assert len(message(some_values()).latent) == 0


def test_values_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="23 rig coefficients"):
        message(np.zeros(22, np.float32))


@settings(deadline=None, max_examples=100)
@given(
    names=st.lists(st.one_of(st.sampled_from(NAMES), st.text(max_size=5)), max_size=30),
    values=st.lists(st.floats(width=32), max_size=30),
)
def test_any_motion_gives_values_or_a_bad_message(names: list[str], values: list[float]) -> None:
    try:
        back, unknown = convert.msg_to_values(SimpleNamespace(names=names, values=values))
    except BadMessage:
        return
    assert ((back >= LOW) & (back <= HIGH)).all()
    assert set(unknown) == set(names) - set(NAMES)
