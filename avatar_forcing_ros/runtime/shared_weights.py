"""Many conversations on one set of weights, in one process."""

from __future__ import annotations

from avatar_forcing_ros.config import AvatarConfig
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.runtime.load import (
    face_of,
    load_avatar,
    make_codec,
    make_engine,
    recording_of,
)
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.runtime.step_scheduler import MAX_BATCH, SchedulerStatus, StepScheduler
from avatar_forcing_ros.streaming.cuda_graphs import SharedRecordings


class SharedWeights:
    """The networks of one configuration, and the thread that makes everybody's blocks.

    Each session has a face, a tracker, a sampling and a seed of its own and goes into an `Avatar`
    as any other does. Blocks of all that are live end at the same moments of the clock, which has
    to be one for all of them. How many there may be is for the caller to say. `close`, or leaving
    a ``with``, ends them all.
    """

    def __init__(self, config: AvatarConfig, *, max_batch: int = MAX_BATCH) -> None:
        """Raises as `load.load_avatar` and `load.load_face` do."""
        self.config = config
        self._networks = load_avatar(config)
        self._face = face_of(config, self._networks)
        self._scheduler = StepScheduler(make_engine(config, self._networks), max_batch=max_batch)
        self._record = SharedRecordings(recording_of(config))
        self._scheduler.warm_up()
        self._scheduler.start()

    def new_session(
        self,
        portrait: Portrait | None = None,
        *,
        config: AvatarConfig | None = None,
        user_audio: bool = True,
        user_video: bool = True,
    ) -> Session:
        """One more conversation, with `portrait` or the configuration's; in any thread.

        `config` is one of its own: what is there of faces, background and sampling counts, not
        what is there of the networks. Takes a second or so: the face is made ready to be drawn.
        """
        own = config or self.config
        face = portrait or (face_of(own, self._networks) if config else self._face)
        codec = make_codec(own, self._networks, face, user_video=user_video, record=self._record)
        engine = self._scheduler.conversation()
        engine.set_sampling(own.sampling)
        return Session(engine, codec, user_audio=user_audio, user_video=user_video)

    @property
    def portrait_size_px(self) -> int:
        """The side of the images, and of a portrait for them."""
        return self._face.size_px

    @property
    def status(self) -> SchedulerStatus:
        """What the scheduler has done."""
        return self._scheduler.status

    @property
    def alive(self) -> bool:
        """Whether blocks are made."""
        return self._scheduler.alive

    def close(self) -> bool:
        """Make no more blocks; False where one is still being made. Stop the avatars first."""
        return self._scheduler.stop()

    def __enter__(self) -> SharedWeights:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def build_sessions(
    config: AvatarConfig, count: int, *, user_audio: bool = True, user_video: bool = True
) -> tuple[SharedWeights, list[Session]]:
    """One set of weights and `count` sessions on it; raises as `SharedWeights` does."""
    weights = SharedWeights(config)
    try:
        sessions = [
            weights.new_session(user_audio=user_audio, user_video=user_video) for _ in range(count)
        ]
    except BaseException:
        weights.close()
        raise
    return weights, sessions
