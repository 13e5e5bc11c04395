"""A generator on conversations that training never saw: figures, plots and the bars to reach."""
