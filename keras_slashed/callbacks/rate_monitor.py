"""RateMonitor: log the achieved rate of each layer in every epoch."""

import warnings
import weakref

import keras

from keras_slashed.callbacks.named_layers import named_layers


class RateMonitor(keras.callbacks.Callback):
    """Log the achieved rate of every keras_slashed layer of a model, in nats.

    After each epoch, `history.history` and the progress bar contain `<layer name>_rate`, the mean
    rate of an instance over the training batches of the epoch. With validation data they also
    contain `val_<layer name>_rate`. Batches are weighted by their number of instances. Masked
    positions do not count, and sample weights have no effect. The callback requires no custom
    train step. It works on every backend, with nested models too.

    The callback reports `FixedRateVIB` (once, without its sublayers), `RateNormalization` and
    `SlashedNormalSampling` layers. Layers with the same name are distinguished by their paths,
    and by a number if their paths are also the same. Pass the callback to `fit`, or to `evaluate`
    to see `<layer name>_rate` in the progress bar. In `fit`, put it before callbacks that read the
    rates from the logs, such as `CSVLogger`, `ModelCheckpoint` and `EarlyStopping`.

    A layer is idle if no step of an epoch called it with `training=True`. Like an idle `Dropout`
    layer it has no effect: it adds no noise, tracks no rate and updates no moving mean square.
    This happens in a subclassed model if its `call` has no `training` argument, or, on JAX, does
    not pass it on. The callback warns once per `fit` about each idle layer.

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
        # Test functions of the model: its own, and one that is traced with the tracking. The
        # reference to its own is weak: on JAX, a function that the model no longer has would
        # give its trace to the one that replaces it.
        self._own_test_function = self._tracking_test_function = None
        self._tracked_step = None

    def on_train_begin(self, logs=None):
        self._idle_before = set()

    def on_epoch_begin(self, epoch, logs=None):
        self._validation_rates = {}
        for tracker in self._trackers().values():
            tracker.reset(training=True)

    def on_epoch_end(self, epoch, logs=None):
        self._warn_of_idle_layers()
        if logs is not None:
            logs.update(self._results(training=True))
            logs.update({f"val_{name}": rate for name, rate in self._validation_rates.items()})

    def on_test_begin(self, logs=None):
        self._tracked_step = None
        trackers = list(self._trackers().values())
        if not trackers:
            return
        for tracker in trackers:
            tracker.reset(training=False)
        self._tracked_step = _TrackedStep(self.model, trackers)

    def on_test_batch_begin(self, batch, logs=None):
        if self._tracked_step is None:
            return
        if isinstance(self.model.test_function, _TrackedStep):
            # Of another monitor, or of an evaluation that ended just before a step.
            self.model.test_function.leave()
        own = self.model.test_function
        # If it is another one than last time, it was compiled again.
        if self._own_test_function is None or self._own_test_function() is not own:
            self._own_test_function = weakref.ref(own)
            self._tracking_test_function = _another_test_function(self.model)
        self._tracked_step.prepare(self._tracking_test_function)

    def on_test_end(self, logs=None):
        if self._tracked_step is None:
            return
        self._tracked_step = None
        self._validation_rates = self._results(training=False)
        if logs is not None:
            logs.update(self._validation_rates)

    def _warn_of_idle_layers(self):
        idle = {name for name, tracker in self._trackers().items() if tracker.is_idle()}
        for name in sorted(idle - self._idle_before):
            warnings.warn(
                f"Layer {name!r} was not called with `training=True` in this epoch of `fit`, so "
                "that it added no noise and its rate was not tracked. In the model, and in each "
                "layer around this one, give `call` an argument `training` and pass it on: "
                "`self.layer(inputs, training=training)`.",
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


class _TrackedStep:
    """A test function for one step, which tracks rates at inference.

    Nothing calls a callback after an interrupted evaluation. The step therefore restores the
    model's own test function before it runs, and switches the tracking off when it ends.

    Args:
        model: The model.
        trackers: List of `RateTracker` objects.
    """

    def __init__(self, model, trackers):
        self._model = model
        self._trackers = trackers
        self._own = self._function = None

    def prepare(self, function):
        """Have the model use this function in its next test step.

        Args:
            function: Test function of the model that was never traced without the tracking.
        """
        self._own, self._function = self._model.test_function, function
        self._model.test_function = self

    def leave(self):
        """Give the model its own function back."""
        self._model.test_function, self._own = self._own, None

    def __call__(self, *args):
        self.leave()
        for tracker in self._trackers:
            tracker.at_inference = True
        try:
            return self._function(*args)
        finally:
            for tracker in self._trackers:
                tracker.at_inference = False


def _another_test_function(model):
    """Return a test function of a model that shares no trace with the model's own."""
    own, step = model.test_function, model.test_step
    replaced = vars(model).get("test_step")
    # `jax.jit` uses the trace of an equal function, and all bound methods `test_step` are equal.
    model.test_step = lambda *args: step(*args)
    try:
        model.make_test_function(force=True)
        return model.test_function
    finally:
        model.test_function = own
        if replaced is None:
            del model.test_step
        else:
            model.test_step = replaced
