"""The backend of ``telepresence_node``: the avatar lives elsewhere on the ROS graph.

`GraphBackend` conforms to ``web.backend.AvatarBackend``; the node hands it what came (`push_…`),
and it publishes by `GraphOutputs`. Methods are called from the server's and executor's threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rclpy
from geometry_msgs.msg import PointStamped
from numpy.typing import NDArray

from avatar_forcing_ros.errors import ConversationError, OutputError
from avatar_forcing_ros.media import AudioChunk, AvatarFrame, VideoFrame
from avatar_forcing_ros.msg import AvatarState
from avatar_forcing_ros.nodes.audio_topics import AudioPublisher
from avatar_forcing_ros.nodes.convert_audio import stamped_kind
from avatar_forcing_ros.nodes.convert_commands import (
    EXPRESSION_MESSAGES,
    expression_to_msg,
    gaze_target_to_msg,
)
from avatar_forcing_ros.nodes.convert_image import (
    image_transport,
    pixels_to_compressed,
    pixels_to_image,
)
from avatar_forcing_ros.nodes.interface import TABLE, header
from avatar_forcing_ros.nodes.node_base import NodeBase
from avatar_forcing_ros.nodes.stop_client import StopSpeakingClient
from avatar_forcing_ros.rig.expressions import Expression
from avatar_forcing_ros.runtime.speech_backlog import SpeechBacklog
from avatar_forcing_ros.runtime.status import AvatarStatus
from avatar_forcing_ros.streaming.directed_motion import GazeTarget
from avatar_forcing_ros.sync.audio_buffers import JitterBuffer
from avatar_forcing_ros.sync.pairing import FramePairer

TIMEOUT_S = 3.0  # avatar_node publishes its state every second
SMOOTHING = 0.1  # weight of the newest frame
FRAME_ID = "operator"
EXPRESSION, LOOK_AT = "avatar_node/expression", "avatar_node/look_at"
NO_AVATAR, NO_FRAMES = "no avatar on the graph", "no frames from the avatar"


class GraphBackend:
    """`browser_is_user`: camera and microphone are those of the person before the avatar.

    Otherwise the microphone is the avatar's speech, and the camera is not used. With
    `has_robot_audio` every frame carries audio of the robot's microphone.
    """

    changes_portrait = False  # the face belongs to the robot
    has_alpha = False  # a transparent one is shown before black

    def __init__(
        self,
        outputs: GraphOutputs,
        *,
        browser_is_user: bool = False,
        has_view: bool = False,
        has_robot_audio: bool = False,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.mode: Literal["live", "telepresence"] = "live" if browser_is_user else "telepresence"
        self.wants_camera = self._browser_is_user = browser_is_user
        self.has_view, self.has_robot_audio = has_view, has_robot_audio
        self.portrait: NDArray[np.uint8] | None = None  # then the newest image
        self.now_ns = outputs.now_ns
        self._outputs, self._now_s = outputs, now_s
        self._lock = threading.Lock()  # around frames and who gets them
        self._pairs = FramePairer(self._on_pair)
        self._robot_audio = JitterBuffer()
        self._on_frame: Callable[[AvatarFrame], None] | None = None
        self._on_view: Callable[[VideoFrame], None] | None = None
        self._avatar_status = AvatarStatus()
        self._status_s = self._frame_s = self._begun_s = -TIMEOUT_S - 1.0
        self._backlog = SpeechBacklog(now_s)
        self.delay_ms = 0.0  # of the newest frames: from their stamps to here
        self._sent_chunks = self._muted_chunks = 0

    @property
    def running(self) -> bool:
        """Whether the page is open."""
        return self._on_frame is not None

    def start(
        self, on_frame: Callable[[AvatarFrame], None], on_view: Callable[[VideoFrame], None]
    ) -> None:
        """Show the avatar, from its next frame on."""
        with self._lock:
            self._pairs.clear()
            self._robot_audio.clear()
            self._begun_s = self._now_s()
            self._on_frame, self._on_view = on_frame, on_view

    def stop(self) -> None:
        """The page is closed."""
        with self._lock:
            self._on_frame = self._on_view = None

    def push_user_audio(self, chunk: AudioChunk) -> None:
        """The microphone; it is muted while the avatar speaks what was typed or uploaded."""
        if not self._browser_is_user and self._backlog.samples:
            self._muted_chunks += 1
            return
        self._sent_chunks += 1
        if self._browser_is_user:
            self._outputs.publish_user_audio(chunk)
        else:
            self._outputs.publish_avatar_audio(chunk)

    def push_user_frame(self, frame: VideoFrame) -> None:
        """The camera."""
        if self._browser_is_user:
            self._outputs.publish_user_frame(frame)

    def push_avatar_audio(self, chunk: AudioChunk) -> None:
        """What was typed or uploaded, spoken after what waits."""
        self._backlog.add(len(chunk.samples))
        self._outputs.publish_avatar_audio(chunk)

    def stop_speaking(self) -> Future[int]:
        """Silence within a block; how much of what was pushed had not been spoken.

        The future raises OutputError where there is no avatar.
        """
        waiting = self._backlog.samples
        self._backlog.clear()
        if self.connected:
            return self._outputs.stop_speaking(waiting)
        # services of a program that was killed look alive for a while, and never answer
        unreachable: Future[int] = Future()
        unreachable.set_exception(
            OutputError(
                "stop speaking",
                expected="an avatar on the graph",
                got="none",
                remedy="start avatar_node, with the same namespace and ROS_DOMAIN_ID",
            )
        )
        return unreachable

    def push_expression(self, expression: Expression) -> None:
        """What the face is to show from now on."""
        self._outputs.publish_expression(expression)

    def push_gaze_target(self, target: GazeTarget) -> None:
        """Where it is to look; for how long, `avatar_node` decides."""
        self._outputs.publish_gaze_target(target)

    def set_portrait(self, image: NDArray[np.uint8], file: Path | None = None) -> Future[None]:
        """Raises ConversationError."""
        raise ConversationError(
            "portrait",
            expected="'avatar-forcing live'",
            got="a robot's avatar, which keeps its face",
            remedy="set the parameter portrait of avatar_node to a file on its machine",
        )

    def restore_portrait(self) -> None:
        """It was never changed."""

    def push_image(self, stamp_ns: int, pixels: NDArray[np.uint8]) -> None:
        """An image of the avatar came."""
        with self._lock:
            self.portrait = pixels
            self._pairs.push_image(stamp_ns, pixels)

    def push_audio(self, stamp_ns: int, samples: NDArray[np.float32]) -> None:
        """The avatar's audio came, of one frame, 16 kHz."""
        with self._lock:
            self._pairs.push_audio(stamp_ns, samples)

    def push_view(self, frame: VideoFrame) -> None:
        """A frame of the robot's camera came."""
        with self._lock:
            if self._on_view:
                self._on_view(frame)

    def push_robot_audio(self, samples: NDArray[np.float32]) -> None:
        """Audio ``[n]`` of the robot's microphone came, 16 kHz."""
        with self._lock:
            self._robot_audio.push(samples)

    def put_status(self, status: AvatarStatus) -> None:
        """The avatar published its state."""
        self._avatar_status, self._status_s = status, self._now_s()

    @property
    def connected(self) -> bool:
        """Whether anything came of an avatar in the last seconds."""
        return self._now_s() - max(self._status_s, self._frame_s) <= TIMEOUT_S

    @property
    def status(self) -> AvatarStatus:
        """The avatar's, as long as it publishes one, and what is known here."""
        connected, warning = self.connected, ""
        if not connected:
            warning = NO_AVATAR
        elif self.running and self._now_s() - max(self._frame_s, self._begun_s) > TIMEOUT_S:
            warning = NO_FRAMES
        status = self._avatar_status if connected else AvatarStatus()
        return replace(
            status,
            graph_delay_ms=self.delay_ms - status.playout_delay_ms,
            running=self.running,
            waiting_avatar_audio_samples=self._backlog.samples,
            connected=connected,
            warning=warning,
        )

    def counts(self) -> dict[str, int]:
        """What has been shown, and what was missing, for the diagnostics."""
        pairs, robot = self._pairs, self._robot_audio
        return {
            "frames": pairs.frames,
            "missing_images": pairs.missing_images,
            "missing_audio": pairs.missing_audio,
            "late_halves": pairs.late,
            "missing_robot_samples": robot.missing_samples,
            "dropped_robot_samples": robot.dropped_samples,
            "sent_microphone_chunks": self._sent_chunks,
            "muted_microphone_chunks": self._muted_chunks,
        }

    def _on_pair(self, frame: AvatarFrame) -> None:
        self._frame_s = self._now_s()
        delay_ms = (self.now_ns() - frame.stamp_ns) / 1e6
        self.delay_ms += SMOOTHING * (delay_ms - self.delay_ms)
        if self._on_frame:
            robot_audio = self._robot_audio.take() if self.has_robot_audio else None
            self._on_frame(replace(frame, robot_audio=robot_audio))


