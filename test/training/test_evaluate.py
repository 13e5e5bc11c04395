"""The evaluation from a checkpoint to its files, and what it refuses."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import TINY, tiny_generator

pytest.importorskip("espeakng_loader")
pytest.importorskip("matplotlib")

from avatar_forcing_ros.cli import main
from avatar_forcing_ros.config import SamplingConfig
from avatar_forcing_ros.errors import CheckpointError
from avatar_forcing_ros.model.checkpoint import save_checkpoint
from avatar_forcing_ros.rig.coefficients import COUNT
from avatar_forcing_ros.streaming.engine import MotionEngine
from avatar_forcing_ros.timebase import SAMPLES_PER_FRAME
from avatar_forcing_ros.training.evaluation import evaluate as evaluate_module
from avatar_forcing_ros.training.evaluation import metrics_table
from avatar_forcing_ros.training.evaluation.evaluate import EvaluationConfig, evaluate
from avatar_forcing_ros.training.evaluation.listening import ListeningSet
from avatar_forcing_ros.training.evaluation.metrics_table import Rollouts, Truth, all_metrics
from avatar_forcing_ros.training.evaluation.report import thresholds
from avatar_forcing_ros.training.evaluation.variants import drift_plan, variants, with_blocks
from avatar_forcing_ros.training.rollout import Script, roll_out_audio
from avatar_forcing_ros.training.synthetic import (
    Conversation,
    generate_conversation,
    generate_listener,
)

KEYS = {
    "lip_sync_r", "lip_sync_lag_frames", "bilabial_closure", "rpcc_expression", "rpcc_pose",
    "sid_expression", "sid_pose", "var_expression", "var_pose", "fd_expression", "fd_pose",
    "border_jerk_ratio", "drift",
}  # fmt: skip
SECONDS = 4.0
UNGUIDED = SamplingConfig(guidance="joint")


@pytest.fixture(scope="module")
def conversations() -> list[Conversation]:
    return [generate_conversation(2_000_000 + k, SECONDS, "test") for k in range(2)]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_checkpoint(path, tiny_generator(), {"steps": 7})
    return path


def numbered(frames: int, first: int) -> Conversation:
    """A conversation in which every frame of everything can be recognised by its value."""
    count = (first + np.arange(frames, dtype=np.float32)) / 1000.0
    audio = np.repeat(count, SAMPLES_PER_FRAME)
    motion = np.repeat(count[:, None], COUNT, axis=1)
    nobody = np.zeros(frames, bool)
    return Conversation(0, "test", audio, -audio, motion, -motion, nobody, nobody, [], [])


def test_a_script_runs_through_its_conversations_and_is_silent_outside() -> None:
    script = Script([numbered(10, 1), numbered(10, 11), numbered(10, 21)])
    assert script.frames == 30
    audio = script.avatar_audio(-2, 33)[::SAMPLES_PER_FRAME]
    wanted = [0, 0, *range(1, 31), 0, 0, 0]
    np.testing.assert_allclose(1000 * audio, wanted, atol=1e-3)
    np.testing.assert_allclose(-1000 * script.user_motion(-2, 1)[:, 3], [1, 1, 1], atol=1e-3)
    np.testing.assert_allclose(-1000 * script.user_motion(9, 12)[:, 3], [10, 11, 12], atol=1e-3)
    np.testing.assert_allclose(-1000 * script.user_motion(29, 31)[:, 0], [30, 30], atol=1e-3)
    assert script.user_audio(-5, -2).shape == (3 * SAMPLES_PER_FRAME,)
    assert script.truth().shape == (30, COUNT)


def test_the_engine_gets_the_avatar_audio_earlier_than_the_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a session: what comes out is cut so that frame t is frame t of the script."""
    engine = MotionEngine(tiny_generator(), SamplingConfig(nfe=3))
    inputs = []
    step = engine.step_many

    def spy(states, blocks):  # type: ignore[no-untyped-def]
        inputs.extend(blocks)
        return step(states, blocks)

    monkeypatch.setattr(engine, "step_many", spy)
    (motion,) = roll_out_audio(engine, [Script([numbered(23, 1)])], [0])
    assert motion.shape == (23, COUNT)
    audio = np.concatenate([t.avatar_audio for t in inputs])[::SAMPLES_PER_FRAME]
    user = np.concatenate([t.user_motion for t in inputs if t.user_motion is not None])[:, 0]
    np.testing.assert_allclose(1000 * audio[:25], [*range(1, 24), 0, 0], atol=1e-3)
    np.testing.assert_allclose(-1000 * user[:25], [1, 1, *range(1, 24)], atol=1e-3)


