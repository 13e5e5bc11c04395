"""Programs that listen and answer: what they get, and every way in which they may fail."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import numpy as np
import pytest
from programs import is_alive, wait_until

from avatar_forcing_ros.errors import ResponderError
from avatar_forcing_ros.responder.programs import ListenerProgram, ResponderProgram
from avatar_forcing_ros.responder.transcript import Message

ASKED = [Message("user", "Grüß Gott"), Message("avatar", "Hallo"), Message("user", "Wer?")]
SECOND = np.zeros(16_000, np.float32)


def words(lines: str) -> list[str]:
    return [sys.executable, "-c", f"import json, os, sys, time\n{lines}"]


async def answered(responder: ResponderProgram) -> list[str]:
    return [piece async for piece in responder.respond(ASKED)]


def test_a_responder_reads_the_conversation_and_streams_its_answer() -> None:
    lines = (
        "said = [json.loads(line) for line in sys.stdin]\n"
        "for one in said: print(one['role'], one['content'], flush=True)"
    )
    pieces = asyncio.run(answered(ResponderProgram(words(lines), "Be kind.")))
    assert "".join(pieces) == "system Be kind.\nuser Grüß Gott\nassistant Hallo\nuser Wer?\n"
    pieces = asyncio.run(answered(ResponderProgram(words(lines), "")))
    assert "".join(pieces).startswith("user")


def test_an_answer_is_had_while_the_program_still_makes_it(tmp_path: Path) -> None:
    go_on = tmp_path / "go_on"
    lines = (
        "os.write(1, 'Grü'.encode()[:-1]); os.write(1, 'ü'.encode()[1:] + b'. ')\n"
        f"while not os.path.exists({str(go_on)!r}): time.sleep(0.01)\n"
        "print('more')"
    )

    async def ask() -> None:
        answer = ResponderProgram(words(lines), "").respond(ASKED)
        begun = ""
        while begun != "Grü. ":
            begun += await anext(answer)
        go_on.touch()
        assert "".join([piece async for piece in answer]) == "more\n"

    asyncio.run(ask())


def test_a_listener_gets_the_sound(tmp_path: Path) -> None:
    sound = tmp_path / "sound"
    lines = f"open({str(sound)!r}, 'wb').write(sys.stdin.buffer.read()); print(' hello ')"
    samples = np.array([0.0, 0.5, -1.0, 2.0], np.float32)
    assert asyncio.run(ListenerProgram(words(lines)).hear(samples)) == " hello \n"
    assert np.frombuffer(sound.read_bytes(), "<i2").tolist() == [0, 16_383, -32_767, 32_767]


@pytest.mark.parametrize(
    ("lines", "got"),
    [
        ("print('half'); sys.exit(3)", "exit code 3"),
        ("sys.exit('no model')", "exit code 1"),
        ("while True: os.write(1, b'blah ' * 10000)", "at most 64 kB"),
        ("os.kill(os.getpid(), 9)", "exit code -9"),
    ],
)
def test_a_program_that_fails_is_one_sentence(
    lines: str, got: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ResponderError, match=got) as caught:
        asyncio.run(ListenerProgram(words(lines)).hear(SECOND))
    assert str(caught.value).startswith("listener: expected")
    assert "no model" not in str(caught.value)  # for the log
    assert ("no model" in caplog.text) == ("no model" in lines)


def test_what_does_not_read_all_may_answer_all_the_same() -> None:
    lines = "os.close(0); print('enough')"
    minute = np.zeros(16_000 * 60, np.float32)
    assert asyncio.run(ListenerProgram(words(lines)).hear(minute)) == "enough\n"
    with pytest.raises(ResponderError, match="can be started"):
        asyncio.run(ListenerProgram(["/no/such/program"]).hear(SECOND))


def test_what_is_cancelled_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    lines = f"os.fork(); open({str(pids)!r}, 'a').write(f'{{os.getpid()}} '); time.sleep(600)"

    async def give_up() -> None:
        asked = asyncio.ensure_future(answered(ResponderProgram(words(lines), "")))
        await asyncio.to_thread(
            wait_until, lambda: pids.exists() and len(pids.read_text().split()) == 2
        )
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked

    asyncio.run(give_up())
    wait_until(lambda: not any(is_alive(int(pid)) for pid in pids.read_text().split()))


def test_the_documented_program_answers() -> None:
    page = (Path(__file__).parents[2] / "docs" / "RESPONDER.md").read_text(encoding="utf-8")
    code = page.partition("```python\n")[2].partition("```")[0]
    pieces = asyncio.run(answered(ResponderProgram([sys.executable, "-c", code], "Be kind.")))
    assert "".join(pieces) == "You said: Wer?\n"
