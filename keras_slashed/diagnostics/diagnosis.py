"""Diagnosis: what `diagnose` found out about each latent dimension."""

import dataclasses

import numpy as np

from keras_slashed.diagnostics.figure import draw
from keras_slashed.diagnostics.table import table

# How many standard errors a verdict leaves.
_ERRORS = 3.0


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Diagnosis:
    """Rate, gradient and residual of Theorem 5.1 of each latent dimension, in nats.

    Printed, it is a table and a reading of it. Arrays have the shape `(K,)`; means are
    over the instances, and over the axes between theirs and the last.

    Attributes:
        rate: `E |psi_k|^2`, the mean rate.
        gradient_rate: `E |G_k / (2 beta)|^2`, G the expected gradient of the
            reconstruction term: the rate that the gradient pays for. At a stationary
            point it is the rate. Unbiased, and so maybe a little below 0.
        residual: `E |psi_k + G_k / (2 beta)|^2`, 0 at a stationary point. Unbiased too.
        standard_error: That of the residual, from instances and draws.
        variance: The variance over the data of the posterior mean.
        price: `-E <psi_k, G_k> / (2 E |psi_k|^2)`: the nats of reconstruction that one
            more nat of rate gains where the dimension's amplitudes grow in proportion;
            beta where it is stationary. NaN at a rate of 0.
        beta: The weight of the KL, given or estimated.
        loss: The mean reconstruction term of an instance.
        threshold: What the variance of an active dimension exceeds.
        tolerance: Share of the rate that a residual may have.
        num_instances: Number of instances seen.
        num_samples: Draws for each of them.

    Example:

    A latent that its encoder leaves at the prior, and that the loss would have it use:

    >>> def loss(x, z):
    ...     return 0.5 * keras.ops.sum((x[:, :1] - z) ** 2, axis=-1)
    >>> x = np.random.default_rng(0).normal(size=(500, 2))
    >>> result = keras_slashed.diagnostics.diagnose(lambda x: 0.0 * x, loss, x, seed=0)
    >>> result.collapsed.tolist(), result.holds.tolist(), result.fails.tolist()
    ([True], [False], [True])
    >>> print(str(result).splitlines()[-1])
    Where it fails, one step of it would raise the rate in 1 and lower it in 0.

    Reference:
        Slashed Normal, Theorem 5.1 (Eq. 23).
    """

    rate: np.ndarray
    gradient_rate: np.ndarray
    residual: np.ndarray
    standard_error: np.ndarray
    variance: np.ndarray
    price: np.ndarray
    beta: float
    loss: float
    threshold: float
    tolerance: float
    num_instances: int
    num_samples: int

    @property
    def gradient_norm(self):
        """The root mean square of `|G_k|`: nats of loss by a unit of amplitude."""
        return 2.0 * self.beta * np.sqrt(np.maximum(self.gradient_rate, 0.0))

    @property
    def collapsed(self):
        """Whether the posterior mean varies by no more than the threshold."""
        return self.variance <= self.threshold

    @property
    def allowed(self):
        """The largest residual with which the equation counts as holding.

        `max(tolerance rate_k, threshold / 2)`: the second is the rate of a mean whose
        variance is the threshold, what a collapsed dimension may carry.
        """
        return np.maximum(self.tolerance * self.rate, 0.5 * self.threshold)

    @property
    def holds(self):
        """Whether the residual is at most what is allowed, by three standard errors.

        Where neither this nor `fails` is true, the draws do not tell.
        """
        return self.residual + _ERRORS * self.standard_error <= self.allowed

    @property
    def fails(self):
        """Whether the residual is more than what is allowed, by three standard errors."""
        return self.residual - _ERRORS * self.standard_error > self.allowed

    def table(self, max_rows=32):
        """Return the table as a string, largest rate first.

        Args:
            max_rows: Where there are more dimensions, as many from both ends.
        """
        return table(self, max_rows)

    def plot(self, path=None):
        """Draw rate beside gradient, and the residual; needs matplotlib.

        Args:
            path: A file to write, or None.

        Returns:
            The `matplotlib.figure.Figure`.

        Raises:
            ImportError: matplotlib is not installed.
        """
        return draw(self, _ERRORS, path)

    def __str__(self):
        return self.table()

    __repr__ = __str__
