"""Mean and variance of a stream, by merging those of its parts."""

import numpy as np


def merged_moments(mean, squares, other_mean, other_squares, count, share):
    """Merge means and sums of squared deviations of two samples.

    Two numbers of one size are subtracted nowhere but in the difference of the means,
    so that no digits are lost however far from 0 the data are.

    Args:
        mean: Of the first sample.
        squares: Sum of the squared deviations from it.
        other_mean: Of the second sample.
        other_squares: Sum of the squared deviations from that.
        count: Number of instances in the first sample, or their weight.
        share: What the second has of all instances, from 0 to 1.

    Returns:
        Mean and sum of squared deviations of both together.

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
        # An infinite mean stays infinite, where merging subtracts infinities.
        self.mean = np.where(np.isfinite(self.mean), merged, self.mean)
        self.count += len(values)

    @property
    def variance(self):
        """The mean squared deviation from the mean."""
        return self._squares / self.count

    @property
    def standard_error(self):
        """The standard error of the mean of a scalar; NaN for a single value."""
        if self.count < 2:
            return float("nan")
        return float(np.sqrt(self._squares / (self.count - 1) / self.count))
