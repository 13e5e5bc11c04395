"""Starts the avatar, and beside it, as far as wanted, what feeds it and what shows it.

Run it with ``ros2 launch avatar_forcing_ros avatar.launch.py display:=true camera:=usb_cam``.
Its arguments and what they start stand in launch_arguments.py and
launch_plan.py of the package, which need no ROS.
"""

import os

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue

from avatar_forcing_ros.launch_arguments import ARGUMENTS
from avatar_forcing_ros.launch_plan import (
    PlannedNode,
    planned_nodes,
    require_installed,
    wildcard_file,
)
from avatar_forcing_ros.nodes.middleware import middleware_environment


def generate_launch_description() -> LaunchDescription:
    """Describe the arguments, and the nodes that they ask for."""
    arguments = [
        DeclareLaunchArgument(
            argument.name,
            default_value=argument.default,
            description=argument.description,
            choices=argument.choices or None,
        )
        for argument in ARGUMENTS
    ]
    # a camera driver's images have to get through as ours do; our nodes set this themselves
    settings = middleware_environment(os.environ)
    environment = [SetEnvironmentVariable(name, value) for name, value in settings.items()]
    return LaunchDescription([*arguments, *environment, OpaqueFunction(function=nodes)])


def nodes(context: LaunchContext) -> list[Node]:
    """All nodes that the arguments ask for."""
    names = [argument.name for argument in ARGUMENTS]
    given = {name: LaunchConfiguration(name).perform(context) for name in names}
    wanted = planned_nodes(given)
    require_installed(wanted)
    return [action(planned) for planned in wanted]


def action(planned: PlannedNode) -> Node:
    """The node as launch starts it; everything else ends with the avatar."""
    # text stays text, whatever it looks like
    parameters = {
        name: ParameterValue(value, value_type=str) if isinstance(value, str) else value
        for name, value in planned.parameters.items()
    }
    files = [planned.params_file] if planned.params_file else []
    if planned.parameters.get("avatars"):
        files, parameters = [*files, wildcard_file(planned)], {}
    words = {
        "package": planned.package,
        "executable": planned.executable,
        "name": planned.name,
        "namespace": planned.namespace,
        "parameters": [*files, *([parameters] if parameters else [])],
        "remappings": list(planned.remappings),
        "ros_arguments": ["--log-level", planned.log_level],
        "output": "screen",
        "emulate_tty": True,
    }
    if planned.is_avatar:
        return LifecycleNode(on_exit=end_all, **words)
    return Node(**words)


def end_all(event: object, context: LaunchContext) -> list[Shutdown]:
    """Shut down, once: launch_ros fails where that is asked for again on the way out."""
    return [] if context.is_shutdown else [Shutdown(reason="avatar_node has ended")]
