"""Settings of the middleware without which pictures do not get through."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path

import rclpy

from avatar_forcing_ros.resources import shipped

# one setting: its name since Kilted, and that before, which Kilted warns of; what a user has set
# of its like is left alone
PROFILES = NEWER, OLDER = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
RCLPY_OF_KILTED = 9
OTHER_CHOICES = (
    "FASTDDS_BUILTIN_TRANSPORTS",
    "RMW_FASTRTPS_USE_QOS_FROM_XML",
    "ROS_DISCOVERY_SERVER",
)
FAST_DDS = ("", "rmw_fastrtps_cpp", "rmw_fastrtps_dynamic_cpp")  # the default is one of them
RECEIVE_BUFFER = Path("/proc/sys/net/core/rmem_max")
CYCLONE_BYTES = 1_000_000  # of the buffer that it asks the kernel for


def middleware_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What is to be added to `environment` before a process of the graph starts.

    Fast DDS hands messages to other processes in shared memory, of which it has 512 KiB by
    default, less than one picture: what does not fit is sent over UDP in pieces, and best effort
    loses most of it. The profile that ships asks for more; it matters where pictures are
    published, not where they are received. Nothing is added where another middleware, or a
    setting of the same kind, was chosen.
    """
    if environment.get("RMW_IMPLEMENTATION", "") not in FAST_DDS:
        return {}
    if any(environment.get(name) for name in (*PROFILES, *OTHER_CHOICES)):
        return {}
    localhost_only = environment.get("ROS_LOCALHOST_ONLY", "") == "1"
    profile = "fastdds_localhost.xml" if localhost_only else "fastdds.xml"
    return {profile_variable(): str(shipped(f"config/{profile}"))}


def is_fast_dds() -> bool:
    """Whether that is the middleware of this process."""
    return rclpy.get_rmw_implementation_identifier() in FAST_DDS


def middleware_warning(identifier: str, receive_buffer: Path = RECEIVE_BUFFER) -> str:
    """What is to be said of the machine at the start with that middleware; empty for nothing.

    CycloneDDS takes what the kernel gives, loses raw pictures where that is little, and tells
    nobody of it.
    """
    if "cyclonedds" not in identifier or not receive_buffer.exists():
        return ""
    given = int(receive_buffer.read_text())
    if given >= CYCLONE_BYTES:
        return ""
    return (
        f"CycloneDDS loses raw pictures here: expected net.core.rmem_max of {CYCLONE_BYTES} bytes "
        f"at least, got {given}; run: sudo sysctl -w net.core.rmem_max=2097152, or take "
        "compressed pictures"
    )


def profile_variable() -> str:
    """What the installed ROS calls the setting, by the version of its client library."""
    for name in ("rclpy", "ros-rclpy"):  # as a distribution or a wheel names it
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            major = int(importlib.metadata.version(name).partition(".")[0])
            return NEWER if major >= RCLPY_OF_KILTED else OLDER
    return NEWER


def prepare_middleware(environment: MutableMapping[str, str] = os.environ) -> None:
    """The same for this process; to be called before ``rclpy.init``."""
    environment.update(middleware_environment(environment))
