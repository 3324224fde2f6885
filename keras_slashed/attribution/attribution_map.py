"""The stationary perturbation of a classifier's input (Eq. 23)."""

import math
from typing import Any
from typing import NamedTuple

import keras
import numpy as np

from keras_slashed.attribution.class_loss import class_loss
from keras_slashed.attribution.perturbed_loss import PerturbedLoss
from keras_slashed.attribution.stationary_point import iterate
from keras_slashed.evaluation.batches import padded_batches
from keras_slashed.ops.stream_seed import stream_seed
from keras_slashed.validation import check_number
from keras_slashed.validation import check_positive_integer


class Attribution(NamedTuple):
    """Perturbations of inputs, and what they cost: NumPy arrays, N inputs in each.

    Attributes:
        amplitude: The perturbations' amplitudes, of the inputs' shape with twice the
            length of the last axis: for C channels first C real parts, then C
            imaginary ones.
        nats: The map: `|psi|^2` of each element, of the inputs' shape.
        rate: `KL(perturbation || noise)` of each input in nats, the sum of its map.
        residual: Of each input, how far it is from stationary:
            `||psi - T(psi)|| / max(||psi||, ||T(psi)||)`, T being the right side of
            Eq. 23; 0 where both are 0.
        loss: The expected loss of each perturbed input.
        noise_loss: The expected loss of each input with noise alone, psi = 0.

    Example:

    >>> result = keras_slashed.attribution.amplitude_attribution(
    ...     lambda z: z, np.zeros((4, 3), "float32"), beta=0.01, seed=0)
    >>> result.amplitude.shape, result.nats.shape, result.rate.shape
    ((4, 6), (4, 3), (4,))
    >>> bool(np.all(result.loss < result.noise_loss))
    True
    """

    amplitude: Any
    nats: Any
    rate: Any
    residual: Any
    loss: Any
    noise_loss: Any

    @property
    def bits(self):
        """The map in bits."""
        return self.nats / math.log(2.0)


