"""Hyperparameters of a layer: scalars that can change without retracing, and are not weights."""

import keras
import numpy as np
from keras import ops


def constant(value):
    """Return an initializer of a number: that of Keras rounds it to float32 on TensorFlow."""
    return lambda shape, dtype=None: ops.full(shape, value, dtype)


class HyperparameterLayer(keras.layers.Layer):
    """A layer some of whose variables are not weights.

    A compiled function reads a hyperparameter from a variable, so that assigning to it takes
    effect at once. But unlike a weight it belongs to the code and not to the file: `weights`,
    `get_weights` and `set_weights` leave it out (and with them
    `EarlyStopping(restore_best_weights=True)`), `load_weights` does not change it, and
    `get_config` reports its present value. What a callback changes for the length of one
    training is neither saved nor in the configuration.

    A weights file holds the hyperparameters too, where versions before held them as weights:
    the places of all other entries stay as they were, and each version reads the other's files.

    Subclasses name the attributes that hold such variables.
    """

    HYPERPARAMETERS = ()
    TRAINING_STATE = ()

    def add_scalar(self, name, value, dtype="float32"):
        """Add a scalar variable that does not train, in its own dtype whatever the policy."""
        return self.add_weight(
            shape=(),
            initializer=constant(value),
            dtype=dtype,
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


def number_of(variable, told):
    """Return the value of a scalar variable: `told` itself, if that is what it holds.

    The variable rounds what it was told. A number that was assigned to it since is returned with
    as few digits as tell it from its neighbors, 0.1 rather than 0.10000000149.
    """
    value = np.asarray(ops.convert_to_numpy(variable))[()]
    return told if value == value.dtype.type(told) else float(str(value))
