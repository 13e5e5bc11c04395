"""Shows the avatar in rviz: picture, head frame and face outline.

Run it with ``ros2 launch avatar_forcing_ros rviz.launch.py`` beside ``avatar.launch.py
visualization:=true``.
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

# as config/avatar.rviz has them
TOPICS = ("avatar/image_raw", "avatar/markers")


def generate_launch_description() -> LaunchDescription:
    """Describe the arguments and rviz."""
    arguments = [
        DeclareLaunchArgument(
            "namespace",
            default_value="",
            description="Namespace that avatar.launch.py was given.",
        ),
        DeclareLaunchArgument(
            "rviz_config",
            default_value="",
            description="Settings of rviz. Empty means config/avatar.rviz of this package.",
        ),
        DeclareLaunchArgument(
            "use_sim_time",
            default_value="false",
            description="Whether time comes from /clock: for bags and simulators.",
            choices=["true", "false"],
        ),
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=rviz)])


def rviz(context: LaunchContext) -> list[Node]:
    """The one node, with the topics where the namespace has them."""
    parts = [p for p in LaunchConfiguration("namespace").perform(context).split("/") if p]
    share = FindPackageShare("avatar_forcing_ros")
    shipped = PathJoinSubstitution([share, "config", "avatar.rviz"])
    config = LaunchConfiguration("rviz_config").perform(context) or shipped
    use_sim_time = LaunchConfiguration("use_sim_time").perform(context) == "true"
    return [
        Node(
            package="rviz2",
            executable="rviz2",
            name="rviz2",
            arguments=["-d", config],
            remappings=[(f"/{topic}", "/" + "/".join([*parts, topic])) for topic in TOPICS],
            parameters=[{"use_sim_time": use_sim_time}],
            output="screen",
        )
    ]
