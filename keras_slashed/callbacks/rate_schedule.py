"""RateWarmup and RateSchedule: change a fixed rate during training."""

from keras_slashed.callbacks.named_layers import layers_with_a_fixed_rate
from keras_slashed.callbacks.schedule import Schedule
from keras_slashed.callbacks.schedule import steps_or_epochs
from keras_slashed.validation import check_choice
from keras_slashed.validation import check_rate


class _RateSchedule(Schedule):
    """Change the fixed rates of a model's layers, and log them."""

    def rates(self):
        """Return the `FixedRate` layers of the model by name."""
        layers = layers_with_a_fixed_rate(self.model)
        if not layers:
            raise ValueError(
                f"{type(self).__name__} found no layer with a fixed rate. Expected: a "
                "RateNormalization or FixedRateVIB layer with a number as `rate`. "
                f"Received: model={self.model.name!r}"
            )
        return {name: layer.rate for name, layer in layers.items()}

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self.rates()

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        if logs is not None:
            for name, rate in self.rates().items():
                logs[f"{name}_target_rate"] = float(rate) * float(rate.warmup_factor)


class RateWarmup(_RateSchedule):
    """Change the rate of layers linearly, from an initial value to their own rate.

    The target rate is `initial + min(t / T, 1) (rate - initial)` nats. Here `t` is the number of
    previous optimizer updates or epochs, `T` is the argument `steps` or `epochs`, and `rate` is
    the rate of the layer. The callback applies to every `RateNormalization` and `FixedRateVIB` of
    the model with a fixed rate. It is the capacity schedule of Burgess et al., except that the
    layers carry the capacity exactly. The callback works in compiled training on every backend,
    and continues correctly when training is resumed from a checkpoint.

    During `fit`, validation uses the same target rate as training. The `rate` of the layer itself
    does not change, and neither do its configuration and saved files. After `fit`, the target is
    `rate` again, even if training ended before the warm-up. (If an exception ends `fit`, the
    factor stays until the next `fit` with this callback. To reset it, assign 1 to
    `layer.rate.warmup_factor`.) After each epoch `history.history` contains
    `<layer name>_target_rate`, the target rate of the last training step.

    Args:
        initial: Float. Positive initial rate in nats.
        steps: Integer. Number of optimizer updates until the layer's own rate.
        epochs: Integer. Number of epochs until the layer's own rate, instead of `steps`.

    Raises:
        ValueError: If `initial` is not a positive, finite number, or not exactly one of `steps`
            and `epochs` is given, or it is not a positive integer. In `fit`, if the model has no
            layer with a fixed rate.

    Example:

    >>> model = keras.Sequential([
    ...     keras.layers.Dense(8),
    ...     keras_slashed.layers.FixedRateVIB(rate=4.0, name="code"),
    ...     keras.layers.Dense(1),
    ... ])
    >>> model.compile("sgd", "mse")
    >>> history = model.fit(
    ...     keras.random.normal((64, 4)), keras.ops.zeros((64, 1)), epochs=3, verbose=0,
    ...     callbacks=[keras_slashed.callbacks.RateWarmup(initial=1.0, epochs=2)],
    ... )
    >>> history.history["code_target_rate"]
    [1.0, 2.5, 4.0]

    Reference:
        Burgess et al., Understanding Disentangling in beta-VAE, 2018, section 5.
    """

    def __init__(self, initial, steps=None, epochs=None):
        check_rate("initial", initial)
        super().__init__(*steps_or_epochs(steps, epochs))
        self.initial = float(initial)
        self.steps = steps
        self.epochs = epochs

    def value_at(self, time):
        return min(time / self.length, 1.0)

    def set_value(self, value):
        for rate in self.rates().values():
            start = self.initial / float(rate)
            rate.warmup_factor.assign(1.0 if value == 1.0 else start + value * (1.0 - start))

    def on_train_end(self, logs=None):
        self.set_value(1.0)


class RateSchedule(_RateSchedule):
    """Set the rate of layers by a function of the epoch or of the step.

    Before each epoch or optimizer update, the callback sets the rate of every `RateNormalization`
    and `FixedRateVIB` of the model with a fixed rate to `schedule(t)` nats. Here `t` is the number
    of previous epochs or updates. Like any assignment to `layer.rate`, this affects training and
    inference, the configuration and files that are saved later, and it persists after `fit`.
    After each epoch `history.history` contains `<layer name>_target_rate`. The callback works in
    compiled training on every backend, and continues correctly when training is resumed from a
    checkpoint.

    Args:
        schedule: Callable. It takes an integer, 0 or more, and returns a positive number of nats.
        by: String. "epoch" or "step".

    Raises:
        ValueError: If `schedule` is not callable or `by` is unknown. In `fit`, if the schedule does
            not return a positive, finite number, or the model has no layer with a fixed rate.

    Example:

    >>> model = keras.Sequential([
    ...     keras.layers.Dense(8),
    ...     keras_slashed.layers.FixedRateVIB(rate=4.0, name="code"),
    ...     keras.layers.Dense(1),
    ... ])
    >>> model.compile("sgd", "mse")
    >>> history = model.fit(
    ...     keras.random.normal((64, 4)), keras.ops.zeros((64, 1)), epochs=3, verbose=0,
    ...     callbacks=[keras_slashed.callbacks.RateSchedule(lambda epoch: 2.0**epoch)],
    ... )
    >>> history.history["code_target_rate"]
    [1.0, 2.0, 4.0]
    """

    def __init__(self, schedule, by="epoch"):
        if not callable(schedule):
            raise ValueError(
                f"Argument `schedule` must be callable. Received: schedule={schedule!r}"
            )
        check_choice("by", by, ("epoch", "step"))
        super().__init__(by)
        self.schedule = schedule

    def value_at(self, time):
        rate = self.schedule(time)
        check_rate(f"schedule({time})", rate)
        return float(rate)

    def set_value(self, value):
        for rate in self.rates().values():
            rate.assign(value)
