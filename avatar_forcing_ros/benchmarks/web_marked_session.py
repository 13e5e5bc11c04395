"""An avatar whose pictures tell which of the user's pictures they answer.

What the tracker makes of a marked picture is remembered by its value, so whatever a block was
conditioned on names the newest picture that it depends on. Every frame of a block carries that
number: the first of them is the first that depends on the picture.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.benchmarks import web_picture_marks as picture_marks
from avatar_forcing_ros.config import AvatarConfig
from avatar_forcing_ros.media import AvatarBlock, VideoFrame
from avatar_forcing_ros.perception.user_motion import UserMotion
from avatar_forcing_ros.runtime.load import build_session
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.streaming.codec import MotionCodec

REMEMBERED = 500  # pictures and blocks


class _Remembered(OrderedDict[Any, int]):
    """The newest numbers by what they belong to."""

    def __setitem__(self, key: Any, number: int) -> None:
        super().__setitem__(key, number)
        while len(self) > REMEMBERED:
            self.popitem(last=False)


class MarkingCodec:
    """A codec that remembers which picture each motion of the user was seen in."""

    def __init__(self, codec: MotionCodec) -> None:
        self._codec = codec
        self.seen = _Remembered()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codec, name)

    def encode_user(self, frame: VideoFrame) -> UserMotion:
        """The motion in `frame`, remembered."""
        motion = self._codec.encode_user(frame)
        number = picture_marks.read(frame.pixels)
        if number is not None:
            self.seen[motion.values.tobytes()] = number
        return motion


class MarkedSession(Session):
    """A session that knows the newest picture that each of its blocks depends on."""

    def __init__(self, session: Session) -> None:
        self.answered = _Remembered()
        self.marking = MarkingCodec(session.codec)
        super().__init__(session.engine, self.marking)

    def next_block(self) -> AvatarBlock:
        """The next block, noted."""
        block = super().next_block()
        rows = (row.tobytes() for row in self.last_user_motion)
        known = [self.marking.seen[row] for row in rows if row in self.marking.seen]
        if known:
            self.answered[block.motion.block_index] = known[-1]
        return block

    def drawn(self, block: AvatarBlock) -> Iterator[NDArray[np.uint8]]:
        """The block's pictures, marked."""
        number = self.answered.get(block.motion.block_index)
        for picture in super().drawn(block):
            if number is not None:
                picture_marks.mark(picture, number)
            yield picture


def marked_session(config: AvatarConfig) -> Session:
    """A session whose pictures tell what they answer."""
    return MarkedSession(build_session(config))
