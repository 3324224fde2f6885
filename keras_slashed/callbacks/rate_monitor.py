"""RateMonitor: the rate each layer really reaches, epoch by epoch."""

import warnings

import keras

from keras_slashed.callbacks.named_layers import named_layers


class RateMonitor(keras.callbacks.Callback):
    """Log the achieved rate of every keras_slashed layer of a model, in nats.

    After each epoch `history.history` and the progress line hold
    `<layer name>_rate`, the mean rate of an instance over the epoch's training
    batches, and with validation data `val_<layer name>_rate`. Batches count by
    their number of instances, masked positions do not count, and sample weights do not
    enter. It needs no train step of its own and works on every backend, with nested models too.

    Layers reported: `FixedRateVIB` (once, not its parts), `RateNormalization`
    and `SlashedNormalSampling`. Layers of one name are told apart by their
    paths, and by a number where these are equal too. Pass it to `fit`, or to
    `evaluate` to see `<layer name>_rate` in the progress line.

    A layer that no step of an epoch called in training is idle: it draws no noise, keeps
    no rate and learns no moving mean square, as `Dropout` would drop nothing. A subclassed
    model has such layers if its `call` takes no `training` argument, or on JAX does not
    pass it on. The monitor warns of each of them once in a `fit`.

    Example:

    >>> model = keras.Sequential([
    ...     keras.layers.Dense(8),
    ...     keras_slashed.layers.FixedRateVIB(rate=2.0, name="bottleneck"),
    ...     keras.layers.Dense(1),
    ... ])
    >>> model.compile("sgd", "mse")
    >>> history = model.fit(
    ...     keras.random.normal((64, 4)), keras.ops.zeros((64, 1)), verbose=0,
    ...     callbacks=[keras_slashed.callbacks.RateMonitor()],
    ... )
    >>> round(history.history["bottleneck_rate"][0], 4)
    2.0
    """

    def __init__(self):
        super().__init__()
        self._validation_rates = {}
        self._idle_before = set()
        # Test functions of the model: its own, and one traced with inference counted.
        self._own_test_function = self._counting_test_function = None

    def on_train_begin(self, logs=None):
        self._idle_before = set()

    def on_epoch_begin(self, epoch, logs=None):
        self._validation_rates = {}
        for tracker in self._trackers().values():
            tracker.at_inference = False  # an interrupted evaluation may have left it on
            tracker.reset(training=True)

    def on_epoch_end(self, epoch, logs=None):
        self._warn_of_idle_layers()
        if logs is not None:
            logs.update(self._results(training=True))
            logs.update({f"val_{name}": rate for name, rate in self._validation_rates.items()})

    def on_test_begin(self, logs=None):
        trackers = self._trackers().values()
        if not trackers:
            return
        for tracker in trackers:
            tracker.at_inference = True
            tracker.reset(training=False)
        # A function traced without the counting would go on without it. Another
        # own function than last time means that the model was compiled anew.
        if self._own_test_function is not self.model.test_function:
            self._own_test_function = self.model.test_function
            self.model.make_test_function(force=True)
            self._counting_test_function = self.model.test_function
        self.model.test_function = self._counting_test_function

    def on_test_end(self, logs=None):
        trackers = self._trackers().values()
        if not trackers:
            return
        for tracker in trackers:
            tracker.at_inference = False
        self.model.test_function = self._own_test_function
        self._validation_rates = self._results(training=False)
        if logs is not None:
            logs.update(self._validation_rates)

    def _warn_of_idle_layers(self):
        idle = {name for name, tracker in self._trackers().items() if tracker.is_idle()}
        for name in sorted(idle - self._idle_before):
            warnings.warn(
                f"The layer {name!r} was not called with `training=True` in this epoch of "
                "`fit`: it added no noise and its rate was not kept. Give the `call` of the "
                "model, and of each layer around this one, an argument `training` and pass it "
                "on: `self.layer(inputs, training=training)`.",
                stacklevel=6,
            )
        self._idle_before |= idle

    def _results(self, training):
        results = {
            f"{name}_rate": tracker.result(training) for name, tracker in self._trackers().items()
        }
        return {name: rate for name, rate in results.items() if rate is not None}

    def _trackers(self):
        """Return the rate trackers of the model's layers by name."""
        return {name: layer.rate_tracker for name, layer in named_layers(self.model).items()}
