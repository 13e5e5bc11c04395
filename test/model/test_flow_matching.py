"""The solver against the reference's numbers (set E), and the properties of schedule and loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from avatar_forcing_ros.model.flow_matching import (
    extrapolation,
    guidance_rows,
    sigma_at,
    solver_steps,
    solver_timesteps,
    step,
    timestep_table,
    timestep_weight,
    training_pair,
)

GOLDEN = Path(__file__).parent.parent / "conformance" / "E_solver.npz"
PASS_MAX = 1e-6


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as stored:
        return {name: stored[name] for name in stored.files}


def normal(seed: int, shape: tuple[int, ...]) -> torch.Tensor:
    generator = np.random.Generator(np.random.PCG64(seed))
    return torch.from_numpy(generator.standard_normal(shape, dtype=np.float32))


def test_table_is_the_references(golden: dict[str, np.ndarray]) -> None:
    timesteps, sigmas = timestep_table()
    assert np.abs(timesteps.numpy() - golden["table.timesteps"]).max() <= 1e-3 * 1e-6
    assert np.abs(sigmas.numpy() - golden["table.sigmas"]).max() <= PASS_MAX


def test_schedules_are_the_references(golden: dict[str, np.ndarray]) -> None:
    rows = golden["schedule"]  # evaluations, step, timestep, index, sigma
    assert len(rows) == 300
    for evaluations in np.unique(rows[:, 0]).astype(int):
        expected = rows[rows[:, 0] == evaluations]
        timesteps = solver_timesteps(evaluations)
        assert timesteps.tolist() == expected[:, 2].tolist()
        assert np.abs(sigma_at(timesteps).numpy() - expected[:, 4]).max() <= PASS_MAX


def test_steps_are_the_references(golden: dict[str, np.ndarray]) -> None:
    x, velocity = normal(1500, (1, 12, 16)), normal(1501, (1, 12, 16))
    for (now, then), out in zip(golden["pairs"], golden["out"], strict=True):
        timestep = torch.full((1, 12), float(now))
        after = torch.full((1, 12), float(then))
        timestep[:, :2] = after[:, :2] = 0.0
        moved = step(x, velocity, sigma_at(timestep)[..., None], sigma_at(after)[..., None])
        assert np.abs(moved[0].numpy() - out).max() <= PASS_MAX
        assert torch.equal(moved[:, :2], x[:, :2])


def test_halfway_timestep_takes_the_noisier_entry() -> None:
    timesteps, sigmas = timestep_table()
    assert float(sigma_at(torch.tensor(500.0))) == float(sigmas[499])
    assert float(timesteps[499]) > 500.0


def test_ten_evaluations_are_eight_steps() -> None:
    steps = solver_steps(10)
    assert len(steps) == 8
    assert steps[0].timestep == 1000.0
    assert steps[-1].next_sigma == 0.0


def test_a_higher_power_makes_the_last_steps_shorter() -> None:
    even, bent = solver_timesteps(8), solver_timesteps(8, 2.0)
    assert (bent[0], bent[-1]) == (even[0], even[-1])
    assert (bent[1:-1] < even[1:-1]).all()
    assert (bent.diff() < 0).all()


def test_solving_with_the_true_velocity_arrives() -> None:
    clean, noise = normal(1, (2, 7, 5)), normal(2, (2, 7, 5))
    x = noise
    for s in solver_steps(6):
        x = step(x, noise - clean, s.sigma, s.next_sigma)
    torch.testing.assert_close(x, clean, atol=1e-5, rtol=0)


def test_training_pair_runs_from_clean_to_noise() -> None:
    clean, noise = normal(3, (1, 2, 4)), normal(4, (1, 2, 4))
    x_t, velocity = training_pair(clean, noise, torch.tensor([[0.0, 1.0]]))
    assert torch.equal(x_t[:, 0], clean[:, 0])
    assert torch.equal(x_t[:, 1], noise[:, 1])
    assert torch.equal(velocity, noise - clean)


def test_guidance_weights_add_up_to_one_and_idle_rows_are_left_out() -> None:
    paper = guidance_rows("separate", 2.0, 1.0)
    assert [(r.weight, r.avatar_audio, r.user) for r in paper] == [
        (-2.0, False, False),
        (2.0, True, False),
        (1.0, False, True),
    ]
    user = guidance_rows("user", 2.0, 3.0)  # the speech is what it is
    assert [(r.weight, r.avatar_audio, r.user) for r in user] == [
        (-2.0, True, False),
        (3.0, True, True),
    ]
    assert guidance_rows("user", 2.0, 1.0) == guidance_rows("joint", 1.0, 1.0)
    assert len(guidance_rows("joint", 1.0, 0.0)) == 1
    assert len(guidance_rows("separate", 0.9, 0.1)) == 2
    for rows in (paper, guidance_rows("joint", 1.7, 0.0), user):
        assert sum(row.weight for row in rows) == pytest.approx(1.0)


def test_timestep_weight_has_mean_one_and_vanishes_at_the_ends() -> None:
    timesteps, _ = timestep_table()
    weight = timestep_weight(timesteps)
    assert float(weight.mean()) == pytest.approx(1.0, abs=1e-5)
    assert float(weight[-1]) == pytest.approx(0.0, abs=1e-6)
    assert int(weight.argmax()) in (499, 500)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("adams", 2)])
@pytest.mark.parametrize("power", [1.0, 1.5])
def test_solvers_have_their_order(solver: str, order: int, power: float) -> None:
    """dx/dsigma = x from 1 to 0 ends at 1/e: twice the steps, half or a quarter of the error."""

    def error(evaluations: int) -> float:
        steps = solver_steps(evaluations, power)
        reuse = extrapolation(steps, solver)
        x = previous = torch.ones(1)
        for k, s in enumerate(steps):
            along = torch.lerp(previous, x, 1.0 + reuse[k])
            previous = x
            x = step(x, along, s.sigma, s.next_sigma)
        return abs(float(x) - float(np.exp(-1.0)))

    ratio = error(8 + 2) / error(16 + 2)  # noise levels come from a table of 1000
    assert 0.7 * 2**order < ratio < 1.4 * 2**order
    assert error(8) < 0.1
