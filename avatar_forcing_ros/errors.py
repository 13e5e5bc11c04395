"""The exceptions that this package raises on purpose.

Every message says three things: what was expected, what came, and what to do about it.
"""

from __future__ import annotations


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
    """A picture in which no face was found."""


class CheckpointError(AvatarForcingError):
    """A weight file that is missing, damaged or made for another shape of network."""


class DownloadError(AvatarForcingError):
    """A file that could not be had from the network."""


class OutputError(AvatarForcingError):
    """A result that cannot be written where it was asked for."""


class ConversationError(AvatarForcingError):
    """Something asked of a live avatar that cannot be done as things are."""


class MissingDependencyError(AvatarForcingError):
    """An optional package that this function needs is not installed."""
