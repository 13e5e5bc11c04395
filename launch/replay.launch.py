"""Plays a recorded conversation to the avatar, as if it took place now.

Run it with ``ros2 launch avatar_forcing_ros replay.launch.py bag:=PATH output:=answer``. The same
bag gives the same motion every time.
"""

import shlex

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    Shutdown,
    TimerAction,
)
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.event_handlers import OnStateTransition
from launch_ros.substitutions import FindPackageShare

ARGUMENTS = [
    DeclareLaunchArgument(
        "bag",
        description="The recorded conversation: folder of a rosbag2 bag.",
    ),
    DeclareLaunchArgument(
        "output",
        default_value="",
        description="Folder for a bag with what the avatar does; it must not be there yet. Empty "
        "means that nothing is recorded.",
    ),
    DeclareLaunchArgument(
        "bag_options",
        default_value="",
        description="More options for 'ros2 bag play', such as '--rate 0.5'.",
    ),
    DeclareLaunchArgument(
        "linger_s",
        default_value="3.0",
        description="Seconds that the avatar has for its last words after the bag's end.",
    ),
    DeclareLaunchArgument(
        "namespace",
        default_value="",
        description="Namespace of all nodes and topics, such as 'robot1'.",
    ),
    DeclareLaunchArgument(
        "user_image",
        default_value="user/image",
        description="Topic of the bag with pictures of the person, without '/compressed'.",
    ),
    DeclareLaunchArgument(
        "user_audio",
        default_value="user/audio",
        description="Topic of the bag with what the person says.",
    ),
    DeclareLaunchArgument(
        "avatar_audio",
        default_value="avatar/audio",
        description="Topic of the bag with what the avatar says.",
    ),
]

INPUTS = {
    "user_image": LaunchConfiguration("user_image"),
    "user_audio": LaunchConfiguration("user_audio"),
    "avatar_audio": LaunchConfiguration("avatar_audio"),
}
RESULTS = ("image_raw/compressed", "motion", "audio_aligned", "state")
# subscriptions need a moment to find the player, which would not wait for them
DELAY_S = "2"


def generate_launch_description() -> LaunchDescription:
    """Describe the avatar in the bag's time, and the bag that begins when it is ready."""
    avatar = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(
            PathJoinSubstitution(
                [FindPackageShare("avatar_forcing_ros"), "launch", "avatar.launch.py"]
            )
        ),
        launch_arguments={
            **INPUTS,
            "namespace": LaunchConfiguration("namespace"),
            "use_sim_time": "true",
            "autostart": "true",
        }.items(),
    )
    # the handler must be there before the node is
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=bags), avatar])


def bags(context: LaunchContext) -> list[object]:
    """The recording, if wanted, and the handlers that begin and end the replay."""
    namespace = LaunchConfiguration("namespace").perform(context)
    output = LaunchConfiguration("output").perform(context)
    image, *sounds = (absolute(namespace, topic.perform(context)) for topic in INPUTS.values())
    motion = absolute(namespace, "user/motion")
    play = ExecuteProcess(
        name="bag_play",
        cmd=[
            *("ros2", "bag", "play", LaunchConfiguration("bag")),
            *("--clock", "100", "--delay", DELAY_S),
            *shlex.split(LaunchConfiguration("bag_options").perform(context)),
            *("--topics", image, f"{image}/compressed", motion, *sounds),
        ],
        output="screen",
    )
    linger_s = float(LaunchConfiguration("linger_s").perform(context))
    end = TimerAction(period=linger_s, actions=[Shutdown(reason="the bag has ended")])
    actions: list[object] = [
        RegisterEventHandler(
            OnStateTransition(goal_state="active", entities=[play], handle_once=True)
        ),
        RegisterEventHandler(OnProcessExit(target_action=play, on_exit=[end])),
    ]
    if output:
        results = [absolute(namespace, f"avatar/{name}") for name in RESULTS]
        actions.append(
            ExecuteProcess(
                name="bag_record",
                cmd=["ros2", "bag", "record", "--output", output, *results],
                output="screen",
            )
        )
    return actions


def absolute(namespace: str, topic: str) -> str:
    """The topic as it stands in bags."""
    parts = [part for part in namespace.split("/") if part]
    return topic if topic.startswith("/") else "/" + "/".join([*parts, topic])
