"""What many conversations cost: every part is there, and what fits follows from it."""

from __future__ import annotations

from typing import Any

import pytest

from avatar_forcing_ros.benchmarks import conversations
from avatar_forcing_ros.benchmarks.conversations import (
    as_table,
    fits,
    run_conversations_benchmark,
)
from avatar_forcing_ros.cli.entry import main
from avatar_forcing_ros.config import AvatarConfig
from avatar_forcing_ros.errors import ConfigError


def both(ms: float) -> dict[str, float]:
    return {"wall": 3 * ms, "processor": ms}


def measured(**changed: Any) -> dict[str, Any]:
    return {
        "device": "cpu",
        "processors": 2,
        "block_ms": 120.0,
        "motion_ms": {"1": both(20.0), "2": both(30.0), "4": both(40.0), "8": both(64.0)},
        "parts_ms": {
            "512": {"drawing": both(20.0), "tracking": both(6.0), "encoding": both(10.0)},
            "256": {"drawing": both(5.0), "tracking": both(6.0), "encoding": both(3.0)},
        },
        **changed,
    }


def test_what_fits_is_what_the_processors_have_time_for() -> None:
    found = fits(measured())
    # 2 x 0.85 x 120 = 204 ms: 4 take 40 + 4 x 36 = 184, 5 take 46 + 180 = 226
    assert found["512"]["conversations"] == 4
    assert found["512"]["without_encoding"] == 5  # 46 + 5 x 26 = 176, and 52 + 156 = 208
    assert found["512"]["next_limit"] == "drawing"
    # 8 take 64 + 112 = 176, 9 have 84 + 126 = 210
    assert found["256"]["conversations"] == 8
    assert found["256"]["next_limit"] == "motion"


def test_motion_is_one_threads_work_and_a_gpu_one_processor() -> None:
    many = fits(measured(processors=64))
    assert many["256"]["conversations"] == 11  # 64 + 35 of 102 ms; 64 + 40 for a twelfth
    gpu = fits(measured(device="cuda", processors=1))
    assert gpu["512"]["conversations"] == 0  # in wall time, which is thrice as long here


def test_every_part_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "SIZES_PX", (128,))
    metrics = run_conversations_benchmark(AvatarConfig(), 3, 10)
    assert list(metrics["motion_ms"]) == ["1", "2", "3"]
    parts = metrics["parts_ms"]["128"]
    assert {"drawing", "tracking", "hearing"} <= set(parts)
    times = [row[clock] for name, row in parts.items() if name != "memory_mb" for clock in row]
    assert min(times) > 0.0
    text = as_table(metrics)
    assert "fit, as computed" in text
    assert "128 px, of a conversation" in text


@pytest.mark.parametrize(("count", "repeats"), [(0, 10), (2, 2)])
def test_too_few_are_refused(count: int, repeats: int) -> None:
    with pytest.raises(ConfigError, match="or more"):
        run_conversations_benchmark(AvatarConfig(), count, repeats)


def test_parts_are_not_measured_beside_another_benchmark(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["benchmark", "--conversations", "2", "--graph"]) != 0
    assert "--conversations" in capsys.readouterr().err
