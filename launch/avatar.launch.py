"""Starts the avatar, and beside it, as far as wanted, what feeds it and what shows it.

Run it with ``ros2 launch avatar_forcing_ros avatar.launch.py display:=true camera:=usb_cam``.
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

PACKAGE = "avatar_forcing_ros"

ARGUMENTS = [
    DeclareLaunchArgument(
        "portrait",
        default_value="",
        description="Image file with a face. Empty means the portrait that ships with the "
        "package, unless params_file names another.",
    ),
    DeclareLaunchArgument(
        "preset",
        default_value="",
        description="Model that moves the face: 'compact', which ships with the package and runs "
        "on a CPU, or 'paper', which needs the authors' weights and a GPU. Empty means what "
        "params_file says, or else 'compact'.",
    ),
    DeclareLaunchArgument(
        "weights",
        default_value="",
        description="Checkpoint file, or folder of released files. Empty means the preset's own.",
    ),
    DeclareLaunchArgument(
        "device",
        default_value="",
        description="Where networks run: 'cpu', 'cuda', 'cuda:0', 'auto'. Empty means what "
        "params_file says, or else 'auto'.",
    ),
    DeclareLaunchArgument(
        "params_file",
        default_value="",
        description="YAML file with parameters of the nodes, for all that has no argument here. "
        "Arguments that are given win over it. Empty means config/avatar.yaml of this package, "
        "which has every parameter of avatar_node at its default.",
    ),
    DeclareLaunchArgument(
        "namespace",
        default_value="",
        description="Namespace of all nodes and topics, such as 'robot1'.",
    ),
    DeclareLaunchArgument(
        "autostart",
        default_value="true",
        description="Whether avatar_node begins by itself. Otherwise something tells it to "
        "configure and activate, as lifecycle nodes are told.",
        choices=["true", "false"],
    ),
    DeclareLaunchArgument(
        "log_level",
        default_value="info",
        description="What the nodes say at least.",
        choices=["debug", "info", "warn", "error", "fatal"],
    ),
    DeclareLaunchArgument(
        "use_sim_time",
        default_value="false",
        description="Whether time comes from /clock: for bags and simulators.",
        choices=["true", "false"],
    ),
    DeclareLaunchArgument(
        "user_motion_source",
        default_value="",
        description="Where the person's face is seen: 'camera', in avatar_node itself; 'topic', "
        "by a perception_node; 'none', not at all. Empty means 'topic' with perception:=true, "
        "or else what params_file says, or else 'camera'.",
    ),
    DeclareLaunchArgument(
        "image_transport",
        default_value="",
        description="How pictures of the person come: 'raw' or 'compressed'. Empty means what "
        "params_file says, or else 'raw'.",
    ),
    DeclareLaunchArgument(
        "user_image",
        default_value="user/image",
        description="Topic with pictures of the person; with image_transport:=compressed, "
        "'/compressed' is added to it.",
    ),
    DeclareLaunchArgument(
        "user_audio",
        default_value="user/audio",
        description="Topic with what the person says (audio_common_msgs/AudioStamped).",
    ),
    DeclareLaunchArgument(
        "avatar_audio",
        default_value="avatar/audio",
        description="Topic with what the avatar is to say (audio_common_msgs/AudioStamped).",
    ),
    DeclareLaunchArgument(
        "perception",
        default_value="false",
        description="Whether to start a perception_node here. To have it on the camera's machine, "
        "start it there and set user_motion_source:=topic.",
        choices=["true", "false"],
    ),
    DeclareLaunchArgument(
        "display",
        default_value="false",
        description="Whether to show the avatar in a window.",
        choices=["true", "false"],
    ),
    DeclareLaunchArgument(
        "fullscreen",
        default_value="false",
        description="Whether that window fills the screen.",
        choices=["true", "false"],
    ),
    DeclareLaunchArgument(
        "telepresence",
        default_value="false",
        description="Whether to serve a page on which an operator sees the avatar and talks "
        "through it (telepresence_node).",
        choices=["true", "false"],
    ),
    DeclareLaunchArgument(
        "telepresence_host",
        default_value="",
        description="Address that the page listens on. Empty means what params_file says, or "
        "else this machine alone. One that others reach wants telepresence_token_file.",
    ),
    DeclareLaunchArgument(
        "telepresence_port",
        default_value="",
        description="Port of the page. Empty means what params_file says, or else 8080.",
    ),
    DeclareLaunchArgument(
        "telepresence_token_file",
        default_value="",
        description="File with a word that the page asks for.",
    ),
    DeclareLaunchArgument(
        "telepresence_tls_cert",
        default_value="",
        description="Certificate (PEM) of the page, for https: browsers give camera and "
        "microphone to nothing else from another machine.",
    ),
    DeclareLaunchArgument(
        "telepresence_tls_key",
        default_value="",
        description="The certificate's key (PEM).",
    ),
    DeclareLaunchArgument(
        "robot_view",
        default_value="",
        description="Whether the page shows the topic user_image beside the avatar: 'true' or "
        "'false'. Empty means what params_file says, or else 'false'.",
        choices=["", "true", "false"],
    ),
    DeclareLaunchArgument(
        "robot_sound",
        default_value="",
        description="Whether the operator hears the topic user_audio instead of their own words: "
        "'true' or 'false'. Empty means what params_file says, or else as robot_view.",
        choices=["", "true", "false"],
    ),
    DeclareLaunchArgument(
        "browser_is_user",
        default_value="",
        description="Whether the browser's camera and microphone are the person before the "
        "avatar, not its voice: 'true' or 'false'. Empty means what params_file says, or else "
        "'false'.",
        choices=["", "true", "false"],
    ),
    DeclareLaunchArgument(
        "visualization",
        default_value="false",
        description="Whether to publish the head frame and the face's outline, for rviz.",
        choices=["true", "false"],
    ),
    DeclareLaunchArgument(
        "camera",
        default_value="none",
        description="Camera driver to start; 'none' where the robot has one already.",
        choices=["none", "usb_cam", "v4l2_camera"],
    ),
    DeclareLaunchArgument(
        "video_device",
        default_value="/dev/video0",
        description="The camera that the driver is to use.",
    ),
    DeclareLaunchArgument(
        "microphone",
        default_value="none",
        description="Package that records the person; 'none' where the robot does so already.",
        choices=["none", "audio_common"],
    ),
    DeclareLaunchArgument(
        "speaker",
        default_value="display",
        description="What plays the avatar's voice: 'display', the window, in time with the lips; "
        "'audio_common', a player of its own; 'none', nothing here.",
        choices=["none", "display", "audio_common"],
    ),
]

# parameter of avatar_node: the argument that sets it, where that is not empty
TOLD = {
    "portrait": LaunchConfiguration("portrait"),
    "preset": LaunchConfiguration("preset"),
    "weights": LaunchConfiguration("weights"),
    "device": LaunchConfiguration("device"),
    "image_transport": LaunchConfiguration("image_transport"),
}
# parameter of telepresence_node, likewise
PAGE_TEXTS = {
    "host": LaunchConfiguration("telepresence_host"),
    "token_file": LaunchConfiguration("telepresence_token_file"),
    "tls_cert": LaunchConfiguration("telepresence_tls_cert"),
    "tls_key": LaunchConfiguration("telepresence_tls_key"),
    "user_image_transport": LaunchConfiguration("image_transport"),
}
PAGE_SWITCHES = {
    "robot_view": LaunchConfiguration("robot_view"),
    "robot_sound": LaunchConfiguration("robot_sound"),
    "browser_is_user": LaunchConfiguration("browser_is_user"),
}
# topic of the nodes: the argument that names it
TOPICS = {
    "user/image": LaunchConfiguration("user_image"),
    "user/audio": LaunchConfiguration("user_audio"),
    "avatar/audio": LaunchConfiguration("avatar_audio"),
}
DEFAULTS = [FindPackageShare(PACKAGE), "config", "avatar.yaml"]
CAMERAS = {"usb_cam": "usb_cam_node_exe", "v4l2_camera": "v4l2_camera_node"}


def generate_launch_description() -> LaunchDescription:
    """Describe the arguments, and the nodes that they ask for."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=nodes)])


