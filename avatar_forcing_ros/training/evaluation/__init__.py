"""A generator on conversations that training never saw: metrics, plots and thresholds."""
