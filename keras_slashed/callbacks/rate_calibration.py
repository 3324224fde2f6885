"""RateCalibration: calibrate layers before each validation and after training."""

import warnings

import keras

from keras_slashed.calibration.mean_squares import Calibration
from keras_slashed.calibration.mean_squares import NotFiniteError
from keras_slashed.calibration.mean_squares import check_data_and_size
from keras_slashed.calibration.mean_squares import check_repeatable


class RateCalibration(keras.callbacks.Callback):
    """Calibrate the layers of a model before each validation and at the end of `fit`.

    The callback calls `keras_slashed.calibration.calibrate`. Validation then evaluates the model
    at the rate that you set, and so does any later use of the model. Each calibration takes a
    pass over x at inference, or several passes if one layer follows another. A part of the
    training data suffices: the relative error of the mean square is about
    `1 / sqrt(number of instances)`. Frozen layers do not change.

    Callbacks that act at the end of `fit` do so in the order in which you pass them. If this
    callback comes after `EarlyStopping(restore_best_weights=True)`, it calibrates the best
    weights. If it comes before, the best weights are restored with the mean square of their own
    validation, which is the same if their epoch had a validation. `ModelCheckpoint` saves at the
    end of an epoch. The saved model is calibrated if that epoch had a validation.

    If a mean square is not finite, for example because the loss is NaN, the callback changes
    nothing and issues a warning.

    Args:
        x: Arrays, or a data set as for `keras.Model.predict` that can be iterated over several
            times. The training data or a part of them, with or without labels.
        batch_size: Integer. Number of rows in a batch, if x consists of arrays.
        verbose: 0, 1, 2 or "auto". Progress bar of each pass.

    Raises:
        ValueError: If x is not data or is an iterator, or `batch_size` is not positive. In `fit`,
            if the model has no layer to calibrate.

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

    Reference:
        Slashed Normal, appendix E.1, on the running statistics, which this replaces by exact ones.
    """

    def __init__(self, x, batch_size=32, verbose=0):
        super().__init__()
        check_data_and_size(x, batch_size)
        check_repeatable(x)
        self.x = x
        self.batch_size = batch_size
        self.verbose = verbose
        self._calibration = None

    def on_train_begin(self, logs=None):
        # Create it for each `fit`, since the model may have been compiled in another way.
        self._calibration = Calibration(self.model)

    def on_test_begin(self, logs=None):
        self._calibrate()

    def on_train_end(self, logs=None):
        self._calibrate()

    def _calibrate(self):
        # Layers may have been frozen since the last calibration.
        if self._calibration is None or not self._calibration.fits(self.model):
            self._calibration = Calibration(self.model)
        try:
            self._calibration.run(self.x, self.batch_size, self.verbose)
        except NotFiniteError as error:
            warnings.warn(f"RateCalibration changed nothing. {error}", stacklevel=2)
