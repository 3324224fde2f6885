"""Standard errors by the bootstrap: instances are drawn again, with replacement."""

import numpy as np


def bootstrap_weights(count, num_resamples, rng):
    """Yield the weights of the instances: first all 1, then those of each resample.

    Args:
        count: Integer. Number N of instances.
        num_resamples: Integer. Number of resamples.
        rng: NumPy generator.

    Yields:
        Arrays (N,) of how often a resample contains each instance.
    """
    yield np.ones(count)
    for _ in range(num_resamples):
        yield np.bincount(rng.integers(count, size=count), minlength=count).astype("float64")


def standard_error(values):
    """Return the standard deviation over the first axis of resamples, NaN for a single one."""
    values = np.asarray(values)
    if len(values) < 2:
        return np.full(values.shape[1:], np.nan)[()]
    return values.std(axis=0, ddof=1)
