"""The stage of ``telepresence_node``: the avatar lives elsewhere on the ROS graph.

Knows nothing of ROS: the node brings what came, and takes what is to be sent. Its methods are
called from the server's threads and from the executor's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError, OutputError
from avatar_forcing_ros.media import AudioChunk, AvatarFrame, VideoFrame
from avatar_forcing_ros.runtime.waiting_voice import waiting_with_s
from avatar_forcing_ros.sync.frame_pairs import FramePairs
from avatar_forcing_ros.sync.robot_sound import RobotSound
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ
from avatar_forcing_ros.web.refusal import RefusedError
from avatar_forcing_ros.web.stage import Mode

QUIET_S = 3.0  # avatar_node tells its state every second
SMOOTHING = 0.1  # weight of the newest frame
PLACEHOLDER = np.full((512, 512, 3), 128, np.uint8)
ONE = "an avatar on the graph"
START_ONE = "start avatar_node, with the same namespace and ROS_DOMAIN_ID"
NO_AVATAR, NO_FRAMES = "no avatar on the graph", "no frames from the avatar"


class Graph(Protocol):
    """What the node does for the stage, in any thread, at once."""

    def now_ns(self) -> int:
        """ROS time."""

    def send_voice(self, chunk: AudioChunk) -> None:
        """Sound that the avatar is to say."""

    def send_user_sound(self, chunk: AudioChunk) -> None:
        """Sound of the person before the avatar."""

    def send_user_picture(self, frame: VideoFrame) -> None:
        """A picture of them."""

    def stop_speaking(self) -> Future[int]:
        """Call the avatar's service; how many samples it dropped."""


@dataclass(frozen=True)
class AvatarFigures:
    """What the avatar says of itself in ``avatar/state``."""

    state: str
    reaction_ms: float
    compute_ms: float
    compute_p99_ms: float
    face_visible: bool
    reduced: bool
    late_blocks: int


