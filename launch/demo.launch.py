"""Makes the demonstration video: no camera, microphone or robot is needed.

Run it with ``ros2 launch avatar_forcing_ros demo.launch.py output_dir:=avatar_demo``.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess
from launch.substitutions import LaunchConfiguration
from launch_ros.substitutions import ExecutableInPackage


def generate_launch_description() -> LaunchDescription:
    """Describe the one process that renders the demo; the launch ends with it."""
    arguments = [
        DeclareLaunchArgument(
            "output_dir",
            default_value="out",
            description="Folder for the video and the measured metrics; made if it is not there.",
        ),
        DeclareLaunchArgument(
            "portrait",
            default_value="",
            description="Image file with a face. Empty means the portrait that ships with the "
            "package.",
        ),
        DeclareLaunchArgument(
            "preset",
            default_value="compact",
            description="Model that moves the face. 'compact' ships with the package and runs "
            "on a CPU.",
        ),
        DeclareLaunchArgument(
            "seed",
            default_value="0",
            description="Whole number that fixes every random choice: the same seed gives the "
            "same video.",
        ),
    ]
    demo = ExecuteProcess(
        name="avatar_demo",
        cmd=[
            ExecutableInPackage(package="avatar_forcing_ros", executable="avatar-forcing"),
            "demo",
            ["--output-dir=", LaunchConfiguration("output_dir")],
            ["--portrait=", LaunchConfiguration("portrait")],
            ["--preset=", LaunchConfiguration("preset")],
            ["--seed=", LaunchConfiguration("seed")],
        ],
        output="screen",
        emulate_tty=True,
    )
    return LaunchDescription([*arguments, demo])
