"""What one process sends the other: letters, a word and what belongs to it."""

from __future__ import annotations

from collections import deque
from multiprocessing.connection import Connection
from typing import Any

from avatar_forcing_ros.runtime.stoppable_thread import WakingThread

MOST_WAITING = 500  # letters: pieces of sound, ten seconds
Letter = tuple[Any, ...]


class Sender(WakingThread):
    """Sends letters in order; nobody who has one waits. Of pictures the newest waits alone."""

    def __init__(self, connection: Connection) -> None:
        super().__init__("avatar-sender")
        self._connection = connection
        self._letters: deque[Letter] = deque()
        self.dropped_pictures = 0
        self.dropped_sounds = 0

    def put(self, letter: Letter) -> None:
        """Leave a letter here."""
        with self._wake:
            if letter[0] == "see":
                older = next((one for one in self._letters if one[0] == "see"), None)
                if older is not None:
                    self._letters = deque(one for one in self._letters if one is not older)
                    self.dropped_pictures += 1
            elif letter[0] == "hear" and len(self._letters) >= MOST_WAITING:
                self.dropped_sounds += 1
                return
            self._letters.append(letter)
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._letters and not self._stopping:
                    self._wake.wait()
                if not self._letters:
                    return
                letter = self._letters.popleft()
            try:
                self._connection.send(letter)
            except (OSError, ValueError):  # the reader notices, and tells
                return
