"""Latents whose disentanglement is known, and encoders that return them."""

import numpy as np

SIZES = (3, 4, 5)  # numbers of values of the factors


def some_factors(count=600, seed=0):
    """Return independent factors, (count, 3)."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(size, size=count) for size in SIZES], axis=1)


def centered(factors):
    """Return the factors with a mean near 0 and a variance near 1."""
    sizes = np.array(SIZES)
    return (factors - (sizes - 1) / 2) / np.sqrt((sizes**2 - 1) / 12)


def amplitudes(codes, imaginary=-1.3):
    """Return amplitudes, (N, 2K), with these posterior means and equal standard deviations.

    By default, these are 0.11.
    """
    codes = np.asarray(codes)
    parts = [codes / 2**0.5, np.full(codes.shape, imaginary)]
    return np.concatenate(parts, axis=1).astype("float32")


def rotated(codes, seed=3):
    """Return codes turned by a random rotation."""
    rng = np.random.default_rng(seed)
    return codes @ np.linalg.qr(rng.normal(size=(codes.shape[1],) * 2))[0]


def noise(count, dimensions, seed=5):
    """Return codes that have nothing to do with the factors."""
    return np.random.default_rng(seed).normal(size=(count, dimensions))


def same(x):
    """An encoder whose data are its amplitudes."""
    return x
