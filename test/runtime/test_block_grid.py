"""Blocks of conversations that share an engine end at the same moments of the clock."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes import FakeCodec
from tiny import TINY, tiny_engine

from avatar_forcing_ros.config import LiveConfig, ModelConfig
from avatar_forcing_ros.runtime.conversation import Conversation, Input
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.runtime.step_scheduler import StepScheduler
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS

START_NS = 1_000_000_007
LONG_FIRST = replace(TINY, first_block_frames=8)


def begun(config: ModelConfig, at_ns: int, *, shared: bool, live: bool = True) -> Conversation:
    """A conversation whose first input was stamped `at_ns`."""
    engine = tiny_engine(config=config)
    of = StepScheduler(engine).conversation() if shared else engine
    session = Session(of, FakeCodec())  # type: ignore[arg-type]
    conversation = Conversation(session, LiveConfig(gather_ms=0.0, keep_pace=live))
    conversation.accept([Input(at_ns, at_ns, lambda at: None)], at_ns, pytest.fail)
    return conversation


@pytest.mark.parametrize("config", [TINY, LONG_FIRST])
@pytest.mark.parametrize("after_ms", [0, 1, 39, 120, 199, 200, 777])
def test_blocks_end_on_the_grid_and_no_block_begins_late(
    config: ModelConfig, after_ms: int
) -> None:
    at_ns = START_NS + after_ms * 1_000_000
    conversation = begun(config, at_ns, shared=True)
    block_ns = config.block_frames * FRAME_PERIOD_NS
    assert conversation.origin_ns is not None
    assert (conversation.origin_ns + conversation.session.next_end_ns) % block_ns == 0
    assert at_ns - block_ns < conversation.origin_ns <= at_ns


@pytest.mark.parametrize(("shared", "live"), [(False, True), (False, False), (True, False)])
def test_alone_and_in_a_replay_media_time_begins_with_the_first_input(
    shared: bool, live: bool
) -> None:
    assert begun(TINY, START_NS, shared=shared, live=live).origin_ns == START_NS


def test_time_that_is_given_up_leaves_the_grid_as_it_is() -> None:
    conversation = begun(LONG_FIRST, START_NS, shared=True)
    block_ns = TINY.block_frames * FRAME_PERIOD_NS
    conversation.session.skip(3 * TINY.block_frames)
    assert conversation.origin_ns is not None
    assert (conversation.origin_ns + conversation.session.next_end_ns) % block_ns == 0
