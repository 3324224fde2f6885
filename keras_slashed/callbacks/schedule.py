"""What all schedules share: the clock, and when a value is set."""

import keras

from keras_slashed.validation import check_positive_integer


class Schedule(keras.callbacks.Callback):
    """Set a value that depends on time alone, before the steps or the epochs of `fit`.

    A training that is resumed from a checkpoint therefore continues where it was. Epochs are
    counted by `fit` (`initial_epoch`), steps by the optimizer's `iterations`: these are its
    updates, fewer than the batches with `gradient_accumulation_steps`, and without the steps that
    the scaling of a float16 loss skips.

    Subclasses define `value_at(time)` and `set_value(value)`.
    """

    def __init__(self, by, length=None):
        super().__init__()
        self.by = by
        # From this time on the value stays as it is.
        self.length = length
        self._value = None
        self._finished = False

    def value_at(self, time):
        """Return the value when `time` steps or epochs have passed."""
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

    def on_train_batch_begin(self, batch, logs=None):
        if self.by == "step" and not self._finished:
            # `self.model` as a property: on JAX it has `fit` put its state into the variables,
            # and read it again afterwards. A read would fail without it, a write be lost.
            self._set(int(self.model.optimizer.iterations))

    def _set(self, time):
        value = self.value_at(time)
        if value != self._value:
            self.set_value(value)
        self._value = value
        self._finished = self.length is not None and time >= self.length


def steps_or_epochs(steps, epochs):
    """Return "step" or "epoch", and the number that was given of the two.

    Raises:
        ValueError: Not exactly one is given, or it is not a positive integer.
    """
    if (steps is None) == (epochs is None):
        raise ValueError(
            "Exactly one of the arguments `steps` and `epochs` must be given. "
            f"Received: steps={steps!r}, epochs={epochs!r}"
        )
    name, value = ("steps", steps) if epochs is None else ("epochs", epochs)
    check_positive_integer(name, value)
    return ("step" if epochs is None else "epoch"), value