class GraphOutputs:
    """What the browser sends, on the graph: publishers, and the client of the service that stops
    speech. Methods may be called in any thread.
    """

    def __init__(self, node: NodeBase, settings: Mapping[str, Any]) -> None:
        self._node = node
        self._jpeg_quality = settings["jpeg_quality"]
        kind = stamped_kind(settings["audio_msg"])
        self._avatar_audio = AudioPublisher(node, "avatar/audio", kind)
        self._user_audio: AudioPublisher | None = None
        self._user_image: Any = None
        self._compressed = settings["user_image_transport"] == "compressed"
        if settings["browser_is_user"]:
            self._user_audio = AudioPublisher(node, "user/audio", kind)
            topic, message, _ = image_transport("user/image", settings["user_image_transport"])
            self._user_image = node.create_publisher(message, topic, TABLE["user/image"].profile())
        self.stop_speaking = StopSpeakingClient(node, settings["stop_service"]).call
        self._expression = node.create_publisher(
            EXPRESSION_MESSAGES[0], EXPRESSION, TABLE["~/expression"].profile()
        )
        self._look_at = node.create_publisher(PointStamped, LOOK_AT, TABLE["~/look_at"].profile())

    def now_ns(self) -> int:
        """ROS time."""
        return self._node.now_ns()

    def publish_avatar_audio(self, chunk: AudioChunk) -> None:
        """Speech for the avatar."""
        self._publish_audio(self._avatar_audio, chunk)

    def publish_user_audio(self, chunk: AudioChunk) -> None:
        """Audio of the person before the avatar."""
        assert self._user_audio
        self._publish_audio(self._user_audio, chunk)

    def publish_user_frame(self, frame: VideoFrame) -> None:
        """A camera frame of them."""
        stamped = header(frame.stamp_ns, FRAME_ID)

        def publish() -> None:
            if self._compressed:
                msg = pixels_to_compressed(frame.pixels, stamped, self._jpeg_quality)
            else:
                msg = pixels_to_image(frame.pixels, stamped)
            self._user_image.publish(msg)

        self._guarded(publish)

    def publish_expression(self, expression: Expression) -> None:
        """What the avatar's face is to show."""
        msg = expression_to_msg(expression, header(self.now_ns(), FRAME_ID))
        self._guarded(lambda: self._expression.publish(msg))

    def publish_gaze_target(self, target: GazeTarget) -> None:
        """Where it is to look, as a point in the avatar's own frame, which has no name here."""
        msg = gaze_target_to_msg(target, header(self.now_ns(), ""))
        self._guarded(lambda: self._look_at.publish(msg))

    def _publish_audio(self, publisher: AudioPublisher, chunk: AudioChunk) -> None:
        stamped = header(chunk.stamp_ns, FRAME_ID)
        self._guarded(lambda: publisher.publish(chunk.samples, stamped))

    def _guarded(self, publish: Callable[[], None]) -> None:
        if not rclpy.ok(context=self._node.context):  # the program is ending
            return
        try:
            publish()
        except Exception as error:  # counted; the next one may succeed
            self._node.errors.count("sending", f"something could not be sent: {error}")


def status_of(msg: AvatarState) -> AvatarStatus:
    """The status that `avatar/state` carries."""
    return AvatarStatus(
        seed=msg.seed,
        blocks=msg.blocks,
        late_blocks=msg.late_blocks,
        skipped_blocks=msg.skipped_blocks,
        failed_blocks=msg.failed_blocks,
        filled_audio_samples=msg.filled_audio_samples,
        filled_user_frames=msg.filled_user_frames,
        dropped_avatar_audio_samples=msg.dropped_avatar_audio_samples,
        compute_ms=msg.block_compute_ms,
        compute_p99_ms=msg.block_compute_p99_ms,
        speaking=msg.state == AvatarState.SPEAKING,
        user_speaking=msg.state == AvatarState.LISTENING,
        face_visible=msg.face_visible,
        reduced=msg.reduced,
        playout_delay_ms=msg.reaction_latency_ms,
    )
