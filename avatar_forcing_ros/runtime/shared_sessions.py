"""Sessions on one set of weights, for a process that has not loaded them yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avatar_forcing_ros.config import AvatarConfig

if TYPE_CHECKING:  # whoever only sends this elsewhere does without the networks' libraries
    from avatar_forcing_ros.runtime.session import Session
    from avatar_forcing_ros.runtime.shared_weights import SharedWeights


class SharedSessions:
    """Each call is one session more; the first loads the weights, and is as slow as that.

    Can be pickled before the first call. One call at a time; raises as `SharedWeights` does.
    """

    def __init__(self, config: AvatarConfig) -> None:
        self._config = config
        self._weights: SharedWeights | None = None

    def __call__(self) -> Session:
        from avatar_forcing_ros.runtime.shared_weights import SharedWeights

        self._weights = self._weights or SharedWeights(self._config)
        return self._weights.new_session()
