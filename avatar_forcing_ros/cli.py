"""The command line: ``avatar-forcing COMMAND``. It parses and reports; the work is elsewhere."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from avatar_forcing_ros.config import (
    GUIDANCE_MODES,
    PRESETS,
    AvatarConfig,
    load_yaml,
    override,
)
from avatar_forcing_ros.errors import (
    AvatarForcingError,
    ConfigError,
    MissingDependencyError,
    OutputError,
)

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the process's exit code."""
    options = _parser().parse_args(arguments)
    # MediaPipe and TensorFlow Lite write start-up notes to stderr unless told not to
    os.environ.setdefault("GLOG_minloglevel", "2")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        with _termination_unwinds():
            options.run(options)
    except AvatarForcingError as error:
        return _fail(error)
    except OSError as error:
        return _fail(_file_trouble(error))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == __package__:
            raise
        return _fail(_missing(error.name))
    except KeyboardInterrupt:
        print("avatar-forcing: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


@contextmanager
def _termination_unwinds() -> Iterator[None]:
    """SIGTERM leaves by an exception, so that half-written files are removed on the way out."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _fail(error: AvatarForcingError) -> int:
    print(f"avatar-forcing: {error}", file=sys.stderr)
    return 1


def _file_trouble(error: OSError) -> OutputError:
    name = f" {error.filename}" if error.filename else ""
    return OutputError(
        f"file{name}",
        expected="files that can be read and written to their end",
        got=error.strerror or str(error) or type(error).__name__,
        remedy="check space, permissions and the device",
    )


def _missing(name: str) -> MissingDependencyError:
    return MissingDependencyError(
        f"Python package '{name}'",
        expected="it to be installed",
        got=f"no module of that name for {sys.executable}",
        remedy="run: pip install 'avatar_forcing_ros[mediapipe]'",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="avatar-forcing",
        description="A talking, listening, reacting avatar head: one portrait becomes a face that "
        "speaks with a given voice and answers what a person says and does.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_demo(commands)
    _add_render(commands)
    _add_rig(commands)
    _add_benchmark(commands)
    _add_train(commands)
    return parser


def _add_demo(commands: Any) -> None:
    demo = commands.add_parser(
        "demo",
        help="render the shipped conversation to demo.mp4",
        description="The shipped portrait says two sentences, then listens while a person talks, "
        "nods, smiles and laughs. Writes demo.mp4 and the measured figures, demo.json.",
    )
    demo.add_argument(
        "-o", "--output-dir", type=Path, default=Path("out"), help="folder (default: out)"
    )
    _add_avatar_options(demo)
    demo.set_defaults(run=_demo)


def _add_render(commands: Any) -> None:
    render = commands.add_parser(
        "render",
        help="render your own files to a video",
        description="A portrait, what it says, and (if you like) the sound and video of the "
        "person it talks with, to an MP4 at 25 frames a second. The same inputs and seed give "
        "the same motion, bit for bit.",
    )
    files = render.add_argument_group("files")
    files.add_argument(
        "--avatar-audio",
        type=Path,
        required=True,
        metavar="A",
        help="what the avatar says: any sound file, any rate, any channels",
    )
    files.add_argument("--user-audio", type=Path, metavar="U", help="what the person says")
    files.add_argument("--user-video", type=Path, metavar="V", help="the person's face")
    files.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.mp4")
    files.add_argument(
        "--motion",
        type=Path,
        metavar="OUT.npz",
        help="also write the motion: names [K], values [T,K], latent [T,D], stamp_s [T]",
    )
    files.add_argument(
        "--landmarks",
        type=Path,
        metavar="JSON",
        help="face landmarks of the portrait, instead of finding them",
    )
    render.add_argument(
        "--beside", action="store_true", help="show the person's video beside the avatar"
    )
    _add_avatar_options(render)
    render.set_defaults(run=_render)


def _add_rig(commands: Any) -> None:
    rig = commands.add_parser(
        "rig",
        help="draw a page that shows each motion coefficient",
        description="Draws every coefficient of the face rig at its low, resting and high value.",
    )
    rig.add_argument("--portrait", type=Path, metavar="P", help="image with a face")
    rig.add_argument("-o", "--output", type=Path, default=Path("rig.png"), metavar="OUT.png")
    rig.set_defaults(run=_rig)


def _add_benchmark(commands: Any) -> None:
    benchmark = commands.add_parser(
        "benchmark",
        help="measure each stage on this machine",
        description="Times audio features, transformer, block, renderer, tracker and the whole "
        "path, and the same block with caching off as the baseline.",
    )
    benchmark.add_argument("--json", type=Path, metavar="F", help="also write the figures to F")
    benchmark.add_argument(
        "--repeats", type=int, default=100, help="runs of each stage (default: 100)"
    )
    _add_avatar_options(benchmark)
    benchmark.set_defaults(run=_benchmark)


def _add_train(commands: Any) -> None:
    train = commands.add_parser(
        "train",
        help="make training conversations, train the motion generator",
        description="Two steps: 'data' makes conversations from seeds, 'flow' trains on them.",
    )
    steps = train.add_subparsers(title="steps", metavar="STEP", required=True)
    data = steps.add_parser("data", help="make conversations (needs the extra [train])")
    data.add_argument("folder", type=Path, help="where to put them; those there are kept")
    data.add_argument("--count", type=int, default=1200, help="for training (default: 1200)")
    data.add_argument("--valid", type=int, default=48, help="for validation (default: 48)")
    data.add_argument(
        "--natural-share",
        type=float,
        default=0.0,
        metavar="P",
        help="share of training voices made of recorded speech; needs the program flite "
        "(default: 0)",
    )
    data.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    data.set_defaults(run=_train_data)
    flow = steps.add_parser("flow", help="train by diffusion forcing; goes on where it stopped")
    flow.add_argument("folder", type=Path, help="folder with the conversations")
    flow.add_argument("-o", "--output-dir", type=Path, required=True)
    flow.add_argument("--config", type=Path, metavar="YAML", help="training settings")
    flow.add_argument("--init", type=Path, metavar="F", help="checkpoint to begin from")
    flow.set_defaults(run=_train_flow)


def _add_avatar_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("avatar")
    group.add_argument(
        "--config", type=Path, metavar="YAML", help="settings file; flags given here win over it"
    )
    group.add_argument("--portrait", metavar="P", help="image with a face (default: shipped)")
    group.add_argument("--preset", help=f"model preset: {', '.join(sorted(PRESETS))}")
    group.add_argument("--weights", metavar="F", help="checkpoint (default: the preset's own)")
    group.add_argument("--seed", type=int, help="fixes all randomness (default: 0)")
    group.add_argument(
        "--steps", type=int, metavar="N", help="function evaluations a block, 3 or more"
    )
    group.add_argument("--guidance", help=f"{' or '.join(GUIDANCE_MODES)} conditions")
    group.add_argument("--audio-guidance", type=float, help="strength of the voice")
    group.add_argument("--user-guidance", type=float, help="strength of the user (separate)")


def _avatar_config(options: argparse.Namespace) -> AvatarConfig:
    config = load_yaml(options.config) if options.config else AvatarConfig()
    sampling = override(
        config.sampling,
        seed=options.seed,
        evaluations=options.steps,
        guidance=options.guidance,
        audio_guidance=options.audio_guidance,
        user_guidance=options.user_guidance,
    )
    return override(
        config,
        preset=options.preset,
        portrait=options.portrait,
        weights=options.weights,
        sampling=sampling,
    )


class _ProgressBar:
    """A bar with the real-time factor; nothing where stderr is no terminal."""

    def __init__(self, unit_s: float) -> None:
        from tqdm import tqdm

        self._bar = tqdm(unit="frame", disable=None, leave=False, dynamic_ncols=True)
        self._unit_s = unit_s

    def __enter__(self) -> _ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def __call__(self, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)
        elapsed = self._bar.format_dict["elapsed"]
        if elapsed:
            self._bar.set_postfix_str(f"{done * self._unit_s / elapsed:.2f} x real time")


def _demo(options: argparse.Namespace) -> None:
    from avatar_forcing_ros.pipeline.demo import run_demo
    from avatar_forcing_ros.timebase import FRAME_PERIOD_S

    folder = options.output_dir
    with _ProgressBar(FRAME_PERIOD_S) as progress:
        figures = run_demo(_avatar_config(options), folder, progress)
    print(json.dumps(figures, indent=2))
    print(f"Wrote {folder / 'demo.mp4'} and {folder / 'demo.json'}")


def _render(options: argparse.Namespace) -> None:
    from avatar_forcing_ros.pipeline.build import build_session
    from avatar_forcing_ros.pipeline.render import read_inputs, render
    from avatar_forcing_ros.timebase import FRAME_PERIOD_S

    config = _avatar_config(options)
    _check_output(options, config)
    inputs = read_inputs(options.avatar_audio, options.user_audio, options.user_video)
    session = build_session(
        config,
        landmarks=options.landmarks,
        user_audio=options.user_audio is not None,
        user_video=options.user_video is not None,
    )
    with closing(session), _ProgressBar(FRAME_PERIOD_S) as progress:
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
    if result.watched_frames:
        seen, of = result.face_seen_frames, result.watched_frames
        hint = "" if seen else "; the avatar answered their sound alone"
        print(f"The person's face was found in {seen} of {of} pictures{hint}")


def _check_output(options: argparse.Namespace, config: AvatarConfig) -> None:
    """Refuse names that would mislead a player, or destroy an input, and half a picture."""
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


def _rig(options: argparse.Namespace) -> None:
    from avatar_forcing_ros.pipeline.build import load_portrait
    from avatar_forcing_ros.pipeline.media_output import save_image
    from avatar_forcing_ros.rig.sheet import coefficient_sheet

    portrait = load_portrait(options.portrait, AvatarConfig().image_size_px)
    save_image(coefficient_sheet(portrait), options.output)
    print(f"Wrote {options.output}")


def _benchmark(options: argparse.Namespace) -> None:
    from avatar_forcing_ros.pipeline.benchmark import as_table, run_benchmark
    from avatar_forcing_ros.pipeline.media_output import json_file

    with json_file(options.json) as figures:
        figures |= run_benchmark(_avatar_config(options), options.repeats)
    print(as_table(figures))
    if options.json:
        print(f"Wrote {options.json}")


def _train_data(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from avatar_forcing_ros.pipeline.media_output import json_file
    from avatar_forcing_ros.training.dataset import data_card, prepare

    for split, count in (("train", options.count), ("valid", options.valid)):
        made = prepare(options.folder, split, count, options.workers, options.natural_share)
        for _ in tqdm(made, total=count, desc=split, unit="conversation"):
            pass
    card = options.folder / "data_card.json"
    with json_file(card) as figures:
        figures |= data_card(options.natural_share)
    print(f"Wrote {card}")


def _train_flow(options: argparse.Namespace) -> None:
    from avatar_forcing_ros.training.run import train_flow

    train_flow(options.folder, options.output_dir, options.config, options.init)


if __name__ == "__main__":
    sys.exit(main())
