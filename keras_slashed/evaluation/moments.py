"""Mean and variance of a stream, computed by merging those of its parts."""

import numpy as np


def merged_moments(mean, squares, other_mean, other_squares, count, share):
    """Merge the means and the sums of squared deviations of two samples.

    The only subtraction of numbers of similar size is that of the means, so that no digits are
    lost, however far the data are from 0.

    Args:
        mean: Float or float array. Mean of the first sample.
        squares: Float or float array. Sum of the squared deviations from `mean`.
        other_mean: Float or float array. Mean of the second sample.
        other_squares: Float or float array. Sum of the squared deviations from `other_mean`.
        count: Number. Number of instances in the first sample, or their total weight.
        share: Float from 0 to 1. Share of the second sample in all instances.

    Returns:
        Mean and sum of squared deviations of both samples together.

    Reference:
        Chan, Golub and LeVeque, Updating Formulae and a Pairwise Algorithm for
        Computing Sample Variances, 1979.
    """
    step = other_mean - mean
    return mean + share * step, squares + other_squares + count * share * step * step


class RunningMoments:
    """Mean and variance over the first axis of arrays, in float64."""

    def __init__(self):
        self.count, self.mean, self._squares = 0, 0.0, 0.0

    def add(self, values):
        values = np.asarray(values, "float64")
        share = len(values) / (self.count + len(values))
        with np.errstate(invalid="ignore"):
            mean = values.mean(axis=0)
            squares = np.sum((values - mean) ** 2, axis=0)
            merged, self._squares = merged_moments(
                self.mean, self._squares, mean, squares, self.count, share
            )
        # Keep an infinite mean, since merging would subtract infinities.
        self.mean = np.where(np.isfinite(self.mean), merged, self.mean)
        self.count += len(values)

    @property
    def variance(self):
        """The mean squared deviation from the mean."""
        return self._squares / self.count

    @property
    def standard_error(self):
        """The standard error of the mean of a scalar, NaN for a single value."""
        if self.count < 2:
            return float("nan")
        return float(np.sqrt(self._squares / (self.count - 1) / self.count))
