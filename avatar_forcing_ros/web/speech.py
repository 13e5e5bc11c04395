"""Words to sound by the program espeak-ng, where it is installed."""

from __future__ import annotations

import asyncio
import shutil

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError, MissingDependencyError
from avatar_forcing_ros.media_files.reading import decode_audio

PROGRAM = "espeak-ng"
LONGEST_TEXT = 1_000  # characters
LONGEST_SPEECH_S = 110.0
PATIENCE_S = 20.0


def can_speak() -> bool:
    """Whether the program is there."""
    return shutil.which(PROGRAM) is not None


def spoken_text(text: object) -> str:
    """`text` without what cannot be said; MediaError where nothing is left, or too much."""
    if not isinstance(text, str):
        got = type(text).__name__
        raise _bad_text(f"something else ({got})", "write what the avatar is to say")
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if not any(c.isalnum() for c in plain):
        raise _bad_text("nothing that can be said", "write what the avatar is to say")
    if len(plain) > LONGEST_TEXT:
        raise _bad_text(f"{len(plain)} characters", "say it in parts")
    return plain


async def speak(text: str) -> NDArray[np.float32]:
    """`text` spoken, ``[n]`` at 16 kHz.

    Raises MissingDependencyError where the program is not installed, MediaError where it fails.
    """
    path = shutil.which(PROGRAM)
    if path is None:
        raise MissingDependencyError(
            f"the program {PROGRAM}",
            expected="it to be installed, to speak what is written",
            got="none of that name",
            remedy=f"install it (Debian, Ubuntu: sudo apt install {PROGRAM}), or send a sound",
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
        wav, _ = await asyncio.wait_for(process.communicate(text.encode()), PATIENCE_S)
    except asyncio.TimeoutError:
        raise _failed(f"none after {PATIENCE_S:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise _failed(f"exit code {process.returncode}")
    return await asyncio.to_thread(decode_audio, whole_wav(wav), LONGEST_SPEECH_S)


def whole_wav(wav: bytes) -> bytes:
    """`wav` with its true sizes: a program that writes to a pipe cannot know them beforehand."""
    at = wav.find(b"data", 12)
    if at < 0:
        return wav
    riff, data = len(wav) - 8, len(wav) - at - 8
    return b"".join(
        (
            wav[:4],
            riff.to_bytes(4, "little"),
            wav[8 : at + 4],
            data.to_bytes(4, "little"),
            wav[at + 8 :],
        )
    )


def _bad_text(got: str, remedy: str) -> MediaError:
    return MediaError(
        "text", expected=f"words, at most {LONGEST_TEXT} characters", got=got, remedy=remedy
    )


def _failed(got: str) -> MediaError:
    return MediaError(
        f"the program {PROGRAM}", expected="sound", got=got, remedy="write it in another way"
    )
