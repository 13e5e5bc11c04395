"""A conversation moves to another process, and goes on there bit for bit."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeCodec, fake_session
from tiny import TINY_CAUSAL, talk, tiny_engine, tiny_generator

from avatar_forcing_ros.config import AvatarConfig, SamplingConfig
from avatar_forcing_ros.errors import ConversationError
from avatar_forcing_ros.media import AudioChunk, AvatarFrame
from avatar_forcing_ros.rig.coefficients import INDEX
from avatar_forcing_ros.rig.expressions import Expression
from avatar_forcing_ros.runtime.avatar import Avatar
from avatar_forcing_ros.runtime.load import build_session
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.streaming.directed_motion import GazeTarget
from avatar_forcing_ros.streaming.engine import MotionEngine
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, SAMPLES_PER_FRAME

BEFORE, AFTER = 20, 6  # blocks: the memory is full
HEARD = talk(140, seed=3)
HERE = Path(__file__).parent


def compact() -> Session:
    return build_session(AvatarConfig(image_size_px=128))


def go_on(session: Session, blocks: int) -> dict[str, np.ndarray]:
    """The next blocks of a conversation whose inputs go by media time alone."""
    made = []
    for _ in range(blocks):
        first = session.next_start_ns // FRAME_PERIOD_NS
        frames = session.engine.frames(session.state)
        for frame in range(first, first + frames):
            piece = slice(frame * SAMPLES_PER_FRAME, (frame + 1) * SAMPLES_PER_FRAME)
            stamp_ns = frame * FRAME_PERIOD_NS
            assert HEARD.user_audio is not None
            assert HEARD.user_motion is not None
            session.push_user_audio(AudioChunk(HEARD.user_audio[piece], 16_000, stamp_ns))
            if frame % 4:
                session.push_user_motion(HEARD.user_motion[frame], stamp_ns)
        made.append(session.next_block())
    return {
        "latent": np.concatenate([block.motion.latent for block in made]),
        "coefficients": np.concatenate([block.coefficients for block in made]),
        "audio": np.concatenate([block.audio for block in made]),
        "stamps": np.array([block.stamp_ns for block in made]),
    }


def begun(session: Session) -> Session:
    """A conversation in which much waits: speech, a smile that has begun, a look to come."""
    session.reset(seed=5)
    session.push_avatar_audio(AudioChunk(HEARD.avatar_audio, 16_000, 0))
    session.skip(4)
    end = 4 + BEFORE * session.engine.config.block_frames
    session.push_expression(Expression("happy"), (end - 3) * FRAME_PERIOD_NS)
    session.push_gaze_target(GazeTarget(0.3, 0.1), (end + 3) * FRAME_PERIOD_NS)
    go_on(session, BEFORE)
    return session


def test_it_goes_on_bit_for_bit_in_another_process(tmp_path: Path) -> None:
    session = begun(compact())
    (tmp_path / "snapshot").write_bytes(session.snapshot())
    program = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from test_moving import AFTER, compact, go_on\n"
        "folder = Path(sys.argv[1]); session = compact()\n"
        "session.restore((folder / 'snapshot').read_bytes())\n"
        "np.savez(folder / 'made.npz', **go_on(session, AFTER))\n"
    )
    paths = [str(HERE), str(HERE.parent), str(HERE.parents[1])]
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        check=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    made, expected = np.load(tmp_path / "made.npz"), go_on(session, AFTER)
    for name, values in expected.items():
        assert made[name].tobytes() == values.tobytes(), name
    assert expected["audio"].any()
    assert expected["coefficients"][-1][INDEX["smile_left"]] > 0.2


def causal() -> Session:
    return fake_session(config=TINY_CAUSAL)


def other_rows() -> Session:
    sampling = SamplingConfig(guidance="separate", audio_guidance=2.0)
    return Session(tiny_engine(sampling), FakeCodec())  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [fake_session, causal, other_rows])
def test_every_kind_of_memory_moves(make: Callable[[], Session]) -> None:
    session, other = begun(make()), make()
    other.restore(session.snapshot())
    assert other.state.seed == 5
    theirs, mine = go_on(other, AFTER), go_on(session, AFTER)
    assert all(theirs[name].tobytes() == mine[name].tobytes() for name in mine)


def test_a_conversation_that_has_not_begun_moves_too() -> None:
    session, other = fake_session(), fake_session()
    session.reset(seed=9)
    other.restore(session.snapshot())
    mine, theirs = go_on(session, 2), go_on(other, 2)
    assert all(theirs[name].tobytes() == mine[name].tobytes() for name in mine)


def test_a_snapshot_changes_nothing_and_shares_nothing() -> None:
    session, other, third = begun(fake_session()), fake_session(), begun(fake_session())
    data = session.snapshot()
    other.restore(data)
    go_on(other, AFTER)
    mine, undisturbed = go_on(session, AFTER), go_on(third, AFTER)
    assert all(undisturbed[name].tobytes() == mine[name].tobytes() for name in mine)


def test_bytes_that_are_no_snapshot_or_damaged_are_refused_and_change_nothing() -> None:
    session = begun(fake_session())
    data, before = session.snapshot(), session.state
    broken = bytearray(data)
    broken[len(data) // 2] ^= 1
    for bad, why in (
        (b"", "a snapshot of a conversation, got 0 other bytes"),
        (data[20:], "other bytes"),
        (data[:-1], "damaged"),
        (bytes(broken), "its checksum differs"),
    ):
        with pytest.raises(ConversationError, match=why):
            session.restore(bad)
    assert session.state is before


def test_one_of_another_model_is_refused_by_name() -> None:
    data = fake_session().snapshot()
    with pytest.raises(ConversationError, match=r"block_frames 3\), got block_frames 5"):
        causal().restore(data)
    other = MotionEngine(tiny_generator(seed=1), SamplingConfig())
    with pytest.raises(ConversationError, match=r"one of this model \(weights"):
        Session(other, FakeCodec()).restore(data)  # type: ignore[arg-type]


def test_a_live_avatar_goes_on_with_what_another_has_begun() -> None:
    first, second = Avatar(begun(fake_session()), print), Avatar(fake_session(), print)
    data = first.snapshot().result(20)
    frames: list[int] = []
    came = threading.Event()

    def take(frame: AvatarFrame) -> None:
        frames.append(frame.block_index)
        came.set()

    second.start(take, snapshot=data)
    assert came.wait(20)
    status = second.status
    second.stop()
    assert frames[0] == BEFORE
    assert status.seed == 5
    with pytest.raises(ConversationError, match="other bytes"):
        second.start(lambda frame: None, snapshot=b"x")
    assert not second.running
