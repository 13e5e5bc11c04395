"""Numeric work recorded once and replayed: thousands of kernel launches become one.

A block of the full-size model is some thousand small kernels, and launching them one by one takes
longer than running them. Work of fixed shapes that never reads a value on the host can be
recorded as a CUDA graph.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

Work = Callable[[Sequence[Tensor]], list[Tensor]]
"""Tensors in, tensors out, no value read by the host: what a device can record."""
WARM_UP_RUNS = 3
KEPT_GRAPHS = 4  # each holds its own working memory
KEPT_SHAPES = 32
logger = logging.getLogger(__name__)


def directly(work: Work) -> Work:
    """`work` as it is: nothing is recorded."""
    return work


def recorded(work: Work) -> Work:
    """`work`, replayed from a graph for inputs on a CUDA device; elsewhere as it is."""
    return Recorder(work, cuda_graph)


class SharedRecordings:
    """Makes recordings once for the codecs of several conversations, which use them in turns.

    Each would take as much memory again. Work is the same where it is a `partial` of the same
    function and arguments.
    """

    def __init__(self, record: Callable[[Work], Work]) -> None:
        self._record = record
        self._works: dict[tuple[object, ...], Work] = {}
        self._using = threading.Lock()  # a recording's inputs and outputs have one place

    def __call__(self, work: Work) -> Work:
        """`work`, recorded for all; in any thread."""
        key = (work.func, *work.args) if isinstance(work, partial) else (work,)
        with self._using:
            if key not in self._works:
                self._works[key] = self._record(work)
        shared = self._works[key]

        def in_turn(inputs: Sequence[Tensor]) -> list[Tensor]:
            with self._using:
                return shared(inputs)

        return in_turn


class Recorder:
    """Runs work directly the first time a set of shapes comes, and from a recording afterwards.

    Shapes that come once only are not worth a recording. The least recently used recording goes
    when there are more than KEPT_GRAPHS. Where one cannot be made, a warning says so once: the
    recordings that are left stay, everything else is done directly from then on.
    """

    def __init__(self, work: Work, record: Callable[[Work, Sequence[Tensor]], Work]) -> None:
        self._work, self._record = work, record
        self._recordings: OrderedDict[tuple[object, ...], Work] = OrderedDict()
        self._unrecorded: OrderedDict[tuple[object, ...], None] = OrderedDict()
        self._can_record = True

    def __call__(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The outputs for `inputs`, in memory of their own."""
        if not inputs[0].is_cuda:
            return self._work(inputs)
        return self.replayed(inputs)

    def replayed(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The same wherever the inputs are."""
        key = tuple((t.shape, t.dtype, t.device) for t in inputs)
        if key not in self._recordings:
            if key not in self._unrecorded:
                self._unrecorded[key] = None
                if len(self._unrecorded) > KEPT_SHAPES:
                    self._unrecorded.popitem(last=False)
                return self._work(inputs)
            if not (self._can_record and self._has_recorded(key, inputs)):
                return self._work(inputs)
        self._recordings.move_to_end(key)
        return self._recordings[key](inputs)

    def _has_recorded(self, key: tuple[object, ...], inputs: Sequence[Tensor]) -> bool:
        """Record for `key`; whether that succeeded."""
        del self._unrecorded[key]
        if len(self._recordings) >= KEPT_GRAPHS:  # its memory is free for the new one
            self._recordings.popitem(last=False)
        try:
            self._recordings[key] = self._record(self._work, inputs)
        except Exception as error:  # an optimisation that fails is no reason to stop
            self._can_record = False
            logger.warning(
                "work on the GPU could not be recorded (%s: %s); it goes on without, more slowly",
                type(error).__name__,
                error,
            )
        return self._can_record


def cuda_graph(work: Work, inputs: Sequence[Tensor]) -> Work:
    """`work` as a CUDA graph for the shapes of `inputs`.

    Inputs are copied into the graph's own memory and outputs out of it, so a caller may keep both.
    """
    device = inputs[0].device
    held = [tensor.clone() for tensor in inputs]
    side = torch.cuda.Stream(device)
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        for _ in range(WARM_UP_RUNS):  # libraries choose kernels and allocate before recording
            work(held)
    torch.cuda.current_stream(device).wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    # the stream says which device: by default it is one of the first device that was recorded on
    # and other threads may use the device meanwhile
    with (
        torch.cuda.device(device),
        torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"),
    ):
        outputs = work(held)

    def replay(given: Sequence[Tensor]) -> list[Tensor]:
        for mine, theirs in zip(held, given, strict=True):
            mine.copy_(theirs)
        graph.replay()
        return [tensor.clone() for tensor in outputs]

    return replay
