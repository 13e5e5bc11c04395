"""Listener and responder that are programs on this machine, started for each turn.

They are started without a shell, in a session of their own, and killed with all that they started
where they are not wanted any more.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import json
import logging
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import ResponderError
from avatar_forcing_ros.responder.transcript import Message

FULL_SCALE = 32_767
MAX_TEXT_BYTES = 64_000  # of one answer
MAX_NOTES_BYTES = 4_096  # of what it writes to stderr
PIECE_BYTES = 4_096
REAP_TIMEOUT_S = 2.0
ROLES = {"user": "user", "avatar": "assistant"}
logger = logging.getLogger(__name__)


class ListenerProgram:
    """Gets 16 kHz mono PCM, 16 bits, little-endian, on its standard input; writes text."""

    def __init__(self, words: Sequence[str]) -> None:
        """`words`: the program and its arguments."""
        self._words = tuple(words)

    async def hear(self, samples: NDArray[np.float32]) -> str:
        """What it writes for ``[n]``, 16 kHz; raises ResponderError."""
        return "".join([piece async for piece in _output(self._words, pcm(samples), "listener")])

    async def close(self) -> None:
        """It runs for a turn alone."""


class ResponderProgram:
    """Gets a line of JSON for each message, ``{"role": …, "content": …}``; writes the answer."""

    def __init__(self, words: Sequence[str], prompt: str) -> None:
        self._words, self._prompt = tuple(words), prompt

    async def respond(self, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        """What it writes, as it writes it; raises ResponderError."""
        lines = [json.dumps(one, ensure_ascii=False) for one in roles(messages, self._prompt)]
        data = "".join(f"{line}\n" for line in lines).encode()
        async with contextlib.aclosing(_output(self._words, data, "responder")) as pieces:
            async for piece in pieces:
                yield piece

    async def close(self) -> None:
        """It runs for an answer alone."""


def pcm(samples: NDArray[np.float32]) -> bytes:
    """Audio ``[n]`` in -1…1 as integers of 16 bits, little-endian."""
    return (np.clip(samples, -1.0, 1.0) * FULL_SCALE).astype("<i2").tobytes()


def roles(messages: Sequence[Message], prompt: str) -> list[dict[str, str]]:
    """Messages by the names that chat models have for who speaks."""
    system = [{"role": "system", "content": prompt}] if prompt else []
    return system + [{"role": ROLES[one.who], "content": one.text} for one in messages]


async def _output(words: Sequence[str], data: bytes, who: str) -> AsyncGenerator[str, None]:
    """What the program writes to stdout for `data`, in pieces; raises ResponderError."""
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise _failed(who, "a program that can be started", error.strerror or "none") from error
    writing = asyncio.ensure_future(_write(process, data))
    noting = asyncio.ensure_future(_notes(process))
    over = False
    try:
        async for piece in _read(process, who):
            yield piece
        code = await process.wait()
        over = True
        if code:
            notes = (await noting).decode(errors="replace").strip()
            logger.warning("%s: exit code %d; %s", who, code, notes[-500:])
            raise _failed(who, "a program that ends well", f"exit code {code}")
    finally:
        writing.cancel()
        noting.cancel()
        if not over:  # else its number may be another's by now
            _kill(process)
        await asyncio.gather(writing, noting, return_exceptions=True)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(_reap(process), REAP_TIMEOUT_S)


async def _read(process: asyncio.subprocess.Process, who: str) -> AsyncIterator[str]:
    assert process.stdout
    decoder, count = codecs.getincrementaldecoder("utf-8")("replace"), 0
    while data := await process.stdout.read(PIECE_BYTES):
        count += len(data)
        if count > MAX_TEXT_BYTES:
            raise _failed(who, f"at most {MAX_TEXT_BYTES // 1000} kB of text", "more")
        if text := decoder.decode(data):
            yield text
    if text := decoder.decode(b"", final=True):
        yield text


async def _write(process: asyncio.subprocess.Process, data: bytes) -> None:
    assert process.stdin
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it need not read all
        process.stdin.write(data)
        await process.stdin.drain()
        process.stdin.close()


async def _notes(process: asyncio.subprocess.Process) -> bytes:
    """The end of what it says about itself."""
    assert process.stderr
    notes = b""
    while data := await process.stderr.read(PIECE_BYTES):
        notes = (notes + data)[-MAX_NOTES_BYTES:]
    return notes


async def _reap(process: asyncio.subprocess.Process) -> None:
    """Take its end; asyncio notes that only once all that it wrote has been read."""
    for stream in (process.stdout, process.stderr):
        while stream and await stream.read(PIECE_BYTES):
            pass
    await process.wait()


def _kill(process: asyncio.subprocess.Process) -> None:
    """The process, and what it has started and left behind."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _failed(who: str, expected: str, got: str) -> ResponderError:
    return ResponderError(who, expected=expected, got=got, remedy="try the program by hand")
