"""Text that is to be spoken: what is left of it, and where its sentences end."""

from __future__ import annotations

import pytest

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.runtime.speech_text import (
    MAX_SENTENCE_LENGTH,
    SentenceStream,
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


@pytest.mark.parametrize(
    "text",
    [
        'Dr. Smith said "Stop!" She stopped. And then... what? 3.14 is no end. Yes',
        "你好。再见！好的",
        "1. Wash.\n2. Dry.\n\nDone! (Really.) OK.",
        ", ".join(f"word{i} and word{i}" for i in range(200)),
        "a" * 1500,
        "... !",
    ],
)
@pytest.mark.parametrize("size", [1, 2, 7, 50, 10_000])
def test_a_text_in_pieces_has_the_same_sentences(text: str, size: int) -> None:
    stream = SentenceStream()
    found = [
        sentence
        for start in range(0, len(text), size)
        for sentence in stream.add(text[start : start + size])
    ]
    assert [*found, *stream.finish()] == sentences(text)
    assert stream.finish() == []


def test_a_sentence_is_known_as_soon_as_the_next_begins() -> None:
    stream = SentenceStream()
    assert stream.add("Good morning. ") == []
    assert stream.add("H") == ["Good morning."]
    assert stream.finish() == ["H"]