def nodes(context: LaunchContext) -> list[Node]:
    """All nodes that the arguments ask for."""
    perception = LaunchConfiguration("perception").perform(context) == "true"
    display = LaunchConfiguration("display").perform(context) == "true"
    camera = LaunchConfiguration("camera").perform(context)
    microphone = LaunchConfiguration("microphone").perform(context)
    speaker = LaunchConfiguration("speaker").perform(context)
    found = [avatar(context, perception)]
    if perception:
        found.append(plain_node(context, "perception_node", transport(context)))
    if display:
        fullscreen = LaunchConfiguration("fullscreen").perform(context) == "true"
        shown = {"fullscreen": fullscreen, "speaker": speaker == "display"}
        found.append(plain_node(context, "display_node", shown))
    if LaunchConfiguration("telepresence").perform(context) == "true":
        found.append(plain_node(context, "telepresence_node", page(context)))
    if camera != "none":
        found.append(camera_node(context, camera))
    if microphone == "audio_common":
        found.append(audio_node(context, "audio_capturer_node", TOPICS["user/audio"]))
    if speaker == "audio_common":
        found.append(audio_node(context, "audio_player_node", "avatar/audio_aligned"))
    return found


def avatar(context: LaunchContext, perception: bool) -> LifecycleNode:
    """The avatar itself; everything else ends with it."""
    told = {name: value.perform(context) for name, value in TOLD.items()}
    source = LaunchConfiguration("user_motion_source").perform(context)
    told["user_motion_source"] = source or ("topic" if perception else "")
    settings = {name: text(value) for name, value in told.items() if value}
    settings["autostart"] = LaunchConfiguration("autostart").perform(context) == "true"
    if LaunchConfiguration("visualization").perform(context) == "true":
        settings |= {"publish_tf": True, "publish_markers": True}
    return LifecycleNode(
        package=PACKAGE,
        executable="avatar_node",
        name="avatar_node",
        on_exit=end_all,
        **common(context, settings, PathJoinSubstitution(DEFAULTS)),
    )


