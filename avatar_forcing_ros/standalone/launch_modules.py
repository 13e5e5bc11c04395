"""Makes ``import launch`` and ``import launch_ros`` work where they are not installed."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from avatar_forcing_ros.standalone.install import MissingFromStandalone, MissingModule

_HERE = __name__.rpartition(".")[0]
# module: our module that holds the names, and the names
MODULES: dict[str, dict[str, str]] = {
    "launch": {
        "launch_actions": "LaunchDescription Action",
        "launch_context": "LaunchContext Substitution",
        "launch_conditions": "Condition",
        "launch_service": "LaunchService",
    },
    "launch.actions": {
        "launch_actions": "DeclareLaunchArgument GroupAction IncludeLaunchDescription LogInfo"
        " OpaqueFunction RegisterEventHandler SetEnvironmentVariable SetLaunchConfiguration"
        " Shutdown TimerAction",
        "launch_nodes": "ExecuteProcess",
    },
    "launch.conditions": {
        "launch_conditions": "IfCondition UnlessCondition LaunchConfigurationEquals"
        " LaunchConfigurationNotEquals"
    },
    "launch.event_handlers": {"launch_events": "OnProcessExit"},
    "launch.launch_description_sources": {"launch_actions": "PythonLaunchDescriptionSource"},
    "launch.substitutions": {
        "launch_substitutions": "EnvironmentVariable EqualsSubstitution LaunchConfiguration"
        " NotEqualsSubstitution PathJoinSubstitution PythonExpression TextSubstitution"
    },
    "launch_ros": {},
    "launch_ros.actions": {"launch_nodes": "LifecycleNode Node PushRosNamespace"},
    "launch_ros.event_handlers": {"launch_events": "OnStateTransition"},
    "launch_ros.parameter_descriptions": {"launch_nodes": "ParameterValue"},
    "launch_ros.substitutions": {"launch_substitutions": "ExecutableInPackage FindPackageShare"},
}


def has_real_launch() -> bool:
    """Whether ROS's own ``launch_ros`` can be imported; a mere folder of that name is none."""
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return False
    spec = importlib.util.find_spec("launch_ros")
    return spec is not None and spec.origin is not None


def install_launch() -> bool:
    """Makes the modules importable where the real ones are not; True where it did."""
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return True
    if has_real_launch():
        return False
    # first, because a folder launch/ in the working directory counts as a module for Python
    sys.meta_path.insert(0, _Finder())
    return True


class _Finder(MetaPathFinder):
    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname in MODULES:
            is_package = any(name.startswith(f"{fullname}.") for name in MODULES)
            return ModuleSpec(fullname, _Loader(), is_package=is_package)
        if fullname.partition(".")[0] in ("launch", "launch_ros"):
            raise MissingModule(f"{fullname} is not provided without a ROS installation")
        return None


class _Loader(Loader):
    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        module.__doc__ = f"{name}, as far as launch files here need it, without ROS."
        for source, entries in MODULES[name].items():
            ours = importlib.import_module(f"{_HERE}.{source}")
            for entry in entries.split():
                setattr(module, entry, getattr(ours, entry))
        setattr(module, "__getattr__", lambda wanted: _missing(name, wanted))  # noqa: B010


def _missing(module: str, name: str) -> Any:
    if name.startswith("__"):  # asked by Python itself, which expects a plain no
        raise AttributeError(f"module '{module}' has no attribute '{name}'")
    if f"{module}.{name}" in MODULES:
        return importlib.import_module(f"{module}.{name}")
    raise MissingFromStandalone(f"{module}.{name} is not provided without a ROS installation")
