"""What listens and what answers: two protocols of three methods in all.

What they do is cancelled as any coroutine is: then the connection is closed, the program killed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.config import ResponderConfig
from avatar_forcing_ros.responder.transcript import Message


class Listener(Protocol):
    """Speech to text."""

    async def hear(self, samples: NDArray[np.float32]) -> str:
        """The words in ``[n]``, 16 kHz, -1…1; empty for none. Raises ResponderError."""

    async def close(self) -> None:
        """Give back what it holds."""


class Responder(Protocol):
    """A conversation to its next message."""

    def respond(self, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        """The answer to the last message, the user's, in pieces as they come.

        Raises ResponderError, also after some pieces.
        """

    async def close(self) -> None:
        """Give back what it holds."""


@dataclass(frozen=True)
class Partner:
    """What listens and answers on one page; nothing by default."""

    listener: Listener | None = None
    responder: Responder | None = None
    config: ResponderConfig = field(default_factory=ResponderConfig)
