"""Text to speech by the program espeak-ng, where it is installed."""

from __future__ import annotations

import asyncio
import shutil

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError, MissingDependencyError
from avatar_forcing_ros.media_files.reading import decode_audio

PROGRAM = "espeak-ng"
MAX_TEXT_LENGTH = 1_000  # characters
MAX_SPEECH_S = 110.0
TIMEOUT_S = 20.0


def is_available() -> bool:
    """Whether the program is installed."""
    return shutil.which(PROGRAM) is not None


def sanitized_text(text: object) -> str:
    """`text` without what cannot be spoken; MediaError where nothing is left, or too much."""
    if not isinstance(text, str):
        got = type(text).__name__
        raise _bad_text(f"something else ({got})", "write what the avatar is to say")
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if not any(c.isalnum() for c in plain):
        raise _bad_text("nothing that can be spoken", "write what the avatar is to say")
    if len(plain) > MAX_TEXT_LENGTH:
        raise _bad_text(f"{len(plain)} characters", "say it in parts")
    return plain


async def synthesize(text: str) -> NDArray[np.float32]:
    """`text` as speech ``[n]``, 16 kHz.

    Raises MissingDependencyError where the program is not installed, MediaError where it fails.
    """
    path = shutil.which(PROGRAM)
    if path is None:
        raise MissingDependencyError(
            f"the program {PROGRAM}",
            expected="it to be installed, for text to speech",
            got="none of that name",
            remedy=f"install it (Debian, Ubuntu: sudo apt install {PROGRAM}), or send audio",
        )
    process = await asyncio.create_subprocess_exec(
        path,
        "--stdin",
        "--stdout",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        wav, _ = await asyncio.wait_for(process.communicate(text.encode()), TIMEOUT_S)
    except asyncio.TimeoutError:
        raise _failed(f"none after {TIMEOUT_S:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise _failed(f"exit code {process.returncode}")
    return await asyncio.to_thread(decode_audio, wav, MAX_SPEECH_S)


def _bad_text(got: str, remedy: str) -> MediaError:
    return MediaError(
        "text", expected=f"words, at most {MAX_TEXT_LENGTH} characters", got=got, remedy=remedy
    )


def _failed(got: str) -> MediaError:
    return MediaError(
        f"the program {PROGRAM}", expected="audio", got=got, remedy="write it in another way"
    )
