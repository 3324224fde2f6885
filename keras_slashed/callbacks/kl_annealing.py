"""KLWarmup and CyclicalAnnealing: schedules for the weight of the KL in the loss."""

import math

from keras_slashed.callbacks.named_layers import layers_with_a_weight
from keras_slashed.callbacks.named_layers import log_weights
from keras_slashed.callbacks.named_layers import set_annealing_factor
from keras_slashed.callbacks.schedule import Schedule
from keras_slashed.callbacks.schedule import steps_or_epochs
from keras_slashed.validation import check_number
from keras_slashed.validation import check_positive_integer

# Relative error of a fraction times a number. In units of one cycle, all other times of a
# schedule are further away from the beginning of a cycle.
_ROUNDING = 1e-15


class _KLAnnealing(Schedule):
    """Multiply the `kl_weight` of layers during training by a factor that depends only on time."""

    def __init__(self, steps=None, epochs=None):
        super().__init__(*steps_or_epochs(steps, epochs))
        self.steps = steps
        self.epochs = epochs

    def factor(self, progress):
        """Return the factor after the fraction `progress` of the steps or epochs has passed."""
        raise NotImplementedError

    def value_at(self, time):
        return self.factor(time / self.length)

    def set_value(self, value):
        set_annealing_factor(self.model, value)

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        if not layers_with_a_weight(self.model):
            raise ValueError(
                f"{type(self).__name__} found no layer with a KL weight. Expected: a "
                "SlashedNormalSampling or FixedRateVIB layer. If the model creates its layers "
                "when it is built, build it before `fit`. "
                f"Received: model={self.model.name!r}"
            )

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        if logs is not None:
            log_weights(layers_with_a_weight(self.model), logs)

    def on_train_end(self, logs=None):
        set_annealing_factor(self.model, 1.0)


class KLWarmup(_KLAnnealing):
    """Increase the weight of the KL linearly from 0 to the `kl_weight` of the layers.

    During training the weight of the rate is `min(t / T, 1) kl_weight`. Here `t` is the number of
    previous optimizer updates or epochs, and `T` is the argument `steps` or `epochs`. The
    callback applies to every `SlashedNormalSampling` and `FixedRateVIB` of the model. The
    `kl_weight` of a `FixedRateVIB` is 0 unless you set it, and then stays 0. The callback works
    in compiled training on every backend, and continues correctly when training is resumed from
    a checkpoint.

    The schedule affects only training. `kl_weight` itself does not change, and at inference the
    loss uses the full weight. You can therefore compare `val_loss` across epochs: for a VAE it is
    minus the evidence lower bound in each epoch. After `fit`, training uses the full weight
    again. (If an exception ends `fit`, the factor stays until the next annealed `fit`. To reset
    it, assign 1 to `kl_annealing_factor` of the layer.) After each epoch `history.history`
    contains `<layer name>_kl_weight`, the weight in the last training step.

    Args:
        steps: Integer. Number of optimizer updates until the full weight.
        epochs: Integer. Number of epochs until the full weight, instead of `steps`.

    Raises:
        ValueError: If not exactly one of `steps` and `epochs` is given, or it is not a positive
            integer. In `fit`, if the model has no layer with a KL weight.

    Example:

    >>> model = keras.Sequential([
    ...     keras.layers.Dense(8),
    ...     keras_slashed.layers.SlashedNormalSampling(name="latent"),
    ...     keras.layers.Dense(1),
    ... ])
    >>> model.compile("sgd", "mse")
    >>> history = model.fit(
    ...     keras.random.normal((64, 4)), keras.ops.zeros((64, 1)), epochs=3, verbose=0,
    ...     callbacks=[keras_slashed.callbacks.KLWarmup(epochs=2)],
    ... )
    >>> history.history["latent_kl_weight"]
    [0.0, 0.5, 1.0]

    Reference:
        Bowman et al., Generating Sentences from a Continuous Space, 2015, with a
        linear schedule.
    """

    def factor(self, progress):
        return min(progress, 1.0)


class CyclicalAnnealing(_KLAnnealing):
    """Increase the weight of the KL from 0 to the `kl_weight` of the layers several times.

    Training has M cycles of length `T / M`. In each of them the weight grows linearly from 0 to
    the `kl_weight` of the layer during the first part `ratio` of the cycle, and stays there for
    the rest of it. The weight is `min(tau / ratio, 1) kl_weight`, with
    `tau = mod(t, T / M) / (T / M)`. After `T` it is `kl_weight`. Everything else works as in
    `KLWarmup`.

    Args:
        steps: Integer. Total number T of optimizer updates of all cycles.
        epochs: Integer. Total number T of epochs of all cycles, instead of `steps`.
        cycles: Integer. Number M of cycles.
        ratio: Float in (0, 1]. Part of a cycle in which the weight grows.

    Raises:
        ValueError: If an argument is out of range, or not exactly one of `steps` and `epochs` is
            given. In `fit`, if the model has no layer with a KL weight.

    Example:

    >>> callback = keras_slashed.callbacks.CyclicalAnnealing(epochs=8, cycles=2)
    >>> [callback.factor(epoch / 8) for epoch in range(9)]
    [0.0, 0.5, 1.0, 1.0, 0.0, 0.5, 1.0, 1.0, 1.0]

    Reference:
        Fu et al., Cyclical Annealing Schedule: A Simple Approach to Mitigating KL
        Vanishing, 2019, Eq. 6 and 7.
    """

    def __init__(self, steps=None, epochs=None, cycles=4, ratio=0.5):
        super().__init__(steps, epochs)
        check_positive_integer("cycles", cycles)
        check_number("ratio", ratio, above=0, maximum=1)
        self.cycles = cycles
        self.ratio = ratio

    def factor(self, progress):
        if progress >= 1.0:
            return 1.0
        cycles = progress * self.cycles
        if math.isclose(cycles, round(cycles), rel_tol=_ROUNDING):
            return 0.0  # a cycle begins, which rounding could take for the end of the one before
        return min(cycles % 1.0 / self.ratio, 1.0)
