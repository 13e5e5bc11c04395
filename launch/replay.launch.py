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
from launch.event import Event
from launch.event_handler import EventHandler
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.ros_adapters import get_ros_node
from launch_ros.substitutions import FindPackageShare
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState

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
        description="Topic of the bag with images of the person, without '/compressed'.",
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
ASK_PERIOD_S = 0.5


class AvatarIsActive(Event):
    """The bag can begin."""

    name = "avatar_forcing_ros.AvatarIsActive"


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
    image, *audio = (absolute(namespace, topic.perform(context)) for topic in INPUTS.values())
    motion = absolute(namespace, "user/motion")
    play = ExecuteProcess(
        name="bag_play",
        cmd=[
            *("ros2", "bag", "play", LaunchConfiguration("bag")),
            *("--clock", "100", "--delay", DELAY_S),
            *shlex.split(LaunchConfiguration("bag_options").perform(context)),
            *("--topics", image, f"{image}/compressed", motion, *audio),
        ],
        output="screen",
    )
    linger_s = float(LaunchConfiguration("linger_s").perform(context))

    def end_all(event: object, context: LaunchContext) -> list[TimerAction]:
        # launch_ros fails where a shutdown is asked for again on the way out
        end = Shutdown(reason="the bag has ended")
        return [] if context.is_shutdown else [TimerAction(period=linger_s, actions=[end])]

    actions: list[object] = [
        RegisterEventHandler(
            EventHandler(
                matcher=lambda event: isinstance(event, AvatarIsActive),
                entities=[play],
                handle_once=True,
            )
        ),
        RegisterEventHandler(OnProcessExit(target_action=play, on_exit=end_all)),
    ]
    ask_until_active(context, absolute(namespace, "avatar_node"))
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


def ask_until_active(context: LaunchContext, node_name: str) -> None:
    """Have AvatarIsActive emitted once the node says that it is.

    Its transition event would be lost where it came before the two had found each other, and the
    replay would never begin: one of three did not on a busy machine.
    """
    node = get_ros_node(context)
    client = node.create_client(GetState, f"{node_name}/get_state")

    def ask() -> None:
        if client.service_is_ready():
            client.call_async(GetState.Request()).add_done_callback(answered)

    def answered(future: object) -> None:
        is_active = future.result().current_state.id == State.PRIMARY_STATE_ACTIVE
        if is_active and not timer.is_canceled():
            timer.cancel()
            context.asyncio_loop.call_soon_threadsafe(context.emit_event_sync, AvatarIsActive())

    timer = node.create_timer(ASK_PERIOD_S, ask)


def absolute(namespace: str, topic: str) -> str:
    """The topic as it stands in bags."""
    parts = [part for part in namespace.split("/") if part]
    return topic if topic.startswith("/") else "/" + "/".join([*parts, topic])
