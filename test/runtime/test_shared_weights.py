"""Several live avatars in one process, on the weights that ship."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from avatar_forcing_ros.config import AvatarConfig, LiveConfig
from avatar_forcing_ros.media import AvatarFrame
from avatar_forcing_ros.runtime.avatar import Avatar
from avatar_forcing_ros.runtime.load import build_session, load_face
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.runtime.shared_weights import SharedWeights, build_sessions

CONFIG = AvatarConfig(image_size_px=128)
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[SharedWeights, list[Session]]]:
    weights, sessions = build_sessions(CONFIG, 2, user_video=False)
    yield weights, sessions
    assert weights.close()


def test_one_at_a_time_they_are_what_a_session_of_its_own_is(
    shared: tuple[SharedWeights, list[Session]],
) -> None:
    weights, (one, other) = shared
    alone = build_session(CONFIG, user_video=False)
    for seed, session in ((1, one), (2, other)):
        session.reset(seed)
        alone.reset(seed)
        for _ in range(3):
            mine, own = session.next_block(), alone.next_block()
            assert mine.motion.motion.tobytes() == own.motion.motion.tobytes()
        assert np.array_equal(session.draw(mine), alone.draw(own))
    assert weights.status.blocks == 6
    assert weights.portrait_size_px == 128


def test_live_avatars_have_faces_and_seeds_of_their_own_and_blocks_at_the_same_moments(
    shared: tuple[SharedWeights, list[Session]],
) -> None:
    weights, (one, other) = shared
    face = load_face(CONFIG, 128)
    mirrored = face.image[:, ::-1].copy()
    other.set_portrait(type(face)(mirrored, face.landmarks))
    frames: list[list[AvatarFrame]] = [[], []]
    came = [threading.Event(), threading.Event()]
    avatars = [Avatar(session, lambda where, text: None) for session in (one, other)]

    def take(who: int, frame: AvatarFrame) -> None:
        frames[who].append(frame)
        if len(frames[who]) >= 12:
            came[who].set()

    for who, avatar in enumerate(avatars):
        avatar.start(lambda frame, who=who: take(who, frame), LiveConfig(gather_ms=0.0))
    assert all(each.wait(PATIENCE_S) for each in came)
    seeds = {avatar.status.seed for avatar in avatars}
    for avatar in avatars:
        avatar.stop()
    assert len(seeds) == 2
    assert not np.array_equal(*(avatar.portrait.image for avatar in avatars))
    block_ns = 3 * 40_000_000
    begins = {frame.stamp_ns % block_ns for each in frames for frame in each[::3]}
    assert begins == {0}
    assert weights.alive
