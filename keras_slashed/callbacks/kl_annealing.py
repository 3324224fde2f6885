"""KLWarmup and CyclicalAnnealing: schedules of the weight of the KL in the loss."""

import keras

from keras_slashed.callbacks.named_layers import layers_with_a_weight
from keras_slashed.callbacks.named_layers import log_weights
from keras_slashed.validation import check_fraction
from keras_slashed.validation import check_positive_integer


class _KLAnnealing(keras.callbacks.Callback):
    """Multiply the `kl_weight` of layers by a factor that depends on time alone.

    As it does, a run resumed from a checkpoint goes on where it was: steps are
    counted by the optimizer's `iterations`, epochs by `fit`'s `initial_epoch`.
    """

    def __init__(self, steps=None, epochs=None):
        super().__init__()
        if (steps is None) == (epochs is None):
            raise ValueError(
                "Exactly one of the arguments `steps` and `epochs` must be given. "
                f"Received: steps={steps!r}, epochs={epochs!r}"
            )
        name, value = ("steps", steps) if epochs is None else ("epochs", epochs)
        check_positive_integer(name, value)
        self.steps = steps
        self.epochs = epochs
        self._factor = self._first_step = None

    def factor(self, progress):
        """Return the factor when `progress` of the steps or epochs, from 0 on, have passed."""
        raise NotImplementedError

    def on_train_begin(self, logs=None):
        self._factor = None

    def on_epoch_begin(self, epoch, logs=None):
        if self.epochs is not None:
            self._set(self.factor(epoch / self.epochs))
        else:
            self._first_step = int(self.model.optimizer.iterations)

    def on_train_batch_begin(self, batch, logs=None):
        if self.steps is not None:
            self._set(self.factor((self._first_step + batch) / self.steps))

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            log_weights(layers_with_a_weight(self.model), logs)

    def _set(self, factor):
        if factor == self._factor:
            return
        self._factor = factor
        # `self.model` as a property: on JAX it has `fit` put its state into the
        # variables and read it again afterwards. A write without it would be lost.
        for layer in layers_with_a_weight(self.model).values():
            weight = factor * layer.get_config()["kl_weight"]
            if layer.built:
                layer.kl_weight.assign(weight)
            else:  # TensorFlow builds a model in its first step
                layer.kl_weight_at_build = weight


class KLWarmup(_KLAnnealing):
    """Raise the weight of the KL linearly from 0 to what the layers were made with.

    `kl_weight = min(t / T, 1) beta`, where `t` is the number of optimizer steps, or
    epochs, before the present one, `T` the argument `steps` or `epochs`, and `beta`
    the `kl_weight` a layer was made with. Every `SlashedNormalSampling` and
    `FixedRateVIB` of the model is annealed; the latter's is 0 unless you say
    otherwise, and stays so. After each epoch `history.history` holds
    `<layer name>_kl_weight`. Works in compiled training on every backend, and goes
    on rightly when a checkpoint is resumed.

    Args:
        steps: Number of optimizer steps until the full weight.
        epochs: Number of epochs instead.

    Raises:
        ValueError: Not exactly one of `steps` and `epochs` is given, or it is not a
            positive integer.

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
    """Raise the weight of the KL from 0 again and again.

    In each of M cycles of length `T / M` it grows linearly from 0 to `beta`, the
    `kl_weight` a layer was made with, over the first `ratio` of the cycle, and stays
    there for the rest: with `tau = mod(t, T / M) / (T / M)` it is
    `min(tau / ratio, 1) beta`. After `T` it is `beta`. For the rest see `KLWarmup`.

    Args:
        steps: Number T of optimizer steps that the cycles take together.
        epochs: Number of epochs instead.
        cycles: Number M of cycles.
        ratio: Share of a cycle in which the weight grows, in (0, 1].

    Raises:
        ValueError: An argument out of its range, or not exactly one of `steps` and
            `epochs`.

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
        check_fraction("ratio", ratio)
        self.cycles = cycles
        self.ratio = ratio

    def factor(self, progress):
        if progress >= 1.0:
            return 1.0
        return min(progress * self.cycles % 1.0 / self.ratio, 1.0)
