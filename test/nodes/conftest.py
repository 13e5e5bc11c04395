"""Message packages for all tests of the nodes: the real ones where ROS is sourced, else ours."""

from __future__ import annotations

from avatar_forcing_ros import standalone

standalone.install()
