"""`telepresence_node`: the avatar in a browser, for an operator who talks through it.

The page of ``avatar-forcing live`` on the ROS graph: the avatar's frames go out by WebRTC, the
operator's microphone comes back as its speech. The web server, which is injected, lives in a
thread of its own; topics with images and audio are subscribed to while the page is open.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import cv2
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.msg import AvatarState
from avatar_forcing_ros.node_config import TelepresenceNodeConfig
from avatar_forcing_ros.nodes import diagnostics
from avatar_forcing_ros.nodes.audio_topics import AudioSubscription
from avatar_forcing_ros.nodes.convert_image import Pixels
from avatar_forcing_ros.nodes.executable import StopSignals
from avatar_forcing_ros.nodes.graph_backend import GraphBackend, GraphOutputs, status_of
from avatar_forcing_ros.nodes.node_base import REPORT_PERIOD_S, NodeBase, UnrecoverableError
from avatar_forcing_ros.nodes.parameters import declare, invalid_choice, values
from avatar_forcing_ros.nodes.subscriptions import (
    MatchedSubscription,
    MessageTime,
    StampReader,
    subscribe_to_image,
)

CHECK_PERIOD_S = 0.2
VIEW_PERIOD_S = 0.06  # the page shows 15 frames a second of the robot's camera
VIEW_SIDE_PX = 640


class PageServer(Protocol):
    """A web server that runs in a thread of its own."""

    url: str
    failure: BaseException | None

    def stop(self) -> bool:
        """End it; False if it did not end in time."""


Serve = Callable[[GraphBackend, Mapping[str, Any]], PageServer]


class TelepresenceNode(NodeBase):
    """`serve` opens the page for a backend, by the node's parameters.

    Raises AvatarForcingError for unusable parameters.
    """

    def __init__(self, serve: Serve, **node_options: Any) -> None:
        super().__init__("telepresence_node", **node_options)
        self._serve = serve
        self._server: PageServer | None = None
        self._matched: list[AudioSubscription | MatchedSubscription] = []
        self._stamp = StampReader(self, math.inf, required=True)
        try:
            declare(self, TelepresenceNodeConfig)
            self.settings = values(self, TelepresenceNodeConfig)
            _check(self.settings)
            self.outputs = GraphOutputs(self, self.settings)
            self.backend = GraphBackend(
                self.outputs,
                browser_is_user=self.settings["browser_is_user"],
                has_view=self.settings["robot_view"],
                has_robot_audio=self.settings["robot_sound"],
            )
            self._viewed_s = 0.0
            self._reported_frames = 0
            self._group = MutuallyExclusiveCallbackGroup()
            # volatile, so that a replayed state is received as well; it comes every second
            self.create_subscription(
                AvatarState, "avatar/state", self._on_state, 1, callback_group=self._group
            )
            # the page goes on while simulated time stands still
            self.create_steady_timer(CHECK_PERIOD_S, self._subscribe_on_demand, self._group)
            self.publish_diagnostics(self._statuses, self._group)
        except BaseException:
            self.destroy_node()
            raise

    def start(self, signals: StopSignals) -> None:
        """Open the page.

        Raises ConfigError for an unsafe or unusable setting, OutputError for a port that cannot be
        bound and MissingDependencyError without aiohttp or aiortc.
        """
        self._server = self._serve(self.backend, self.settings)
        self.get_logger().info(f"open {self._server.url} in a browser")

    def close(self) -> None:
        """End all connections and the web server."""
        server, self._server = self._server, None
        if server and not server.stop():
            self.errors.count("web server", "the web server did not end in time")

    def _subscribe_on_demand(self) -> None:
        """Take images and audio off the network while the page is open."""
        if self.backend.running and not self._matched:
            self._subscribe()
        elif self._matched and not self.backend.running:
            for subscription in self._matched:
                subscription.close()
            self._matched = []

    def _subscribe(self) -> None:
        self._matched = [
            AudioSubscription(
                self,
                "avatar/audio_aligned",
                self.settings,
                lambda chunk, at: self.backend.push_audio(at.ns, chunk.samples),
                lambda msg: self._stamp(msg, "avatar/audio_aligned"),
                self._group,
            ),
            subscribe_to_image(
                self,
                "avatar/image_raw",
                self.settings["image_transport"],
                self._on_image,
                self._group,
            ),
        ]
        if self.settings["robot_view"]:
            self._matched.append(
                subscribe_to_image(
                    self,
                    "user/image",
                    self.settings["user_image_transport"],
                    self._on_view,
                    self._group,
                )
            )
        if self.settings["robot_sound"]:
            # by its time of arrival: it is played at once, whatever its stamps
            self._matched.append(
                AudioSubscription(
                    self,
                    "user/audio",
                    self.settings,
                    lambda chunk, _: self.backend.push_robot_audio(chunk.samples),
                    lambda _: MessageTime(time.monotonic_ns(), arrived=True),
                    self._group,
                    queued=True,
                )
            )

    def _on_image(self, msg: Any, to_rgb: Callable[[], Pixels]) -> None:
        self.backend.push_image(self._stamp(msg, "avatar/image_raw").ns, to_rgb())

    def _on_view(self, msg: Any, to_rgb: Callable[[], Pixels]) -> None:
        now_s = time.monotonic()
        if now_s - self._viewed_s < VIEW_PERIOD_S:
            return
        self._viewed_s = now_s
        pixels: Any = to_rgb()
        height, width = pixels.shape[:2]
        scale = min(1.0, VIEW_SIDE_PX / max(height, width))
        # VP8 wants sides of two pixels at least, and even ones
        size = [max(2, round(scale * side / 2) * 2) for side in (width, height)]
        if size != [width, height]:
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        self.backend.push_view(VideoFrame(pixels, round(now_s * 1e9)))

    def _on_state(self, msg: AvatarState) -> None:
        self.backend.put_status(status_of(msg))

    def _statuses(self) -> list[DiagnosticStatus]:
        """Diagnostics, every second."""
        if self._server and self._server.failure:
            raise UnrecoverableError(  # without its page the node is of no use
                "the web server",
                expected="it to run until the node ends",
                got=f"{type(self._server.failure).__name__}: {self._server.failure}",
                remedy="start the node anew",
            )
        counts = self.backend.counts()
        fps = (counts["frames"] - self._reported_frames) / REPORT_PERIOD_S
        self._reported_frames = counts["frames"]
        metrics = {
            "watched": self.backend.running,
            "fps": fps,
            "delay_ms": self.backend.delay_ms,
            **counts,
            **self.errors.counts,
        }
        warning = self.backend.status.warning or self.errors.summary
        return [diagnostics.status(self, "page", metrics, warning=warning)]


def _check(given: dict[str, Any]) -> None:
    wrong = invalid_choice(TelepresenceNodeConfig, given)
    if not wrong and given["robot_view"] and given["browser_is_user"]:
        wrong = "robot_view would show what browser_is_user sends"
    if not wrong and given["robot_sound"] and given["browser_is_user"]:
        wrong = "robot_sound would play what browser_is_user sends"
    if wrong:
        raise ConfigError(
            "parameters", expected="values that go together", got=wrong, remedy="correct it"
        )
