"""``avatar-forcing render``, ``demo`` and ``rig``: files in, a video or an image out."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from avatar_forcing_ros.cli.options import add_avatar_options, avatar_config
from avatar_forcing_ros.cli.terminal import ProgressBar
from avatar_forcing_ros.config import TRANSPARENT, AvatarConfig, background_file
from avatar_forcing_ros.errors import ConfigError, OutputError
from avatar_forcing_ros.resources import user_path
from avatar_forcing_ros.rig.expressions import EXPRESSIONS
from avatar_forcing_ros.timebase import FRAME_PERIOD_S

NAMES_LEGEND = """
Names in brackets are read and never written; all else goes both ways. Of several names without a
number the mean is read. A number is what is written; of a mean of both sides each gets all when it
is read. A minus: the opposite sign, of shapes and units the negative values. Left and right are
the person's own."""
REPORTED_FITS = ("head_yaw", "head_pitch", "head_roll", "jaw_open", "smile_left", "blink_left")


def add_render(commands: Any) -> None:
    """Add ``render``, a person's own files to a video, to `commands`."""
    render = commands.add_parser(
        "render",
        help="render your own files to a video",
        description="A portrait, what it says, and (if you like) the audio and video of the "
        "person it talks with, to a video at 25 frames a second. The same inputs and seed give "
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
    files.add_argument(
        "--user-motion",
        type=user_path,
        metavar="M",
        help="the person's motion, instead of a video: a .csv of Live Link Face (ARKit), a .json "
        "of VRM 1.0 weights or an .npz that --motion has written",
    )
    files.add_argument(
        "-o",
        "--output",
        type=user_path,
        required=True,
        metavar="OUT.mp4",
        help="its ending tells the format: .mp4 (H.264); .webm (VP9), .mov (ProRes 4444) and "
        "FOLDER/%%05d.png (with audio.wav beside) keep a transparent background",
    )
    files.add_argument(
        "--motion",
        type=user_path,
        metavar="OUT",
        help="also write the motion; OUT.npz: names [K], values [T,K], latent [T,D], stamp_s [T]; "
        "OUT.csv: ARKit's 52 shapes in the columns of Live Link Face; OUT.json: weights of VRM "
        "1.0 expressions ('avatar-forcing rig --names' shows what becomes what)",
    )
    files.add_argument(
        "--landmarks",
        type=user_path,
        metavar="JSON",
        help="face landmarks of the portrait, instead of finding them",
    )
    files.add_argument(
        "--json",
        type=user_path,
        metavar="F",
        help="also write a report to F: frames, seed, face_seen_share (of the person's images; "
        "null without any), real_time_factor, damage (sentences on inputs that are not whole)",
    )
    render.add_argument(
        "--beside", action="store_true", help="show the person's video beside the avatar"
    )
    commands_of = render.add_argument_group("what the avatar is to do")
    commands_of.add_argument(
        "--expression",
        action="append",
        default=[],
        metavar="NAME[@FROM[-TO]],…",
        help="show an expression from one second to another, for example happy@2-5,sad@8; "
        f"VALENCE/AROUSAL, each from -1 to 1, is one, too. Names: {', '.join(EXPRESSIONS)}",
    )
    commands_of.add_argument(
        "--look-at",
        action="append",
        default=[],
        metavar="LEFT,UP[@FROM[-TO]]",
        help="look by so many degrees to the avatar's left and up, for example 20,5@2-4; may be "
        "given again",
    )
    add_avatar_options(render)
    render.set_defaults(run=_run_render)


def _run_render(options: argparse.Namespace) -> None:
    """Render, and report how fast, and where a face was found."""
    from avatar_forcing_ros.media_files.writing import json_file
    from avatar_forcing_ros.offline.commands import expression_commands, gaze_commands
    from avatar_forcing_ros.offline.render import read_inputs, render
    from avatar_forcing_ros.runtime.load import build_session

    config = avatar_config(options)
    _check_output(options, config)
    expressions = [one for text in options.expression for one in expression_commands(text)]
    gaze = [one for text in options.look_at for one in gaze_commands(text)]
    inputs = read_inputs(
        options.avatar_audio, options.user_audio, options.user_video, options.user_motion
    )
    session = build_session(
        config,
        landmarks=options.landmarks,
        user_audio=options.user_audio is not None,
        user_video=options.user_video is not None or options.user_motion is not None,
    )
    with (
        closing(session),
        json_file(options.json) as report,
        ProgressBar(FRAME_PERIOD_S) as progress,
    ):
        for expression, stamp_ns in expressions:
            session.push_expression(expression, stamp_ns)
        for target, stamp_ns in gaze:
            session.push_gaze_target(target, stamp_ns)
        result = render(
            session,
            inputs,
            options.output,
            motion=options.motion,
            beside_user=options.beside,
            progress=progress,
        )
        report |= result.report(config.sampling.seed)
    print(
        f"Wrote {options.output}: {result.frames} frames, "
        f"{result.real_time_factor:.2f} x real time, seed {config.sampling.seed}"
    )
    for sentence in result.damage:
        print(f"Note: {sentence}", file=sys.stderr)
    if session.codec.fit:
        fits = ", ".join(f"{n} {session.codec.fit[n]:.2f}" for n in REPORTED_FITS)
        print(f"Rig coefficients were read off motion latents; r on known warps: {fits}")
    if result.tracked_frames:
        seen, of = result.face_found_frames, result.tracked_frames
        hint = "" if seen else "; the avatar answered their audio alone"
        print(f"The person's face was found in {seen} of {of} frames{hint}")


def _check_output(options: argparse.Namespace, config: AvatarConfig) -> None:
    """Refuse outputs that would mislead a player or overwrite an input, and flags that clash."""
    from avatar_forcing_ros.media_files.motion_files import check_motion_ending
    from avatar_forcing_ros.media_files.video_outputs import check_video_output

    _check_user(options, config)
    check_video_output(options.output, has_alpha=config.background == TRANSPARENT)
    portrait = Path(config.portrait) if config.portrait else None
    weights = Path(config.weights) if config.weights else None
    behind = background_file(config.background)
    taken = [options.avatar_audio, options.user_audio, options.user_video, options.user_motion]
    others = (options.landmarks, options.config, portrait, weights, behind)
    taken = [p.resolve() for p in (*taken, *others) if p]
    for path in filter(None, (options.output, options.motion, options.json)):
        if path.resolve() in taken:
            raise OutputError(
                f"output {path}",
                expected="another file than the inputs and the other outputs",
                got="one of them",
                remedy="choose another name",
            )
        taken.append(path.resolve())
    if options.motion:
        check_motion_ending(options.motion)


def _check_user(options: argparse.Namespace, config: AvatarConfig) -> None:
    """Refuse flags about the person that clash."""
    if options.beside and options.user_video is None:
        raise ConfigError(
            "--beside",
            expected="a person's video to show",
            got="none",
            remedy="give --user-video, or leave --beside out",
        )
    if options.user_motion and options.user_video:
        raise ConfigError(
            "--user-motion",
            expected="the person's motion or their video",
            got="both",
            remedy="leave one of them out",
        )
    if options.user_motion and config.preset == "paper":
        raise ConfigError(
            "--user-motion",
            expected="the preset 'compact', whose motion is the rig's",
            got="the preset 'paper', which takes latents of a video",
            remedy="give --user-video instead",
        )


def add_demo(commands: Any) -> None:
    """Add ``demo``, the shipped conversation, rendered, to `commands`."""
    demo = commands.add_parser(
        "demo",
        help="render the shipped conversation to demo.mp4",
        description="The shipped portrait says two sentences, then listens while a person talks, "
        "nods, smiles and laughs. Writes demo.mp4 and the measured metrics, demo.json.",
    )
    demo.add_argument(
        "-o", "--output-dir", type=user_path, default=Path("out"), help="folder (default: out)"
    )
    add_avatar_options(demo)
    demo.set_defaults(run=_run_demo)


def _run_demo(options: argparse.Namespace) -> None:
    """Render it, print the metrics."""
    from avatar_forcing_ros.offline.demo import run_demo

    folder = options.output_dir
    with ProgressBar(FRAME_PERIOD_S) as progress:
        metrics = run_demo(avatar_config(options), folder, progress)
    print(json.dumps(metrics, indent=2))
    print(f"Wrote {folder / 'demo.mp4'} and {folder / 'demo.json'}")


def add_rig(commands: Any) -> None:
    """Add ``rig``, the rig's coefficients: a page, names, conversion of files, to `commands`."""
    rig = commands.add_parser(
        "rig",
        help="draw a page that shows each motion coefficient; names and files of other systems",
        description="Draws every coefficient of the face rig at its low, resting and high value. "
        "With --expressions, --names or --convert it does that instead.",
    )
    rig.add_argument("--portrait", type=user_path, metavar="P", help="image with a face")
    rig.add_argument("-o", "--output", type=user_path, default=Path("rig.png"), metavar="OUT.png")
    instead = rig.add_mutually_exclusive_group()
    instead.add_argument(
        "--expressions",
        action="store_true",
        help="draw every expression that can be commanded by name",
    )
    instead.add_argument(
        "--names",
        action="store_true",
        help="print what each coefficient is among ARKit's blendshapes, FACS action units and "
        "VRM 1.0 expressions",
    )
    instead.add_argument(
        "--convert",
        type=user_path,
        nargs=2,
        metavar=("IN", "OUT"),
        help="convert a motion file; the endings tell the formats: .npz (of 'render --motion'), "
        ".csv (ARKit, as Live Link Face writes it), .json (VRM 1.0 expressions)",
    )
    rig.set_defaults(run=_run_rig)


def _run_rig(options: argparse.Namespace) -> None:
    """Print the names, convert a file, or draw the page."""
    from avatar_forcing_ros.media_files.writing import save_image
    from avatar_forcing_ros.rig.coefficient_sheet import coefficient_sheet, expression_sheet
    from avatar_forcing_ros.rig.face_names import mapping_table
    from avatar_forcing_ros.runtime.load import load_portrait

    if options.names:
        print(mapping_table())
        print(NAMES_LEGEND)
        return
    if options.convert:
        _convert(*options.convert)
        return
    portrait = load_portrait(options.portrait, AvatarConfig().image_size_px)
    draw = expression_sheet if options.expressions else coefficient_sheet
    save_image(draw(portrait), options.output)
    print(f"Wrote {options.output}")


def _convert(source: Path, output: Path) -> None:
    """One motion file to another, at the rate of the first."""
    from avatar_forcing_ros.atomic_write import atomic_write
    from avatar_forcing_ros.media_files.motion_files import (
        check_motion_ending,
        read_motion,
        write_motion,
    )

    check_motion_ending(output)
    motion = read_motion(source)
    values = motion.even()
    with atomic_write(output) as part:
        write_motion(part, values, rate_hz=motion.rate_hz)
    print(f"Wrote {output}: {len(values)} frames at {motion.rate_hz:g} a second")
    for note in motion.notes:
        print(f"Note: {note}", file=sys.stderr)
