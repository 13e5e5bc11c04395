"""A browser's offer (SDP) before anything believes it: bounded, and its addresses sifted."""

from __future__ import annotations

import re
from collections.abc import Collection

from avatar_forcing_ros.web.refusal import RefusedError

LONGEST_OFFER = 64_000  # characters; a browser's has some 8,000
LONGEST_LINE = 4_000
MOST_SECTIONS = 3  # sound, the avatar's picture, perhaps the robot's view
KINDS = ("audio", "video")  # nothing here wants a data channel, which would only gather messages
MOST_LINES = 1_500
NAME, BUNDLE = "a=mid:", "a=group:BUNDLE "
MOST_CANDIDATES = 32
MOST_NAMES = 8  # of candidates that hide their address; each is asked for in the network


def checked_offer(sdp: object, reachable: Collection[str] | None) -> str:
    """`sdp` without the addresses that are not to be used: all but `reachable`, or too many.

    RefusedError (400) where it is no offer, or too much of one.
    """
    if not isinstance(sdp, str) or len(sdp) > LONGEST_OFFER:
        raise bad_offer("something else, or too much")
    lines = sdp.splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith("m=")]
    kinds = [lines[i][2:].split(" ")[0] for i in starts]
    if not 1 <= len(kinds) <= MOST_SECTIONS:
        raise bad_offer(f"{len(kinds)} sections of media")
    if not set(kinds) <= set(KINDS):
        raise bad_offer(f"sections for {', '.join(kinds)}")
    if len(lines) > MOST_LINES or max(map(len, lines)) > LONGEST_LINE:
        raise bad_offer(f"{len(lines)} lines")
    ends = [*starts[1:], len(lines)]
    _check_names(lines[: starts[0]], [lines[i:j] for i, j in zip(starts, ends, strict=True)])
    return "\r\n".join(_sifted(lines, reachable)) + "\r\n"


def _check_names(head: list[str], sections: list[list[str]]) -> None:
    """Every section has a name of its own, and a bundle holds no others.

    aiortc believes a bundle, and cannot even close a connection afterwards where it lies.
    """
    names = []
    for section in sections:
        own = [line[len(NAME) :] for line in section if line.startswith(NAME)]
        if len(own) != 1 or not re.fullmatch(r"[\w.-]{1,32}", own[0], re.ASCII):
            raise bad_offer(f"a section with {len(own)} names")
        names += own
    bundles = [line[len(BUNDLE) :].split(" ") for line in head if line.startswith(BUNDLE)]
    bundled = [name for bundle in bundles for name in bundle if name]
    strange = set(bundled) - set(names) or any(line.startswith(NAME) for line in head)
    twice = len(set(names)) < len(names) or len(set(bundled)) < len(bundled)
    if strange or twice or len(bundles) > 1 or [""] in bundles:
        raise bad_offer("a bundle of sections that are not there")


def _sifted(lines: list[str], reachable: Collection[str] | None) -> list[str]:
    kept: list[str] = []
    count = names = 0
    for line in lines:
        if line.startswith("a=candidate:"):
            # foundation component protocol priority address port … (RFC 8839, 5.1)
            words = line.split()
            address, port = words[4:6] if len(words) > 5 else ("", "")
            hidden = address.endswith(".local")
            count, names = count + 1, names + hidden
            unwanted = reachable is not None and address not in reachable
            if not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 65_536:
                unwanted = True  # a socket that is asked to send there breaks
            if unwanted or count > MOST_CANDIDATES or (hidden and names > MOST_NAMES):
                continue
        kept.append(line)
    return kept


def bad_offer(got: str) -> RefusedError:
    """The refusal of an offer."""
    return RefusedError(
        400,
        "offer",
        expected="a WebRTC offer with sound and picture (SDP)",
        got=got,
        remedy="load the page again",
    )
