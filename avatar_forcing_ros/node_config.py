"""Configuration of the ROS nodes: their parameters are the settings of these classes."""

from __future__ import annotations

from dataclasses import dataclass

from avatar_forcing_ros.config import AvatarConfig, ServerConfig, SpeechConfig
from avatar_forcing_ros.settings import Config, part, setting

TRANSPORTS = ("raw", "compressed")
AUDIO_MSGS = ("auto", "audio_stamped", "audio_data_stamped", "audio_data")
AUDIO_FORMATS = ("float32", "int32", "int24", "int16", "int8", "uint8")
JPEG_QUALITY = 85

# tables of settings
# fmt: off


@dataclass(frozen=True)
class AudioDataConfig(Config):
    """What audio bytes mean that no AudioInfo describes."""

    rate_hz: int = setting(16_000, "sample rate of bytes that no AudioInfo describes", unit="Hz",
        low=4000, high=384_000)
    channels: int = setting(1, "channels of bytes that no AudioInfo describes", low=1, high=32)
    format: str = setting("int16", "sample format of bytes that no AudioInfo describes",
        choices=AUDIO_FORMATS)


@dataclass(frozen=True)
class AudioConfig(Config):
    """How audio messages are read and written."""

    audio_msg: str = setting("auto", "message of all audio; auto: what the installed "
        "audio_common_msgs has, and of that what is published", choices=AUDIO_MSGS)
    data: AudioDataConfig = part(AudioDataConfig, "audio_data.")


@dataclass(frozen=True)
class CameraConfig(Config):
    """How the person's images are taken from the graph."""

    image_transport: str = setting("raw", "transport of the camera on the person",
        choices=TRANSPORTS)
    stamp_tolerance_s: float = setting(2.0, "stamps further from now than this give way to the "
        "time of arrival", unit="s", low=0.01, high=3600.0)


@dataclass(frozen=True)
class InputConfig(CameraConfig):
    """What the avatar takes from the graph."""

    user_motion_source: str = setting("camera", "where the person's face is tracked: camera, in "
        "avatar_node itself; topic, by a perception_node; none, not at all",
        choices=("camera", "topic", "none"))
    user_audio: bool = setting(True, "listen to `user/audio`")
    look_at_hold_s: float = setting(3.0, "how long the avatar looks where `~/look_at` says after "
        "the last message", unit="s", low=0.1, high=3600.0)
    audio: AudioConfig = part(AudioConfig)


@dataclass(frozen=True)
class OutputConfig(Config):
    """What the avatar puts on the graph."""

    publish_image: bool = setting(True, "publish `avatar/image_raw`")
    publish_compressed: bool = setting(True, "publish `avatar/image_raw/compressed`")
    jpeg_quality: int = setting(JPEG_QUALITY, "JPEG quality of compressed frames", unit="%", low=1,
        high=100, live=True)
    publish_audio_data: bool = setting(False, "publish `avatar/audio_data`")
    motion_names: str = setting("rig", "names and values in `avatar/motion`: the rig's "
        "coefficients, or ARKit's 52 blendshapes", choices=("rig", "arkit"), live=True)
    publish_facs: bool = setting(False, "publish `facs`, which wants the package hri_msgs")
    publish_joint_states: bool = setting(False, "publish `joint_states`")
    joint_names: list[str] = setting(["head_pan", "head_tilt", "head_roll", "jaw"], "joints for "
        "yaw, pitch, roll and jaw, in this order; an empty name leaves one out")
    pan_gain: float = setting(1.0, "head_pan = gain * yaw", unit="rad/rad", low=-10.0, high=10.0,
        live=True)
    tilt_gain: float = setting(1.0, "head_tilt = gain * pitch", unit="rad/rad", low=-10.0,
        high=10.0, live=True)
    roll_gain: float = setting(1.0, "head_roll = gain * roll", unit="rad/rad", low=-10.0,
        high=10.0, live=True)
    jaw_gain: float = setting(0.4, "jaw = gain * jaw_open", unit="rad", low=-10.0, high=10.0,
        live=True)
    publish_tf: bool = setting(False, "broadcast the head frame")
    publish_markers: bool = setting(False, "publish `avatar/markers`")
    base_frame_id: str = setting("avatar_base", "parent of the head frame")
    frame_id: str = setting("avatar_head", "head frame, and frame of everything published")
    head_width_m: float = setting(0.16, "scale of head offsets and markers", unit="m", low=0.01,
        high=2.0, live=True)


