"""Whether a GPU really computes: torch may say that it is there on an installation that cannot."""

from __future__ import annotations

import logging
from functools import cache

import torch
from torch.nn import functional

logger = logging.getLogger(__name__)


@cache
def usable_cuda() -> bool:
    """Whether torch can use a GPU; where it says so and cannot, the log says why, once."""
    if not torch.cuda.is_available():
        return False
    fault = device_fault("cuda")
    if fault:
        logger.warning("device auto: the CPU is used, since the GPU cannot compute: %s", fault)
    return not fault


def device_fault(device: str) -> str:
    """Why `device` cannot do a matrix product and a convolution rightly; empty where it can.

    A build of torch without kernels for the card, a driver that is too old for it, missing cuBLAS
    or cuDNN libraries and full memory show in a computation alone.
    """
    try:
        ones = torch.ones(1, 8, 16, 16, device=device)
        product = ones[0, 0] @ ones[0, 0]  # [16, 16]
        filtered = functional.conv2d(ones, ones[:, :, :3, :3])  # [1, 1, 14, 14]
        got = float(product.sum()), float(filtered.sum())
    except (RuntimeError, AssertionError, OSError) as error:
        return (str(error).strip() or type(error).__name__).splitlines()[0]
    expected = (16.0**3, 14.0**2 * 72)
    return "" if got == expected else f"wrong results, {got} instead of {expected}"
