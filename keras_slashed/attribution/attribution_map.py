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
from keras_slashed.evaluation.kept_state import KeptState
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
    """Compute the stationary perturbation of each input of a model, as a map in nats.

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

    With `layer`, x in these formulas is the output of that layer, and the model is what follows
    it. The result is the same as that of the tail of the model on this output. Only the tail is
    differentiated, so that a late layer costs less than the input. With the embedding of a model
    of tokens, the map states the nats of each token, `Attribution.tokens`.

    With `prior_mean`, `z = prior_mean + noise u`. At psi = 0, z has no information about x, and
    the map states how many nats about each element the prediction needs. The mean of z moves from
    the prior mean toward x, and at most to x, since beyond x it would no longer be information
    about x: T(psi) is clipped so that `sqrt(2) noise a` is between 0 and `x - prior_mean`. Without
    that bound, x would not enter the map at all. `noise="std"` and `prior_mean="mean"` are the
    prior of Schulz et al. (2020). The default keeps x as the mean, because it needs no data and
    is SmoothGrad at the first step. As a ranking of elements, the map with a prior mean is better
    on the digits of the fifth tutorial.

    One step without damping, `steps=1, damping=1`, is SmoothGrad (Smilkov et al. 2017) with the
    standard deviation `noise`: `a = -noise / (sqrt(2) beta) E[grad_z loss]`.

    All steps use the same draws, so that they converge. This includes the draws of a model that
    draws at inference, which depend on `batch_size` and `chunk_size`. Pass such a model itself, or
    one of its methods: if you wrap it in another function, each step uses different draws. The
    result is stationary for these draws, and more draws bring it closer to the stationary point of
    the expectation. For a ReLU model and few draws, the objective is not smooth. Its minimum may be
    at a kink, where the residual stays above 0.

    Args:
        model: Keras model or callable. It takes a batch of inputs and returns class scores of
            shape `(batch, classes)`, or one unit of shape `(batch, 1)` for two classes: logits or
            probabilities. With a `loss` it may return anything. It runs in inference mode.
        x: Float array of shape `(N, ..., C)`, or a list or dict of arrays. Inputs. The axes after
            the first one are those of one input. Each float array has its own map. Integer and
            boolean arrays of a list or dict are not perturbed. With `layer`, arrays of any type.
        y: Integer array of shape `(N,)`, array of N one-hot rows, or None. Classes: 0 or 1 for a
            model with one unit. Defaults to the classes that the model predicts. With a custom
            `loss`, any array with N entries along its first axis that the loss accepts.
        beta: Float. Positive price of a nat, in units of the loss. A larger price gives a smaller
            map.
        steps: Integer. Number of steps.
        num_samples: Integer. Number of draws of the noise in each expectation.
        noise: Float, float array or "std". Standard deviation of the prior, in the units of what
            is perturbed. An array broadcasts to what is perturbed, of shape `(N, ..., C)`, and an
            element with noise 0 is not perturbed and has 0 nats. "std" is the standard deviation
            of each channel, that is, of each entry of the last axis, over the data. For several
            inputs it may also be a list or dict with an entry for each of them.
        seed: Integer or None. Seed of the draws. NumPy generates them, so that a seed gives the
            same draws on every backend and with any `batch_size` and `chunk_size`. They are
            independent of data drawn by `np.random.default_rng(seed)`.
        damping: Float in (0, 1], or None. Damping of all steps. With None, each input has its own
            damping by the rule of Barzilai and Borwein. A step that does not decrease the
            objective of the input is undone and repeated with half its length.
        loss: Callable or None. It takes `y` and the outputs of the model, and returns one number
            for each row. This number must be in nats for the map to be in nats. Defaults to the
            cross-entropy. For a regression with unit variance it is half the squared error.
        batch_size: Integer. Number of inputs in one computation.
        chunk_size: Integer. Number of draws of each input in one computation. The model processes
            `batch_size * chunk_size` rows at once, whatever `num_samples` is.
        verbose: 0, 1, 2 or "auto". Progress bar over batches.
        layer: String, layer or None. The layer whose output is perturbed in place of the input,
            in a functional or Sequential model. It may be in a nested model: the name is then its
            own or a path, such as "encoder/conv". Its output must be a single float tensor, and
            the only way from the inputs to the output of the model. Boolean masks, and integer
            inputs on which the layer does not depend, may go around it. To perturb several
            tensors, or a model without a graph, pass the tail as a callable.
        output: String, integer or None. The output of a model that has several: the key of a
            dict, or the name of the output's layer or the index in a list.
        prior_mean: Float, float array, "mean" or None. Mean of the prior, with a shape as that of
            `noise`. "mean" is the mean of each channel over the data. Defaults to x itself.
        reference: Array, or a structure of arrays, or None. The data for "std" and "mean", inputs
            of the model as x, for example from the training data. Defaults to x.
        from_logits: Boolean or None. Whether the outputs are logits. With None, Keras' activation
            of the last layer that changes values decides: "linear" returns logits, "softmax" and,
            for one unit, "sigmoid" and "hard_sigmoid" return probabilities. With any other
            activation, such as a function of your own, and in a model without a graph, the outputs
            for all of x decide: rows of positive numbers with a sum of 1 are probabilities, and so
            is one unit if all its outputs are in [0, 1].

    Returns:
        An `Attribution`. It takes `steps + 1` gradients of `num_samples` rows for each input. The
        last gradient measures the residual.

    Raises:
        ValueError: If an argument is out of range, the inputs contain no float array, the classes
            do not fit, the output of the model or the loss does not have one row for each input,
            the loss or its gradient is not finite, or the model cannot be cut at the layer. If
            tensors go around the layer, the error names them.

    Example:

    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> model.set_weights([np.array([[2.0, -2.0], [1.0, -1.0], [0.0, 0.0]]), np.zeros(2)])
    >>> result = keras_slashed.attribution.amplitude_attribution(
    ...     model, np.zeros((1, 3), "float32"), y=np.array([0]), noise=1.0, seed=0)
    >>> result.nats.shape, bool(result.nats[0, 0] > result.nats[0, 1] > 0)
    ((1, 3), True)
    >>> float(result.nats[0, 2])  # the model does not use this element
    0.0

    The nats of tokens, at the embedding of a model:

    >>> model = keras.Sequential([
    ...     keras.Input((4,), dtype="int32"), keras.layers.Embedding(10, 8, name="embedding"),
    ...     keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(1)])
    >>> ids = np.array([[1, 2, 3, 4], [5, 5, 6, 6]])
    >>> result = keras_slashed.attribution.amplitude_attribution(
    ...     model, ids, y=np.array([0, 1]), layer="embedding", noise="std", prior_mean="mean",
    ...     seed=0)
    >>> result.nats.shape, result.tokens.shape
    ((2, 4, 8), (2, 4))

    Reference:
        Slashed Normal, Theorem 5.1, Eq. 15 and Eq. 23. Schulz et al., Restricting the Flow:
        Information Bottlenecks for Attribution, 2020.
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
    kept = KeptState([model])
    try:
        if layer is None:
            inputs = ModelInputs(model, x, output)
        else:
            inputs = LayerOutput(model, layer, output, batch_size)
        values, others = inputs.split(x)
        prior = Prior(
            noise,
            prior_mean,
            values,
            lambda: values if reference is None else _reference(inputs, reference, values),
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
            start = _amplitudes(batch["centers"], np.zeros_like, 0.0)
            part = iterate(function, start, beta, steps, damping, _bounds(ends) if ends else None)
            parts.append([array[:length] for array in part])
            first += length
        rows, residual, loss, noise_loss = map(np.concatenate, zip(*parts))
        _check_finite("The loss of the perturbed inputs", loss)
        _check_finite("The loss of the noise", noise_loss)
        _check_finite("The gradient of the loss", residual)
        amplitudes = unpacked(rows, [value.shape for value in values])
        nats = [_squares(amplitude) for amplitude in amplitudes]
        rate = sum(array.reshape(len(array), -1).sum(axis=1) for array in nats)
        amplitude, nats = inputs.structured(amplitudes), inputs.structured(nats)
        return Attribution(amplitude, nats, rate, residual, loss, noise_loss)
    finally:
        kept.restore()


def _reference(inputs, reference, values):
    """Return the perturbed arrays of other inputs of the model."""
    arrays, _ = inputs.split(reference, "reference")
    if [array.shape[-1] for array in arrays] != [value.shape[-1] for value in values]:
        raise ValueError(
            "Argument `reference` must be inputs of the model, as `x`, with as many channels. "
            f"Received: float arrays of shapes {[array.shape for array in arrays]}"
        )
    return arrays


def _bounds(ends):
    """Return the smallest and the largest amplitudes, which move a mean to its value at most."""
    low = _amplitudes(ends, lambda end: np.where(np.isinf(end), -end, np.minimum(end, 0)), -np.inf)
    return low, _amplitudes(ends, lambda end: np.maximum(end, 0), np.inf)


def _amplitudes(arrays, real, imaginary):
    """Return packed amplitudes with real parts `real(array)` and one imaginary part for all."""
    return packed([np.concatenate([real(x), np.full_like(x, imaginary)], axis=-1) for x in arrays])


def _check_finite(name, rows):
    if not np.all(np.isfinite(rows)):
        raise ValueError(
            f"{name} must be finite. Received: NaN or infinity for {np.sum(~np.isfinite(rows))} "
            f"of {len(rows)} inputs"
        )


def _squares(amplitude):
    return np.sum(np.square(np.stack(np.split(amplitude, 2, axis=-1))), axis=0)