def test_a_batch_is_what_each_would_be_alone(conversations: list[Conversation]) -> None:
    engine = MotionEngine(tiny_generator(), SamplingConfig(nfe=3))
    scripts = [Script([item]) for item in conversations]
    both = roll_out_audio(engine, scripts, [5, 6])
    alone = roll_out_audio(engine, scripts[1:], [6])
    np.testing.assert_allclose(both[1], alone[0], atol=1e-4)
    without = roll_out_audio(engine, scripts, [5, 6], user_audio=False, user_motion=False)
    assert np.abs(without[0] - both[0]).max() > 1e-3


@pytest.mark.parametrize(("frames", "first"), [(2, 4), (3, 6), (5, 5), (10, 10)])
def test_other_block_lengths_are_a_copy(frames: int, first: int) -> None:
    generator = tiny_generator()
    made = with_blocks(generator, frames)
    assert made.config.block_frames == made.flow_transformer.config.block_frames == frames
    assert made.config.first_block_frames == first
    assert generator.config == generator.flow_transformer.config == TINY
    engine = MotionEngine(made, SamplingConfig(nfe=3))
    assert len(roll_out_audio(engine, [Script([numbered(30, 1)])], [0])[0]) == 30


def test_variants_are_named_for_what_they_are(weights: Path) -> None:
    made = {v.name: v for v in variants(weights, weights, UNGUIDED, replace(TINY, block_frames=3))}
    assert next(iter(made)) == "full"
    assert {n for n in made if n.startswith("block_")} == {"block_2", "block_5", "block_10"}
    assert {"no_user", "no_user_audio", "no_user_motion", "before_preference"} <= set(made)
    assert "no_guidance" not in made  # which is what joint guidance of 1 is
    assert made["user_guidance_2"].sampling.user_guidance == 2.0
    assert made["user_guidance_2"].listens == ("seen", "heard")
    assert "user_guidance_1" not in made
    assert made["nfe_3"].meaning.startswith("1 solver step ")
    stronger = SamplingConfig(guidance="user", user_guidance=1.5)
    names = [v.name for v in variants(weights, None, stronger, TINY)]
    assert "no_guidance" in names
    assert "user_guidance_1.5" not in names
    assert [v.name for v in variants(weights, None, SamplingConfig(), TINY, "none")] == ["full"]


def test_drift_compares_the_same_conversations() -> None:
    plan = drift_plan(conversations=48, conversation_frames=500, minutes=30, seed=0)
    assert plan.window_frames == 5 * 60 * 25
    for order in plan.orders:
        assert len(order) == 90
        assert sorted(order[:15]) == sorted(order[-15:])
        assert set(order) == set(range(48))
    short = drift_plan(conversations=2, conversation_frames=500, minutes=0.2, seed=0)
    assert [len(order) for order in short.orders] == [3] * 4
    assert short.window_frames == 500


def test_the_truth_itself_is_perfect(conversations: list[Conversation], weights: Path) -> None:
    """An avatar that moves as the true one does reaches each threshold that it can."""
    compared = variants(weights, None, SamplingConfig(), TINY, "none")
    plan = drift_plan(2, conversations[0].frames, 0.2, 0)
    streams = [Script([conversations[i] for i in order]).truth() for order in plan.orders]
    listeners = [[generate_listener(2_000_000 + k, SECONDS, "test", 0) for k in range(2)]]
    users = ListeningSet(listeners, listeners)
    made = {"full": [t.avatar_motion for t in conversations]}
    rollouts = Rollouts(made, {"anchored": streams}, {"full": users.truth()})
    found = all_metrics(Truth(conversations), users, rollouts, compared, plan, 0)
    for name, wanted in (("lip_sync_r", 1), ("lip_sync_lag_frames", 0), ("rpcc_pose", 0)):
        assert found[name]["value"] == pytest.approx(wanted, abs=1e-4)
    for key in KEYS:
        assert found[key]["value"] == pytest.approx(found[key]["ground_truth"], abs=1e-4), key
    for entry in (*found["contingency"].values(), found["similarity_between_users"]):
        assert entry["value"] == entry["ground_truth"]
    met = {row["name"]: row["met"] for row in thresholds(found, "speed", 10.0)}
    assert met["lip_sync_r"] is True
    assert met["drift over 0.2 minutes"] is None
    assert thresholds(found, "speed", 50.0)[-1]["met"] is False