class GraphStage:
    """`browser_is_user`: camera and microphone are the person's before the avatar.

    Otherwise the microphone is the avatar's voice, and the camera is not looked at. With
    `has_robot_sound` every frame carries what the robot hears.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        browser_is_user: bool = False,
        has_view: bool = False,
        has_robot_sound: bool = False,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._graph, self._now_s = graph, now_s
        self._browser_is_user, self._has_view = browser_is_user, has_view
        self._has_robot_sound = has_robot_sound
        self._lock = threading.Lock()  # around frames and who is shown them
        self._pairs = FramePairs(self._on_pair)
        self._robot_sound = RobotSound()
        self._show: Callable[[AvatarFrame], None] | None = None
        self._show_view: Callable[[VideoFrame], None] | None = None
        self._face = PLACEHOLDER
        self._figures: AvatarFigures | None = None
        self._told_s = self._framed_s = self._begun_s = -QUIET_S - 1.0
        self._said_until_s = 0.0
        self.delay_ms = 0.0  # of the newest frames: from their stamps to here
        self.sent_pieces = self.muted_pieces = 0

    @property
    def mode(self) -> Mode:
        """The operator lends the avatar a voice, or the browser's person talks with it."""
        return "live" if self._browser_is_user else "telepresence"

    @property
    def wants_camera(self) -> bool:
        """An operator's face is of no use to the robot; a person's before the avatar is."""
        return self._browser_is_user

    @property
    def has_view(self) -> bool:
        """Whether the robot's camera is shown."""
        return self._has_view

    @property
    def has_robot_sound(self) -> bool:
        """Whether the operator hears who is before the robot."""
        return self._has_robot_sound

    @property
    def running(self) -> bool:
        """Whether anybody looks."""
        return self._show is not None

    def start(
        self, show: Callable[[AvatarFrame], None], show_view: Callable[[VideoFrame], None]
    ) -> None:
        """Show the avatar, from its next frame on."""
        with self._lock:
            self._pairs.clear()
            self._robot_sound.clear()
            self._begun_s = self._now_s()
            self._show, self._show_view = show, show_view

    def stop(self) -> None:
        """Nobody looks any more."""
        with self._lock:
            self._show = self._show_view = None

    def now_ns(self) -> int:
        """ROS time."""
        return self._graph.now_ns()

    def push_user_audio(self, chunk: AudioChunk) -> None:
        """The microphone; it waits while the avatar says what was typed or uploaded."""
        if self._browser_is_user:
            self._graph.send_user_sound(chunk)
        elif self._now_s() < self._said_until_s:
            self.muted_pieces += 1
            return
        else:
            self._graph.send_voice(chunk)
        self.sent_pieces += 1

    def push_user_frame(self, frame: VideoFrame) -> None:
        """The camera."""
        if self._browser_is_user:
            self._graph.send_user_picture(frame)

    def say(self, samples: NDArray[np.float32]) -> float:
        """Have `samples` said after what waits; by then how many seconds wait."""
        if not self.is_there:
            raise MediaError("voice", expected=ONE, got="none", remedy=START_ONE)
        now_s = self._now_s()
        unsaid_s = max(0.0, self._said_until_s - now_s)
        waiting_s = waiting_with_s(round(unsaid_s * SAMPLE_RATE_HZ), samples)
        self._graph.send_voice(AudioChunk(samples, SAMPLE_RATE_HZ, self.now_ns()))
        self._said_until_s = now_s + waiting_s
        return waiting_s

    def stop_speaking(self) -> Future[int]:
        """Silence within a block; the future raises OutputError where there is no avatar."""
        self._said_until_s = 0.0
        if self.is_there:
            return self._graph.stop_speaking()
        # services of a program that was killed look alive for a while, and never answer
        missing: Future[int] = Future()
        missing.set_exception(
            OutputError("stop speaking", expected=ONE, got="none", remedy=START_ONE)
        )
        return missing

    def face(self) -> NDArray[np.uint8]:
        """The newest picture; grey before the first."""
        return self._face

    def change_face(self, picture: NDArray[np.uint8]) -> Future[int]:
        """RefusedError: the face belongs to the robot."""
        raise RefusedError(
            409,
            "portrait",
            expected="'avatar-forcing live'",
            got="a robot's avatar, which keeps its face",
            remedy="set the parameter portrait of avatar_node to a file on its machine",
        )

    def restore_face(self) -> None:
        """It was never changed."""

    def put_picture(self, stamp_ns: int, pixels: NDArray[np.uint8]) -> None:
        """A picture of the avatar came."""
        with self._lock:
            self._face = pixels
            self._pairs.put_picture(stamp_ns, pixels)

    def put_sound(self, stamp_ns: int, samples: NDArray[np.float32]) -> None:
        """The avatar's voice came, of one frame, 16 kHz."""
        with self._lock:
            self._pairs.put_sound(stamp_ns, samples)

    def put_view(self, frame: VideoFrame) -> None:
        """A picture of the robot's camera came."""
        with self._lock:
            if self._show_view:
                self._show_view(frame)

    def put_robot_sound(self, samples: NDArray[np.float32]) -> None:
        """Sound ``[n]`` of the person before the robot came, 16 kHz."""
        with self._lock:
            self._robot_sound.put(samples)

    def put_figures(self, figures: AvatarFigures) -> None:
        """The avatar told its state."""
        self._figures, self._told_s = figures, self._now_s()

    @property
    def is_there(self) -> bool:
        """Whether anything came of an avatar in the last seconds."""
        return self._now_s() - max(self._told_s, self._framed_s) <= QUIET_S

    @property
    def trouble(self) -> str:
        """What is wrong on the graph; empty where nothing is."""
        if not self.is_there:
            return NO_AVATAR
        waits_s = self._now_s() - max(self._framed_s, self._begun_s)
        return NO_FRAMES if self.running and waits_s > QUIET_S else ""

    def counts(self) -> dict[str, int]:
        """What has been shown, and what was missing."""
        pairs, robot = self._pairs, self._robot_sound
        return {
            "frames": pairs.frames,
            "missing_pictures": pairs.missing_pictures,
            "missing_sounds": pairs.missing_sounds,
            "late_halves": pairs.late,
            "missing_robot_samples": robot.missing_samples,
            "dropped_robot_samples": robot.dropped_samples,
            "sent_microphone_pieces": self.sent_pieces,
            "muted_microphone_pieces": self.muted_pieces,
        }

    def told(self) -> dict[str, Any]:
        """The avatar's state and figures; `graph_ms` is how long its frames take to come here."""
        figures = self._figures if self.is_there else None
        waiting_s = max(0.0, self._said_until_s - self._now_s())
        return {
            "state": self.trouble or (figures.state if figures else "listening"),
            "reaction_ms": round(figures.reaction_ms, 1) if figures else None,
            "graph_ms": round(self.delay_ms - figures.reaction_ms, 1) if figures else None,
            "compute_ms": round(figures.compute_ms, 1) if figures else None,
            "compute_p99_ms": round(figures.compute_p99_ms, 1) if figures else None,
            "face_visible": bool(figures and figures.face_visible),
            "reduced": bool(figures and figures.reduced),
            "skipped_blocks": figures.late_blocks if figures else 0,
            "failed_blocks": 0,
            "waiting_voice_samples": round(waiting_s * SAMPLE_RATE_HZ),
            **self.counts(),
        }

    def _on_pair(self, frame: AvatarFrame) -> None:
        self._framed_s = self._now_s()
        delay_ms = (self.now_ns() - frame.stamp_ns) / 1e6
        self.delay_ms += SMOOTHING * (delay_ms - self.delay_ms)
        if self._show:
            heard = self._robot_sound.take() if self._has_robot_sound else None
            self._show(replace(frame, robot_audio=heard))
