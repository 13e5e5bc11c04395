"""What of a session moves with its conversation, as bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from avatar_forcing_ros.errors import ConversationError
from avatar_forcing_ros.media import AudioChunk, VideoFrame
from avatar_forcing_ros.rig.expressions import Expression
from avatar_forcing_ros.streaming.directed_motion import DirectedMotion, GazeTarget, Spring
from avatar_forcing_ros.streaming.snapshot import STREAM_CLASSES, fields_of, from_bytes, to_bytes
from avatar_forcing_ros.streaming.state import StreamState
from avatar_forcing_ros.sync.clock_mapping import Drift
from avatar_forcing_ros.sync.image_track import ImageTrack, MotionTrack
from avatar_forcing_ros.sync.timeline import AudioTrack

if TYPE_CHECKING:
    from avatar_forcing_ros.streaming.engine import BlockEngine

_VALUES = (*STREAM_CLASSES, AudioChunk, VideoFrame, Expression, GazeTarget)
# objects whose attributes are all that they remember, as a new one has them
_NEW = (AudioTrack(), ImageTrack(), MotionTrack(1), DirectedMotion(), Spring(1, 1.0), Drift())
_FIELDS = {cls: fields_of(cls) for cls in _VALUES} | {
    type(new): frozenset(vars(new)) for new in _NEW
}


def session_to_bytes(content: dict[str, Any], engine: BlockEngine) -> bytes:
    """`content`, what a session remembers by name, for sessions of the same weights."""
    return to_bytes(content, engine.identity, tuple(_FIELDS))


def session_from_bytes(data: bytes, engine: BlockEngine, like: dict[str, Any]) -> dict[str, Any]:
    """The reverse; everything is of the type that it has in `like`, a new session's.

    Raises ConversationError as `snapshot.from_bytes`.
    """
    state = like["state"]
    assert isinstance(state, StreamState)
    content = from_bytes(data, engine.identity, _FIELDS, state.reference.device)
    is_same = isinstance(content, dict) and content.keys() == like.keys()
    if not is_same or any(type(content[name]) is not type(like[name]) for name in like):
        raise ConversationError(
            "snapshot",
            expected="one of a session",
            got="something else",
            remedy="give what 'Session.snapshot' gave",
        )
    return content