def test_the_command_writes_its_files(
    weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluate_module, "block_ms", lambda *_: 1.0)
    monkeypatch.setattr(metrics_table, "resamples", lambda n, seed: np.eye(n)[[0, 1, 0]] * n)
    out = tmp_path / "out"
    arguments = ["--quick", "--conversations", "2", "--seconds", "4", "--drift-minutes", "0.1"]
    arguments += ["--workers", "1", "--weights", str(weights), "--before", str(weights)]
    assert main(["evaluate", *arguments, "-o", str(out)]) == 0
    written = json.loads((out / "evaluation.json").read_text())
    others = {"ablations", "human", "set", "model", "thresholds"}
    assert KEYS | others | {"contingency", "similarity_between_users"} == set(written)
    assert {"value", "low", "high", "base_rate", "ground_truth", "correlation", "control"} <= set(
        written["contingency"]["phrase_end_to_nod"]
    )
    assert set(written["ablations"]["no_user_audio"]["contingency"]) == {"phrase_end_to_nod"}
    assert "phrase_end_to_nod" not in written["ablations"]["no_user_motion"]["contingency"]
    assert "contingency" not in written["ablations"]["no_user"]
    for key in KEYS:
        assert {"value", "low", "high", "ground_truth"} <= set(written[key])
    assert set(written["ablations"]) == {
        "no_user_audio", "no_user_motion", "no_user", "before_preference"
    }  # fmt: skip
    same = written["ablations"]["before_preference"]
    assert same["rpcc_pose"]["value"] == written["rpcc_pose"]["value"]
    assert same["rpcc_pose_worse_by"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert written["ablations"]["no_user"]["rpcc_pose_worse_by"]["value"] != 0.0
    assert written["set"]["first_seed"] == 2_000_000
    assert written["model"]["origin"] == {"steps": 7}
    assert {"name", "wanted", "value", "met"} <= set(written["thresholds"][0])
    printed = capsys.readouterr().out
    assert "lip_sync_r" in printed
    page = (out / "evaluation.md").read_text()
    shown = re.findall(r"!\[.*\]\((.*)\)", page)
    assert set(shown) == {
        "lips.png", "responses.png", "reactivity.png", "drift.png", "listening.png"
    }  # fmt: skip
    for name in shown:
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    assert not list(out.glob(".*"))


def test_latent_generators_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "latent.safetensors"
    latent = replace(TINY, motion_space="latent", motion_dim=16)
    save_checkpoint(path, tiny_generator(latent), {})
    with pytest.raises(CheckpointError, match="expected a generator of 23 rig coefficients"):
        evaluate(path, None, EvaluationConfig(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--conversations", "1"], "conversations"),
        (["--seconds", "1"], "seconds"),
        (["--seconds", "nan"], "seconds"),
        (["--drift-minutes", "0"], "drift_minutes"),
        (["--seed", "-1"], "seed"),
        (["--workers", "0"], "workers"),
        (["--weights", "nowhere.safetensors"], "nowhere"),
        (["--before", "nowhere.safetensors"], "nowhere"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", *arguments, "-o", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("avatar-forcing: ")
    assert named in error
    assert error.count("\n") == 1


def test_a_folder_that_cannot_be_is_reported_before_any_work(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["evaluate", "--weights", str(weights), "-o", str(tmp_path / "file")]) == 1
    assert "output" in capsys.readouterr().err
