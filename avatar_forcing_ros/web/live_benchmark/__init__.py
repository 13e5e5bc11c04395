"""``benchmark --live``: the whole way from a camera to a screen, measured at its two ends."""
