"""``avatar-forcing live``: talk with the avatar in a browser."""

from __future__ import annotations

import argparse
import logging
from functools import partial
from pathlib import Path
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

TROUBLES = "avatar_forcing_ros.web.live"  # its log is sparing


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
    """Serve until told to end."""
    from avatar_forcing_ros.web.access import access_for
    from avatar_forcing_ros.web.tls import tls_context

    server = server_config(options)
    token_file, tls_cert, tls_key = (
        Path(name) if name else None
        for name in (server.token_file, server.tls_cert, server.tls_key)
    )
    access = access_for(server.host, token_file, open_to_viewers=server.open_to_viewers)
    tls = tls_context(tls_cert, tls_key)
    config = avatar_config(options)

    from avatar_forcing_ros.runtime.avatar_process import AvatarProcess
    from avatar_forcing_ros.runtime.portraits import face_in
    from avatar_forcing_ros.web.live_stage import LiveStage
    from avatar_forcing_ros.web.quiet_log import keep_quiet
    from avatar_forcing_ros.web.serving import Door, serve_until_stopped

    keep_quiet()

    def warn(where: str, sentence: str) -> None:
        logging.getLogger(TROUBLES).warning(sentence)

    avatar = AvatarProcess(partial(_session, config), warn)

    def find_face(picture: NDArray[np.uint8]) -> Portrait:
        return face_in(picture, config, avatar.portrait_size_px)

    door = Door(access, server.host, server.port, tls, server.max_viewers)
    try:
        serve_until_stopped(
            LiveStage(avatar, find_face),
            door,
            ready=lambda: print(f"Open {door.url} in a browser. Ctrl-C ends it.", flush=True),
        )
    finally:
        avatar.close()


def _session(config: AvatarConfig) -> Session:
    """The avatar's part, made in its own process; here the networks' libraries are not needed."""
    from avatar_forcing_ros.runtime.build import build_session

    return build_session(config)