def end_all(event: object, context: LaunchContext) -> list[Shutdown]:
    """The end of everything, told once: launch_ros fails where it is told again on the way out."""
    return [] if context.is_shutdown else [Shutdown(reason="avatar_node has ended")]


def plain_node(context: LaunchContext, executable: str, settings: dict[str, object]) -> Node:
    """Another node of this package."""
    return Node(
        package=PACKAGE, executable=executable, name=executable, **common(context, settings)
    )


def page(context: LaunchContext) -> dict[str, object]:
    """The parameters of telepresence_node that were given."""
    texts = {name: value.perform(context) for name, value in PAGE_TEXTS.items()}
    switches = {name: value.perform(context) for name, value in PAGE_SWITCHES.items()}
    port = LaunchConfiguration("telepresence_port")
    return {
        **{name: text(value) for name, value in texts.items() if value},
        **{name: value == "true" for name, value in switches.items() if value},
        # launch turns a substitution into a number, but not text
        **({"port": ParameterValue(port, value_type=int)} if port.perform(context) else {}),
    }


def transport(context: LaunchContext) -> dict[str, object]:
    """The parameter image_transport, where it was given."""
    given = TOLD["image_transport"].perform(context)
    return {"image_transport": text(given)} if given else {}


def common(
    context: LaunchContext, settings: dict[str, object], defaults: object = None
) -> dict[str, object]:
    """What the nodes of this package have in common; `defaults` is a node's own file."""
    params_file = LaunchConfiguration("params_file").perform(context) or defaults
    use_sim_time = LaunchConfiguration("use_sim_time").perform(context) == "true"
    remappings = []
    for topic, argument in TOPICS.items():
        name = argument.perform(context)
        if name != topic:
            remappings += [(topic, name), (f"{topic}/compressed", f"{name}/compressed")]
    return {
        "namespace": LaunchConfiguration("namespace"),
        "parameters": [
            *([params_file] if params_file else []),
            {**settings, "use_sim_time": use_sim_time},
        ],
        "remappings": remappings,
        "ros_arguments": ["--log-level", LaunchConfiguration("log_level")],
        "output": "screen",
        "emulate_tty": True,
    }


def camera_node(context: LaunchContext, driver: str) -> Node:
    """A camera driver that publishes to the topic of the person's pictures."""
    topic = TOPICS["user/image"].perform(context)
    return Node(
        package=driver,
        executable=CAMERAS[driver],
        name="user_camera",
        namespace=LaunchConfiguration("namespace"),
        parameters=[{"video_device": text(LaunchConfiguration("video_device").perform(context))}],
        remappings=[
            ("image_raw", topic),
            ("image_raw/compressed", f"{topic}/compressed"),
            ("camera_info", "user/camera_info"),
        ],
        output="screen",
    )


def audio_node(context: LaunchContext, executable: str, topic: object) -> Node:
    """A node of audio_common on the given topic."""
    return Node(
        package="audio_common",
        executable=executable,
        name=executable,
        namespace=LaunchConfiguration("namespace"),
        remappings=[("audio", topic)],
        output="screen",
    )


def text(value: str) -> ParameterValue:
    """A parameter that stays text, whatever it looks like."""
    return ParameterValue(value, value_type=str)
