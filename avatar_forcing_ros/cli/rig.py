"""``avatar-forcing rig``: a page of the rig's coefficients."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from avatar_forcing_ros.config import AvatarConfig
from avatar_forcing_ros.resources import user_path


def add(commands: Any) -> None:
    """Add the command to the sub-parsers `commands`."""
    rig = commands.add_parser(
        "rig",
        help="draw a page that shows each motion coefficient",
        description="Draws every coefficient of the face rig at its low, resting and high value.",
    )
    rig.add_argument("--portrait", type=user_path, metavar="P", help="image with a face")
    rig.add_argument("-o", "--output", type=user_path, default=Path("rig.png"), metavar="OUT.png")
    rig.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Draw the page."""
    from avatar_forcing_ros.media_files.writing import save_image
    from avatar_forcing_ros.rig.coefficient_sheet import coefficient_sheet
    from avatar_forcing_ros.runtime.load import load_portrait

    portrait = load_portrait(options.portrait, AvatarConfig().image_size_px)
    save_image(coefficient_sheet(portrait), options.output)
    print(f"Wrote {options.output}")
