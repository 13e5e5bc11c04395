"""``avatar-forcing live``: talk with the avatar in a browser."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avatar_forcing_ros.cli.options import add_avatar_options, avatar_config
from avatar_forcing_ros.errors import ConfigError, OutputError

if TYPE_CHECKING:
    import ssl

    import numpy as np
    from numpy.typing import NDArray

    from avatar_forcing_ros.rig.portrait import Portrait

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8080


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
        type=Path,
        metavar="F",
        help="file with a word that the page asks for; wanted where others reach the server",
    )
    serving.add_argument("--tls-cert", type=Path, metavar="PEM", help="certificate, for https")
    serving.add_argument("--tls-key", type=Path, metavar="PEM", help="the certificate's key")
    add_avatar_options(live)
    live.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Serve until told to end."""
    from avatar_forcing_ros.web.access import access_for

    if not 1 <= options.port <= 65_535:
        raise ConfigError(
            f"--port {options.port}",
            expected="1 … 65535",
            got=str(options.port),
            remedy="pick one",
        )
    access, tls = access_for(options.host, options.token_file), _tls(options)
    config = avatar_config(options)

    from avatar_forcing_ros.pipeline.build import build_session, face_in
    from avatar_forcing_ros.pipeline.live_avatar import LiveAvatar
    from avatar_forcing_ros.web.ice_hosts import offer_loopback
    from avatar_forcing_ros.web.live_stage import LiveStage
    from avatar_forcing_ros.web.serving import serve_until_stopped

    if access.local:
        offer_loopback()
    avatar = LiveAvatar(build_session(config), lambda text: print(text, file=sys.stderr))
    avatar.warm_up()

    def find_face(picture: NDArray[np.uint8]) -> Portrait:
        return face_in(picture, config, avatar.portrait_size_px)

    name = "localhost" if access.local else options.host
    url = f"{'https' if tls else 'http'}://{name}:{options.port}"
    try:
        serve_until_stopped(
            LiveStage(avatar, find_face),
            access,
            options.host,
            options.port,
            tls,
            ready=lambda: print(f"Open {url} in a browser. Ctrl-C ends it.", flush=True),
        )
    except OSError as error:
        raise OutputError(
            f"address {options.host}:{options.port}",
            expected="one to listen on",
            got=error.strerror or str(error),
            remedy="choose another with --port",
        ) from error


def _tls(options: argparse.Namespace) -> ssl.SSLContext | None:
    if options.tls_cert is None and options.tls_key is None:
        return None
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(options.tls_cert or "", options.tls_key)
    except OSError as error:
        raise ConfigError(
            "--tls-cert, --tls-key",
            expected="a certificate and its key as PEM files",
            got=error.strerror or str(error),
            remedy="give both, as your certificate authority or 'mkcert' made them",
        ) from error
    return context
