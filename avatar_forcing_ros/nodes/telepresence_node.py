"""`telepresence_node`: the avatar in a browser, for an operator who talks through it.

The page of ``avatar-forcing live`` on the ROS graph: the avatar's pictures and voice go out by
WebRTC, the operator's microphone comes back as the avatar's voice. The web server lives in a
thread of its own, the executor in the main one; topics with pictures and sound are subscribed to
while somebody looks.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import cv2
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.time import Time
from sensor_msgs.msg import CompressedImage, Image

from avatar_forcing_ros.errors import ConfigError, MissingDependencyError
from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.msg import AvatarState
from avatar_forcing_ros.nodes import diagnostics, qos
from avatar_forcing_ros.nodes.audio_subscription import AudioSubscription
from avatar_forcing_ros.nodes.bad_message import BadMessage
from avatar_forcing_ros.nodes.convert_image import compressed_to_rgb, image_to_rgb
from avatar_forcing_ros.nodes.graph_stage import AvatarFigures, GraphStage
from avatar_forcing_ros.nodes.interface import TELEPRESENCE_PARAMETERS
from avatar_forcing_ros.nodes.node_base import NodeBase, UnrecoverableError
from avatar_forcing_ros.nodes.node_main import run_node
from avatar_forcing_ros.nodes.parameters import choice_trouble, declare, values
from avatar_forcing_ros.nodes.stamps import MessageTime
from avatar_forcing_ros.nodes.stop_signals import StopSignals
from avatar_forcing_ros.nodes.subscriptions import MatchedSubscription
from avatar_forcing_ros.nodes.telepresence_outputs import TelepresenceOutputs
from avatar_forcing_ros.resources import user_path

FOLLOW_PERIOD_S = 0.2
REPORT_PERIOD_S = 1.0
VIEW_PERIOD_S = 0.06  # the page shows 15 pictures a second of the robot's camera
VIEW_SIDE_PX = 640
STATES = {AvatarState.IDLE: "idle", AvatarState.LISTENING: "listening"}


class TelepresenceNode(NodeBase):
    """Raises AvatarForcingError for parameters of no use; `serve` opens the page."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__("telepresence_node", **node_options)
        self._server: Any = None
        self._matched: list[AudioSubscription | MatchedSubscription] = []
        try:
            declare(self, TELEPRESENCE_PARAMETERS, {})
            self.settings = values(self, TELEPRESENCE_PARAMETERS)
            _check(self.settings)
            outputs = TelepresenceOutputs(self, self.settings, self.errors)
            self.stage = GraphStage(
                outputs,
                browser_is_user=self.settings["browser_is_user"],
                has_view=self.settings["robot_view"],
                has_robot_sound=self.settings["robot_sound"],
            )
            self._viewed_s = 0.0
            self._frames_then = 0
            self._group = MutuallyExclusiveCallbackGroup()
            # volatile, so that a replayed state is heard as well; it comes every second
            self.create_subscription(
                AvatarState, "avatar/state", self._on_state, 1, callback_group=self._group
            )
            self._diagnostics = qos.publisher(
                self, "/diagnostics", DiagnosticArray, self.errors, managed=False
            )
            # the page goes on while simulated time stands still
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self.create_timer(FOLLOW_PERIOD_S, self._follow, self._group, clock=steady)
            self.create_timer(REPORT_PERIOD_S, self._report, self._group, clock=steady)
        except BaseException:
            self.destroy_node()
            raise

    def serve(self) -> str:
        """Open the page; its address.

        Raises ConfigError for an unsafe or unusable setting, OutputError for a port that cannot be
        had and MissingDependencyError without aiohttp or aiortc.
        """
        given = self.settings
        paths = {
            name: user_path(given[name]) if given[name] else None
            for name in ("token_file", "tls_cert", "tls_key")
        }
        web = _web()
        access = web.access_for(
            given["host"], paths["token_file"], open_to_viewers=given["open_to_viewers"]
        )
        tls = web.tls_context(paths["tls_cert"], paths["tls_key"])
        door = web.Door(access, given["host"], given["port"], tls, given["most_viewers"])
        self._server = web.ServingThread(self.stage, door)
        self.get_logger().info(f"open {door.url} in a browser")
        return str(door.url)

    def start(self, signals: StopSignals) -> None:
        """Open the page."""
        self.serve()

    def close(self) -> None:
        """End all connections and the web server."""
        server, self._server = self._server, None
        if server and not server.stop():
            self.errors.count("web server", "the web server did not end in time")

    def _follow(self) -> None:
        """Take pictures and sound off the network while somebody looks."""
        if self.stage.running and not self._matched:
            self._open()
        elif self._matched and not self.stage.running:
            for subscription in self._matched:
                subscription.close()
            self._matched = []

    def _open(self) -> None:
        self._matched = [
            AudioSubscription(
                self,
                "avatar/audio_aligned",
                self.settings,
                lambda chunk, at: self.stage.put_sound(at.ns, chunk.samples),
                lambda msg: self._time_of(msg, "avatar/audio_aligned"),
                self.errors,
                self._group,
            ),
            self._image_subscription("avatar/image_raw", "image_transport", self._on_picture),
        ]
        if self.settings["robot_view"]:
            self._matched.append(
                self._image_subscription("user/image", "user_image_transport", self._on_view)
            )
        if self.settings["robot_sound"]:
            # by its time of arrival: it is heard at once, whatever its stamps
            self._matched.append(
                AudioSubscription(
                    self,
                    "user/audio",
                    self.settings,
                    lambda chunk, _: self.stage.put_robot_sound(chunk.samples),
                    lambda _: MessageTime(time.monotonic_ns(), arrived=True),
                    self.errors,
                    self._group,
                    queued=True,
                )
            )

    def _image_subscription(
        self, topic: str, transport: str, callback: Callable[[Any, Callable[[Any], Any]], None]
    ) -> MatchedSubscription:
        is_compressed = self.settings[transport] == "compressed"
        to_rgb = compressed_to_rgb if is_compressed else image_to_rgb
        return MatchedSubscription(
            self,
            f"{topic}/compressed" if is_compressed else topic,
            [CompressedImage if is_compressed else Image],
            lambda msg: callback(msg, to_rgb),
            self.errors,
            self._group,
            like=topic,
        )

    def _on_picture(self, msg: Any, to_rgb: Callable[[Any], Any]) -> None:
        at = self._time_of(msg, "avatar/image_raw")
        if at is None:
            return
        try:
            pixels = to_rgb(msg)
        except BadMessage as bad:
            self.errors.count(f"avatar/image_raw {bad.reason}", f"avatar/image_raw: {bad}")
            return
        self.stage.put_picture(at.ns, pixels)

    def _time_of(self, msg: Any, topic: str) -> MessageTime | None:
        """The stamp; None, and counted, where there is none."""
        header = getattr(msg, "header", None)
        stamp_ns = int(Time.from_msg(header.stamp).nanoseconds) if header else 0
        if stamp_ns:
            return MessageTime(stamp_ns, arrived=False)
        self.errors.count(
            f"{topic} stamp_zero",
            f"{topic}: expected stamps, got none; picture and voice cannot be put together, "
            "so these messages are dropped",
        )
        return None

    def _on_view(self, msg: Any, to_rgb: Callable[[Any], Any]) -> None:
        now_s = time.monotonic()
        if now_s - self._viewed_s < VIEW_PERIOD_S:
            return
        self._viewed_s = now_s
        try:
            pixels = to_rgb(msg)
        except BadMessage as bad:
            self.errors.count(f"user/image {bad.reason}", f"user/image: {bad}")
            return
        height, width = pixels.shape[:2]
        shrink = min(1.0, VIEW_SIDE_PX / max(height, width))
        # VP8 wants sides of two pixels at least, and even ones
        size = [max(2, round(shrink * side / 2) * 2) for side in (width, height)]
        if size != [width, height]:
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        self.stage.put_view(VideoFrame(pixels, round(now_s * 1e9)))

    def _on_state(self, msg: Any) -> None:
        self.stage.put_figures(
            AvatarFigures(
                state=STATES.get(msg.state, "speaking"),
                reaction_ms=msg.reaction_latency_ms,
                compute_ms=msg.block_compute_ms,
                compute_p99_ms=msg.block_compute_p99_ms,
                face_visible=msg.face_visible,
                reduced=msg.reduced,
                late_blocks=msg.late_blocks,
            )
        )

    def _report(self) -> None:
        """Diagnostics, every second."""
        if self._server and self._server.failure:
            raise UnrecoverableError(  # without its page the node is of no use
                "the web server",
                expected="it to run until the node ends",
                got=f"{type(self._server.failure).__name__}: {self._server.failure}",
                remedy="start the node anew",
            )
        counts = self.stage.counts()
        fps = (counts["frames"] - self._frames_then) / REPORT_PERIOD_S
        self._frames_then = counts["frames"]
        errors = self.errors.counts
        message = self.stage.trouble or (f"{sum(errors.values())} errors" if errors else "")
        level = DiagnosticStatus.WARN if message else DiagnosticStatus.OK
        figures = {
            "watched": self.stage.running,
            "fps": fps,
            "delay_ms": self.stage.delay_ms,
            **counts,
            **errors,
        }
        name = f"{self.get_fully_qualified_name()}: page"
        line = diagnostics.status(level, name, message or "alive", figures)
        self._diagnostics.publish(diagnostics.array(self, [line]))


