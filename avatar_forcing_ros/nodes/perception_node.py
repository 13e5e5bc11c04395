"""`perception_node`: a camera in, the person's motion out, so that only numbers travel.

It runs where the camera is; `avatar_node` listens to it with ``user_motion_source:=topic``.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from sensor_msgs.msg import CompressedImage, Image

from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.msg import AvatarMotion
from avatar_forcing_ros.node_config import PerceptionNodeConfig
from avatar_forcing_ros.nodes import diagnostics, qos
from avatar_forcing_ros.nodes.bad_message import BadMessage
from avatar_forcing_ros.nodes.convert_image import compressed_to_rgb, image_to_rgb
from avatar_forcing_ros.nodes.convert_motion import motion_to_msg
from avatar_forcing_ros.nodes.node_base import NodeBase
from avatar_forcing_ros.nodes.node_main import run_node
from avatar_forcing_ros.nodes.parameters import declare, values
from avatar_forcing_ros.nodes.stamps import StampReader
from avatar_forcing_ros.nodes.stop_signals import StopSignals
from avatar_forcing_ros.nodes.subscriptions import MatchedSubscription
from avatar_forcing_ros.perception.face_tracker import FaceMeshTracker, FaceTracker
from avatar_forcing_ros.perception.user_motion import UserMotionEstimator


class PerceptionNode(NodeBase):
    """Tracks one person's face at the camera's rate; the newest picture wins."""

    def __init__(self, tracker: FaceTracker | None = None, **node_options: Any) -> None:
        """`tracker` is for tests; by default MediaPipe's."""
        super().__init__("perception_node", **node_options)
        declare(self, PerceptionNodeConfig)
        settings = values(self, PerceptionNodeConfig)
        self._frame_id = settings["frame_id"]
        self._stamp = StampReader(
            lambda: int(self.get_clock().now().nanoseconds),
            settings["stamp_tolerance_s"],
            self.errors,
        )
        self._tracker = tracker or FaceMeshTracker()
        self._estimator = UserMotionEstimator()
        self._picture_came = threading.Condition()
        self._newest: tuple[Any, Any] | None = None  # message and its header
        self._ending = False
        self.received = self.skipped = self.seen = self.sent = 0
        self._publisher = qos.publisher(
            self, "user/motion", AvatarMotion, self.errors, managed=False
        )
        self._diagnostics = qos.publisher(
            self, "/diagnostics", DiagnosticArray, self.errors, managed=False
        )
        compressed = settings["image_transport"] == "compressed"
        self._to_rgb = compressed_to_rgb if compressed else image_to_rgb
        self._images = MatchedSubscription(
            self,
            "user/image/compressed" if compressed else "user/image",
            [CompressedImage if compressed else Image],
            self._take,
            self.errors,
            MutuallyExclusiveCallbackGroup(),
            like="user/image",
        )
        self.create_timer(1.0, self._report, callback_group=MutuallyExclusiveCallbackGroup())
        self._thread = threading.Thread(target=self._run, name="face-tracker", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the tracker's thread."""
        with self._picture_came:
            self._ending = True
            self._picture_came.notify()
        self._thread.join(5.0)

    def _take(self, msg: Any) -> None:
        with self._picture_came:
            self.received += 1
            self.skipped += self._newest is not None
            self._newest = msg, self._stamp(msg, "user/image").ns
            self._picture_came.notify()

    def _run(self) -> None:
        while True:
            with self._picture_came:
                while not (self._newest or self._ending):
                    self._picture_came.wait()
                if self._ending:
                    break
                assert self._newest
                (msg, stamp_ns), self._newest = self._newest, None
            try:
                self._send(VideoFrame(self._to_rgb(msg), stamp_ns), msg)
            except BadMessage as bad:
                self.errors.count(f"user/image {bad.reason}", f"user/image: {bad}")
            except Exception as error:  # one picture must not end the rest
                self.errors.count("tracking", f"a picture could not be tracked: {error}")
        self._tracker.close()

    def _send(self, frame: VideoFrame, msg: Any) -> None:
        motion = self._estimator.update(self._tracker.track(frame), frame.stamp_ns)
        self.seen += motion.face_visible
        header = qos.header(frame.stamp_ns, self._frame_id)
        told = motion_to_msg(header, 0, 0, None, motion.values, 0.0, False)
        self._publisher.publish(told)
        self.sent += 1

    def _report(self) -> None:
        errors = self.errors.counts
        figures = {
            "pictures": self.received,
            "skipped": self.skipped,
            "with_a_face": self.seen,
            **errors,
        }
        level = DiagnosticStatus.WARN if errors else DiagnosticStatus.OK
        name = f"{self.get_fully_qualified_name()}: tracking"
        message = f"{sum(errors.values())} errors" if errors else "alive"
        line = diagnostics.status(level, name, message, figures)
        self._diagnostics.publish(diagnostics.array(self, [line]))


def main(args: Sequence[str] | None = None, signals: StopSignals | None = None) -> int:
    """Run the node until it is told to end; the process's exit code."""
    return run_node("perception_node", PerceptionNode, args, signals, threads=2)


if __name__ == "__main__":
    sys.exit(main())
