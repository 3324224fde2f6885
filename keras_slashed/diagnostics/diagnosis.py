"""Diagnosis: the result of `diagnose` for each latent dimension."""

import dataclasses

import numpy as np

from keras_slashed.diagnostics.figure import draw
from keras_slashed.diagnostics.table import table

# Margin of a verdict in standard errors.
_ERRORS = 3.0


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Diagnosis:
    """Rate, gradient and residual of Theorem 5.1 for each latent dimension, in nats.

    Printing it shows a table with a summary. Arrays have the shape `(K,)`. Means are over the
    instances, and over the axes between the first and the last one.

    Attributes:
        rate: Mean rate, `E |psi_k|^2`.
        gradient_rate: `E |G_k / (2 beta)|^2`, where G is the expected gradient of the
            reconstruction term. It is the rate that the gradient pays for, and equals the rate
            at a stationary point. It is unbiased, and may therefore be slightly below 0.
        residual: `E |psi_k + G_k / (2 beta)|^2`, which is 0 at a stationary point. It is unbiased
            too.
        standard_error: Standard error of the residual, from instances and draws.
        variance: Variance over the data of the posterior mean.
        price: `-E <psi_k, G_k> / (2 E |psi_k|^2)`. If the amplitudes of the dimension grow in
            proportion, one more nat of rate reduces the reconstruction term by this many nats.
            It equals beta if the dimension is stationary, and is NaN if the rate is 0.
        beta: Weight of the KL, given or estimated.
        loss: Mean reconstruction term of an instance.
        threshold: A dimension is active if its variance exceeds this.
        tolerance: Largest allowed residual, as a fraction of the rate.
        num_instances: Number of instances.
        num_samples: Number of draws for each instance.

    Example:

    The encoder leaves this latent at the prior, although the loss would benefit from using it:

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
        """The root mean square of `|G_k|`, in nats of the loss per unit of amplitude."""
        return 2.0 * self.beta * np.sqrt(np.maximum(self.gradient_rate, 0.0))

    @property
    def collapsed(self):
        """Whether the variance of the posterior mean is at most the threshold."""
        return self.variance <= self.threshold

    @property
    def allowed(self):
        """The largest allowed residual, `max(tolerance rate_k, threshold / 2)`.

        The second term is the rate of a posterior mean whose variance is the threshold, which is
        the largest rate that the mean of a collapsed dimension may have.
        """
        return np.maximum(self.tolerance * self.rate, 0.5 * self.threshold)

    @property
    def holds(self):
        """Whether the equation holds: residual + 3 standard errors is at most `allowed`.

        If neither this nor `fails` is True, the draws do not decide.
        """
        return self.residual + _ERRORS * self.standard_error <= self.allowed

    @property
    def fails(self):
        """Whether the equation fails: residual - 3 standard errors exceeds `allowed`."""
        return self.residual - _ERRORS * self.standard_error > self.allowed

    def table(self, max_rows=32):
        """Return the table as a string, with the largest rate first.

        Args:
            max_rows: Integer. Maximum number of dimensions to show. If there are more, the table
                shows those with the largest and with the smallest rates.
        """
        return table(self, max_rows)

    def plot(self, path=None):
        """Plot the rate next to the gradient, and the residual. This requires matplotlib.

        Args:
            path: String or None. File to save the figure to.

        Returns:
            A `matplotlib.figure.Figure`.

        Raises:
            ImportError: If matplotlib is not installed.
        """
        return draw(self, _ERRORS, path)

    def __str__(self):
        return self.table()

    __repr__ = __str__
