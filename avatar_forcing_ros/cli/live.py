"""``avatar-forcing live``: talk with the avatar in a browser."""

from __future__ import annotations

import argparse
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from avatar_forcing_ros.cli.options import (
    add_avatar_options,
    add_server_options,
    avatar_config,
    server_config,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from avatar_forcing_ros.config import AvatarConfig
    from avatar_forcing_ros.rig.portrait import Portrait
    from avatar_forcing_ros.runtime.session import Session

WARNINGS = "avatar_forcing_ros.web.live"  # a logger with a rate limit


def add(commands: Any) -> None:
    """Add the command to the sub-parsers `commands`."""
    live = commands.add_parser(
        "live",
        help="talk with the avatar in a browser",
        description="Serves a page on which you see and hear the avatar, and it sees and hears "
        "you, by your camera and microphone. It says what you type (by espeak-ng, where that is "
        "installed) or the sound that you give it. Only this machine can open the page unless "
        "you say otherwise.",
    )
    add_server_options(live)
    add_avatar_options(live, live=True)
    live.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Serve until SIGINT or SIGTERM."""
    from avatar_forcing_ros.web.serving import Endpoint, serve_until_signal

    endpoint = Endpoint.of(server_config(options))
    config = avatar_config(options)

    from avatar_forcing_ros.runtime.avatar_process import AvatarProcess
    from avatar_forcing_ros.runtime.load import portrait_from_image
    from avatar_forcing_ros.web.backend import LiveBackend
    from avatar_forcing_ros.web.middleware import limit_log_rate

    limit_log_rate()
    warn = logging.getLogger(WARNINGS).warning
    avatar = AvatarProcess(partial(_session, config), lambda where, text: warn("%s", text))

    def find_face(image: NDArray[np.uint8]) -> Portrait:
        return portrait_from_image(image, config, avatar.portrait_size_px)

    try:
        serve_until_signal(
            LiveBackend(avatar, find_face, config.live, partial(print, flush=True)),
            endpoint,
            ready=lambda: print(
                f"Open {' or '.join(endpoint.urls)} in a browser. Ctrl-C ends it.", flush=True
            ),
        )
    finally:
        avatar.close()


def _session(config: AvatarConfig) -> Session:
    """The avatar's part, made in its own process; here the networks' libraries are not needed."""
    from avatar_forcing_ros.runtime.load import build_session

    return build_session(config)
