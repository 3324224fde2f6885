"""A pass over data at inference that computes the mean squares that layers normalize by."""

import contextlib

import numpy as np
from keras import ops

from keras_slashed.backend import kept_random_state
from keras_slashed.backend import sum_over_replicas
from keras_slashed.evaluation.compiled import Compiled
from keras_slashed.evaluation.kept_state import KeptState
from keras_slashed.keras_faults.unharmed_predict import unharmed_predict
from keras_slashed.layers.recording import recording


class DataPass:
    """The mean squares that the layers of a model compute in a pass over data at inference.

    `keras.Model.predict` runs the pass. It therefore determines what data are allowed, on how
    many devices they are processed, and how progress is shown. The pass is compiled once for any
    number of runs.

    Args:
        model: `keras.Model`, or any layer.
        layers: List of `RateNormalization` layers in the model.
    """

    def __init__(self, model, layers):
        self._layers = layers
        self._model = model
        # Total number of calls of the layers by the model. A trace updates it.
        self.num_calls = len(layers)
        # It runs on the same devices as the model, for example in a `tf.distribute` strategy.
        strategy = getattr(model, "distribute_strategy", None)
        with strategy.scope() if strategy else contextlib.nullcontext():
            self._compiled = Compiled(self._squares_of_batch, [model])
        for how in ("run_eagerly", "jit_compile"):
            if hasattr(model, how):
                setattr(self._compiled, how, getattr(model, how))

    def mean_squares(self, x, batch_size, verbose):
        """Return the mean square of each layer in float64, or None if no instance counts.

        The noise of the layers is the same in each pass. Its state, those of stateful recurrent
        layers, and PyTorch's global random numbers are restored afterward.
        """
        kept = KeptState([self._model])
        try:
            with unharmed_predict(self._compiled), kept_random_state():
                found = self._compiled.predict(x, batch_size=batch_size, verbose=verbose)
        except UnboundLocalError as error:  # Keras raises it if there is no batch
            raise ValueError(
                f"Argument `x` must have at least one instance. Received: x={x}"
            ) from error
        finally:
            kept.restore()
        return [self._mean_square(layer, *of_layer) for layer, of_layer in zip(self._layers, found)]

    def _squares_of_batch(self, inputs):
        if not all(layer.built for layer in self._model._flatten_layers()):
            with recording():  # these records of symbolic calls are dropped
                self._model(inputs, training=False)
        with recording() as records:
            self._model(inputs, training=False)
            self.num_calls = sum(len(records[layer]) for layer in self._layers)
            return [_rows(records[layer]) for layer in self._layers]

    def _mean_square(self, layer, mean_squares, weights):
        weights = np.float64(weights)
        sums = np.concatenate([weights * mean_squares, weights], axis=-1).sum(axis=0)
        if layer.synchronized:
            sums = ops.convert_to_numpy(sum_over_replicas(ops.convert_to_tensor(sums)))
        *total, weight = np.float64(sums)
        if weight == 0.0:
            return None
        return np.reshape(total, layer.moving_mean_square.shape) / weight


def _rows(records):
    """Return the records of the calls of a layer as rows, or zeros if it was not called."""
    if not records:
        return ops.zeros((1, 1)), ops.zeros((1, 1))
    columns = ([ops.reshape(value, (1, -1)) for value in values] for values in zip(*records))
    return tuple(ops.concatenate(column) for column in columns)
