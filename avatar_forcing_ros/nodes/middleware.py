"""Settings of the middleware without which pictures do not get through."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping

from avatar_forcing_ros.resources import shipped

# newer and older name of one setting; what a user has set of its like is left alone
PROFILES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
OTHER_CHOICES = (
    "FASTDDS_BUILTIN_TRANSPORTS",
    "RMW_FASTRTPS_USE_QOS_FROM_XML",
    "ROS_DISCOVERY_SERVER",
)
FAST_DDS = ("", "rmw_fastrtps_cpp", "rmw_fastrtps_dynamic_cpp")  # the default is one of them


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
    return dict.fromkeys(PROFILES, str(shipped(f"config/{profile}")))


def prepare_middleware(environment: MutableMapping[str, str] = os.environ) -> None:
    """The same for this process; to be called before ``rclpy.init``."""
    environment.update(middleware_environment(environment))
