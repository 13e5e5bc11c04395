"""From the command line to a command's function, and from its errors to one line."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from avatar_forcing_ros.cli import benchmark, graph, launch, live, render, train, weights
from avatar_forcing_ros.errors import AvatarForcingError, OutputError, missing_package

COMMANDS = (
    render.add_demo,
    render.add_render,
    live.add,
    launch.add_launch,
    launch.add_node,
    graph.add_bag,
    graph.add_topic,
    render.add_rig,
    benchmark.add,
    train.add_prepare,
    train.add_train,
    train.add_evaluate,
    weights.add,
)
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the process's exit code."""
    options = build_parser().parse_args(arguments)
    # MediaPipe and TensorFlow Lite write start-up notes to stderr by default
    os.environ.setdefault("GLOG_minloglevel", "2")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        with _raise_on_sigterm():
            code: int | None = options.run(options)
    except AvatarForcingError as error:
        return _fail(error)
    except BrokenPipeError:
        # whoever read our output, such as head, has seen enough; nothing is left to flush into it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        return _fail(_file_error(error))
    except ImportError as error:
        missing = missing_package(error)
        if missing is None:
            raise
        return _fail(missing)
    except KeyboardInterrupt:
        print("avatar-forcing: interrupted", file=sys.stderr)
        return INTERRUPTED
    return code or 0


@contextmanager
def _raise_on_sigterm() -> Iterator[None]:
    """SIGTERM leaves by an exception, so that half-written files are removed on the way out."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is leave:  # a node looks after it to the very end
            signal.signal(signal.SIGTERM, before)


def _fail(error: AvatarForcingError) -> int:
    print(f"avatar-forcing: {error}", file=sys.stderr)
    return 1


def _file_error(error: OSError) -> OutputError:
    name = f" {error.filename}" if error.filename else ""
    return OutputError(
        f"file{name}",
        expected="files that can be read and written to their end",
        got=error.strerror or str(error) or type(error).__name__,
        remedy="check space, permissions and the device",
    )


def build_parser() -> argparse.ArgumentParser:
    """All commands and their flags; each sets ``run``, the function that does it."""
    parser = argparse.ArgumentParser(
        prog="avatar-forcing",
        description="A talking, listening, reacting avatar head: one portrait becomes a face that "
        "speaks with a given voice and answers what a person says and does.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in COMMANDS:
        add(commands)
    return parser
