"""Metrics as they are written to a file."""

from __future__ import annotations

from typing import Any

import numpy as np

from avatar_forcing_ros.training.metrics.bootstrap import Estimate


def entry(found: Estimate, truth: float) -> dict[str, Any]:
    """A metric with its interval and the truth's; what is not known is None."""
    values = {**found._asdict(), "ground_truth": truth}
    return {name: rounded(value) for name, value in values.items()}


def rounded(value: float) -> float | None:
    """`value` with four decimals, None where it is no number."""
    return round(float(value), 4) if np.isfinite(value) else None
