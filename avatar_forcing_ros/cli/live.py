"""``avatar-forcing live``: talk with the avatar in a browser."""

from __future__ import annotations

import argparse
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from avatar_forcing_ros.cli.options import add_avatar_options, avatar_config
from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.resources import user_path

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from avatar_forcing_ros.config import AvatarConfig
    from avatar_forcing_ros.rig.portrait import Portrait
    from avatar_forcing_ros.runtime.session import Session

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8080
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
    serving = live.add_argument_group("serving")
    serving.add_argument(
        "--host", default=DEFAULT_HOST, help=f"address to listen on (default: {DEFAULT_HOST})"
    )
    serving.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"default: {DEFAULT_PORT}")
    serving.add_argument(
        "--token-file",
        type=user_path,
        metavar="F",
        help="file with a word that the page asks for; wanted where others reach the server",
    )
    serving.add_argument(
        "--tls-cert", type=user_path, metavar="PEM", help="certificate, for https"
    )
    serving.add_argument("--tls-key", type=user_path, metavar="PEM", help="the certificate's key")
    serving.add_argument(
        "--open-to-viewers",
        action="store_true",
        help="let everybody watch; only talking with the avatar wants the token",
    )
    add_avatar_options(live)
    live.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Serve until told to end."""
    from avatar_forcing_ros.web.access import access_for
    from avatar_forcing_ros.web.tls import tls_context

    if not 1 <= options.port <= 65_535:
        raise ConfigError(
            f"--port {options.port}",
            expected="1 … 65535",
            got=str(options.port),
            remedy="pick one",
        )
    access = access_for(options.host, options.token_file, open_to_viewers=options.open_to_viewers)
    tls = tls_context(options.tls_cert, options.tls_key)
    config = avatar_config(options)

    from avatar_forcing_ros.runtime.avatar_process import AvatarProcess
    from avatar_forcing_ros.runtime.load import portrait_from_image
    from avatar_forcing_ros.web.live_stage import LiveStage
    from avatar_forcing_ros.web.quiet_log import keep_quiet
    from avatar_forcing_ros.web.serving import Door, serve_until_stopped

    keep_quiet()
    avatar = AvatarProcess(partial(_session, config), logging.getLogger(TROUBLES).warning)

    def find_face(picture: NDArray[np.uint8]) -> Portrait:
        return portrait_from_image(picture, config, avatar.portrait_size_px)

    door = Door(access, options.host, options.port, tls)
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
    from avatar_forcing_ros.runtime.load import build_session

    return build_session(config)
