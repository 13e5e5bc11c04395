"""``avatar-forcing live``: talk with the avatar in a browser."""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from avatar_forcing_ros.cli.options import (
    add_avatar_options,
    add_server_options,
    add_speech_options,
    avatar_config,
    responder_config,
    server_config,
    speech_config,
)
from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.resources import shipped, user_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from avatar_forcing_ros.config import AvatarConfig, LiveServerConfig
    from avatar_forcing_ros.rig.portrait import Portrait
    from avatar_forcing_ros.runtime.session import Session
    from avatar_forcing_ros.web.serving import Endpoint

WARNINGS = "avatar_forcing_ros.web.live"  # a logger with a rate limit


def add(commands: Any) -> None:
    """Add the command to the sub-parsers `commands`."""
    live = commands.add_parser(
        "live",
        help="talk with the avatar in a browser",
        description="Serves a page on which you see and hear the avatar, and it sees and hears "
        "you, by your camera and microphone. It says what you type (by espeak-ng, where that is "
        "installed) or the sound that you give it, and answers what you say, where a responder is "
        "named (docs/RESPONDER.md). Only this machine can open the page unless "
        "you say otherwise.",
    )
    add_server_options(live)
    live.add_argument(
        "--make-token",
        type=user_path,
        metavar="FILE",
        help="token file that is written first where there is none, with a random token; the link "
        "that carries it is printed, and as a QR code in a terminal (with the package segno)",
    )
    add_speech_options(live)
    add_avatar_options(live, live=True)
    live.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Serve until SIGINT or SIGTERM."""
    from avatar_forcing_ros.web.serving import Endpoint, serve_until_signal

    server = _with_token(server_config(options), options.make_token)
    config, speech = avatar_config(options), speech_config(options)
    endpoint = _with_portraits(Endpoint.of(server), server, config)

    from avatar_forcing_ros.responder.partner import partner_of

    partner = partner_of(responder_config(options))

    from avatar_forcing_ros.rig.backdrop import before_backdrop, load_backdrop
    from avatar_forcing_ros.runtime.avatar_process import avatars_of_one_process, close_all
    from avatar_forcing_ros.runtime.load import load_face, portrait_from_image
    from avatar_forcing_ros.runtime.speech_synthesis import ProgramSynthesizer
    from avatar_forcing_ros.web.backend import LiveBackend
    from avatar_forcing_ros.web.middleware import limit_log_rate

    limit_log_rate()
    synthesizer = ProgramSynthesizer(speech)
    warn = logging.getLogger(WARNINGS).warning
    avatars = avatars_of_one_process(
        _sessions(config, server.conversations),
        lambda where, text: warn("%s", text),
        server.conversations,
    )
    size_px = avatars[0].portrait_size_px

    def find_face(image: NDArray[np.uint8]) -> Portrait:
        return portrait_from_image(image, config, size_px)

    def load_portrait(file: Path) -> Portrait:
        return load_face(replace(config, portrait=str(file)), size_px)

    report = partial(print, flush=True)
    try:
        backdrop = load_backdrop(config.background, size_px)
        at_rest = partial(before_backdrop, backdrop=backdrop)
        backend, *more_backends = (
            LiveBackend(avatar, find_face, config.live, report, load_portrait, at_rest)
            for avatar in avatars
        )
        serve_until_signal(
            backend,
            endpoint,
            ready=lambda: _print_address(endpoint, with_link=options.make_token is not None),
            synthesizer=synthesizer,
            partner=partner,
            more_backends=more_backends,
        )
    finally:
        close_all(avatars)


def _with_portraits(
    endpoint: Endpoint, server: LiveServerConfig, config: AvatarConfig
) -> Endpoint:
    """`endpoint` with the portraits that may be chosen; ConfigError for an unusable folder."""
    from avatar_forcing_ros.runtime.load import DEFAULT_PORTRAIT
    from avatar_forcing_ros.web.portrait_gallery import label_of, portrait_files

    first = user_path(config.portrait) if config.portrait else shipped(DEFAULT_PORTRAIT)
    folder = user_path(server.portraits) if server.portraits else None
    files = tuple(portrait_files(folder, first))
    return replace(endpoint, portraits=files, first_portrait=label_of(first))


def _with_token(config: LiveServerConfig, path: Path | None) -> LiveServerConfig:
    """`config` with the token file that ``--make-token`` names, made where there is none."""
    if path is None:
        return config
    from avatar_forcing_ros.web.share_link import make_token

    if config.token_file and user_path(config.token_file) != path:
        raise ConfigError(
            "--make-token",
            expected=f"the file of --token-file, {config.token_file}, or no --token-file",
            got=str(path),
            remedy="leave one of the two out",
        )
    make_token(path)
    return replace(config, token_file=str(path))


def _print_address(endpoint: Endpoint, *, with_link: bool) -> None:
    """Where the page is; `with_link` also with the token, and for a phone's camera."""
    print(f"Open {' or '.join(endpoint.urls)} in a browser. Ctrl-C ends it.", flush=True)
    if not with_link:
        return
    from avatar_forcing_ros.web.share_link import qr_code, share_link

    link = share_link(endpoint.url, endpoint.access.token)
    print(f"Whoever has this link can talk: {link}", flush=True)
    if sys.stdout.isatty() and not endpoint.access.local:  # a phone does not reach a local one
        print(qr_code(link), end="", flush=True)


def _sessions(config: AvatarConfig, count: int) -> Callable[[], Session]:
    """Makes the avatars' part in their own process; here the networks' libraries are not needed.

    One has the networks to itself; several share them.
    """
    from avatar_forcing_ros.runtime.shared_sessions import SharedSessions

    return partial(_session, config) if count == 1 else SharedSessions(config)


def _session(config: AvatarConfig) -> Session:
    """The avatar's part, made in its own process; here the networks' libraries are not needed."""
    from avatar_forcing_ros.runtime.load import build_session

    return build_session(config)
