"""Arrays to a device and back, without waiting for the work that goes on there.

A copy from or to ordinary memory waits for everything that the device has to do first. Pinned
memory is copied in its turn, at several times the speed; torch keeps it for the next copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def upload(array: NDArray[Any], like: Tensor) -> Tensor:
    """`array` on the device and in the type of `like`; on a CPU it may share memory."""
    host = torch.from_numpy(np.ascontiguousarray(array))
    if not like.is_cuda:
        return host.to(like)
    # converted over there: the host would convert into memory that is not pinned
    return host.pin_memory().to(like.device, non_blocking=True).to(like.dtype)


def download(tensor: Tensor) -> Callable[[], NDArray[Any]]:
    """Begin to copy `tensor` to the host; the call waits for it and nothing later.

    What it gives shares no memory with anything that the device will write to; on a CPU it shares
    that of `tensor`.
    """
    if not tensor.is_cuda:
        return tensor.numpy
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    host.copy_(tensor, non_blocking=True)
    copied = torch.cuda.Event()
    copied.record(torch.cuda.current_stream(tensor.device))

    def arrived() -> NDArray[Any]:
        copied.synchronize()
        return host.numpy()

    return arrived
