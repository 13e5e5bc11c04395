"""A recording as a GPU makes it, without a GPU: what the host decided while recording stays.

Work is traced once to a graph of tensor operations. A replay runs that graph and none of the
Python around it, so a number, a portrait or a choice that work read from elsewhere is baked in.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from avatar_forcing_ros.streaming.cuda_graphs import Recorder, Work


class Freezer:
    """Makes recordings for a `Recorder`, and counts them."""

    def __init__(self) -> None:
        self.recordings = 0

    def record(self, work: Work) -> Work:
        """What the streaming classes take as `record`: replays wherever the inputs are."""
        return Recorder(work, self).replayed

    def __call__(self, work: Work, inputs: Sequence[Tensor]) -> Work:
        """`work`, traced for the shapes of `inputs`."""
        self.recordings += 1
        # a trace cannot be made of inference tensors
        with torch.inference_mode(False), torch.no_grad():
            held = [tensor.clone() for tensor in inputs]
            graph = make_fx(lambda *tensors: work(list(tensors)))(*held)
        return lambda given: [tensor.clone() for tensor in graph(*given)]


class Tape:
    """Stands where a GPU records: notes what it recorded, and replays on fixed memory.

    The work itself is run anew; a `Freezer` makes recordings that keep what work was.
    """

    def __init__(self) -> None:
        self.recorded: list[tuple[int, ...]] = []

    def record(self, work: Work) -> Work:
        """What the streaming classes take as `record`: replays wherever the inputs are."""
        return Recorder(work, self).replayed

    def __call__(self, work: Work, inputs: Sequence[Tensor]) -> Work:
        self.recorded.append(tuple(inputs[0].shape))
        held = [tensor.clone() for tensor in inputs]

        def replay(given: Sequence[Tensor]) -> list[Tensor]:
            for mine, theirs in zip(held, given, strict=True):
                mine.copy_(theirs)
            return [tensor.clone() for tensor in work(held)]

        return replay
