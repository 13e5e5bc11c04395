"""Text as it is spoken: what cannot be said is taken out, and the rest cut into sentences."""

from __future__ import annotations

import re

from avatar_forcing_ros.errors import MediaError

MAX_SENTENCE_LENGTH = 300  # characters: no sentence keeps the first sound waiting for long
# a mark, closing quotes, and a gap; Chinese and Japanese have none
_END = re.compile(r"(?<=[.!?…])[\"'”’»)\]]*\s+(?=[^\sa-zß-ÿ])|(?<=[。！？])(?=.)|\n+")
_PARAGRAPHS = re.compile(r"\n\s*\n")
# no end of a sentence although a full stop follows
_ABBREVIATION = re.compile(r"(?:\b(?:[A-Za-z]|Dr|Mr|Mrs|Ms|Prof|St|No|Nr|vs|bzw|ca)|^\d{1,3})\.$")


def sanitized_text(text: object, max_length: int) -> str:
    """`text` without what cannot be spoken, a line for each paragraph.

    Raises MediaError where nothing is left, or more than `max_length` characters.
    """
    if not isinstance(text, str):
        got = type(text).__name__
        raise _bad_text(f"something else ({got})", "write what the avatar is to say", max_length)
    paragraphs = (
        " ".join("".join(c if c.isprintable() else " " for c in paragraph).split())
        for paragraph in _PARAGRAPHS.split(text)
    )
    plain = "\n".join(filter(None, paragraphs))
    if not any(c.isalnum() for c in plain):
        got = "nothing that can be spoken"
        raise _bad_text(got, "write what the avatar is to say", max_length)
    if len(plain) > max_length:
        raise _bad_text(f"{len(plain)} characters", "say it in parts", max_length)
    return plain


def sentences(text: str) -> list[str]:
    """`text` in parts to be spoken one by one, each of `MAX_SENTENCE_LENGTH` at most.

    Parts in which nothing can be spoken are left out.
    """
    parts: list[str] = []
    begun = ""
    for part in _split(text):
        begun = f"{begun} {part}".strip()
        if _ABBREVIATION.search(begun) and len(begun) < MAX_SENTENCE_LENGTH:
            continue
        parts.append(begun)
        begun = ""
    parts.append(begun)
    short = (piece for part in parts for piece in _pieces(part))
    return [piece for piece in short if any(c.isalnum() for c in piece)]


class SentenceStream:
    """Sentences of a text that comes in pieces, each as soon as it is known to have ended."""

    def __init__(self) -> None:
        self._text = ""

    def add(self, piece: str) -> list[str]:
        """The sentences that have ended with the next `piece` of the text."""
        self._text += piece
        ended = []
        while (end := self._first_end()) is not None:
            ended += sentences(self._text[:end])
            self._text = self._text[end:].lstrip()
        return ended

    def finish(self) -> list[str]:
        """The rest: nothing follows."""
        rest, self._text = self._text, ""
        return sentences(rest)

    def _first_end(self) -> int | None:
        """Where the first sentence ends for certain; None where that is not known yet."""
        for found in _END.finditer(self._text):
            before = self._text[: found.end()].rstrip()
            # at the end of what has come a closing quote or a gap may follow
            if found.end() < len(self._text) and not _ABBREVIATION.search(before):
                return found.end()
        if len(self._text) > 2 * MAX_SENTENCE_LENGTH:  # one without an end
            return len(_pieces(self._text)[0])
        return None


def _split(text: str) -> list[str]:
    """At the ends of sentences; closing quotes stay with what they close."""
    parts, start = [], 0
    for end in _END.finditer(text):
        parts.append(text[start : end.end()].strip())
        start = end.end()
    parts.append(text[start:].strip())
    return [part for part in parts if part]


def _pieces(sentence: str) -> list[str]:
    """A long sentence at a comma or a gap, or where it has none anywhere."""
    pieces = []
    while len(sentence) > MAX_SENTENCE_LENGTH:
        head = sentence[:MAX_SENTENCE_LENGTH]
        comma = max(head.rfind(mark) for mark in (", ", "，", "、", " – ", "— "))
        cut = comma + 1 if comma > MAX_SENTENCE_LENGTH // 3 else head.rfind(" ")
        cut = cut if cut > 0 else MAX_SENTENCE_LENGTH
        pieces.append(sentence[:cut].strip())
        sentence = sentence[cut:].strip()
    return [*pieces, sentence]


def _bad_text(got: str, remedy: str, max_length: int) -> MediaError:
    return MediaError(
        "text", expected=f"words, at most {max_length} characters", got=got, remedy=remedy
    )
