"""One GPU session of at most 8 minutes: is the paper model right and fast there?

Parts come in order of worth. Each is timed, printed and written to the report at once, and what
fails or does not fit into the time is noted there: a session that is cut off leaves what it had.
On a machine without CUDA the same program runs a small model, which checks it and no GPU.

    python -m avatar_forcing_ros.benchmarks.gpu_session --vectors test --json gpu_session.json
"""

from __future__ import annotations

import argparse
import gc
import json
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from avatar_forcing_ros.atomic_write import atomic_write
from avatar_forcing_ros.benchmarks import gpu_parts, gpu_vectors

LIMIT_S = 440.0


@dataclass(frozen=True)
class Part:
    """Something to find out, and about how long that takes on an H100."""

    name: str
    need_s: float
    run: Callable[[gpu_parts.Setting], Any]


PARTS = (
    Part("machine", 5.0, gpu_parts.machine),
    Part("float32 against the vectors", 60.0, gpu_vectors.transformer),
    Part("precision of images", 40.0, gpu_vectors.images),
    Part("stages", 100.0, gpu_parts.stages),
    Part("recorded is eager", 30.0, gpu_parts.recorded_is_eager),
    Part("conversation starts", 40.0, gpu_parts.starts),
    Part("conversations", 80.0, gpu_parts.conversations),
    Part("fused kernels", 60.0, gpu_parts.fused),
    Part("layouts", 20.0, gpu_parts.layouts),
    Part("compile", 90.0, gpu_parts.compiled),
)


@dataclass
class Report:
    """What was found so far; `path` None: only printed."""

    path: Path | None
    limit_s: float
    started_s: float = field(default_factory=time.monotonic)
    found: dict[str, Any] = field(default_factory=dict)

    def run(self, part: Part, setting: gpu_parts.Setting) -> None:
        """Run `part` if there is time for it, and write down what came of it."""
        left_s = self.limit_s - (time.monotonic() - self.started_s)
        began_s = time.monotonic()
        if left_s < part.need_s:
            self.found[part.name] = f"left out: {left_s:.0f} s were left, of {part.need_s:.0f}"
        else:
            try:
                self.found[part.name] = part.run(setting)
            except Exception as error:  # the other parts are worth their time still
                traceback.print_exc(limit=-6)
                self.found[part.name] = {"error": f"{type(error).__name__}: {error}"[:600]}
        took_s = time.monotonic() - began_s
        print(f"-- {part.name} ({took_s:.1f} s): {json.dumps(self.found[part.name])}", flush=True)
        if self.path:
            with atomic_write(self.path) as path:
                path.write_text(json.dumps(self.found, indent=1), encoding="utf-8")
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def main() -> None:
    """Run all parts that there is time for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--vectors", type=Path, default=Path("test"), metavar="DIR",
                        help="folder that holds conformance/ (default: test)")  # fmt: skip
    parser.add_argument("--limit", type=float, default=LIMIT_S, metavar="S", help="seconds in all")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    report = Report(options.json, options.limit)
    setting = gpu_parts.Setting(options.device, options.vectors)
    for part in PARTS:
        report.run(part, setting)


if __name__ == "__main__":
    main()