@dataclass(frozen=True)
class AvatarNodeConfig(Config):
    """Parameters of ``avatar_node``."""

    autostart: bool = setting(True, "configure and activate at the start; otherwise a lifecycle "
        "manager does")
    avatars: str = setting("", "several avatars in this one process, on one set of weights: their "
        "names, with commas between them; each is an avatar_node of its own under "
        "`NAMESPACE/NAME`; empty: one")
    avatar: AvatarConfig = part(AvatarConfig)
    inputs: InputConfig = part(InputConfig)
    outputs: OutputConfig = part(OutputConfig)


@dataclass(frozen=True)
class PerceptionNodeConfig(CameraConfig):
    """Parameters of ``perception_node``."""

    frame_id: str = setting("user_head", "frame of `user/motion`")
    face_landmarker: str = setting("", "FaceLandmarker's model file to track faces with; empty: "
        "the models inside mediapipe, else what 'avatar-forcing weights fetch face' downloaded",
        file=True)


@dataclass(frozen=True)
class DisplayNodeConfig(Config):
    """Parameters of ``display_node``."""

    window: bool = setting(True, "show the avatar in a window; false: no images are taken off the "
        "network")
    fullscreen: bool = setting(False, "let the window fill the screen")
    title: str = setting("avatar", "the window's title")
    speaker: bool = setting(True, "play the avatar's audio; false: no audio is taken off the "
        "network")
    speaker_device: str = setting("", "sound card: part of its name, or its number; empty: the "
        "default one")
    delay_ms: int = setting(120, "margin that image and audio wait beyond their largest delay of "
        "the first moments: more hides more jitter, less answers sooner", unit="ms", low=0,
        high=2000, live=True)
    image_transport: str = setting("compressed", "transport of the avatar's images; raw where the "
        "middleware is made for large messages (config/fastdds.xml)", choices=TRANSPORTS)
    audio: AudioConfig = part(AudioConfig)


@dataclass(frozen=True)
class TelepresenceNodeConfig(Config):
    """Parameters of ``telepresence_node``, the page for an operator."""

    server: ServerConfig = part(ServerConfig)
    image_transport: str = setting("compressed", "transport of the avatar's images; raw wants "
        "large socket buffers", choices=TRANSPORTS)
    audio: AudioConfig = part(AudioConfig)
    stop_service: str = setting("avatar_node/stop_speaking", "service that silences the avatar")
    browser_is_user: bool = setting(False, "the browser's camera and microphone become "
        "`user/image` and `user/audio`, not the avatar's speech")
    robot_view: bool = setting(False, "show `user/image` beside the avatar")
    robot_sound: bool = setting(False, "the operator hears `user/audio` instead of their own "
        "words, viewers hear both; as `robot_view` where it is not given", same_as="robot_view")
    user_image_transport: str = setting("raw", "transport of `user/image`, whether shown or sent",
        choices=TRANSPORTS)
    jpeg_quality: int = setting(JPEG_QUALITY, "JPEG quality of the browser's camera, where it is "
        "compressed", unit="%", low=1, high=100)


@dataclass(frozen=True)
class SpeechNodeConfig(Config):
    """Parameters of ``speech_node``, which speaks text."""

    speech: SpeechConfig = part(SpeechConfig)
    interrupt: bool = setting(False, "a new text silences those before it; false: it waits for "
        "them", live=True)
    stop_service: str = setting("avatar_node/stop_speaking", "service that silences the avatar")
    audio_msg: str = setting("auto", "message of `avatar/audio`; auto: what the installed "
        "audio_common_msgs has", choices=AUDIO_MSGS)


# fmt: on

NODE_CONFIGS: dict[str, type] = {
    "avatar_node": AvatarNodeConfig,
    "perception_node": PerceptionNodeConfig,
    "display_node": DisplayNodeConfig,
    "telepresence_node": TelepresenceNodeConfig,
    "speech_node": SpeechNodeConfig,
}
