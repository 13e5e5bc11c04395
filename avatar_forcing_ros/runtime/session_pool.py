"""Sessions of several avatars in one process: each its own settings, all one set of weights."""

from __future__ import annotations

import threading
from typing import Any

from avatar_forcing_ros.config import AvatarConfig
from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.runtime.shared_weights import SharedWeights

SHARED_SETTINGS = (
    "preset", "weights", "device", "precision", "fuse_kernels", "cpu_threads", "anchor",
)  # fmt: skip
"""What belongs to the networks, and so is the same for all."""


class SessionPool:
    """Loads weights for the first session that is opened, and frees them after the last.

    Safe in any thread. A session that cannot be made leaves the others as they are.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._weights: SharedWeights | None = None
        self._of: dict[Session, SharedWeights] = {}
        self._opening = 0

    def open(
        self, config: AvatarConfig, *, user_audio: bool = True, user_video: bool = True
    ) -> Session:
        """As `load.build_session`; ConfigError, too, for networks that the others do not have.

        Give it back with `release`.
        """
        with self._lock:
            weights = self._weights_for(config)
            self._opening += 1
        session = None
        try:
            session = weights.new_session(
                config=config, user_audio=user_audio, user_video=user_video
            )
        finally:
            with self._lock:
                self._opening -= 1
                if session:
                    self._of[session] = weights
                self._free_unused()
        return session

    def release(self, session: Session) -> None:
        """No more blocks are asked for; one that is not known is no mistake."""
        with self._lock:
            self._of.pop(session, None)
            self._free_unused()

    def __len__(self) -> int:
        """How many sessions are open."""
        return len(self._of)

    def _weights_for(self, config: AvatarConfig) -> SharedWeights:
        if self._weights and not self._weights.alive:
            self._weights = None  # whoever has a session on them has to begin anew as well
        if self._weights is None:
            self._weights = SharedWeights(config)
        _require_same(config, self._weights.config)
        return self._weights

    def _free_unused(self) -> None:
        if self._weights and not self._opening and self._weights not in self._of.values():
            self._weights.close()
            self._weights = None


def _require_same(config: AvatarConfig, first: AvatarConfig) -> None:
    """Raises ConfigError where `config` asks for other networks than those that are loaded."""
    differing: dict[str, tuple[Any, Any]] = {
        name: (getattr(first, name), getattr(config, name))
        for name in SHARED_SETTINGS
        if getattr(first, name) != getattr(config, name)
    }
    for name, (loaded, wanted) in differing.items():
        raise ConfigError(
            name,
            expected=f"{loaded!r}, as the other avatars of this process have it",
            got=f"{wanted!r}",
            remedy="give all of them the same, or start this one in a process of its own",
        )
