"""`perception_node`: a camera in, the person's motion out, so that only numbers travel.

It runs where the camera is; `avatar_node` listens to it with ``user_motion_source:=topic``.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup

from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.msg import AvatarMotion
from avatar_forcing_ros.node_config import PerceptionNodeConfig
from avatar_forcing_ros.nodes import diagnostics
from avatar_forcing_ros.nodes.convert_image import Pixels
from avatar_forcing_ros.nodes.convert_motion import motion_to_msg
from avatar_forcing_ros.nodes.interface import header
from avatar_forcing_ros.nodes.node_base import NodeBase
from avatar_forcing_ros.nodes.node_main import run_node
from avatar_forcing_ros.nodes.parameters import declare, values
from avatar_forcing_ros.nodes.subscriptions import StampReader, subscribe_to_image
from avatar_forcing_ros.perception.face_tracker import FaceMeshTracker, FaceTracker
from avatar_forcing_ros.perception.user_motion import UserMotionEstimator

STOP_TIMEOUT_S = 5.0


class PerceptionNode(NodeBase):
    """Tracks one person's face at the camera's rate; the newest image wins."""

    def __init__(self, tracker: FaceTracker | None = None, **node_options: Any) -> None:
        """`tracker` is for tests; by default MediaPipe's."""
        super().__init__("perception_node", **node_options)
        declare(self, PerceptionNodeConfig)
        settings = values(self, PerceptionNodeConfig)
        self._frame_id = settings["frame_id"]
        self._stamp = StampReader(self, settings["stamp_tolerance_s"])
        self._tracker = tracker or FaceMeshTracker(model_path=settings["face_landmarker"])
        self._estimator = UserMotionEstimator()
        self._image_arrived = threading.Condition()
        self._newest: tuple[Callable[[], Pixels], int] | None = None  # and its time
        self._ending = False
        self.received = self.skipped = self.with_face = 0
        self._publisher = self.create_table_publisher("user/motion", AvatarMotion)
        group = MutuallyExclusiveCallbackGroup()
        subscribe_to_image(self, "user/image", settings["image_transport"], self._on_image, group)
        self.publish_diagnostics(self._statuses, MutuallyExclusiveCallbackGroup())
        self._thread = threading.Thread(target=self._run, name="face-tracker", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the tracker's thread."""
        with self._image_arrived:
            self._ending = True
            self._image_arrived.notify()
        self._thread.join(STOP_TIMEOUT_S)

    def _on_image(self, msg: Any, to_rgb: Callable[[], Pixels]) -> None:
        with self._image_arrived:
            self.received += 1
            self.skipped += self._newest is not None
            self._newest = to_rgb, self._stamp(msg, "user/image").ns
            self._image_arrived.notify()

    def _run(self) -> None:
        while True:
            with self._image_arrived:
                self._image_arrived.wait_for(lambda: self._newest or self._ending)
                if self._ending:
                    break
                assert self._newest
                (to_rgb, stamp_ns), self._newest = self._newest, None
            try:
                self._track(VideoFrame(to_rgb(), stamp_ns))
            except Exception as error:  # one image must not end the rest
                self.note_error("user/image", error)
        self._tracker.close()

    def _track(self, frame: VideoFrame) -> None:
        motion = self._estimator.update(self._tracker.track(frame), frame.stamp_ns)
        self.with_face += motion.face_visible
        stamped = header(frame.stamp_ns, self._frame_id)
        self._publisher.publish(motion_to_msg(stamped, 0, 0, None, motion.values, 0.0, False))

    def _statuses(self) -> list[DiagnosticStatus]:
        counts = {
            "pictures": self.received,
            "skipped": self.skipped,
            "with_a_face": self.with_face,
            **self.errors.counts,
        }
        return [diagnostics.status(self, "tracking", counts, warning=self.errors.summary)]


main = functools.partial(run_node, "perception_node", PerceptionNode, threads=2)
