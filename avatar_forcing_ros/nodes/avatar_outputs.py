"""Publishers of the avatar: one frame to all of its topics, with one stamp."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from avatar_forcing_ros.media import AvatarFrame
from avatar_forcing_ros.msg import AvatarMotion
from avatar_forcing_ros.nodes.audio_topics import AudioPublisher
from avatar_forcing_ros.nodes.convert_audio import stamped_kind
from avatar_forcing_ros.nodes.convert_image import pixels_to_compressed, pixels_to_image
from avatar_forcing_ros.nodes.convert_motion import (
    landmarks_to_markers,
    motion_to_msg,
    values_to_joints,
    values_to_transform,
)
from avatar_forcing_ros.nodes.interface import header
from avatar_forcing_ros.nodes.node_base import LifecycleNodeBase
from avatar_forcing_ros.nodes.ros4hri import action_units_message, values_to_action_units
from avatar_forcing_ros.rig.blendshapes import FaceOutline
from avatar_forcing_ros.rig.portrait import Portrait

GAINS = ("pan_gain", "tilt_gain", "roll_gain", "jaw_gain")
COMPRESSED = "avatar/image_raw/compressed"


class AvatarOutputs:
    """The publishers of the avatar; silent unless its node is active."""

    def __init__(self, node: LifecycleNodeBase, settings: Mapping[str, Any]) -> None:
        """Make the publishers that `settings` ask for; they are changed by `set`.

        Raises ConfigError where a message that is asked for is not installed.
        """
        self._settings = dict(settings)
        self._made: dict[str, Any] = {}
        self._node = node
        self.frames = 0
        self._outline: FaceOutline | None = None
        units = action_units_message("publish_facs") if settings["publish_facs"] else None
        kind = stamped_kind(settings["audio_msg"])
        self._audio = [AudioPublisher(node, "avatar/audio_aligned", kind, managed=True)]
        if settings["publish_audio_data"]:
            self._audio.append(
                AudioPublisher(node, "avatar/audio_data", "audio_data", managed=True)
            )
        wanted: list[tuple[str, Any, bool]] = [
            ("avatar/motion", AvatarMotion, True),
            ("avatar/image_raw", Image, settings["publish_image"]),
            (COMPRESSED, CompressedImage, settings["publish_compressed"]),
            ("facs", units, settings["publish_facs"]),
            ("joint_states", JointState, settings["publish_joint_states"]),
            ("avatar/markers", MarkerArray, settings["publish_markers"]),
            ("/tf", TFMessage, settings["publish_tf"]),
        ]
        for topic, message, publish in wanted:
            if publish:
                self._made[topic] = node.create_table_publisher(topic, message, managed=True)

    def set_portrait(self, portrait: Portrait) -> None:
        """Draw the markers of this face from now on."""
        self._outline = FaceOutline(portrait)

    def set(self, changes: Mapping[str, Any]) -> None:
        """Take over parameters that may change while the node lives."""
        self._settings = {**self._settings, **changes}

    def publish(self, frame: AvatarFrame) -> None:
        """Send one frame to its topics; images only where there are subscribers."""
        assert frame.latent is not None
        assert frame.coefficients is not None
        settings = self._settings
        stamped = header(frame.stamp_ns, settings["frame_id"])
        self.frames += 1
        motion = motion_to_msg(
            stamped,
            frame.block_index,
            frame.frame_in_block,
            frame.latent,
            frame.coefficients,
            frame.speech_level,
            frame.speaking,
            motion_names=settings["motion_names"],
        )
        self._made["avatar/motion"].publish(motion)
        for audio in self._audio:
            audio.publish(frame.audio, stamped)
        if frame.pixels is not None:
            if self._has_subscribers("avatar/image_raw"):
                self._made["avatar/image_raw"].publish(pixels_to_image(frame.pixels, stamped))
            if self._has_subscribers(COMPRESSED):
                image = pixels_to_compressed(frame.pixels, stamped, settings["jpeg_quality"])
                self._made[COMPRESSED].publish(image)
        self._publish_robot(frame.coefficients, stamped)

    def close(self) -> None:
        """Take the publishers off the graph."""
        for made in self._made.values():
            self._node.destroy_publisher(made)
        for audio in self._audio:
            audio.close()
        self._made, self._audio = {}, []

    def _publish_robot(self, values: NDArray[np.float32], stamped: Header) -> None:
        settings = self._settings
        if "facs" in self._made:
            self._made["facs"].publish(values_to_action_units(values, stamped))
        if "joint_states" in self._made:
            gains = [settings[name] for name in GAINS]
            joints = values_to_joints(
                values, Header(stamp=stamped.stamp), settings["joint_names"], gains
            )
            self._made["joint_states"].publish(joints)
        if "/tf" in self._made:
            base = Header(stamp=stamped.stamp, frame_id=settings["base_frame_id"])
            head = values_to_transform(
                values, base, settings["frame_id"], settings["head_width_m"]
            )
            self._made["/tf"].publish(TFMessage(transforms=[head]))
        if self._has_subscribers("avatar/markers") and self._outline:
            lines = self._outline.landmarks(values)
            markers = landmarks_to_markers(lines, stamped, settings["head_width_m"])
            self._made["avatar/markers"].publish(markers)

    def _has_subscribers(self, topic: str) -> bool:
        """Whether the topic is published and has subscribers: images cost something."""
        made = self._made.get(topic)
        return made is not None and made.get_subscription_count() > 0
