"""diagnose: rate, gradient and stationarity of each latent dimension of a trained model."""

import math
import numbers

import numpy as np
from keras import tree

from keras_slashed.diagnostics.diagnosis import Diagnosis
from keras_slashed.diagnostics.expected_gradient import ExpectedGradient
from keras_slashed.diagnostics.stationarity import Stationarity
from keras_slashed.evaluation.batches import padded_batches
from keras_slashed.evaluation.compiled import Compiled
from keras_slashed.evaluation.instance_noise import InstanceNoise
from keras_slashed.evaluation.moments import RunningMoments
from keras_slashed.metrics.posterior import output_of
from keras_slashed.ops.floats import widen_amplitude
from keras_slashed.ops.stream_seed import stream_seed
from keras_slashed.validation import check_amplitude_shape
from keras_slashed.validation import check_number
from keras_slashed.validation import check_positive_integer


def diagnose(
    encoder,
    loss,
    x,
    y=None,
    beta=1.0,
    num_samples=64,
    batch_size=32,
    chunk_size=16,
    seed=None,
    threshold=0.01,
    tolerance=0.1,
    verbose=0,
):
    """Say which latent dimensions are collapsed, and whether their posterior is stationary.

    At a stationary point of `E L(z) + beta |psi|^2` the amplitude of each instance is
    `psi = -G / (2 beta)`, with `G = E_eps grad_psi L(mu + sigma eps)`, the expected
    gradient of the reconstruction term. For each latent dimension this function
    estimates the rate `E |psi_k|^2`, the gradient in the same units,
    `E |G_k / (2 beta)|^2`, and the residual `E |psi_k + G_k / (2 beta)|^2`, a_k and b_k
    together. A collapsed dimension whose residual is 0 has a mean gradient of 0 for
    each instance: training leaves it there. One whose residual is not would be moved
    by the loss, if the encoder could.

    The theorem is about psi itself. An encoder is stationary in its weights alone: for
    it the residual holds the amortization gap as well, what one step on the instance's
    own amplitude would change, and training noise. Data it was not trained on have
    the generalization gap in it. `tolerance` is how much of this to accept. Batch
    normalization or dropout before the amplitude differ between training and
    inference, which is what is looked at.

    With `beta=None` beta is what fits best, `-E <psi, G> / (2 E |psi|^2)`: the nats of
    reconstruction that one more nat of rate would gain. A rate fixed by
    `FixedRateVIB` or `RateNormalization` has no weight of the KL, but this price, its
    Lagrange multiplier. With normalization "batch" it is one for all instances and
    dimensions, and Eq. 23 holds with it. With "feature" each latent dimension has a
    price of its own, `Diagnosis.price`, and with "instance" each instance: then the
    residual holds their spread too. `part="mean"` leaves b without a price; there the
    equation says nothing. The encoder's output is then the normalized amplitude:
    `layer.rate_normalization(amplitude)` in a functional model.

    Time grows as the draws, in the decoder; the encoder runs once. Memory grows
    neither with the draws nor with the data.

    Args:
        encoder: A Keras model or any callable, from a batch of x to an amplitude of
            shape `(batch, ..., 2K)`. Positions on the axes between are averaged over.
        loss: A Keras model or any callable, from `(x, z)`, or `(y, z)` where y is
            given, to the reconstruction term in nats, one number for each row; its
            rows repeated, and z is a draw for each, of shape `(rows, ..., K)`, on a
            standard normal prior. A prior of its own, such as
            `prior_mean + prior_stddev * z`, is a part of the loss. `rows` is
            `batch_size * chunk_size`. On JAX the weights of a model that is not
            `loss` itself, or whose method it is not, are constants of the compiled
            function.
        x: The data: arrays in any nested structure, or an iterable of batches as a
            `keras.utils.PyDataset`, a `tf.data.Dataset` or a torch `DataLoader`, of
            which, as in `keras.Model.predict`, x counts.
        y: Targets, arrays in any nested structure beside an x of arrays, or None.
        beta: The weight of the KL at the end of training, a positive number; or None.
        num_samples: Draws for each instance, an even number of 4 or more: they come
            in pairs of noise and its negative.
        batch_size: Instances in one computation, where x is arrays.
        chunk_size: Draws of each of them in one computation.
        seed: Integer seed of the draws, or None. They come from NumPy: a seed gives
            the same ones on every backend, with any `batch_size` and `chunk_size`. They
            are independent of data drawn by `np.random.default_rng(seed)`.
        threshold: A dimension is active where the variance over the data of its
            posterior mean exceeds it.
        tolerance: The equation counts as holding where the residual is, by three
            standard errors, at most this share of the rate or `threshold / 2` nats,
            whatever is more; as failing where it is more, by as much.
        verbose: 0, 1, 2 or "auto", for a progress bar.

    Returns:
        A `Diagnosis`: arrays, one number for each latent dimension. Print it for a
        table; `plot(path)` draws it.

    Raises:
        ValueError: An argument out of its range; an amplitude or loss of another
            shape, or one that is not finite or has no finite gradient; data that are
            empty, of different lengths, or no data; a beta that cannot be estimated,
            since the rate is 0 or gains nothing.

    Example:

    >>> def loss(x, z):  # -log N(x; z, 1) and a constant
    ...     return 0.5 * keras.ops.sum((x - z) ** 2, axis=-1)
    >>> x = np.random.default_rng(0).normal(size=(500, 1)) * 2**0.5
    >>> encoder = lambda x: keras_slashed.ops.normal_to_amplitude(x / 2, 0.5**0.5)
    >>> result = keras_slashed.diagnostics.diagnose(encoder, loss, x, seed=0)
    >>> result.holds.tolist(), result.collapsed.tolist()
    ([True], [False])
    >>> bool(abs(result.rate[0] - result.gradient_rate[0]) < 0.01)
    True

    Reference:
        Slashed Normal, Theorem 5.1 (Eq. 23) and section 5.
    """
    if beta is not None:
        check_number("beta", beta, above=0)
    _check_num_samples(num_samples)
    check_positive_integer("chunk_size", chunk_size)
    check_number("threshold", threshold, minimum=0)
    check_number("tolerance", tolerance, minimum=0)
    _check_targets(x, y)
    seed = stream_seed("diagnose", seed)

    encode = Compiled(lambda inputs: _encode(encoder, inputs), [encoder])
    expected_gradient = ExpectedGradient(loss, num_samples // 2, max(chunk_size // 2, 1))
    stationarity, means, losses = Stationarity(), RunningMoments(), RunningMoments()
    data = x if y is None else (x, y)
    for batch, length in padded_batches(data, batch_size, verbose):
        inputs, targets = (batch, batch) if y is None else batch
        amplitude = np.asarray(encode.predict_on_batch(inputs))
        psi = amplitude[:length].astype("float64")
        _check_finite("The encoder's amplitude", psi)
        size = psi.shape[-1] // 2
        instances = range(stationarity.count, stationarity.count + length)
        noise = InstanceNoise(seed, instances, (*amplitude.shape[:-1], size))
        gradient, variance, loss_of_instances = expected_gradient(amplitude, targets, noise, length)
        _check_finite("The loss", loss_of_instances)
        _check_finite("The loss's gradient by the amplitude", gradient)
        stationarity.add(psi, gradient, variance)
        means.add(math.sqrt(2.0) * psi[..., :size].reshape(-1, size))
        losses.add(loss_of_instances)

    beta = _estimated_beta(stationarity) if beta is None else float(beta)
    residual, standard_error = stationarity.residual(beta)
    with np.errstate(invalid="ignore", divide="ignore"):
        price = -stationarity.projection / (2.0 * stationarity.rate)
    return Diagnosis(
        rate=stationarity.rate,
        gradient_rate=stationarity.squared_gradient / (2.0 * beta) ** 2,
        residual=residual,
        standard_error=standard_error,
        variance=means.variance,
        price=np.where(stationarity.rate > 0.0, price, np.nan),
        beta=beta,
        loss=float(losses.mean),
        threshold=threshold,
        tolerance=tolerance,
        num_instances=stationarity.count,
        num_samples=num_samples,
    )


def _encode(encoder, inputs):
    encoded = output_of("encoder", encoder, inputs)
    if hasattr(encoded, "prior_log_prob"):
        raise ValueError(
            "The encoder must return an amplitude, on a standard normal prior; another prior is a "
            f"part of `loss`. Received: a {type(encoded).__name__}"
        )
    amplitude = widen_amplitude(encoded)
    check_amplitude_shape(amplitude.shape)
    rows = tree.flatten(inputs)[0].shape[0]
    if len(amplitude.shape) < 2 or amplitude.shape[0] != rows:
        raise ValueError(
            f"The encoder must return an amplitude of shape (batch, ..., 2K) with a row for each "
            f"of the {rows} of its input. Received: amplitude.shape={tuple(amplitude.shape)}"
        )
    return amplitude


def _estimated_beta(stationarity):
    rate, gain = np.sum(stationarity.rate), -np.sum(stationarity.projection)
    if not gain > 0.0:
        raise ValueError(
            "beta=None wants a rate that lowers the loss: its price -E <psi, G> / (2 E |psi|^2) "
            f"must be positive. Received: -E <psi, G>={gain:.4g} and a rate of {rate:.4g} nats"
        )
    return float(gain / (2.0 * rate))


def _check_num_samples(value):
    is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_integer or value < 4 or value % 2:
        raise ValueError(
            "Argument `num_samples` must be an even integer of at least 4: the draws come in "
            f"pairs. Received: num_samples={value!r}"
        )


def _check_targets(x, y):
    if y is None:
        return
    for name, value in (("x", x), ("y", y)):
        leaves = tree.flatten(value)
        if not leaves or not all(len(getattr(leaf, "shape", ())) > 0 for leaf in leaves):
            raise ValueError(
                "With targets `y`, both `x` and `y` must be arrays, in any nested structure. "
                f"Received: {name} of {type(value)}"
            )


def _check_finite(name, values):
    finite = np.isfinite(values)
    if not finite.all():
        raise ValueError(
            f"{name} must be finite. Received: {finite.size - int(finite.sum())} of {finite.size} "
            "numbers that are NaN or infinite"
        )
