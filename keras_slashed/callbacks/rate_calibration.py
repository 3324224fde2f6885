"""RateCalibration: the rate that was set in each validation, and after training."""

import warnings

import keras

from keras_slashed.calibration.mean_squares import Calibration
from keras_slashed.calibration.mean_squares import NotFiniteError
from keras_slashed.calibration.mean_squares import check_repeatable


class RateCalibration(keras.callbacks.Callback):
    """Calibrate the layers of a model before each validation and at the end of `fit`.

    It calls `keras_slashed.calibration.calibrate`: validation then measures the model at
    the rate that was set, and so does whoever uses the model after `fit`. Each time costs
    a pass over x at inference, or several where layers stand behind one another; a part of
    the training data is enough for a mean square that is right to about
    `1 / sqrt(number of instances)`. Frozen layers stay as they are.

    Callbacks that act at the end of `fit` act in the order in which they are passed. After
    `EarlyStopping(restore_best_weights=True)` this one calibrates the best weights; before
    it, they come back with the statistic of their own validation, which is the same
    wherever their epoch had one. `ModelCheckpoint` saves at the end of an epoch: what it
    saves is calibrated if that epoch had a validation.

    Where a mean square is not finite, as it is once the loss is NaN, the statistics stay as
    they are, with a warning.

    Args:
        x: Training data, or a part of them, without labels or with: arrays, or a data set as
            for `keras.Model.predict` that can be iterated over several times.
        batch_size: Integer. Number of rows of a batch, where x is arrays.
        verbose: 0, 1, 2 or "auto". Progress bar of each pass.

    Raises:
        ValueError: x is an iterator. In `fit`: the model has no layer to calibrate.

    Example:

    >>> x, y = keras.random.normal((64, 4)), keras.ops.zeros((64, 1))
    >>> model = keras.Sequential([
    ...     keras.layers.Dense(8),
    ...     keras_slashed.layers.FixedRateVIB(rate=2.0, name="bottleneck"),
    ...     keras.layers.Dense(1),
    ... ])
    >>> model.compile("sgd", "mse")
    >>> history = model.fit(
    ...     x, y, verbose=0, validation_data=(x, y),
    ...     callbacks=[
    ...         keras_slashed.callbacks.RateCalibration(x),
    ...         keras_slashed.callbacks.RateMonitor(),
    ...     ],
    ... )
    >>> round(history.history["val_bottleneck_rate"][0], 4)
    2.0
    """

    def __init__(self, x, batch_size=32, verbose=0):
        super().__init__()
        check_repeatable(x)
        self.x = x
        self.batch_size = batch_size
        self.verbose = verbose
        self._calibration = None

    def on_train_begin(self, logs=None):
        # Each time: which layers are frozen may have changed since the last `fit`.
        self._calibration = Calibration(self.model)

    def on_test_begin(self, logs=None):
        self._calibrate()

    def on_train_end(self, logs=None):
        self._calibrate()

    def _calibrate(self):
        if self._calibration is None or self._calibration.model is not self.model:
            self._calibration = Calibration(self.model)
        try:
            self._calibration.run(self.x, self.batch_size, self.verbose)
        except NotFiniteError as error:
            warnings.warn(f"RateCalibration changed nothing. {error}", stacklevel=2)
