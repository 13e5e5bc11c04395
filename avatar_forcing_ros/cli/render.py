"""``avatar-forcing render``: a person's own files to a video."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path
from typing import Any

from avatar_forcing_ros.cli.options import add_avatar_options, avatar_config
from avatar_forcing_ros.cli.progress import ProgressBar
from avatar_forcing_ros.config import AvatarConfig
from avatar_forcing_ros.errors import ConfigError, OutputError
from avatar_forcing_ros.resources import user_path

REPORTED_FITS = ("head_yaw", "head_pitch", "head_roll", "jaw_open", "smile_left", "blink_left")


def add(commands: Any) -> None:
    """Add the command to the sub-parsers `commands`."""
    render = commands.add_parser(
        "render",
        help="render your own files to a video",
        description="A portrait, what it says, and (if you like) the audio and video of the "
        "person it talks with, to an MP4 at 25 frames a second. The same inputs and seed give "
        "the same motion, bit for bit.",
    )
    files = render.add_argument_group("files")
    files.add_argument(
        "--avatar-audio",
        type=user_path,
        required=True,
        metavar="A",
        help="what the avatar says: any audio file, any rate, any channels",
    )
    files.add_argument("--user-audio", type=user_path, metavar="U", help="what the person says")
    files.add_argument("--user-video", type=user_path, metavar="V", help="the person's face")
    files.add_argument("-o", "--output", type=user_path, required=True, metavar="OUT.mp4")
    files.add_argument(
        "--motion",
        type=user_path,
        metavar="OUT.npz",
        help="also write the motion: names [K], values [T,K], latent [T,D], stamp_s [T]",
    )
    files.add_argument(
        "--landmarks",
        type=user_path,
        metavar="JSON",
        help="face landmarks of the portrait, instead of finding them",
    )
    render.add_argument(
        "--beside", action="store_true", help="show the person's video beside the avatar"
    )
    add_avatar_options(render)
    render.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Render, and say how fast and what was seen."""
    from avatar_forcing_ros.offline.render import read_inputs, render
    from avatar_forcing_ros.runtime.load import build_session
    from avatar_forcing_ros.timebase import FRAME_PERIOD_S

    config = avatar_config(options)
    _check_output(options, config)
    inputs = read_inputs(options.avatar_audio, options.user_audio, options.user_video)
    session = build_session(
        config,
        landmarks=options.landmarks,
        user_audio=options.user_audio is not None,
        user_video=options.user_video is not None,
    )
    with closing(session), ProgressBar(FRAME_PERIOD_S) as progress:
        result = render(
            session,
            inputs,
            options.output,
            motion=options.motion,
            beside_user=options.beside,
            progress=progress,
        )
    print(
        f"Wrote {options.output}: {result.frames} frames, "
        f"{result.real_time_factor:.2f} x real time"
    )
    if session.codec.fit:
        fits = ", ".join(f"{n} {session.codec.fit[n]:.2f}" for n in REPORTED_FITS)
        print(f"Rig coefficients were read off motion latents; r on known warps: {fits}")
    if result.watched_frames:
        seen, of = result.face_seen_frames, result.watched_frames
        hint = "" if seen else "; the avatar answered their audio alone"
        print(f"The person's face was found in {seen} of {of} frames{hint}")


def _check_output(options: argparse.Namespace, config: AvatarConfig) -> None:
    """Refuse outputs that would mislead a player or overwrite an input, and --beside alone."""
    if options.beside and options.user_video is None:
        raise ConfigError(
            "--beside",
            expected="a person's video to show",
            got="none",
            remedy="give --user-video, or leave --beside out",
        )
    if options.output.suffix.lower() != ".mp4":
        raise OutputError(
            f"output {options.output}",
            expected="a name that ends in .mp4",
            got=options.output.suffix or "no ending",
            remedy="rename it",
        )
    portrait = Path(config.portrait) if config.portrait else None
    weights = Path(config.weights) if config.weights else None
    taken = [options.avatar_audio, options.user_audio, options.user_video, options.landmarks]
    taken = [p.resolve() for p in (*taken, options.config, portrait, weights) if p]
    for path in filter(None, (options.output, options.motion)):
        if path.resolve() in taken:
            raise OutputError(
                f"output {path}",
                expected="another file than the inputs and the other output",
                got="one of them",
                remedy="choose another name",
            )
        taken.append(path.resolve())
