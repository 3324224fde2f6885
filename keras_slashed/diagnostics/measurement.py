"""diagnose: rate, gradient and stationarity of each latent dimension of a trained model."""

import math
import numbers

import numpy as np
from keras import ops
from keras import tree

from keras_slashed.diagnostics.diagnosis import Diagnosis
from keras_slashed.diagnostics.expected_gradient import ExpectedGradient
from keras_slashed.diagnostics.latent_layer import EncoderAndLoss
from keras_slashed.diagnostics.latent_layer import LatentLayer
from keras_slashed.diagnostics.stationarity import Stationarity
from keras_slashed.evaluation.batches import padded_batches
from keras_slashed.evaluation.compiled import Compiled
from keras_slashed.evaluation.instance_noise import InstanceNoise
from keras_slashed.evaluation.masks import mask_of
from keras_slashed.evaluation.moments import RunningMoments
from keras_slashed.metrics.posterior import output_of
from keras_slashed.ops.floats import widen_amplitude
from keras_slashed.ops.stream_seed import stream_seed
from keras_slashed.validation import check_amplitude_shape
from keras_slashed.validation import check_number
from keras_slashed.validation import check_positive_integer


def diagnose(
    encoder,
    loss=None,
    x=None,
    y=None,
    beta="auto",
    num_samples=64,
    batch_size=32,
    chunk_size=16,
    seed=None,
    threshold=0.01,
    tolerance=0.1,
    verbose=0,
    layer=None,
):
    """Find out which latent dimensions are collapsed, and whether their posterior is stationary.

    At a stationary point of `E L(z) + beta |psi|^2`, the amplitude of each instance is
    `psi = -G / (2 beta)`. Here `G = E_eps grad_psi L(mu + sigma eps)` is the expected gradient of
    the reconstruction term. For each latent dimension, this function estimates the rate
    `E |psi_k|^2`, the gradient in the same units, `E |G_k / (2 beta)|^2`, and the residual
    `E |psi_k + G_k / (2 beta)|^2`, where a_k and b_k are taken together. A collapsed dimension with
    a residual of 0 has a mean gradient of 0 for each instance, so that training does not change
    it. With a larger residual, the loss would change the dimension if the encoder could.

    The theorem applies to psi itself. An encoder is stationary only with respect to its weights.
    Its residual therefore also includes training noise and the amortization gap: the change that
    one step on the instance's own amplitude would make. For data on which it was not trained, the
    residual includes the generalization gap. `tolerance` states how large a residual to accept.
    Batch normalization and dropout before the amplitude run in inference mode, which differs from
    training.

    With `beta=None`, the function uses the beta that fits best, `-E <psi, G> / (2 E |psi|^2)`:
    the number of nats by which one more nat of rate would reduce the reconstruction term. A rate
    fixed by `FixedRateVIB` or `RateNormalization` has no weight of the KL, but it has this price,
    which is its Lagrange multiplier. With normalization "batch", all instances and dimensions have
    the same price, and Eq. 23 holds with it. With "feature" each latent dimension has its own
    price, `Diagnosis.price`. With "instance" each instance has its own price. In both cases the
    residual also includes the differences between prices. With `part="mean"`, b has no price, and
    the equation does not apply. For such layers, the output of the encoder must be the normalized
    amplitude: `layer.rate_normalization(amplitude)` in a functional model.

    In place of encoder and loss, the function takes a functional model that is compiled with one
    loss, and its latent layer: `diagnose(model, x=x, y=y, layer="latent")`. The amplitude is the
    input of this layer, normalized to its rate by a `FixedRateVIB`. The reconstruction term of an
    instance is the loss that `fit` minimizes: the compiled loss, averaged over all axes but the
    first, times the `loss_weights` of the model. An overridden `compute_loss`, and what layers
    after the latent layer add to the loss, do not count. What goes around the layer, such as the
    inputs of a decoder, does so here too.

    The encoder runs once. The time for the decoder grows with the number of draws. Memory grows
    neither with the draws nor with the data.

    Args:
        encoder: Keras model or callable. It takes a batch of x and returns an amplitude of shape
            `(batch, ..., 2K)`. The function averages over positions on the axes in the middle.
            With `layer`, the whole model.
        loss: Keras model or callable, or None with `layer`. It takes `(x, z)`, or `(y, z)` if y is
            given, and returns the reconstruction term in nats, one number for each row. The rows
            of x or y are repeated, and z has one draw for each of them, of shape
            `(rows, ..., K)`, relative to a standard normal prior. The loss must apply any other
            prior itself, for example by `prior_mean + prior_stddev * z`. The number of rows is
            `batch_size * chunk_size`. On JAX, the weights of a model are constants of the compiled
            function unless the model is `loss` itself, or `loss` is its method.
        x: Array, nested structure of arrays, or iterable of batches such as a
            `keras.utils.PyDataset`, a `tf.data.Dataset` or a torch `DataLoader`. As in
            `keras.Model.predict`, only the x of each batch is used.
        y: Arrays in any nested structure, or None. Targets, if x consists of arrays. With
            `layer`, they default to x, as for an autoencoder, if x is a single array.
        beta: Float, "auto" or None. Positive weight of the KL at the end of training. None
            estimates it. "auto" is 1 or, with `layer`, the `kl_weight` of the layer, or None if
            that is 0.
        num_samples: Integer. Number of draws for each instance. It must be even and at least 4,
            since the draws come in pairs of noise and its negative.
        batch_size: Integer. Number of instances in one computation, if x consists of arrays.
        chunk_size: Integer. Number of draws of each instance in one computation.
        seed: Integer or None. Seed of the draws. NumPy generates them, so that a seed gives the
            same draws on every backend and with any `batch_size` and `chunk_size`. They are
            independent of data drawn by `np.random.default_rng(seed)`.
        threshold: Float, 0 or more. A dimension is active if the variance over the data of its
            posterior mean exceeds this.
        tolerance: Float, 0 or more. Allowed residual as a fraction of the rate. The allowed
            residual is this fraction of the rate, or `threshold / 2` nats if that is larger. The
            equation passes if residual + 3 standard errors is at most the allowed residual. It
            fails if residual - 3 standard errors exceeds it.
        verbose: 0, 1, 2 or "auto". Progress bar.
        layer: String, layer or None. A `SlashedNormalSampling` or `FixedRateVIB` in the graph of
            a compiled model, by its name or as an object. It may be in a nested model. Its
            `free_bits` are not counted. Its amplitude must not have a mask.

    Returns:
        A `Diagnosis` with arrays of one number for each latent dimension. Print it to see a
        table. `plot(path)` plots it.

    Raises:
        ValueError: If an argument is out of range or missing; the model is not compiled with one
            loss and one weight of it, or the layer is not a latent that the model can be cut at;
            an amplitude or loss has a mask or another shape, is not finite or has no finite
            gradient; the data are empty, of different lengths, or of an unsupported type; or beta
            cannot be estimated because the rate is 0 or does not reduce the loss.

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
    if x is None or (loss is None) == (layer is None):
        raise ValueError(
            "Expected data `x`, and either a `loss` for an encoder, or the `layer` of a compiled "
            f"model. Received: x of {type(x)}, loss={loss!r}, layer={layer!r}"
        )
    latent = EncoderAndLoss(encoder, loss) if layer is None else LatentLayer(encoder, layer)
    beta = latent.beta if isinstance(beta, str) and beta == "auto" else beta
    if beta is not None:
        check_number("beta", beta, above=0)
    _check_num_samples(num_samples)
    check_positive_integer("chunk_size", chunk_size)
    check_number("threshold", threshold, minimum=0)
    check_number("tolerance", tolerance, minimum=0)
    _check_targets(x, y)
    seed = stream_seed("diagnose", seed)

    encode = Compiled(lambda inputs: _encode(latent.encoder, inputs), latent.encoder_parts)
    expected_gradient = ExpectedGradient(
        latent.loss, num_samples // 2, max(chunk_size // 2, 1), latent.loss_parts
    )
    stationarity, means, losses = Stationarity(), RunningMoments(), RunningMoments()
    data = x if y is None else (x, y)
    for batch, length in padded_batches(data, batch_size, verbose):
        inputs, targets = (batch, None) if y is None else batch
        targets = latent.with_aside(inputs, targets)
        amplitude = np.asarray(encode.predict_on_batch(inputs))
        psi = amplitude[:length].astype("float64")
        _check_finite("The encoder's amplitude", psi)
        size = psi.shape[-1] // 2
        instances = range(stationarity.count, stationarity.count + length)
        noise = InstanceNoise(seed, instances, (*amplitude.shape[:-1], size))
        gradient, variance, loss_of_instances = expected_gradient(amplitude, targets, noise, length)
        _check_finite("The loss", loss_of_instances)
        _check_finite("The gradient of the loss with respect to the amplitude", gradient)
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
    if ops.is_tensor(encoded) and mask_of(encoded) is not None:
        raise ValueError(
            "The encoder's amplitude must not have a mask, since each of its positions counts as "
            "an instance. Diagnose sequences without padding, or return an amplitude without a "
            f"mask. Received: a masked amplitude of shape {tuple(encoded.shape)}"
        )
    if hasattr(encoded, "prior_log_prob"):
        raise ValueError(
            "The encoder must return an amplitude, relative to a standard normal prior. Apply any "
            f"other prior in `loss`. Received: a {type(encoded).__name__}"
        )
    amplitude = widen_amplitude(encoded)
    check_amplitude_shape(amplitude.shape)
    rows = tree.flatten(inputs)[0].shape[0]
    if len(amplitude.shape) < 2 or amplitude.shape[0] != rows:
        raise ValueError(
            "The encoder must return an amplitude of shape (batch, ..., 2K) with one row for each "
            f"of the {rows} input rows. Received: amplitude.shape={tuple(amplitude.shape)}"
        )
    return amplitude


def _estimated_beta(stationarity):
    rate, gain = np.sum(stationarity.rate), -np.sum(stationarity.projection)
    if not gain > 0.0:
        raise ValueError(
            "beta=None requires a rate that reduces the loss: its price "
            "-E <psi, G> / (2 E |psi|^2) must be positive. "
            f"Received: -E <psi, G>={gain:.4g} and a rate of {rate:.4g} nats"
        )
    return float(gain / (2.0 * rate))


def _check_num_samples(value):
    is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_integer or value < 4 or value % 2:
        raise ValueError(
            "Argument `num_samples` must be an even integer of at least 4, since the draws come "
            f"in pairs. Received: num_samples={value!r}"
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
    rows, targets = (sorted({len(leaf) for leaf in tree.flatten(value)}) for value in (x, y))
    if rows != targets:
        raise ValueError(
            "Arguments `x` and `y` must have first axes of the same length. "
            f"Received: x of length {rows[0]}, y of length {targets[0]}"
        )


def _check_finite(name, values):
    finite = np.isfinite(values)
    if not finite.all():
        raise ValueError(
            f"{name} must be finite. Received: {finite.size - int(finite.sum())} of {finite.size} "
            "numbers that are NaN or infinite"
        )
