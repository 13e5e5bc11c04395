"""Topics and services of the avatar, as tables: nodes are made from them, the README is tested
against them. Parameters are in `node_config`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from rclpy.time import Time
from std_msgs.msg import Header

try:
    from rclpy import event_handler
except ImportError:  # ROS 2 Humble
    from rclpy import qos_event as event_handler

events: Any = event_handler
LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)


@dataclass(frozen=True)
class Topic:
    """One topic; names are relative, ``~`` is the node's own name."""

    name: str
    type: str
    publishes: bool
    sensor_data: bool  # best effort, or reliable; a subscription makes do with what is offered
    depth: int
    meaning: str
    latched: bool = False

    def profile(self) -> QoSProfile:
        """The QoS profile that it has by default; nodes change theirs."""
        found = QoSProfile(depth=self.depth)  # reliable and volatile
        if self.sensor_data:
            found.reliability = QoSReliabilityPolicy.BEST_EFFORT
        if self.latched:
            found.durability = QoSDurabilityPolicy.TRANSIENT_LOCAL
        return found


@dataclass(frozen=True)
class Service:
    """One service, or one action."""

    name: str
    type: str
    meaning: str


# AudioStamped or AudioDataStamped, whichever the installed package has; `<topic>_info` (AudioInfo)
# describes the bytes of the latter
AUDIO = "audio_common_msgs"
# A synthesiser hands over what it has in no time at all, and what the queue cannot hold is gone.
# So it holds a minute of speech in the smallest messages that are usual, and some: 4 MB. Fast DDS
# takes no depth above 5,000.
BURST_S, SMALL_MESSAGE_MS = 60, 20
AVATAR_AUDIO_DEPTH = 3200
USER_AUDIO_DEPTH = 500  # which comes at its own pace: seconds in which the node is busy

TOPICS = (
    Topic("user/image", "sensor_msgs/msg/Image", False, False, 50,
          "camera on the person; `user/image/compressed` instead, by `image_transport`"),
    Topic("user/motion", "avatar_forcing_ros/msg/AvatarMotion", False, False, 50,
          "the person's motion from `perception_node`, instead of the camera; "
          "or `hri_msgs/FacialActionUnits`"),
    Topic("user/audio", AUDIO, False, False, USER_AUDIO_DEPTH,
          "microphone on the person; any rate, channels and format"),
    Topic("avatar/audio", AUDIO, False, False, AVATAR_AUDIO_DEPTH,
          "what the avatar is to say; may come faster than it can be said"),
    Topic("~/expression", "hri_msgs/msg/Expression", False, False, 10,
          "what the face is to show until another comes: a name, or valence and arousal; "
          "`avatar_forcing_ros/msg/Expression` has the same fields"),
    Topic("~/look_at", "geometry_msgs/msg/PointStamped", False, False, 10,
          "where to look for `look_at_hold_s`, in any frame that /tf knows"),
    Topic("avatar/image_raw", "sensor_msgs/msg/Image", True, False, 10,
          "25 frames a second, rgb8, or rgba8 where `background` is transparent; stamped "
          "with media time"),
    Topic("avatar/image_raw/compressed", "sensor_msgs/msg/CompressedImage", True, False, 10,
          "the same as JPEG, a transparent head before black"),
    Topic("avatar/motion", "avatar_forcing_ros/msg/AvatarMotion", True, False, 50,
          "motion of every frame, same stamps"),
    Topic("avatar/audio_aligned", AUDIO, True, False, 50,
          "the speech in time with the frames: play this, not the input"),
    Topic("avatar/audio_data", "audio_common_msgs/msg/AudioData", True, False, 50,
          "the same as bytes without stamps, for audio_play (off by default)"),
    Topic("avatar/state", "avatar_forcing_ros/msg/AvatarState", True, False, 1,
          "speaking, listening or idle; latency and losses", latched=True),
    Topic("facs", "hri_msgs/msg/FacialActionUnits", True, False, 50,
          "action units of FACS for ROS4HRI, same stamps (off by default)"),
    Topic("avatar/markers", "visualization_msgs/msg/MarkerArray", True, False, 5,
          "outline of the face for rviz (off by default)"),
    Topic("joint_states", "sensor_msgs/msg/JointState", True, True, 5,
          "neck and jaw for robots that have them (off by default)"),
    Topic("/tf", "tf2_msgs/msg/TFMessage", True, False, 100, "head frame (off by default)"),
    Topic("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", True, False, 10, "every second"),
)  # fmt: skip
# of speech_node. Nodes that speak take text on `say`, `speak`, `tts` …: the short word is that of
# audio_common's action, too
SPEECH_TOPICS = (
    Topic("say", "std_msgs/msg/String", False, False, 100,
          "text to be said, after those before it; an empty one silences"),
)  # fmt: skip
TABLE = {topic.name: topic for topic in (*TOPICS, *SPEECH_TOPICS)}

SERVICES = (
    Service("~/reset", "std_srvs/srv/Trigger", "begin a new conversation"),
    Service("~/stop_speaking", "std_srvs/srv/Trigger", "barge-in: drop all speech not yet said"),
    Service("~/reload_portrait", "std_srvs/srv/Trigger", "read the `portrait` parameter's file"),
)
SPEECH_SERVICES = (
    Service("~/stop", "std_srvs/srv/Trigger", "silence: drop all texts not yet said"),
)
SPEECH_ACTIONS = (
    Service("~/say", "avatar_forcing_ros/action/Say",
            "text to be said, after those before it; tells how far it has come"),
    Service("say", "audio_common_msgs/action/TTS",
            "the same as audio_common's tts_node offers it, where that package is installed"),
)  # fmt: skip


def header(stamp_ns: int, frame_id: str) -> Header:
    """A header of that time and frame."""
    return Header(stamp=Time(nanoseconds=stamp_ns).to_msg(), frame_id=frame_id)
