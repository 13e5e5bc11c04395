"""The exceptions that this package raises on purpose.

Every message says three things: what was expected, what came, and what to do about it.
"""

from __future__ import annotations

import sys

_PACKAGE = __name__.partition(".")[0]
_GENERATED = (f"{_PACKAGE}.msg", f"{_PACKAGE}.action")
_EXTRA_PACKAGES = {  # the extras of this package, and what each brings
    "mediapipe": ("mediapipe",),
    "ros": ("rosbags",),
    "display": ("sounddevice",),
    "web": ("aiohttp", "aiortc", "aioice", "prometheus_client"),
    "paper": ("transformers", "huggingface_hub"),
    "train": ("espeakng_loader", "matplotlib", "lightning_fabric", "tensorboard"),
}
_GET_ROS = (
    "source a ROS 2 distribution with this package's workspace (docs.ros.org says how to install "
    "one), or, on x86-64 with Python 3.10 to 3.12, run 'make ros' in a checkout of this package"
)


class AvatarForcingError(Exception):
    """Base of all errors raised on purpose; the command line prints it as one line."""

    def __init__(self, what: str, *, expected: str, got: str, remedy: str) -> None:
        self.what = what
        self.expected = expected
        self.got = got
        self.remedy = remedy
        super().__init__(f"{what}: expected {expected}, got {got}; {remedy}")

    def __reduce__(self) -> tuple[object, ...]:
        # keyword-only arguments need help to travel between worker processes
        return _rebuild, (type(self), self.what, self.expected, self.got, self.remedy)


def _rebuild(
    kind: type[AvatarForcingError], what: str, expected: str, got: str, remedy: str
) -> AvatarForcingError:
    return kind(what, expected=expected, got=got, remedy=remedy)


class ConfigError(AvatarForcingError):
    """A configuration file, preset name or parameter that cannot be used."""


class MediaError(AvatarForcingError):
    """Audio, image or video that cannot be read, or that carries unusable values."""


class FaceNotFoundError(MediaError):
    """An image in which no face was found."""


class CheckpointError(AvatarForcingError):
    """A weight file that is missing, damaged or made for another shape of network."""


class DownloadError(AvatarForcingError):
    """A file that could not be downloaded."""


class OutputError(AvatarForcingError):
    """A result that cannot be written where it was asked for."""


class GenerationError(AvatarForcingError):
    """Networks gave out what cannot be used."""


class ConversationError(AvatarForcingError):
    """Something asked of a live avatar that cannot be done as things are."""


class ResponderError(AvatarForcingError):
    """A program or a server that is to listen or to answer, and did not."""


class MissingDependencyError(AvatarForcingError):
    """An optional package that this function needs is not installed."""


def missing_package(error: ImportError) -> MissingDependencyError | None:
    """The error to show for an import that failed, saying how to install what is missing.

    ROS's packages come together; every other one belongs to an extra of this package. None where
    a module of this package itself is missing: that is a fault, whose traceback is wanted.
    """
    name = error.name or ""
    package = name.partition(".")[0]
    if not package or (package == _PACKAGE and name not in _GENERATED):
        return None
    if package in ("rclpy", _PACKAGE) or package.endswith("_msgs"):
        return MissingDependencyError(
            "ROS 2", expected=f"{name} for {sys.executable}", got="none", remedy=_GET_ROS
        )
    extra = next((e for e, packages in _EXTRA_PACKAGES.items() if package in packages), "all")
    return MissingDependencyError(
        f"Python package '{name}'",
        expected="it to be installed",
        got=f"no module of that name for {sys.executable}",
        remedy=f"run: pip install 'avatar_forcing_ros[{extra}]'",
    )
