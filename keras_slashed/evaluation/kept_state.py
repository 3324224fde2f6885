"""What a model changes when it is called at inference, and how it gets its values back."""

import keras
import numpy as np
from keras import ops
from keras import tree


class KeptState:
    """The seeds and the recurrent states of models, as they are now.

    Args:
        parts: List of objects. Those that are layers, models or methods of one count.
    """

    def __init__(self, parts):
        parts = [getattr(part, "__self__", part) for part in parts]
        layers = (part for part in parts if isinstance(part, keras.layers.Layer))
        self._kept = [
            (variable, np.array(ops.convert_to_numpy(variable)))
            for part in layers
            for layer in part._flatten_layers()
            for variable in _state_of(layer)
        ]

    def restore(self):
        """Give the variables the values that they had."""
        for variable, value in self._kept:
            variable.assign(value)


def _state_of(layer):
    """Return the variables that a call changes, also at inference."""
    recurrent = getattr(layer, "states", None) if getattr(layer, "stateful", False) else None
    states = [state for state in tree.flatten(recurrent) if isinstance(state, keras.Variable)]
    return [generator.state for generator in layer._seed_generators] + states
