"""Chains of element-wise work in one pass over memory, where torch's compiler can make them one.

Each operation of a chain reads and writes the whole feature map, and at 512 pixels a block's maps
are gigabytes. For a GPU `torch.compile` makes one Triton kernel of a chain; elsewhere, and where
that fails, the chain runs as it is written. Fused work rounds once where separate operations round
each time, so results differ by rounding.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

logger = logging.getLogger(__name__)


class Chain:
    """A function of tensors that may be compiled."""

    def __init__(
        self, function: Callable[..., Any], by_element: Callable[..., Any] | None = None
    ) -> None:
        """`by_element` is the same function as the compiler can fuse it, by default as it is."""
        self._function, self._by_element = function, by_element or function
        self._call = function

    def __call__(self, *arguments: Any) -> Any:
        """What the function gives."""
        if self._call is self._function:
            return self._function(*arguments)
        try:
            return self._call(*arguments)
        except Exception as error:  # an optimisation that fails is no reason to stop
            self.separate()
            logger.warning(
                "%s could not be compiled (%s: %s); it goes on without, more slowly",
                self._function.__name__,
                type(error).__name__,
                str(error).strip().partition("\n")[0],
            )
            return self._function(*arguments)

    def fuse(self) -> None:
        """Compile at the next call, once for all sizes."""
        self._call = torch.compile(self._by_element, dynamic=True, fullgraph=True)

    def separate(self) -> None:
        """Run as written."""
        self._call = self._function


_CHAINS: list[Chain] = []


def chain(function: Callable[..., Any], by_element: Callable[..., Any] | None = None) -> Chain:
    """One of the chains that `fuse_chains` compiles."""
    _CHAINS.append(Chain(function, by_element))
    return _CHAINS[-1]


def can_fuse() -> bool:
    """Whether a GPU's kernels can be compiled here: Triton is installed."""
    return importlib.util.find_spec("triton") is not None


def fuse_chains(*, fused: bool = True) -> None:
    """Compile all chains of this process from now on, or run them as written again."""
    for one in _CHAINS:
        if fused:
            one.fuse()
        else:
            one.separate()


def shifted_sum(x: Tensor, taps: Tensor, dim: int) -> Tensor:
    """``Σ taps[k] x[… + k …]`` along `dim` of `x` ``[B, C, H, W]``: a convolution by element."""
    length = x.shape[dim] - len(taps) + 1
    total = x.narrow(dim, 0, length) * taps[0]
    for k in range(1, len(taps)):
        total = total + x.narrow(dim, k, length) * taps[k]
    return total
