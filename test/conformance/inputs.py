"""Stated inputs of the stored numbers: numpy only, no model code. Patterns are in conftest.py."""

import numpy as np


def image(k, p, size=512):
    """Image number k of pattern p: float32 [3,size,size] in [-1,1]; arithmetic in float64."""
    x = (np.arange(size, dtype=np.float64) + 0.5) / size
    u, v = x[None, :], x[:, None]
    tau = 2 * np.pi
    out = np.empty((3, size, size))
    for c in range(3):
        base = 0.45 * np.sin(tau * (p["fx"][c] * u + p["fy"][c] * v) + 0.7 * c + p["w"] * k)
        ring = 0.30 * np.cos(
            tau * p["r"] * ((u - 0.5) ** 2 + 1.5 * (v - 0.45) ** 2) + 0.5 * c - 0.6 * p["w"] * k
        )
        fine = 0.15 * np.sin(tau * (p["g"] * u - 0.5 * p["g"] * v) + c)
        out[c] = np.clip(base + ring + fine + p["off"][c], -1, 1)
    return out.astype(np.float32)


def wave(n, p, sr=16000):
    """n samples of pattern p, float32, zero mean and unit variance over the n samples."""
    t = np.arange(n, dtype=np.float64) / sr
    s = sum(
        a * np.sin(2 * np.pi * f * t + ph + 1.5 * np.sin(2 * np.pi * p["fm"] * t))
        for a, f, ph in zip(p["a"], p["f"], p["ph"], strict=True)
    )
    s = s * (0.55 + 0.45 * np.sin(2 * np.pi * p["fe"] * t - np.pi / 2))
    return ((s - s.mean()) / np.sqrt(s.var() + 1e-7)).astype(np.float32)


def normal(seed, shape, scale=1.0):
    """float32 standard normal times scale."""
    return np.random.Generator(np.random.PCG64(seed)).standard_normal(
        shape, dtype=np.float32
    ) * np.float32(scale)


class NoiseSource:
    """Noise in the order of the blocks: [1,50,512] first, [1,10,512] for each further one."""

    def __init__(self, seed):
        self.g = np.random.Generator(np.random.PCG64(seed))

    def __call__(self, *shape):
        return self.g.standard_normal(shape, dtype=np.float32)


def area64(img):
    """[..., 512, 512] -> [..., 64, 64], mean over 8x8 boxes (float64 inside, float32 out)."""
    img = np.asarray(img, np.float64)
    return img.reshape(*img.shape[:-2], 64, 8, 64, 8).mean((-1, -3)).astype(np.float32)
