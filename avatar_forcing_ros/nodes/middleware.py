"""Settings of the middleware without which images do not get through."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path

import rclpy

from avatar_forcing_ros.resources import shipped

# one setting: its name since Kilted, and that before, which Kilted warns of
PROFILES = NEWER, OLDER = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
RCLPY_OF_KILTED = 9
# other settings of its kind: what a user has set of them is left alone
OTHER_CHOICES = (
    "FASTDDS_BUILTIN_TRANSPORTS",
    "RMW_FASTRTPS_USE_QOS_FROM_XML",
    "ROS_DISCOVERY_SERVER",
)
FAST_DDS = ("", "rmw_fastrtps_cpp", "rmw_fastrtps_dynamic_cpp")  # the default is one of them
RECEIVE_BUFFER = Path("/proc/sys/net/core/rmem_max")
CYCLONE_BYTES = 1_000_000  # of the buffer that it asks the kernel for


def prepare_middleware(environment: MutableMapping[str, str] = os.environ) -> None:
    """Make `middleware_environment` this process's; to be called before ``rclpy.init``."""
    environment.update(middleware_environment(environment))


def middleware_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What is to be added to `environment` before a process of the graph starts.

    Fast DDS hands messages to other processes in shared memory, of which it has 512 KiB by
    default, less than one image: what does not fit is sent over UDP in fragments, and best effort
    loses most of it. The profile that ships asks for more; it matters where images are published,
    not where they are received. Nothing is added where another middleware, or a setting of the
    same kind, was chosen.
    """
    if environment.get("RMW_IMPLEMENTATION", "") not in FAST_DDS:
        return {}
    if any(environment.get(name) for name in (*PROFILES, *OTHER_CHOICES)):
        return {}
    localhost_only = environment.get("ROS_LOCALHOST_ONLY", "") == "1"
    profile = "fastdds_localhost.xml" if localhost_only else "fastdds.xml"
    return {profile_variable(): str(shipped(f"config/{profile}"))}


def profile_variable() -> str:
    """What the installed ROS calls the setting, by the version of its client library."""
    for name in ("rclpy", "ros-rclpy"):  # as a distribution or a wheel names it
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            major = int(importlib.metadata.version(name).partition(".")[0])
            return NEWER if major >= RCLPY_OF_KILTED else OLDER
    return NEWER


def is_fast_dds() -> bool:
    """Whether that is the middleware of this process."""
    return rclpy.get_rmw_implementation_identifier() in FAST_DDS


def middleware_warning(identifier: str, receive_buffer: Path = RECEIVE_BUFFER) -> str:
    """A warning about the machine at the start with that middleware; empty for none.

    CycloneDDS takes what the kernel gives, and loses raw images silently where that is little.
    """
    if "cyclonedds" not in identifier or not receive_buffer.exists():
        return ""
    given = int(receive_buffer.read_text())
    if given >= CYCLONE_BYTES:
        return ""
    return (
        f"CycloneDDS loses raw images here: expected net.core.rmem_max of {CYCLONE_BYTES} bytes "
        f"at least, got {given}; run: sudo sysctl -w net.core.rmem_max=2097152, or take "
        "compressed images"
    )
