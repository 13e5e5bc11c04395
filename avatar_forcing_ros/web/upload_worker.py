"""What decodes an upload, in a process of its own: ``python -m …web.upload_worker image|audio``.

The file's bytes come by standard input; an array goes to standard output as NumPy saves it, or
else one line of JSON with the parts of a MediaError, and the exit code `REFUSED`. Decoders are
large programs in C that read what strangers send: here they may take a bounded time and memory,
and whatever they do ends with the process.
"""

from __future__ import annotations

import json
import math
import re
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.errors import MediaError

MAX_CPU_S = 2
MAX_MEMORY_BYTES = 300_000_000  # beyond what this program itself takes
MAX_UPLOAD_AUDIO_S = 60.0
MIN_SIDE_PX = 64
REFUSED = 3


def uploaded_image(data: bytes) -> NDArray[np.uint8]:
    """The image ``[H, W, 3]`` RGB in `data`; MediaError for another format or size."""
    from avatar_forcing_ros.rig.image_files import decode_image

    limit_this_process()
    image = decode_image(data, "image")
    height, width = image.shape[:2]
    if min(width, height) < MIN_SIDE_PX:
        raise MediaError(
            "image",
            expected=f"sides of at least {MIN_SIDE_PX} pixels",
            got=f"{width} x {height}",
            remedy="take a larger one",
        )
    return image


def uploaded_audio(data: bytes) -> NDArray[np.float32]:
    """The audio ``[n]``, 16 kHz, in `data`; MediaError where it is none, or too long."""
    from avatar_forcing_ros.media_files.reading import decode_audio

    limit_this_process()
    return decode_audio(data, MAX_UPLOAD_AUDIO_S)


DECODERS: dict[str, Callable[[bytes], NDArray[Any]]] = {
    "image": uploaded_image,
    "audio": uploaded_audio,
}


def limit_this_process() -> None:
    """From now on it may take MAX_CPU_S and MAX_MEMORY_BYTES more than it has taken so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = math.ceil(used.ru_utime + used.ru_stime) + MAX_CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    with suppress(FileNotFoundError):  # Linux has it; elsewhere the limit means something else
        found = re.search(r"VmData:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))
        limit = MAX_MEMORY_BYTES + (1024 * int(found[1]) if found else 0)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def main(kind: str) -> int:
    """Decode one upload; the exit code."""
    try:
        array = DECODERS[kind](sys.stdin.buffer.read())
    except MediaError as error:
        parts = {"what": error.what, "expected": error.expected}
        parts |= {"got": error.got, "remedy": error.remedy}
        print(json.dumps(parts))
        return REFUSED
    np.save(sys.stdout.buffer, array, allow_pickle=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
