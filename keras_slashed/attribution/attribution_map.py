"""amplitude_attribution: the stationary perturbation of a classifier's input (Eq. 23)."""

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
    """The perturbations of N inputs and their rates, as NumPy arrays.

    Attributes:
        amplitude: Amplitudes of the perturbations, of the shape of the inputs with twice the
            length of the last axis. For C channels, the C real parts precede the C imaginary
            parts.
        nats: The map: `|psi|^2` of each element, of the shape of the inputs.
        rate: `KL(perturbation || noise)` of each input in nats, the sum of its map.
        residual: Distance of each input from stationarity,
            `||psi - T(psi)|| / max(||psi||, ||T(psi)||)`, where T is the right side of Eq. 23.
            It is 0 if both norms are 0.
        loss: Expected loss of each perturbed input.
        noise_loss: Expected loss of each input with noise only, that is, with psi = 0.

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
    """Compute the stationary perturbation of each input of a classifier, as a map in nats.

    The function adds noise to the input, and then asks how many nats each element must carry to
    recover the prediction. The input becomes a stochastic layer, `z = x + noise u`, where `u` has
    the amplitude psi relative to the prior N(0, 1): `u = sqrt(2) a + stdplus(sqrt(2) b) eps`. At
    psi = 0 this is only noise. Any other distribution of an element costs `a^2 + b^2` nats. The
    best perturbation for `E[loss(y, model(z))] + beta |psi|^2` is stationary:

    `psi = T(psi) = -(1 / (2 beta)) E[grad_psi loss(y, model(z))]`

    The function starts from psi = 0 and iterates this equation with damping,
    `psi <- psi + damping (T(psi) - psi)`. The map `|psi|^2` states how many nats of information
    about each element the model uses beyond the noise. The real part shifts the element by
    `sqrt(2) noise a`. The imaginary part adds noise to it (b > 0) or removes noise (b < 0).

    One step without damping, `steps=1, damping=1`, is SmoothGrad (Smilkov et al. 2017) with the
    standard deviation `noise`: `a = -noise / (sqrt(2) beta) E[grad_z loss]`.

    All steps use the same draws, so that they converge. The result is stationary for these draws,
    and more draws bring it closer to the stationary point of the expectation. For a ReLU model
    and few draws, the objective is not smooth. Its minimum may be at a kink, where the residual
    stays above 0.

    Args:
        model: Keras model or callable. It takes a batch of inputs and returns class scores of
            shape `(batch, classes)`: logits, or probabilities if each row of the scores is a
            distribution. It runs in inference mode.
        x: Float array of shape `(N, ..., C)`. Inputs. The axes after the first one are those of
            one input.
        y: Integer array of shape `(N,)`, or None. Classes. Defaults to the classes that the model
            predicts. With a custom `loss`, any array with N entries along its first axis that
            the loss accepts.
        beta: Float. Positive price of a nat, in units of the loss. A larger price gives a smaller
            map.
        steps: Integer. Number of steps.
        num_samples: Integer. Number of draws of the noise in each expectation.
        noise: Float. Positive standard deviation of the prior, in the units of x.
        seed: Integer or None. Seed of the draws. NumPy generates them, so that a seed gives the
            same draws on every backend and with any `batch_size` and `chunk_size`. They are
            independent of data drawn by `np.random.default_rng(seed)`.
        damping: Float in (0, 1], or None. Damping of all steps. With None, each input has its own
            damping by the rule of Barzilai and Borwein. A step that does not decrease the
            objective of the input is undone and repeated with half its length.
        loss: Callable or None. It takes `y` and the outputs of the model, and returns one number
            for each row. This number must be in nats for the map to be in nats. Defaults to the
            cross-entropy.
        batch_size: Integer. Number of inputs in one computation.
        chunk_size: Integer. Number of draws of each input in one computation. The model processes
            `batch_size * chunk_size` rows at once, whatever `num_samples` is.
        verbose: 0, 1, 2 or "auto". Progress bar over batches.

    Returns:
        An `Attribution`. It takes `steps + 1` gradients of `num_samples` rows for each input. The
        last gradient measures the residual.

    Raises:
        ValueError: If an argument is out of range, the inputs are not a single float array, the
            classes do not fit, or the output of the model or the loss does not have one row for
            each input.

    Example:

    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> model.set_weights([np.array([[2.0, -2.0], [1.0, -1.0], [0.0, 0.0]]), np.zeros(2)])
    >>> result = keras_slashed.attribution.amplitude_attribution(
    ...     model, np.zeros((1, 3), "float32"), y=np.array([0]), noise=1.0, seed=0)
    >>> result.nats.shape, bool(result.nats[0, 0] > result.nats[0, 1] > 0)
    ((1, 3), True)
    >>> float(result.nats[0, 2])  # the model does not use this element
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
            "Argument `x` must be a float array of shape (N, ..., C), the inputs of a model with "
            f"one input. Received: {received}"
        )
    if not np.all(np.isfinite(x)):
        raise ValueError("Argument `x` must be finite. Received: an array with NaN or infinity")
    return x.astype("float64" if keras.config.floatx() == "float64" else "float32")
