"""Hyperparameters of a layer: scalars that can change without retracing and are not weights."""

import keras
import numpy as np
from keras import ops


def constant(value):
    """Return an initializer for a number. That of Keras rounds it to float32 on TensorFlow."""
    return lambda shape, dtype=None: ops.full(shape, value, dtype)


def wide_dtype(layer):
    """Return the dtype of scalars and statistics of a layer: float32, or float64 in float64."""
    return "float64" if layer.variable_dtype == "float64" else "float32"


class HyperparameterLayer(keras.layers.Layer):
    """A layer with some variables that are not weights.

    Compiled functions read a hyperparameter from a variable, so that an assignment takes effect
    immediately. Unlike a weight, a hyperparameter belongs to the code and not to the file.
    `weights`, `get_weights` and `set_weights` do not include it, and therefore neither does
    `EarlyStopping(restore_best_weights=True)`. `load_weights` does not change it, and
    `get_config` returns its present value. A value that a callback changes for the duration of
    one training is neither saved nor part of the configuration.

    A weights file also contains the hyperparameters, since earlier versions saved them as
    weights. All other entries keep their positions, so that each version can read the files of
    the other.

    Subclasses list the names of the attributes with such variables.
    """

    HYPERPARAMETERS = ()
    TRAINING_STATE = ()

    def add_scalar(self, name, value):
        """Add a non-trainable scalar variable in float32 or wider, whatever the dtype policy."""
        return self.add_weight(
            shape=(),
            initializer=constant(value),
            dtype=wide_dtype(self),
            trainable=False,
            autocast=False,
            name=name,
        )

    @property
    def weights(self):
        excluded = self._ids(self.HYPERPARAMETERS + self.TRAINING_STATE)
        return [weight for weight in super().weights if id(weight) not in excluded]

    def save_own_variables(self, store):
        for index, variable in enumerate(self._saved_variables()):
            store[str(index)] = variable

    def load_own_variables(self, store):
        variables = self._saved_variables()
        present = [str(index) in store.keys() for index in range(len(variables) + 1)]
        if not all(present[:-1]) or present[-1]:
            raise ValueError(
                f"Layer {self.name!r} expected {len(variables)} variables, but received "
                f"{len(store.keys())} variables during loading. "
                f"Expected: {[variable.name for variable in variables]}. The layer is "
                f"{'built' if self.built else 'not built'}."
            )
        hyperparameters = self._ids(self.HYPERPARAMETERS)
        for index, variable in enumerate(variables):
            if id(variable) not in hyperparameters:
                variable.assign(store[str(index)])

    def _saved_variables(self):
        variables = self._trainable_variables + self._non_trainable_variables
        excluded = self._ids(self.TRAINING_STATE)
        return [variable for variable in variables if id(variable) not in excluded]

    def _ids(self, names):
        return {id(getattr(self, name, None)) for name in names}


def number_in(value):
    """Return the number in a scalar variable or tensor, and any other value unchanged."""
    if isinstance(value, keras.Variable) or (ops.is_tensor(value) and tuple(value.shape) == ()):
        number = np.asarray(ops.convert_to_numpy(value))
        return _shortest(number[()]) if number.shape == () else value
    return value


def number_of(variable, told):
    """Return the value of a scalar variable, exactly `told` if the variable contains that number.

    The variable rounds the number that was assigned to it. Any other value is returned with as
    few digits as distinguish it from its neighbors, 0.1 instead of 0.10000000149.
    """
    value = np.asarray(ops.convert_to_numpy(variable))[()]
    return told if value == value.dtype.type(told) else _shortest(value)


def _shortest(number):
    return float(str(number))
