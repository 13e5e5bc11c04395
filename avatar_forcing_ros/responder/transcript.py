"""What was said in a conversation, by whom: the page's captions, and what an answer answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Who = Literal["avatar", "user"]
MAX_ENTRIES = 200
MAX_TEXT_LENGTH = 1_000  # characters of one entry


@dataclass(frozen=True)
class Entry:
    """A sentence of the avatar, or what the user said in one go; `language` is BCP 47 or empty."""

    number: int
    who: Who
    text: str
    language: str = ""


@dataclass(frozen=True)
class Message:
    """What one said until the other said something."""

    who: Who
    text: str


class Transcript:
    """The newest entries of one speaker's turn; numbers go on over turns, from 1."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=MAX_ENTRIES)
        self._count = 0

    @property
    def newest(self) -> int:
        """The number of the newest entry; 0 where there is none."""
        return self._entries[-1].number if self._entries else 0

    @property
    def last_by(self) -> Who | None:
        """Who said the newest."""
        return self._entries[-1].who if self._entries else None

    def add(self, who: Who, text: str, language: str = "") -> None:
        """Note what was said; what is longer than MAX_TEXT_LENGTH is cut."""
        self._count += 1
        self._entries.append(Entry(self._count, who, text[:MAX_TEXT_LENGTH], language))

    def after(self, number: int) -> list[Entry]:
        """Entries newer than `number`, oldest first."""
        return [entry for entry in self._entries if entry.number > number]

    def clear(self) -> None:
        """Forget all of it."""
        self._entries.clear()

    def messages(self, max_characters: int) -> Sequence[Message]:
        """The end of the conversation, of `max_characters` at most, as messages that take turns.

        It begins with the user, as models want it.
        """
        messages: list[Message] = []
        left = max_characters
        for entry in reversed(self._entries):
            left -= len(entry.text)
            if left < 0:
                break
            if messages and messages[-1].who == entry.who:
                messages[-1] = Message(entry.who, f"{entry.text} {messages[-1].text}")
            else:
                messages.append(Message(entry.who, entry.text))
        if messages and messages[-1].who == "avatar":
            messages.pop()
        return messages[::-1]
