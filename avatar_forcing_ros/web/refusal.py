"""What a browser is told when its request cannot be granted."""

from __future__ import annotations

from avatar_forcing_ros.errors import AvatarForcingError


class RefusedError(AvatarForcingError):
    """A request that is answered with the HTTP status `status` and a sentence."""

    def __init__(self, status: int, what: str, *, expected: str, got: str, remedy: str) -> None:
        super().__init__(what, expected=expected, got=got, remedy=remedy)
        self.status = status
