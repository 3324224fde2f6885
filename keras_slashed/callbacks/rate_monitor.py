"""RateMonitor: the rate each layer really reaches, epoch by epoch."""

import keras


class RateMonitor(keras.callbacks.Callback):
    """Log the achieved rate of every keras_slashed layer of a model, in nats.

    After each epoch `history.history` and the progress line hold
    `<layer name>_rate`, the mean rate of an instance over the epoch's training
    batches, and with validation data `val_<layer name>_rate`. Batches count by
    their number of instances, masked positions do not count. It needs no train
    step of its own and works on every backend, with nested models too.

    Layers reported: `FixedRateVIB` (once, not its parts), `RateNormalization`
    and `SlashedNormalSampling`. Two layers of one name are told apart by their
    paths. Pass it to `fit`, or to `evaluate` to see `<layer name>_rate` in the
    progress line.

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
        self._in_fit = False
        self._validation_rates = {}

    def on_train_begin(self, logs=None):
        self._in_fit = True
        self._count_inference(True)

    def on_train_end(self, logs=None):
        self._in_fit = False
        self._count_inference(False)

    def on_epoch_begin(self, epoch, logs=None):
        self._validation_rates = {}
        for tracker in self._trackers().values():
            tracker.reset(training=True)

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs.update(self._results(training=True))
            logs.update({f"val_{name}": rate for name, rate in self._validation_rates.items()})

    def on_test_begin(self, logs=None):
        if not self._in_fit:
            self._count_inference(True)
        for tracker in self._trackers().values():
            tracker.reset(training=False)

    def on_test_end(self, logs=None):
        self._validation_rates = self._results(training=False)
        if not self._in_fit:
            self._count_inference(False)
            if logs is not None:
                logs.update(self._validation_rates)

    def _results(self, training):
        results = {
            f"{name}_rate": tracker.result(training) for name, tracker in self._trackers().items()
        }
        return {name: rate for name, rate in results.items() if rate is not None}

    def _trackers(self):
        """Return the rate trackers of the model's layers by name."""
        layers = dict(_layers_with_a_rate(self.model))
        names = [layer.name for layer in layers.values()]
        return {
            layer.name if names.count(layer.name) == 1 else path: layer.rate_tracker
            for path, layer in layers.items()
        }

    def _count_inference(self, count):
        trackers = self._trackers().values()
        for tracker in trackers:
            tracker.at_inference = count
        if trackers:
            # A test function that is traced already would go on as before.
            self.model.make_test_function(force=True)


def _layers_with_a_rate(layer, path=()):
    """Yield the paths and layers below a layer that have a rate, each once.

    Paths of our own: `Layer.path` leaves out the functional submodel a layer is
    in. A layer's parts are not looked into, so `FixedRateVIB` is one.
    """
    seen = set()
    for child in layer._flatten_layers(recursive=False, include_self=False):
        child_path = (*path, child.name)
        if hasattr(child, "rate_tracker"):
            found = [("/".join(child_path), child)]
        else:
            found = _layers_with_a_rate(child, child_path)
        for name, found_layer in found:
            if id(found_layer) not in seen:
                seen.add(id(found_layer))
                yield name, found_layer
