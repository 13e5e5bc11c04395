"""Pixels of the user -> motion coefficients: face tracking and geometry, causal."""
