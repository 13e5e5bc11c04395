"""Connections that were answered and have not come about yet: few for each visitor, few in all.

They take nobody's place; an offer costs its sender nothing, so that they have to give way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from avatar_forcing_ros.web.peer import Peer

MAX_PER_VISITOR = 4  # a browser has one, and while it comes again two
MAX_IN_ALL = 32  # each has sockets and, for 20 s, tasks


def one_too_many(half_open: Sequence[Peer], visitor: str) -> Peer | None:
    """Which of the `half_open` ones, the oldest first, gives way to another one of `visitor`.

    The visitor's own oldest; where there are too many in all that of who has most.
    """
    counts = Counter(peer.visitor for peer in half_open)
    if counts[visitor] < MAX_PER_VISITOR:
        if len(half_open) < MAX_IN_ALL:
            return None
        [(visitor, _)] = counts.most_common(1)
    return next(peer for peer in half_open if peer.visitor == visitor)
