"""Recorded work: once directly, then from a recording, never more recordings than agreed.

And what is to be recorded stays on the device: that needs no GPU to be shown.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from tiny import TINY, tiny_generator
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from avatar_forcing_ros.config import AnchorConfig, SamplingConfig
from avatar_forcing_ros.model.flow_transformer import FlowTransformer
from avatar_forcing_ros.streaming.block_sampler import BlockSampler
from avatar_forcing_ros.streaming.cuda_graphs import KEPT_GRAPHS, Recorder, Work
from avatar_forcing_ros.streaming.motion_anchor import MotionAnchor
from avatar_forcing_ros.streaming.state import Conditions, MotionState


class Tape:
    """Stands where a GPU records: notes what it recorded, and replays on fixed memory."""

    def __init__(self) -> None:
        self.recorded: list[tuple[int, ...]] = []

    def __call__(self, work: Work, inputs: Sequence[Tensor]) -> Work:
        self.recorded.append(tuple(inputs[0].shape))
        held = [tensor.clone() for tensor in inputs]

        def replay(given: Sequence[Tensor]) -> list[Tensor]:
            for mine, theirs in zip(held, given, strict=True):
                mine.copy_(theirs)
            return [tensor.clone() for tensor in work(held)]

        return replay


def double(inputs: Sequence[Tensor]) -> list[Tensor]:
    return [2 * inputs[0]]


def test_shapes_that_come_once_are_not_recorded() -> None:
    tape = Tape()
    run = Recorder(double, tape)
    for size in (1, 2, 3):
        run.replayed([torch.ones(size)])
    assert tape.recorded == []
    for value in (1.0, 5.0):
        assert run.replayed([torch.full((2,), value)])[0].tolist() == [2 * value] * 2
    assert tape.recorded == [(2,)]


def test_old_recordings_make_room() -> None:
    tape = Tape()
    run = Recorder(double, tape)
    for size in range(1, KEPT_GRAPHS + 3):
        for _ in range(3):
            assert run.replayed([torch.ones(size)])[0].tolist() == [2.0] * size
    assert len(tape.recorded) == KEPT_GRAPHS + 2
    assert len(run._recordings) == KEPT_GRAPHS
    run.replayed([torch.ones(KEPT_GRAPHS + 2)])
    assert len(tape.recorded) == KEPT_GRAPHS + 2


def test_on_a_cpu_work_is_done_as_it_is() -> None:
    tape = Tape()
    run = Recorder(double, tape)
    for _ in range(3):
        assert run([torch.ones(1)])[0].tolist() == [2.0]
    assert tape.recorded == []


def test_a_conversation_from_recordings_is_the_same() -> None:
    generator = tiny_generator()
    direct, taped = (
        BlockSampler(generator.flow_transformer, SamplingConfig(), record=record)
        for record in (lambda work: work, lambda work: Recorder(work, Tape()).replayed)
    )
    assert rolled(direct).equal(rolled(taped))


def rolled(sampler: BlockSampler) -> Tensor:
    reference, out = torch.zeros(1, TINY.motion_dim), []
    state = MotionState.empty(TINY, reference)
    drawn = torch.Generator().manual_seed(0)
    widths = (TINY.audio_dim, TINY.audio_dim, TINY.motion_dim)
    for _ in range(9):
        told = Conditions(*(torch.randn(1, 5, width, generator=drawn) for width in widths))
        noise = torch.randn(1, 5, TINY.motion_dim, generator=drawn)
        block, state = sampler.next_block(state, reference, told, noise)
        out.append(block)
    return torch.cat(out)


class Watch(TorchDispatchMode):
    """Notes every operation whose tensors are on more than one device, or that reads a value."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        tensors = [
            t
            for t in torch.utils._pytree.tree_leaves((args, kwargs, out))
            if isinstance(t, Tensor)
        ]
        self.count += 1
        if len({t.device.type for t in tensors}) > 1 or "local_scalar" in str(function):
            self.seen.append(str(function))
        return out


@pytest.mark.parametrize("guidance", ["joint", "separate"])
def test_a_block_never_leaves_the_device(guidance: str) -> None:
    """Between its inputs and its outputs nothing is copied to or from the host, or waited for.

    Tensors without contents show it on any machine: a value that is looked at raises, and an
    operation that mixes devices is noted.
    """
    with torch.device("meta"):
        transformer = FlowTransformer(TINY)
    with Watch() as watch:
        sampler = BlockSampler(
            transformer,
            SamplingConfig(guidance=guidance, audio_guidance=2.0),
            anchor=MotionAnchor(AnchorConfig()),
        )
        reference = torch.zeros(1, TINY.motion_dim, device="meta")
        state = MotionState.empty(TINY, reference)
        told = Conditions(
            *(
                torch.zeros(1, 5, w, device="meta")
                for w in (TINY.audio_dim, TINY.audio_dim, TINY.motion_dim)
            )
        )
        noise = torch.zeros(1, 5, TINY.motion_dim, device="meta")
        _, state = sampler.next_block(state, reference, told, noise)
        watch.seen.clear()  # timesteps are sent to the device once
        watch.count = 0
        block, _ = sampler.next_block(state, reference, told, noise)
    assert watch.seen == []
    assert watch.count > 200
    assert block.device.type == "meta"
