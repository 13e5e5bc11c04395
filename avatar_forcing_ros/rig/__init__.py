"""Motion coefficients -> pixels: a portrait photo warped by an interpretable face rig."""
