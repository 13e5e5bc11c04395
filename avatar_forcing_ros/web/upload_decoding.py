"""Uploads to arrays, most of them by `upload_worker`: one of each visitor, one after the other."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.media_files.plain_wav import decode_plain_wav
from avatar_forcing_ros.web.access import RefusedError
from avatar_forcing_ros.web.upload_worker import (
    MAX_CPU_S,
    MAX_MEMORY_BYTES,
    MAX_UPLOAD_AUDIO_S,
    REFUSED,
)

MAX_WALL_S = 10.0  # on a busy machine, its beginning included
MAX_WAITING = 4
MAX_MESSAGE_BYTES = 500  # of what decoders print
QUIET = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MALLOC_ARENA_MAX"), "1")
WORKER = "avatar_forcing_ros.web.upload_worker"
logger = logging.getLogger(__name__)


class UploadDecoder:
    """Lives in an event loop, which it does not hold up."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)
        self._visitors: set[str] = set()

    async def image(self, data: bytes, visitor: str) -> NDArray[np.uint8]:
        """The image ``[H, W, 3]`` RGB in the bytes of a file that `visitor` sent.

        Raises MediaError for what is none or takes too much, and RefusedError for a second one at
        once (429) and where too many wait (503).
        """
        with self._place("image", visitor):
            async with self._turn:
                return await _run("image", data)

    async def audio(self, data: bytes, visitor: str) -> NDArray[np.float32]:
        """The audio ``[n]``, 16 kHz, in the bytes of a file; raises as `image` does.

        A WAV file of plain samples needs no decoder, and no process, which takes 0.2 s to begin.
        """
        with self._place("audio", visitor):
            async with self._turn:
                plain = await asyncio.to_thread(decode_plain_wav, data, MAX_UPLOAD_AUDIO_S)
                return await _run("audio", data) if plain is None else plain

    @contextmanager
    def _place(self, kind: str, visitor: str) -> Iterator[None]:
        """A place in the queue, while it lasts; RefusedError where there is none."""
        if visitor in self._visitors:
            raise RefusedError(
                429, kind, expected="one file at a time", got="another",
                remedy="wait until the first has been read",
            )  # fmt: skip
        if len(self._visitors) > MAX_WAITING:
            raise RefusedError(
                503, kind, expected=f"at most {MAX_WAITING} that wait to be read",
                got="more", remedy="wait a few seconds",
            )  # fmt: skip
        self._visitors.add(visitor)
        try:
            yield
        finally:
            self._visitors.discard(visitor)


async def _run(kind: str, data: bytes) -> NDArray[Any]:
    """What a process makes of `data`; it is gone when this returns."""
    paths = os.pathsep.join(path for path in sys.path if path)
    environment = os.environ | QUIET | {"PYTHONPATH": paths}
    with _in_memory() as given, _in_memory() as out:
        given.write(data)
        given.seek(0)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", WORKER, kind,
            stdin=given, stdout=out, stderr=asyncio.subprocess.PIPE, env=environment,
        )  # fmt: skip
        try:
            printed = await asyncio.wait_for(_first_bytes(process), MAX_WALL_S)
            code = await asyncio.wait_for(process.wait(), MAX_WALL_S)
        except asyncio.TimeoutError:
            raise _too_much(kind) from None
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await asyncio.shield(process.wait())
        if printed:
            logger.warning("decoding an upload: %s", printed)
        out.seek(0)
        return _result(kind, code, out)


def _in_memory() -> IO[bytes]:
    """A file that a process can be given, and that no disk ever holds where that is possible."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("upload"), "w+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


def _result(kind: str, code: int, out: IO[bytes]) -> NDArray[Any]:
    """The array that a process with this exit code gave out; MediaError for another."""
    if code == REFUSED:
        raise MediaError(**json.loads(out.read()))
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        raise _too_much(kind)
    if code != 0:
        raise MediaError(
            kind, expected="a whole and undamaged file", got="one at which its decoder ends",
            remedy="save it again, in another format",
        )  # fmt: skip
    return np.asarray(np.load(out, allow_pickle=False))


async def _first_bytes(process: asyncio.subprocess.Process) -> str:
    """The beginning of what decoders print, all of which is read."""
    assert process.stderr
    kept = b""
    while part := await process.stderr.read(1 << 16):
        kept = (kept + part)[:MAX_MESSAGE_BYTES]
    return kept.decode("utf-8", "replace").strip()


def _too_much(kind: str) -> MediaError:
    return MediaError(
        kind,
        expected=f"a file that can be read in {MAX_CPU_S} s and {MAX_MEMORY_BYTES // 10**6} MB",
        got="one that takes more",
        remedy="make it smaller, or save it in another format",
    )
