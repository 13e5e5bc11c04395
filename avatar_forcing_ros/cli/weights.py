"""``avatar-forcing weights``: the released model's files, fetched, checked and made one."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import Any

from avatar_forcing_ros.config import PAPER_MODEL
from avatar_forcing_ros.resources import user_path
from avatar_forcing_ros.weight_sources import MIRROR, REPOSITORY_VARIABLE, SPEECH_REPOSITORY

NOT_USABLE = 1


def add(commands: Any) -> None:
    """Add the command to the sub-parsers `commands`."""
    weights = commands.add_parser(
        "weights",
        help="fetch, check and convert the released model's weights",
        description="The paper's authors gave out weights of their own (CC BY-NC 4.0), which this "
        "package does not ship. 'fetch' downloads them, 'check' says what is there, 'convert' "
        "makes one file of them.",
    )
    steps = weights.add_subparsers(title="steps", metavar="STEP", required=True)
    _add_check(steps)
    _add_fetch(steps)
    convert = steps.add_parser("convert", help="make one .safetensors file of a folder")
    convert.add_argument("folder", type=user_path, help="folder with the released files")
    convert.add_argument(
        "-o",
        "--output",
        type=user_path,
        metavar="FILE.safetensors",
        help="(default: avatar_forcing.safetensors in the folder)",
    )
    convert.add_argument(
        "--dtype",
        default="float32",
        help="float32, bfloat16 or float16: how numbers are stored (default: float32)",
    )
    convert.set_defaults(run=_convert)


def _add_check(steps: Any) -> None:
    check = steps.add_parser("check", help="say what is there, what is missing and what is wrong")
    check.add_argument("place", type=user_path, help="folder with the released files, or one file")
    check.add_argument("--json", type=user_path, metavar="F", help="also write the report to F")
    check.set_defaults(run=_check)


def _add_fetch(steps: Any) -> None:
    fetch = steps.add_parser("fetch", help="download the released files; goes on where it stopped")
    fetch.add_argument(
        "folder",
        type=user_path,
        help="where to put them; the word 'face': the face tracker's model instead, for mediapipe "
        "releases that bring none (a folder of that name: its whole path)",
    )
    fetch.add_argument(
        "--repo",
        metavar="OWNER/NAME",
        help="a repository on Hugging Face with the authors' two files (default: "
        f"${REPOSITORY_VARIABLE}, or {MIRROR}, a third party's copy)",
    )
    fetch.add_argument(
        "--speech-repo",
        metavar="OWNER/NAME",
        default=SPEECH_REPOSITORY,
        help="the speech encoder's (default: %(default)s, its own authors')",
    )
    fetch.add_argument("--revision", metavar="R", help="branch, tag or commit of --repo")
    fetch.add_argument(
        "--accept-licence",
        "--accept-license",
        action="store_true",
        help="you have read the weights' licence and keep to it",
    )
    fetch.set_defaults(run=_fetch)


def _report(stage: str) -> None:
    print(stage, file=sys.stderr, flush=True)


def _check(options: argparse.Namespace) -> int:
    from avatar_forcing_ros.media_files.writing import json_file
    from avatar_forcing_ros.runtime.weights import as_text, check_weights

    with json_file(options.json) as metrics:
        report = check_weights(options.place, PAPER_MODEL, _report)
        metrics |= {"usable": report.usable, **asdict(report)}
    print(as_text(report))
    return 0 if report.usable else NOT_USABLE


def _fetch(options: argparse.Namespace) -> int:
    if str(options.folder) == "face":
        from avatar_forcing_ros.perception.landmarker_file import fetch_landmarker

        print(f"Face tracker's model (Apache-2.0): {fetch_landmarker(_report)}")
        return 0
    from avatar_forcing_ros.runtime.weight_download import fetch_weights

    fetch_weights(
        options.folder,
        options.repo,
        options.speech_repo,
        options.revision,
        options.accept_licence,
        _report,
    )
    return _check(argparse.Namespace(place=options.folder, json=None))


def _convert(options: argparse.Namespace) -> None:
    from avatar_forcing_ros.runtime.weights import convert_weights

    made = convert_weights(options.folder, options.output, options.dtype, PAPER_MODEL, _report)
    print(f"Wrote {made} ({made.stat().st_size / 1e6:.0f} MB, {options.dtype})")
    print(f"Next: give it to a command as --preset paper --weights {made}")
