"""The claims of the paper: a judge learns to tell answers apart; files say what was found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import TINY_CAUSAL, tiny_generator

pytest.importorskip("espeakng_loader")

from avatar_forcing_ros.cli import main
from avatar_forcing_ros.config import SamplingConfig
from avatar_forcing_ros.model.checkpoint import save_checkpoint
from avatar_forcing_ros.rig.coefficients import COUNT, INDEX
from avatar_forcing_ros.training.evaluation import claims as claims_module
from avatar_forcing_ros.training.evaluation.claims import page, speed
from avatar_forcing_ros.training.evaluation.judge import scores, train_judge, user_of
from avatar_forcing_ros.training.synthetic import generate_listener

FRAMES = 200


def meetings(users: int, *, answers: bool) -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
    """Users who smile at random, and one listener who smiles 0.4 s later, or when it likes."""
    rng = np.random.default_rng(users)
    seen, avatars = [], []
    for _ in range(users):
        user = 0.05 * rng.standard_normal((FRAMES, COUNT + 1)).astype(np.float32)
        avatar = 0.05 * rng.standard_normal((FRAMES, COUNT)).astype(np.float32)
        for start in rng.integers(10, FRAMES - 60, 3):
            at = start + 10 if answers else int(rng.integers(10, FRAMES - 40))
            user[start : start + 25, INDEX["smile_left"]] += 0.7
            avatar[at : at + 25, INDEX["smile_left"]] += 0.7
        seen.append(user)
        avatars.append(avatar)
    return seen, [avatars]


def test_a_judge_learns_who_is_answered() -> None:
    users, listeners = meetings(60, answers=True)
    judge = train_judge(users, listeners, steps=250)
    held_out, (truth,) = meetings(30, answers=True)
    right = scores(judge, held_out, truth) > scores(judge, held_out, [*truth[1:], truth[0]])
    assert right.mean() > 0.7


def test_where_nobody_answers_a_judge_learns_nothing() -> None:
    users, listeners = meetings(60, answers=False)
    judge = train_judge(users, listeners, steps=100)
    held_out, (truth,) = meetings(40, answers=False)
    right = scores(judge, held_out, truth) > scores(judge, held_out, [*truth[1:], truth[0]])
    assert 0.2 < right.mean() < 0.8


def test_the_user_is_motion_and_loudness() -> None:
    listener = generate_listener(2_000_000, 4.0, "test", 0)
    user = user_of(listener)
    assert user.shape == (100, COUNT + 1)
    np.testing.assert_array_equal(user[:, :COUNT], listener.user_motion)
    speaking = listener.user_speaking
    assert user[speaking, COUNT].mean() > user[~speaking, COUNT].mean() + 0.2
    assert 0.0 <= user[:, COUNT].min() <= user[:, COUNT].max() <= 1.0


def test_a_whole_window_is_one_block_that_sees_all_of_itself() -> None:
    found = speed(tiny_generator(TINY_CAUSAL), SamplingConfig(nfe=3), windows=2)
    assert found["window_frames"] == TINY_CAUSAL.window_frames
    wait_ms = 40 * (TINY_CAUSAL.window_frames - TINY_CAUSAL.block_frames)
    compute_ms = found["window_ms"]["median"] - found["block_ms"]["median"]
    assert found["window_latency_ms"] - found["latency_ms"] == pytest.approx(
        wait_ms + compute_ms, abs=0.01
    )
    ratio = found["window_latency_ms"] / found["latency_ms"]
    assert found["latency_ratio"] == pytest.approx(ratio, rel=1e-3)


def run(folder: Path) -> dict[str, Any]:
    weights = folder / "tiny.safetensors"
    save_checkpoint(weights, tiny_generator(TINY_CAUSAL), {"steps": 7})
    arguments = ["evaluate", "--claims", "--quick", "--conversations", "4", "--seconds", "8"]
    arguments += ["--weights", str(weights), "--before", str(weights), "--workers", "1"]
    assert main([*arguments, "-o", str(folder / "out")]) == 0
    found: dict[str, Any] = json.loads((folder / "out" / "claims.json").read_text())
    return found


def test_the_command_writes_what_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = {"judge_users": 6, "judge_steps": 5, "windows": 2}
    monkeypatch.setattr("avatar_forcing_ros.cli.train.QUICK_CLAIMS", few)
    monkeypatch.setattr(claims_module, "LEAST_ACCURACY", 0.0)
    found = run(tmp_path)
    wins = found["preference"]["wins"]
    assert set(wins) == {"no_user", "before_preference", "lips_alone", "truth"}
    assert wins["before_preference"]["value"] == 0.0  # the same weights: never better
    for won in (*wins.values(), found["preference"]["accuracy_on_truth"]):
        assert 0.0 <= won["low"] <= won["high"] <= 1.0
    assert (tmp_path / "out" / "claims.md").read_text() in capsys.readouterr().out
    monkeypatch.setattr(claims_module, "LEAST_ACCURACY", 1.01)
    judged = run(tmp_path)["preference"]
    assert judged["wins"] == {}
    assert "no claim is made" in page(found | {"preference": judged})
