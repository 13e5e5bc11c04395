"""Recorded work: once directly, then from a recording, never more recordings than agreed.

And what is to be recorded stays on the device: that needs no GPU to be shown.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch
from frozen import Tape
from tiny import TINY, TINY_CAUSAL, TINY_LATENT, roll, talk, tiny_generator
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from avatar_forcing_ros.config import AnchorConfig, ModelConfig, SamplingConfig
from avatar_forcing_ros.model.audio_encoders import SpeechEncoder
from avatar_forcing_ros.model.flow_transformer import FlowTransformer
from avatar_forcing_ros.model.motion_autoencoder import Appearance, MotionAutoencoder, to_pixels
from avatar_forcing_ros.streaming.block_sampler import BlockSampler
from avatar_forcing_ros.streaming.cuda_graphs import (
    KEPT_GRAPHS,
    KEPT_SHAPES,
    Recorder,
    SharedRecordings,
    Work,
)
from avatar_forcing_ros.streaming.engine import MotionEngine
from avatar_forcing_ros.streaming.motion_anchor import MotionAnchor
from avatar_forcing_ros.streaming.state import Conditions, MotionState


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
    for size in range(3, KEPT_GRAPHS + 3):  # these are kept,
        run.replayed([torch.ones(size)])
    assert len(tape.recorded) == KEPT_GRAPHS + 2
    for _ in range(2):  # the one used least recently is not
        run.replayed([torch.ones(2)])
    assert tape.recorded[-1] == (2,)
    assert len(tape.recorded) == KEPT_GRAPHS + 3


def test_shapes_that_come_once_take_no_recordings_place() -> None:
    """Each new conversation begins with some; they are not remembered without end either."""
    tape = Tape()
    run = Recorder(double, tape)
    for size in (1, 2) * 2:
        run.replayed([torch.ones(size)])
    assert tape.recorded == [(1,), (2,)]
    for size in range(100, 100 + KEPT_SHAPES + 10):
        run.replayed([torch.ones(size)])
    for size in (1, 2) * 2:
        assert run.replayed([torch.ones(size)])[0].tolist() == [2.0] * size
    assert tape.recorded == [(1,), (2,)]
    run.replayed([torch.ones(100)])  # so long ago that it counts as never
    assert len(tape.recorded) == 2
    run.replayed([torch.ones(100 + KEPT_SHAPES + 9)])
    assert len(tape.recorded) == 3


def test_on_a_cpu_work_is_done_as_it_is() -> None:
    tape = Tape()
    run = Recorder(double, tape)
    for _ in range(3):
        assert run([torch.ones(1)])[0].tolist() == [2.0]
    assert tape.recorded == []


def test_where_nothing_can_be_recorded_work_goes_on_and_that_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tries = []

    def fail(work: Work, inputs: Sequence[Tensor]) -> Work:
        tries.append(tuple(inputs[0].shape))
        raise RuntimeError("operation not permitted when stream is capturing")

    run = Recorder(double, fail)
    for size in (1, 2):
        for _ in range(5):
            assert run.replayed([torch.ones(size)])[0].tolist() == [2.0] * size
    assert tries == [(1,)]
    (said,) = caplog.messages
    assert "not permitted when stream is capturing" in said
    assert "goes on without" in said


def test_what_was_recorded_before_a_failure_is_still_replayed() -> None:
    tape, replays = Tape(), []

    def record(work: Work, inputs: Sequence[Tensor]) -> Work:
        if inputs[0].shape[0] > 1:
            raise RuntimeError("out of memory")
        replay = tape(work, inputs)

        def counted(given: Sequence[Tensor]) -> list[Tensor]:
            replays.append(1)
            return replay(given)

        return counted

    run = Recorder(double, record)
    for size in (1, 1, 2, 2, 2, 1):
        assert run.replayed([torch.ones(size)])[0].tolist() == [2.0] * size
    assert tape.recorded == [(1,)]
    assert len(replays) == 2


CONFIGS = {"again": TINY, "causal": TINY_CAUSAL, "latent": TINY_LATENT}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_of_many_conversations_one_shape_is_recorded(config: ModelConfig) -> None:
    """The blocks before a memory is full are of a shape each, and would push one another out."""
    audio, solver = Tape(), Tape()
    tapes = [audio, solver]  # in the order in which an engine asks for them
    engine = MotionEngine(
        tiny_generator(config),
        SamplingConfig(nfe=3, guidance="joint"),
        record=lambda work: tapes.pop(0).record(work),
    )
    blocks = engine.warm_up_blocks[0]
    given = talk(config.first_block_frames + blocks * config.block_frames, config=config)
    for _ in range(3):
        roll(engine, given, blocks)
    assert len(audio.recorded) == 1
    assert solver.recorded == [(1, config.context_frames, config.motion_dim)]
    direct = MotionEngine(engine.generator, engine.sampling)
    assert direct.warm_up_blocks == (2,)


class DispatchLog(TorchDispatchMode):
    """Notes every operation whose tensors are on more than one device, or that reads a value."""

    def __init__(self) -> None:
        super().__init__()
        self.host_reads: list[str] = []
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
            self.host_reads.append(str(function))
        return out


@pytest.mark.parametrize("config", [TINY, TINY_CAUSAL], ids=["again", "causal"])
@pytest.mark.parametrize("guidance", ["joint", "separate"])
def test_a_block_never_leaves_the_device(guidance: str, config: ModelConfig) -> None:
    """Between its inputs and its outputs nothing is copied to or from the host, or waited for.

    Tensors without contents show it on any machine: a value that is read raises, and an
    operation that mixes devices is noted.
    """
    with torch.device("meta"):
        transformer = FlowTransformer(config)
    with DispatchLog() as log:
        sampler = BlockSampler(
            transformer,
            SamplingConfig(guidance=guidance, audio_guidance=2.0),
            anchor=MotionAnchor(AnchorConfig()),
        )
        reference = torch.zeros(1, TINY.motion_dim, device="meta")
        state = MotionState.empty(config, reference)
        conditions = Conditions(
            *(
                torch.zeros(1, config.block_frames, w, device="meta")
                for w in (TINY.audio_dim, TINY.audio_dim, TINY.motion_dim)
            )
        )
        noise = torch.zeros(1, config.block_frames, TINY.motion_dim, device="meta")
        _, (state,) = sampler.next_blocks([state], reference, conditions, noise)
        log.host_reads.clear()  # timesteps are sent to the device once
        log.count = 0
        block, _ = sampler.next_blocks([state], reference, conditions, noise)
    assert log.host_reads == []
    assert log.count > 200
    assert block.device.type == "meta"


def test_audio_never_leaves_the_device() -> None:
    with torch.device("meta"):
        encoder = SpeechEncoder(TINY_LATENT.speech_encoder, TINY_LATENT.audio_dim).eval()
        audio = torch.zeros(2, 60 * 640)
    with torch.inference_mode(), DispatchLog() as log:
        features = encoder(audio)
    assert log.host_reads == []
    assert log.count > 50
    assert features.shape == (2, 60, TINY_LATENT.audio_dim)
    assert features.device.type == "meta"


def test_images_never_leave_the_device() -> None:
    config, dim = TINY_LATENT.autoencoder, TINY_LATENT.motion_dim
    size = config.image_size_px
    with torch.device("meta"):
        net = MotionAutoencoder(config, dim).to("meta").eval()
        images = torch.zeros(2, 3, size, size)
    with torch.inference_mode(), DispatchLog() as log:
        appearance, latents = net.encode(images)
        one = Appearance(appearance.code[:1], tuple(f[:1] for f in appearance.features))
        counts = [log.count]
        for levels in (None, len(net.dec.to_rgbs) - 1):
            drawn = to_pixels(net.decode(one, latents, levels))
            counts.append(log.count)
            assert drawn.device.type == "meta"
            assert drawn.shape[1] == (size if levels is None else size // 2)
    assert log.host_reads == []
    assert counts[0] > 50
    assert counts[1] - counts[0] > 100


def test_several_use_one_recording_in_turns() -> None:
    made: list[Work] = []
    inside = threading.Lock()

    def record(work: Work) -> Work:
        made.append(work)

        def alone(inputs: Sequence[Tensor]) -> list[Tensor]:
            assert inside.acquire(blocking=False)
            try:
                return work(inputs)
            finally:
                inside.release()

        return alone

    def scaled(factor: float, inputs: Sequence[Tensor]) -> list[Tensor]:
        return [factor * tensor for tensor in inputs]

    shared = SharedRecordings(record)
    works = [shared(partial(scaled, factor)) for factor in (2.0, 2.0, 3.0)]
    assert len(made) == 2
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda k: works[k % 3]([torch.ones(64)])[0][0], range(60)))
    assert [float(value) for value in results] == [2.0, 2.0, 3.0] * 20
