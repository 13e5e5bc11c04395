"""An answer in pieces becomes sentences; nobody hears a model think, or its markup."""

from __future__ import annotations

import pytest

from avatar_forcing_ros.responder.answer_text import AnswerText


def spoken(text: str, size: int) -> list[str]:
    answer = AnswerText()
    found = [
        sentence
        for start in range(0, len(text), size)
        for sentence in answer.add(text[start : start + size])
    ]
    return found + answer.finish()


@pytest.mark.parametrize("size", [1, 3, 1_000])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello there. How are you?", ["Hello there.", "How are you?"]),
        ("<think>Hm. He greets.</think>Hello!", ["Hello!"]),
        ("Well, <think>no</think>yes. <think>never ends", ["Well, yes."]),
        ("5 < 7 is true. a <thin line", ["5 < 7 is true. a <thin line"]),
        ("**Bold** and `code`.\n# Title\n* item", ["Bold and code.", "Title", "item"]),
        ("See [the page](http://x.org/a_b). Snake_case stays.", ["See the page.",
                                                                 "Snake_case stays."]),
        ("Great! 🎉🎉 Bye 👋", ["Great!", "Bye"]),
        ("🎉 *** \n", []),
        ("Ring\x07 the\x00 bell.", ["Ring the bell."]),
    ],
)  # fmt: skip
def test_what_is_spoken_of_an_answer(text: str, expected: list[str], size: int) -> None:
    assert spoken(text, size) == expected


def test_a_sentence_is_spoken_before_the_answer_ends() -> None:
    answer = AnswerText()
    assert answer.add("One. Tw") == ["One."]
    assert answer.add("o. <thi") == []
    assert answer.add("nk>x</think>Three") == ["Two."]
    assert answer.finish() == ["Three"]
