"""An answer that comes in pieces, as sentences that can be spoken.

Models think aloud and mark text up: neither is to be heard.
"""

from __future__ import annotations

import re
import unicodedata

from avatar_forcing_ros.runtime.speech_text import SentenceStream

THINKING, THOUGHT = "<think>", "</think>"
_LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\s]*\)")
_MARKUP = re.compile(r"[*`#~|>]+|(?<!\w)_+|_+(?!\w)")
UNSPOKEN = ("So", "Sk", "Cs", "Co")  # categories of Unicode: pictures, signs of their own


class AnswerText:
    """Give it the pieces, take sentences."""

    def __init__(self) -> None:
        self._sentences = SentenceStream()
        self._held = ""  # what may be the beginning of a mark
        self._thinks = False

    def add(self, piece: str) -> list[str]:
        """Sentences that have ended with `piece`."""
        return _plain(self._sentences.add(self._said(piece)))

    def finish(self) -> list[str]:
        """The last sentences."""
        rest, self._held = "" if self._thinks else self._held, ""
        return _plain(self._sentences.add(rest) + self._sentences.finish())

    def _said(self, piece: str) -> str:
        """What of it is no thinking."""
        text, said = self._held + piece, ""
        while True:
            mark = THOUGHT if self._thinks else THINKING
            before, found, after = text.partition(mark)
            if not found:
                break
            said += "" if self._thinks else before
            self._thinks, text = not self._thinks, after
        cut = next(i for i in range(len(mark) - 1, -1, -1) if text.endswith(mark[:i]))
        self._held = text[len(text) - cut :]
        return said + ("" if self._thinks else text[: len(text) - cut])


def _plain(sentences: list[str]) -> list[str]:
    """Without markup, pictures and what cannot be printed."""
    plain = (
        " ".join(
            "".join(
                c if c.isprintable() and unicodedata.category(c) not in UNSPOKEN else " "
                for c in _MARKUP.sub("", _LINK.sub(r"\1", sentence))
            ).split()
        )
        for sentence in sentences
    )
    return [sentence for sentence in plain if any(c.isalnum() for c in sentence)]
