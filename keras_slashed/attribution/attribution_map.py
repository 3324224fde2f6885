"""amplitude_attribution: the stationary perturbation of a model's input or layer (Eq. 23)."""

import numpy as np

from keras_slashed.attribution.class_loss import class_loss
from keras_slashed.attribution.perturbed_inputs import LayerOutput
from keras_slashed.attribution.perturbed_inputs import ModelInputs
from keras_slashed.attribution.perturbed_loss import PerturbedLoss
from keras_slashed.attribution.perturbed_loss import packed
from keras_slashed.attribution.perturbed_loss import unpacked
from keras_slashed.attribution.prior import Prior
from keras_slashed.attribution.result import Attribution
from keras_slashed.attribution.stationary_point import iterate
from keras_slashed.evaluation.batches import padded_batches
from keras_slashed.validation import check_number
from keras_slashed.validation import check_positive_integer
from keras_slashed.validation import check_seed


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
    layer=None,
    output=None,
    prior_mean=None,
    reference=None,
    from_logits=None,
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
    for name, value in (
        ("steps", steps),
        ("num_samples", num_samples),
        ("batch_size", batch_size),
        ("chunk_size", chunk_size),
    ):
        check_positive_integer(name, value)
    if damping is not None:
        check_number("damping", damping, above=0, maximum=1)
    check_seed(seed)
    if layer is None:
        inputs = ModelInputs(model, x, output)
    else:
        inputs = LayerOutput(model, layer, output, batch_size)
    values, others = inputs.split(x)
    prior = Prior(
        noise,
        prior_mean,
        values,
        lambda: values if reference is None else inputs.split(reference)[0],
        inputs.paths,
    )
    data = {"values": values, "others": others}
    y, loss = class_loss(
        model,
        lambda batch: inputs.output_of(batch["values"], batch["others"]),
        data,
        y,
        loss,
        batch_size,
        from_logits,
        output,
    )
    evaluate = PerturbedLoss(inputs.output_of, [model], loss, num_samples, chunk_size, seed)
    data = {"centers": prior.centers, "scales": prior.scales, "others": others, "y": y}
    targets = prior.targets if prior.targets is not None else ()
    parts, first = [], 0
    for (batch, ends), length in padded_batches((data, targets), batch_size, verbose):
        function = evaluate.of_batch(batch, range(first, first + length))
        part = _of_batch(function, batch["centers"], ends, beta, steps, damping)
        parts.append([array[:length] for array in part])
        first += length
    rows, *others = map(np.concatenate, zip(*parts))
    amplitudes = unpacked(rows, [value.shape for value in values])
    nats = [_squares(amplitude) for amplitude in amplitudes]
    rate = sum(array.reshape(len(array), -1).sum(axis=1) for array in nats)
    return Attribution(inputs.structured(amplitudes), inputs.structured(nats), rate, *others)


def _of_batch(function, centers, ends, beta, steps, damping):
    """Return amplitudes, residual, loss and loss of the prior of a batch."""
    nothing = _amplitudes(centers, np.zeros_like, 0.0)
    if not ends:
        return _checked(iterate(function, nothing, beta, steps, damping))
    # The real part of an element lies between 0 and its end, and the imaginary part is free.
    low = _amplitudes(ends, lambda end: np.where(np.isinf(end), -end, np.minimum(end, 0)), -np.inf)
    high = _amplitudes(ends, lambda end: np.maximum(end, 0), np.inf)
    start = _amplitudes(ends, lambda end: np.where(np.isinf(end), 0, end), 0.0)
    found = iterate(function, start, beta, steps, damping, (low, high))
    return _checked((*found[:3], function(nothing)[0]))


def _amplitudes(arrays, real, imaginary):
    """Return packed amplitudes with real parts `real(array)` and one imaginary part for all."""
    return packed(
        [np.concatenate([real(x), np.full_like(x, imaginary)], axis=-1) for x in arrays]
    )


def _checked(part):
    for name, losses in zip(("perturbed inputs", "noise"), part[2:]):
        if not np.all(np.isfinite(losses)):
            raise ValueError(
                f"The loss of the {name} must be finite. Received: {np.sum(~np.isfinite(losses))} "
                f"of {len(losses)} losses that are NaN or infinite"
            )
    return part


def _squares(amplitude):
    return np.sum(np.square(np.stack(np.split(amplitude, 2, axis=-1))), axis=0)
