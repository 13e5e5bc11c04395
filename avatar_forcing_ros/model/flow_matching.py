"""Flow matching: the noise schedule, the solver's step, guidance, and the training pair.

A straight path joins clean motion and noise, ``x_t = (1 - sigma) * clean + sigma * noise``, and
the network predicts the velocity ``noise - clean`` (arXiv 2210.02747).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

TRAINING_TIMESTEPS = 1000
NO_WEIGHT = 1e-9


def timestep_table() -> tuple[Tensor, Tensor]:
    """The 1000 training ``(timesteps, sigmas)``, float32, from pure noise down to clean."""
    sigmas = torch.linspace(1.0, 0.0, TRAINING_TIMESTEPS)
    return sigmas * TRAINING_TIMESTEPS, sigmas


_TIMESTEPS, _SIGMAS = timestep_table()


def sigma_at(timestep: Tensor) -> Tensor:
    """Noise level of each `timestep` (any shape, 0…1000), float32: that of the nearest entry.

    Halfway between two entries the noisier one is taken.
    """
    distance = (timestep.double().cpu()[..., None] - _TIMESTEPS.double()).abs()
    return _SIGMAS[distance.argmin(dim=-1)].to(timestep.device)


def solver_timesteps(nfe: int, power: float = 1.0) -> Tensor:
    """Timesteps that a solver with `nfe` function evaluations visits, ``[n - 1]`` float32.

    The paper's count includes the pass that fills the cache, and its last timestep is 0, which
    moves nothing: 10 evaluations are 8 steps and one cache pass. A `power` above the paper's 1
    makes the last steps shorter: what the network gets wrong there stays in the motion as jitter.
    """
    even = np.linspace(TRAINING_TIMESTEPS, 0, nfe - 1)
    bent = TRAINING_TIMESTEPS * (even / TRAINING_TIMESTEPS) ** power
    return torch.tensor((even if power == 1.0 else bent).tolist(), dtype=torch.float32)


class SolverStep(NamedTuple):
    """One step: from `timestep` at noise level `sigma` down to `next_sigma`."""

    timestep: float
    sigma: float
    next_sigma: float


def solver_steps(nfe: int, power: float = 1.0) -> list[SolverStep]:
    """The steps that move something, in order (see `solver_timesteps`)."""
    timesteps = solver_timesteps(nfe, power)
    sigmas = sigma_at(timesteps)
    return [
        SolverStep(float(timesteps[k]), float(sigmas[k]), float(sigmas[k + 1]))
        for k in range(len(timesteps) - 1)
    ]


def extrapolation(steps: Sequence[SolverStep], solver: str) -> list[float]:
    """How much of the velocity's change since the step before each step adds to it.

    Nothing for ``euler``. For ``adams`` half the ratio of this step's length to the last one's
    (Adams-Bashforth of second order for uneven steps); the first step has nothing to go by.
    """
    if solver == "euler":
        return [0.0] * len(steps)
    lengths = [s.next_sigma - s.sigma for s in steps]
    return [0.0] + [0.5 * lengths[k] / lengths[k - 1] for k in range(1, len(steps))]


def step(x: Tensor, velocity: Tensor, sigma: Tensor | float, next_sigma: Tensor | float) -> Tensor:
    """Move `x` along `velocity` from `sigma` to `next_sigma`; float64 inside, shape of `x`.

    On the straight path this is the closed form of the paper's update. Levels are numbers, or
    float64 tensors that broadcast to `x` where they differ from frame to frame. Clean frames
    (sigma 0) that are made noisy again know nothing of their noise: its mean, zero, is taken, and
    their velocity is minus themselves.
    """
    here, along = x.double(), velocity.double()
    if isinstance(sigma, Tensor):
        along = torch.where(sigma > 0, along, -here)
    elif sigma <= 0.0:
        along = -here
    return (here + (next_sigma - sigma) * along).to(x.dtype)


class GuidanceRow(NamedTuple):
    """One row of the guidance batch: its weight, and which conditions it is shown."""

    weight: float
    avatar_audio: bool
    user: bool


def guidance_rows(mode: str, audio_scale: float, user_scale: float) -> tuple[GuidanceRow, ...]:
    """The rows whose weighted sum is the guided velocity; weights add up to one.

    ``separate`` is the paper's ``v0 + a (v_audio - v0) + u (v_user - v0)``; ``joint`` shows both
    at once, ``v0 + a (v_all - v0)``; ``user`` strengthens what the user adds to the avatar's own
    speech, ``v_audio + u (v_all - v_audio)``. Rows of weight zero are left out: they would be
    computed for nothing, and joint guidance at scale 1 costs a third of separate guidance.
    """
    rows: tuple[GuidanceRow, ...]
    if mode == "separate":
        rows = (
            GuidanceRow(1.0 - audio_scale - user_scale, False, False),
            GuidanceRow(audio_scale, True, False),
            GuidanceRow(user_scale, False, True),
        )
    elif mode == "user":
        rows = (
            GuidanceRow(1.0 - user_scale, True, False),
            GuidanceRow(user_scale, True, True),
        )
    else:
        rows = (
            GuidanceRow(1.0 - audio_scale, False, False),
            GuidanceRow(audio_scale, True, True),
        )
    return tuple(row for row in rows if abs(row.weight) > NO_WEIGHT)


def training_pair(clean: Tensor, noise: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """``(x_t, velocity target)`` for `clean`, `noise` ``[B, T, D]`` and `sigma` ``[B, T]``."""
    level = sigma[..., None]
    return (1.0 - level) * clean + level * noise, noise - clean


def timestep_weight(timestep: Tensor) -> Tensor:
    """Loss weight of each timestep: a bell around 500 that ends at zero, of mean one."""

    def bell(t: Tensor) -> Tensor:
        return torch.exp(-2.0 * ((t - TRAINING_TIMESTEPS / 2) / TRAINING_TIMESTEPS) ** 2)

    table = bell(_TIMESTEPS)
    floor = table.min()
    return (bell(timestep) - floor.to(timestep.device)).clamp_min(0.0) / float(
        (table - floor).mean()
    )
