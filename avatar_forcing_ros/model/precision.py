"""What float32 means on a GPU."""

from __future__ import annotations

import torch


def use_exact_float32() -> None:
    """Compute float32 in float32, in this process: by default a GPU's convolutions round to TF32.

    That has 11 bits instead of 24, and results would not be those of a CPU.
    """
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
