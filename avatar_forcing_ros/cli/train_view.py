"""``avatar-forcing train view``: a conversation to look at, as a video and as pages."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avatar_forcing_ros.cli.terminal import ProgressBar
from avatar_forcing_ros.config import AvatarConfig
from avatar_forcing_ros.errors import ConfigError, OutputError
from avatar_forcing_ros.resources import user_path

if TYPE_CHECKING:
    from avatar_forcing_ros.training.visualize import ConversationView

FACE_PX = 256
MOUTH_FACE_PX = 512  # of the page of mouths, which shows a part of it
MAX_S = 600.0
PORTRAITS = {"avatar": "models/portraits/ada.png", "user": "models/portraits/ben.png"}


def add_step(steps: Any) -> None:
    """Add the step to the sub-parsers `steps` of ``train``."""
    view = steps.add_parser(
        "view",
        help="look at a conversation: video, images, curves (needs the extra [train])",
        description="Writes an MP4 of one conversation: both faces, the audio, the phonemes "
        "spoken. The same seed, split and length give the same conversation as 'data' makes.",
    )
    view.add_argument("seed", nargs="?", metavar="SEED", help="of a conversation to be made")
    view.add_argument(
        "-o", "--output", type=user_path, metavar="OUT.mp4", help="default: conversation-SEED.mp4"
    )
    view.add_argument("--split", choices=("train", "valid", "test"), default="train")
    view.add_argument("--seconds", type=float, default=20.0, help="its length (default: 20)")
    view.add_argument(
        "--model",
        nargs="?",
        const="",
        metavar="CKPT",
        help="also show the avatar as a generator moves it (default: the weights that ship); "
        "write SEED before it",
    )
    view.add_argument(
        "--sheet", type=user_path, metavar="PNG", help="also a page of images and curves"
    )
    view.add_argument(
        "--phonemes",
        type=user_path,
        metavar="PNG",
        help="also a page of mouths at a, i, u, o, m, f",
    )
    view.add_argument("--data", type=user_path, metavar="NPZ", help="show a prepared file instead")
    view.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Make what was asked for, and print where it is."""
    output = options.output or _default_output(options)
    _check(options, output)
    from avatar_forcing_ros.media_files.writing import save_image
    from avatar_forcing_ros.resources import shipped
    from avatar_forcing_ros.rig.warp_renderer import WarpRenderer
    from avatar_forcing_ros.runtime.load import load_portrait
    from avatar_forcing_ros.timebase import FRAME_PERIOD_S
    from avatar_forcing_ros.training.contact_sheet import contact_sheet
    from avatar_forcing_ros.training.visualize import phoneme_sheet, write_video

    view = _view(options)
    faces = {who: shipped(path) for who, path in PORTRAITS.items()}
    if options.phonemes:
        close = WarpRenderer(load_portrait(faces["avatar"], MOUTH_FACE_PX))
        save_image(phoneme_sheet(view, close), options.phonemes)
        print(f"Wrote {options.phonemes}")
    renderers = {who: WarpRenderer(load_portrait(path, FACE_PX)) for who, path in faces.items()}
    if options.sheet:
        save_image(contact_sheet(view, renderers), options.sheet)
        print(f"Wrote {options.sheet}")
    with ProgressBar(FRAME_PERIOD_S) as progress:
        write_video(view, renderers, output, progress)
    silent = "" if view.audio is not None else "; silent: the file has no audio to play"
    print(f"Wrote {output}: {view.frames} frames{silent}")


def _view(options: argparse.Namespace) -> ConversationView:
    from avatar_forcing_ros.training.synthetic import generate_conversation
    from avatar_forcing_ros.training.visualize import view_generated, view_stored, with_generator

    if options.data:
        return view_stored(options.data, options.seconds)
    if options.model is None:
        made = generate_conversation(_seed(options.seed), options.seconds, options.split)
        return view_generated(made)
    from avatar_forcing_ros.runtime.load import load_avatar
    from avatar_forcing_ros.streaming.engine import MotionEngine
    from avatar_forcing_ros.training.rollout import Script, roll_out_audio

    config = AvatarConfig(weights=options.model)
    engine = MotionEngine(load_avatar(config).generator, config.sampling, anchor=config.anchor)
    made = generate_conversation(_seed(options.seed), options.seconds, options.split)
    (motion,) = roll_out_audio(engine, [Script([made])], [made.seed])
    return with_generator(view_generated(made), motion, engine.config)


def _default_output(options: argparse.Namespace) -> Path:
    return Path(f"{options.data.stem}.mp4" if options.data else f"conversation-{options.seed}.mp4")


def _check(options: argparse.Namespace, output: Path) -> None:
    """Refuse what cannot be done before anything takes time."""
    if (options.seed is None) == (options.data is None):
        raise ConfigError(
            "conversation",
            expected="either a SEED or --data NPZ",
            got="neither" if options.seed is None else "both",
            remedy="give one of them",
        )
    if options.seed is not None:
        _seed(options.seed)
    for flag, value in (("--model", options.model), ("--phonemes", options.phonemes)):
        if options.data and value is not None:
            raise ConfigError(
                flag,
                expected="a conversation with its audio",
                got="a prepared file, which has none",
                remedy="give a SEED instead of --data",
            )
    if not 0.2 <= options.seconds <= MAX_S:
        raise ConfigError(
            "--seconds",
            expected=f"a length of 0.2 … {MAX_S:g} s",
            got=f"{options.seconds:g}",
            remedy="choose another",
        )
    _check_names(options, output)


def _check_names(options: argparse.Namespace, output: Path) -> None:
    pages = [(page, (".png", ".jpg")) for page in (options.sheet, options.phonemes) if page]
    taken = [options.data.resolve()] if options.data else []
    for path, endings in [(output, (".mp4",)), *pages]:
        if path.suffix.lower() not in endings or path.resolve() in taken:
            raise OutputError(
                f"output {path}",
                expected=f"a name of its own that ends in {' or '.join(endings)}",
                got="one taken already" if path.resolve() in taken else path.suffix or "no ending",
                remedy="choose another name",
            )
        taken.append(path.resolve())


def _seed(text: str) -> int:
    """The whole number in `text`; raises ConfigError for anything else."""
    if not (text.isascii() and text.isdigit()):
        raise ConfigError(
            "SEED", expected="a whole number, 0 or more", got=f"'{text}'", remedy="correct it"
        )
    return int(text)
