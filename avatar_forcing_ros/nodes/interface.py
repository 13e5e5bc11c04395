"""What the nodes offer on the graph, as tables: nodes are made from them, the documentation and
the shipped settings are tested against them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

from avatar_forcing_ros.config import (
    GUIDANCE_MODES,
    PRECISIONS,
    PRESETS,
    AvatarConfig,
)
from avatar_forcing_ros.runtime.status import LiveConfig

Value = Union[bool, int, float, str, list[str]]  # noqa: UP007  (evaluated at run time on 3.10)


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


@dataclass(frozen=True)
class Service:
    """One service."""

    name: str
    type: str
    meaning: str


@dataclass(frozen=True)
class Parameter:
    """One parameter. `runtime`: it may be changed while the node lives, else it is read-only.

    `like` is a parameter before it whose value it has where it is given none.
    """

    name: str
    default: Value
    meaning: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    runtime: bool = False
    like: str = ""


# AudioStamped or AudioDataStamped, whichever the installed package has; `<topic>_info` (AudioInfo)
# tells what the bytes of the latter are
AUDIO = "audio_common_msgs"
# A synthesiser hands over what it has in no time at all, and what the queue cannot hold is gone.
# So it holds a minute of voice in the smallest messages that are usual, and some: 4 MB. Fast DDS
# takes no depth above 5,000.
BURST_S, SMALL_MESSAGE_MS = 60, 20
AVATAR_AUDIO_DEPTH = 3200
USER_AUDIO_DEPTH = 500  # which comes at its own pace: seconds in which the node is busy

TOPICS = (
    Topic("user/image", "sensor_msgs/msg/Image", False, False, 50,
          "camera on the person; `user/image/compressed` instead, by `image_transport`"),
    Topic("user/motion", "avatar_forcing_ros/msg/AvatarMotion", False, False, 50,
          "the person's motion from `perception_node`, instead of the camera"),
    Topic("user/audio", AUDIO, False, False, USER_AUDIO_DEPTH,
          "microphone on the person; any rate, channels and format"),
    Topic("avatar/audio", AUDIO, False, False, AVATAR_AUDIO_DEPTH,
          "what the avatar is to say; may come faster than it can be said"),
    Topic("avatar/image_raw", "sensor_msgs/msg/Image", True, False, 10,
          "25 frames a second, rgb8; stamped with media time"),
    Topic("avatar/image_raw/compressed", "sensor_msgs/msg/CompressedImage", True, False, 10,
          "the same as JPEG"),
    Topic("avatar/motion", "avatar_forcing_ros/msg/AvatarMotion", True, False, 50,
          "motion of every frame, same stamps"),
    Topic("avatar/audio_aligned", AUDIO, True, False, 50,
          "the voice in time with the frames: play this, not the input"),
    Topic("avatar/audio_data", "audio_common_msgs/msg/AudioData", True, False, 50,
          "the same as bytes without stamps, for audio_play (off by default)"),
    Topic("avatar/state", "avatar_forcing_ros/msg/AvatarState", True, False, 1,
          "speaking, listening or idle; latency and losses", latched=True),
    Topic("avatar/markers", "visualization_msgs/msg/MarkerArray", True, False, 5,
          "outline of the face for rviz (off by default)"),
    Topic("joint_states", "sensor_msgs/msg/JointState", True, True, 5,
          "neck and jaw for robots that have them (off by default)"),
    Topic("/tf", "tf2_msgs/msg/TFMessage", True, False, 100, "head frame (off by default)"),
    Topic("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", True, False, 10, "every second"),
)  # fmt: skip

SERVICES = (
    Service("~/reset", "std_srvs/srv/Trigger", "begin a new conversation"),
    Service("~/stop_speaking", "std_srvs/srv/Trigger", "barge-in: drop all voice not yet said"),
    Service("~/reload_portrait", "std_srvs/srv/Trigger", "read the `portrait` parameter's file"),
)

AUDIO_MSGS = ("auto", "audio_stamped", "audio_data_stamped", "audio_data")

_SAMPLING = PRESETS[AvatarConfig.preset].sampling
_LIVE = LiveConfig()

PARAMETERS = (
    Parameter("autostart", True, "configure and activate without being told"),
    Parameter("preset", AvatarConfig.preset, "which model: compact ships with the package, paper "
              "needs the authors' released weights", choices=tuple(sorted(PRESETS))),
    Parameter("weights", "", "checkpoint file or folder of released files; empty: the preset's"),
    Parameter("portrait", "", "image with a face; empty: the one that ships", runtime=True),
    Parameter("image_size_px", AvatarConfig.image_size_px, "side of the frames", "px", 128, 2048),
    Parameter("device", AvatarConfig.device, "cpu, cuda, cuda:0 …; auto: a GPU for paper"),
    Parameter("precision", AvatarConfig.precision, "of the networks", choices=PRECISIONS),
    Parameter("cpu_threads", AvatarConfig.cpu_threads, "of the networks on a CPU", "", 1, 256),
    Parameter("seed", 0, "the same seed and inputs give the same motion", "", 0, 2**31 - 1),
    Parameter("evaluations", _SAMPLING.evaluations, "function evaluations a block (paper: 10)",
              "", 3, 1000, runtime=True),
    Parameter("guidance", _SAMPLING.guidance, "conditions together, or apart as in the paper "
              "(paper: separate)", choices=GUIDANCE_MODES, runtime=True),
    Parameter("audio_guidance", _SAMPLING.audio_guidance, "strength of the voice; joint: of "
              "everything (paper: 2)", "", -10.0, 10.0, runtime=True),
    Parameter("user_guidance", _SAMPLING.user_guidance, "strength of the user; separate guidance "
              "alone", "", -10.0, 10.0, runtime=True),
    Parameter("user_motion_source", "camera", "where the person's motion comes from",
              choices=("camera", "topic", "none")),
    Parameter("user_audio", True, "listen to `user/audio`"),
    Parameter("image_transport", "raw", "of the camera", choices=("raw", "compressed")),
    Parameter("audio_msg", "auto", "message of all audio; auto: what the installed "
              "audio_common_msgs has, and of that what is published", choices=AUDIO_MSGS),
    Parameter("audio_data.rate_hz", 16_000, "of bytes that no AudioInfo describes", "Hz", 4000,
              384_000),
    Parameter("audio_data.channels", 1, "of bytes that no AudioInfo describes", "", 1, 32),
    Parameter("audio_data.format", "int16", "of bytes that no AudioInfo describes",
              choices=("float32", "int32", "int24", "int16", "int8", "uint8")),
    Parameter("deadline_ms", _LIVE.deadline_ms, "how long inputs missing at a block's end "
              "are waited for; a microphone that sends longer chunks, until one can have come",
              "ms", 0.0, 5000.0),
    Parameter("gather_ms", _LIVE.gather_ms, "how long the first inputs are collected before media "
              "time begins with the earliest", "ms", 0.0, 5000.0),
    Parameter("stamp_tolerance_s", 2.0, "stamps further from now than this give way to the time "
              "of arrival", "s", 0.01, 3600.0),
    Parameter("publish_image", True, "publish `avatar/image_raw`"),
    Parameter("publish_compressed", True, "publish `avatar/image_raw/compressed`"),
    Parameter("jpeg_quality", 85, "of compressed frames", "%", 1, 100, runtime=True),
    Parameter("publish_audio_data", False, "publish `avatar/audio_data`"),
    Parameter("publish_joint_states", False, "publish `joint_states`"),
    Parameter("joint_names", ["head_pan", "head_tilt", "head_roll", "jaw"], "of yaw, pitch, roll "
              "and jaw, in this order; an empty name leaves one out"),
    Parameter("pan_gain", 1.0, "head_pan = gain * yaw", "rad/rad", -10.0, 10.0, runtime=True),
    Parameter("tilt_gain", 1.0, "head_tilt = gain * pitch", "rad/rad", -10.0, 10.0, runtime=True),
    Parameter("roll_gain", 1.0, "head_roll = gain * roll", "rad/rad", -10.0, 10.0, runtime=True),
    Parameter("jaw_gain", 0.4, "jaw = gain * jaw_open", "rad", -10.0, 10.0, runtime=True),
    Parameter("publish_tf", False, "broadcast the head frame"),
    Parameter("publish_markers", False, "publish `avatar/markers`"),
    Parameter("base_frame_id", "avatar_base", "parent of the head frame"),
    Parameter("frame_id", "avatar_head", "head frame, and frame of everything published"),
    Parameter("head_width_m", 0.16, "scale of head offsets and markers", "m", 0.01, 2.0,
              runtime=True),
)  # fmt: skip

_SHARED = {parameter.name: parameter for parameter in PARAMETERS}

PERCEPTION_PARAMETERS = (
    _SHARED["image_transport"],
    _SHARED["stamp_tolerance_s"],
    Parameter("frame_id", "user_head", "frame of `user/motion`"),
)

TELEPRESENCE_PARAMETERS = (
    Parameter("host", "127.0.0.1", "address to listen on; one that others reach wants a "
              "token_file"),
    Parameter("port", 8080, "port to listen on", "", 1, 65_535),
    Parameter("token_file", "", "file with a word that the page asks for"),
    Parameter("tls_cert", "", "certificate (PEM), for https"),
    Parameter("tls_key", "", "the certificate's key (PEM)"),
    Parameter("open_to_viewers", False, "watching wants no token; talking always does"),
    Parameter("most_viewers", 3, "who may watch beside the one who talks", "", 0, 16),
    Parameter("image_transport", "compressed", "of the avatar's pictures; raw wants large "
              "socket buffers", choices=("raw", "compressed")),
    _SHARED["audio_msg"],
    Parameter("stop_service", "avatar_node/stop_speaking", "service that silences the avatar"),
    Parameter("browser_is_user", False, "the browser's camera and microphone become `user/image` "
              "and `user/audio`, not the avatar's voice"),
    Parameter("robot_view", False, "show `user/image` beside the avatar"),
    Parameter("robot_sound", False, "the speaker hears `user/audio` instead of the avatar, "
              "viewers hear both; as `robot_view` where it is not given", like="robot_view"),
    Parameter("user_image_transport", "raw", "of `user/image`, whether shown or sent",
              choices=("raw", "compressed")),
    Parameter("jpeg_quality", 85, "of the browser's camera, where it is compressed", "%", 1, 100),
)  # fmt: skip
