"""calibrate: set moving mean squares to those of data, for an exact rate at inference."""

import keras
import numpy as np
from keras import ops

from keras_slashed.calibration.data_pass import DataPass
from keras_slashed.evaluation.batches import check_data
from keras_slashed.layers.rate_normalization import RateNormalization
from keras_slashed.validation import check_positive_integer

# Two passes agree if they differ by less than this, since their sums may round differently.
_SAME = 1e-6


def calibrate(model, x, batch_size=32, verbose=0, include_frozen=False):
    """Set the moving mean squares of the layers of a model to those of data, exactly.

    At inference, "batch" and "feature" use an average over past training batches. It lags behind
    amplitudes that grow, so that the rate at inference differs from the rate that you set. This
    function runs the model over data with its present weights, entirely at inference, and sets
    each moving mean square to that of these data. The mean rate on these data at inference is
    then the rate that you set, to rounding.

    Nothing else changes: the weights, the optimizer and the state of the noise stay as they are.
    If training continues, the average continues from the mean square of the data.

    Calibrate with training data, before you evaluate or save a model. The loss may increase. A
    model with a rate above the one that you set also predicts better than the set rate allows.
    For example, a classifier of scikit-learn's digits with 1.57 times its set rate had a test
    loss of 0.45 nats and an error of 7.1 %. After calibration, it has 0.65 nats and 7.8 %
    (`results/rate_at_inference`: "batch", momentum 0.99, learning rate 1e-2, 20 epochs).

    If one layer follows another, they are calibrated in order, in at most one pass over the data
    for each layer. The passes end when one of them changes nothing. A layer with
    `inference="sample"` draws the same noise in each pass. If a layer receives its own output in
    a loop, its rate only approximates the rate that you set, and each call of this function
    improves the approximation. Under a `keras.distribution`, the number of devices must divide the
    size of each batch, including the last one, as for `keras.Model.predict`.

    Args:
        model: `keras.Model` or any layer, with `FixedRateVIB` or `RateNormalization` layers at
            any depth. A layer with "instance" needs no calibration.
        x: Arrays, a `tf.data.Dataset`, a `keras.utils.PyDataset`, a torch `DataLoader` or any
            iterable of batches, as for `keras.Model.predict`. If batches are `(x, y)` or
            `(x, y, sample_weight)`, only x is used.
        batch_size: Integer. Number of rows in a batch, if x consists of arrays.
        verbose: 0, 1, 2 or "auto". Progress bar of each pass, as for `keras.Model.predict`.
        include_frozen: Boolean. Whether to calibrate layers with `trainable=False` too.

    Raises:
        ValueError: If an argument has the wrong type, the model has no layer to calibrate, no
            instance of x counts, or a mean square is not finite. The statistics of all layers are
            then unchanged. On TensorFlow and JAX, also if a layer is called in a loop over time
            that is not unrolled.

    Example:

    >>> model = keras.Sequential(
    ...     [keras.layers.Dense(8), keras_slashed.layers.RateNormalization(2.0)]
    ... )
    >>> x = keras.random.normal((64, 4))
    >>> keras_slashed.calibration.calibrate(model, x)
    >>> round(keras_slashed.metrics.rate(model, x), 4)
    2.0

    Reference:
        Slashed Normal, appendix E.1, on the running statistics, which this replaces by exact ones.
    """
    check_data_and_size(x, batch_size)
    calibration = Calibration(model, include_frozen)
    if calibration.only_frozen:
        raise ValueError(
            "All layers of the model that have a moving mean square are frozen. Expected: "
            "include_frozen=True, or a layer with trainable=True. "
            f"Received: model={model.name!r}, include_frozen={include_frozen}"
        )
    calibration.run(x, batch_size, verbose)


class NotFiniteError(ValueError):
    """Raised if a mean square is infinite or NaN."""