def amplitude_attribution(
    model,
    x,
    y=None,
    beta=0.1,
    steps=20,
    num_samples=32,
    noise=0.5,
    seed=None,
    damping=None,
    loss=None,
    batch_size=32,
    chunk_size=8,
    verbose=0,
):
    """Return the perturbation of each input that is stationary, as a map in nats.

    The input becomes a stochastic layer, `z = x + noise u` with `u` of amplitude psi on
    the prior N(0, 1): `u = sqrt(2) a + stdplus(sqrt(2) b) eps`. At psi = 0 that is noise
    alone, and whatever an element needs to depart from it costs `a^2 + b^2` nats. The
    perturbation that is best for `E[loss(y, model(z))] + beta |psi|^2` is stationary:

    `psi = T(psi) = -(1 / (2 beta)) E[grad_psi loss(y, model(z))]`

    which is iterated from psi = 0, damped: `psi <- psi + damping (T(psi) - psi)`. The map
    `|psi|^2` says how many nats about each element noise leaves out that the model
    wants; a real part is a shift of the element by `sqrt(2) noise a`, an imaginary part
    more noise on it (b > 0) or less (b < 0).

    One undamped step, `steps=1, damping=1`, is SmoothGrad (Smilkov et al. 2017) with the
    standard deviation `noise`: `a = -noise / (sqrt(2) beta) E[grad_z loss]`.

    All steps use the same draws, so that they converge: the point is stationary for these,
    and the more there are the nearer to that of all. What a model of ReLUs says of a few
    draws is not smooth, and the best point may be a kink, where the residual stays above 0.

    Args:
        model: A Keras model or any callable, from a batch of inputs to class scores
            of shape `(batch, classes)`: logits, or probabilities where each row of them
            is one. It runs at inference.
        x: Inputs, a float array of shape `(N, ..., C)`; the axes after the first are one
            input.
        y: Integer classes of shape `(N,)`, or None for those that the model predicts.
            With a `loss` of one's own, whatever it takes, N in the first axis.
        beta: Price of a nat, in units of the loss. The larger, the smaller the map.
        steps: Number of steps.
        num_samples: Draws of the noise in each expectation.
        noise: Standard deviation of the prior, on the scale of x.
        seed: Integer seed of the draws, or None. They come from NumPy: a seed gives the
            same ones on every backend, with any `batch_size` and `chunk_size`. They are
            independent of data drawn by `np.random.default_rng(seed)`.
        damping: A number in (0, 1] for all steps; or None: each input has a damping of
            its own, by Barzilai and Borwein's rule, and a step that does not lower its
            objective is taken back and tried again, shorter.
        loss: Function of `y` and the model's outputs to one number for each row, in
            nats if the map is to be in nats of it; None for the cross-entropy.
        batch_size: Inputs in one computation.
        chunk_size: Draws of each of them in one computation: `batch_size * chunk_size`
            rows pass through the model at once, whatever `num_samples` is.
        verbose: 0, 1, 2 or "auto", for a progress bar over batches.

    Returns:
        An `Attribution`. It costs `steps + 1` gradients of `num_samples` rows for each
        input; the last one measures the residual.

    Raises:
        ValueError: An argument out of its range, inputs that are not float or not of
            one array, classes that do not fit, or a model or loss whose output does not
            have a row for each.

    Example:

    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> model.set_weights([np.array([[2.0, -2.0], [1.0, -1.0], [0.0, 0.0]]), np.zeros(2)])
    >>> result = keras_slashed.attribution.amplitude_attribution(
    ...     model, np.zeros((1, 3), "float32"), y=np.array([0]), noise=1.0, seed=0)
    >>> result.nats.shape, bool(result.nats[0, 0] > result.nats[0, 1] > 0)
    ((1, 3), True)
    >>> float(result.nats[0, 2])  # the model does not look at it
    0.0

    Reference:
        Slashed Normal, Theorem 5.1 and Eq. 23.
    """
    check_number("beta", beta, above=0)
    check_number("noise", noise, above=0)
    check_positive_integer("steps", steps)
    check_positive_integer("num_samples", num_samples)
    check_positive_integer("chunk_size", chunk_size)
    if damping is not None:
        check_number("damping", damping, above=0, maximum=1)
    seed = stream_seed("amplitude_attribution", seed)
    x = _inputs(x)
    y, loss = class_loss(model, x, y, loss, batch_size)
    evaluate = PerturbedLoss(model, loss, noise, num_samples, chunk_size, seed)
    parts, first = [], 0
    for (inputs, labels), length in padded_batches((x, y), batch_size, verbose):
        function = evaluate.of_batch(inputs, labels, range(first, first + length))
        shape = (*inputs.shape[:-1], 2 * inputs.shape[-1])
        part = iterate(function, np.zeros(shape, x.dtype), beta, steps, damping)
        parts.append([array[:length] for array in part])
        first += length
    amplitude, residual, loss, noise_loss = map(np.concatenate, zip(*parts))
    nats = np.sum(np.square(np.stack(np.split(amplitude, 2, axis=-1))), axis=0)
    rate = nats.reshape(len(nats), -1).sum(axis=1)
    return Attribution(amplitude, nats, rate, residual, loss, noise_loss)


def _inputs(x):
    if keras.ops.is_tensor(x):
        x = keras.ops.convert_to_numpy(x)
    if not isinstance(x, np.ndarray) or x.ndim < 2 or not np.issubdtype(x.dtype, np.floating):
        is_array = isinstance(x, np.ndarray)
        received = f"an array of dtype {x.dtype} and shape {x.shape}" if is_array else type(x)
        raise ValueError(
            "Argument `x` must be a float array of shape (N, ..., C), the inputs of a model that "
            f"has one. Received: {received}"
        )
    if not np.all(np.isfinite(x)):
        raise ValueError("Argument `x` must be finite. Received: an array with NaN or infinity")
    return x.astype("float64" if keras.config.floatx() == "float64" else "float32")
