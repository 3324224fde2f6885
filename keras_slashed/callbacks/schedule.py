"""Schedule: the base class of callbacks that set a value at certain times."""

import warnings

import keras

from keras_slashed.validation import check_positive_integer


class Schedule(keras.callbacks.Callback):
    """Set a value that depends only on time, before the steps or the epochs of `fit`.

    Training that is resumed from a checkpoint therefore continues where it stopped. `fit` counts
    the epochs (`initial_epoch`), and `optimizer.iterations` counts the steps. These are optimizer
    updates: with `gradient_accumulation_steps` there are fewer of them than batches, and steps
    that the loss scaling of float16 skips do not count.

    Subclasses define `value_at(time)` and `set_value(value)`.
    """

    def __init__(self, by, length=None):
        super().__init__()
        self.by = by
        # The value does not change after this time.
        self.length = length
        self._value = None
        self._finished = False

    def value_at(self, time):
        """Return the value after `time` steps or epochs."""
        raise NotImplementedError

    def set_value(self, value):
        """Set the value in the layers."""
        raise NotImplementedError

    def on_train_begin(self, logs=None):
        self._value = None
        self._finished = False

    def on_epoch_begin(self, epoch, logs=None):
        if self.by == "epoch":
            self._set(epoch)
        elif not self._finished:
            self._first_step = int(self.model.optimizer.iterations)

    def on_epoch_end(self, epoch, logs=None):
        if self.by == "step" and not self._finished:
            optimizer = self.model.optimizer
            if self._first_step == int(optimizer.iterations) and not _may_skip(optimizer):
                warnings.warn(
                    f"{type(self).__name__} counts the updates of `model.optimizer`, of which "
                    "there were none in this epoch. If the `train_step` of the model uses other "
                    "optimizers, count epochs instead of steps.",
                    stacklevel=5,
                )

    def on_train_batch_begin(self, batch, logs=None):
        if self.by == "step" and not self._finished:
            # Accessing `self.model` makes `fit` on JAX write its state to the variables, and
            # read it again afterward. Otherwise a read would fail and a write would be lost.
            self._set(int(self.model.optimizer.iterations))

    def _set(self, time):
        value = self.value_at(time)
        if value != self._value:
            self.set_value(value)
        self._value = value
        self._finished = self.length is not None and time >= self.length


def _may_skip(optimizer):
    """Return whether an optimizer may go without an update for an epoch."""
    scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    return scales or optimizer.gradient_accumulation_steps


def steps_or_epochs(steps, epochs):
    """Return "step" or "epoch", and the value of the argument that was given.

    Raises:
        ValueError: If not exactly one is given, or it is not a positive integer.
    """
    if (steps is None) == (epochs is None):
        raise ValueError(
            "Exactly one of the arguments `steps` and `epochs` must be given. "
            f"Received: steps={steps!r}, epochs={epochs!r}"
        )
    name, value = ("steps", steps) if epochs is None else ("epochs", epochs)
    check_positive_integer(name, value)
    return ("step" if epochs is None else "epoch"), value