class Calibration:
    """Calibrates the layers of a model any number of times, and compiles only once.

    Args:
        model: `keras.Model`, or any layer, as for `calibrate`.
        include_frozen: Boolean, as for `calibrate`.

    Attributes:
        only_frozen: Boolean. Whether all layers with a moving mean square are frozen, and there
            is at least one.

    Raises:
        ValueError: If the model has no `RateNormalization` layer.
    """

    def __init__(self, model, include_frozen=False):
        self._model = model
        self._include_frozen = include_frozen
        layers, self._layers = _layers_to_calibrate(model, include_frozen)
        self.only_frozen = bool(layers) and not self._layers
        self._data_pass = DataPass(model, self._layers) if self._layers else None

    def fits(self, model):
        """Return whether a new calibration of a model would calibrate the same layers."""
        if model is not self._model:
            return False
        _, layers = _layers_to_calibrate(model, self._include_frozen)
        return layers == self._layers

    def run(self, x, batch_size=32, verbose=0):
        """Set the moving mean squares to those of x.

        Raises:
            ValueError: If no instance of x counts.
            NotFiniteError: If a mean square is not finite.
        """
        if not self._layers:
            return
        before = None
        passes = 0
        try:
            # The input of a layer is right once the layers before it are calibrated. Of n
            # layers, the first k are right after k passes, and all are right when a pass
            # changes nothing.
            while True:
                found = self._data_pass.mean_squares(x, batch_size, verbose)
                before = before or [_state(layer) for layer in self._layers]
                passes += 1
                same = [_set(layer, value) for layer, value in zip(self._layers, found)]
                if all(same) or passes >= self._data_pass.num_calls:
                    break
                check_repeatable(x)
            self._check(found)
        except BaseException:
            for layer, state in zip(self._layers, before or []):
                layer.moving_mean_square.assign(state[0])
                layer.moving_weight.assign(state[1])
            raise

    def _check(self, found):
        if all(value is None for value in found):
            raise ValueError(
                "Argument `x` must have at least one instance that counts for a layer with a "
                "moving mean square. A layer that the model never calls, or always with "
                f"`training=True`, has none. Received: none in {len(found)} layers"
            )
        for layer, value in zip(self._layers, found):
            if value is not None and not _is_finite(layer, value):
                raise NotFiniteError(
                    f"The mean square of the amplitudes of layer {layer.path!r} must be finite. "
                    f"Received: {value}"
                )


def _layers_to_calibrate(model, include_frozen):
    """Return the layers of a model that have a moving mean square, and those to calibrate."""
    layers = [layer for layer in _normalizations(model) if layer.normalization != "instance"]
    return layers, [layer for layer in layers if layer.trainable or include_frozen]


def _normalizations(model):
    """Return the `RateNormalization` layers at any depth of a model."""
    layers = model._flatten_layers() if isinstance(model, keras.layers.Layer) else ()
    found = [layer for layer in layers if isinstance(layer, RateNormalization)]
    if not found:
        raise ValueError(
            "Argument `model` must be a Keras model with at least one FixedRateVIB or "
            f"RateNormalization layer. Received: model={model}"
        )
    return found


def check_data_and_size(x, batch_size):
    """Raise a ValueError unless x may be data, and the batch size an integer or None."""
    check_data(x)
    if batch_size is not None:  # Keras' own default
        check_positive_integer("batch_size", batch_size)


def check_repeatable(x):
    """Raise a ValueError if data can be iterated over only once."""
    if hasattr(x, "__next__"):
        raise ValueError(
            "Argument `x` must be data that can be iterated over several times, such as an array, "
            f"a `tf.data.Dataset` or a `keras.utils.PyDataset`. Received: x={x}"
        )


def _state(layer):
    variables = layer.moving_mean_square, layer.moving_weight
    return [np.array(ops.convert_to_numpy(variable)) for variable in variables]


def _is_finite(layer, mean_square):
    with np.errstate(over="ignore"):  # float64 numbers may be out of the range of float32
        return np.isfinite(mean_square.astype(layer.moving_mean_square.dtype)).all()


def _set(layer, mean_square):
    """Set the statistic of a layer, if there is a new one, and return whether it is unchanged."""
    if mean_square is None:
        return True
    if not _is_finite(layer, mean_square):
        return False
    total, weight = _state(layer)
    layer.moving_mean_square.assign(mean_square)
    layer.moving_weight.assign(1.0)
    return bool(weight) and np.allclose(total / weight, mean_square, rtol=_SAME, atol=0.0)
