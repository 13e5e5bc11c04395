"""What was said is bounded, numbered, and read as messages that take turns."""

from __future__ import annotations

from avatar_forcing_ros.responder.transcript import (
    MAX_ENTRIES,
    MAX_TEXT_LENGTH,
    Entry,
    Message,
    Transcript,
)


def test_numbers_go_on_when_all_is_forgotten() -> None:
    transcript = Transcript()
    assert (transcript.newest, transcript.last_by, transcript.after(0)) == (0, None, [])
    transcript.add("user", "Hello", "en")
    transcript.add("avatar", "Hi")
    assert transcript.after(1) == [Entry(2, "avatar", "Hi")]
    assert (transcript.newest, transcript.last_by) == (2, "avatar")
    transcript.clear()
    assert (transcript.newest, transcript.after(0)) == (0, [])
    transcript.add("user", "Again")
    assert transcript.newest == 3


def test_it_is_bounded() -> None:
    transcript = Transcript()
    for i in range(MAX_ENTRIES + 5):
        transcript.add("user", f"{i}" + "x" * MAX_TEXT_LENGTH)
    entries = transcript.after(0)
    assert len(entries) == MAX_ENTRIES
    assert entries[0].number == 6
    assert {len(entry.text) for entry in entries} == {MAX_TEXT_LENGTH}


def test_messages_take_turns_and_begin_with_the_user() -> None:
    transcript = Transcript()
    for who, text in (
        ("avatar", "Welcome."),
        ("user", "Hello."),
        ("user", "Who are you?"),
        ("avatar", "An avatar."),
        ("avatar", "And you?"),
        ("user", "Me."),
    ):
        transcript.add(who, text)
    assert transcript.messages(1_000) == [
        Message("user", "Hello. Who are you?"),
        Message("avatar", "An avatar. And you?"),
        Message("user", "Me."),
    ]
    assert transcript.messages(20) == [Message("user", "Me.")]  # not with an answer alone
    assert transcript.messages(2) == []