def _check(given: dict[str, Any]) -> None:
    trouble = choice_trouble(TELEPRESENCE_PARAMETERS, given)
    if not trouble and given["robot_view"] and given["browser_is_user"]:
        trouble = "robot_view would show what browser_is_user sends"
    if not trouble and given["robot_sound"] and given["browser_is_user"]:
        trouble = "robot_sound would play what browser_is_user sends"
    if trouble:
        raise ConfigError(
            "parameters", expected="values that go together", got=trouble, remedy="correct it"
        )


class _Web:
    """What is needed of the web server, whose packages are optional."""

    def __init__(self) -> None:
        from avatar_forcing_ros.web.access import access_for
        from avatar_forcing_ros.web.serving import Door, ServingThread
        from avatar_forcing_ros.web.tls import tls_context

        self.access_for, self.tls_context = access_for, tls_context
        self.Door, self.ServingThread = Door, ServingThread


def _web() -> _Web:
    try:
        return _Web()
    except ImportError as error:
        raise MissingDependencyError(
            "the page",
            expected="the packages aiohttp and aiortc",
            got=str(error),
            remedy="pip install 'avatar_forcing_ros[web]'",
        ) from error


def main(args: Sequence[str] | None = None, signals: StopSignals | None = None) -> int:
    """Run the node until it is told to end; the process's exit code."""
    return run_node("telepresence_node", TelepresenceNode, args, signals)


if __name__ == "__main__":
    sys.exit(main())
