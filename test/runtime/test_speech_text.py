"""Text that is to be spoken: what is left of it, and where its sentences end."""

from __future__ import annotations

import pytest

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.runtime.speech_text import (
    MAX_SENTENCE_LENGTH,
    sanitized_text,
    sentences,
)


def test_only_what_can_be_said_is_left() -> None:
    assert sanitized_text(" Hello,\x00\n\tyou \x1b[31m ", 100) == "Hello, you [31m"
    assert sanitized_text("One\n \nTwo\nand more", 100) == "One\nTwo and more"
    for bad in (None, 5, "", "…", "a" * 101):
        with pytest.raises(MediaError, match="words, at most 100"):
            sanitized_text(bad, 100)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello there. How are you?", ["Hello there.", "How are you?"]),
        ("A title\nThen text", ["A title", "Then text"]),
        ("Dr. Smith met J. Doe at 3.14 p.m. today!", ["Dr. Smith met J. Doe at 3.14 p.m. today!"]),
        ('"Stop!" She stopped.', ['"Stop!"', "She stopped."]),
        ("1. Wash. 2. Dry.", ["1. Wash.", "2. Dry."]),
        ("你好。再见！", ["你好。", "再见！"]),
        ("Wait... what? ... :-) Yes", ["Wait... what?", ":-) Yes"]),
        ("... !", []),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_a_long_sentence_is_cut_and_nothing_of_it_gets_lost() -> None:
    words = ", ".join(f"word{i} and word{i}" for i in range(60))
    parts = sentences(words)
    assert len(parts) > 2
    assert all(len(part) <= MAX_SENTENCE_LENGTH for part in parts)
    assert " ".join(parts) == words
    assert "".join(sentences("a" * 1000)) == "a" * 1000
