"""AmplitudeLayer: what all layers of an amplitude have in common."""

import keras
from keras import ops
from keras import tree

from keras_slashed.hyperparameters import HyperparameterLayer
from keras_slashed.layers.rate_tracker import RateTracker
from keras_slashed.one_tensor import check_one_amplitude
from keras_slashed.ops.floats import to_float_tensor
from keras_slashed.validation import check_amplitude_shape
from keras_slashed.validation import check_mask_shape


class AmplitudeLayer(HyperparameterLayer):
    """A layer of one amplitude, with a mask and a mean of the rates that it sees.

    A subclass checks the shapes of its inputs in `call`, which symbolic calls run too, and
    in `build` the one that its state depends on.

    Attributes:
        rate_tracker: The rate reached, for `RateMonitor`.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.rate_tracker = RateTracker()
        self.supports_masking = True

    def __call__(self, amplitude, *args, **kwargs):
        # Before Keras counts the inputs: its message has no way out.
        check_one_amplitude(amplitude)
        return super().__call__(amplitude, *args, **kwargs)

    def compute_output_spec(self, *args, **kwargs):
        # Keras does not trace `call` where there is a `compute_output_shape`.
        args, kwargs = tree.map_structure(_dense, (args, kwargs))
        try:
            return keras.Operation.compute_output_spec(self, *args, **kwargs)
        except ValueError as error:
            # Keras says before the message that `call` is wrong or a method missing.
            raise (error.__context__ or error) from None

    def checked(self, amplitude, mask, amplitude_mask):
        """Return the amplitude of a call as a float tensor, and its mask as one or None."""
        amplitude = to_float_tensor(amplitude)
        check_amplitude_shape(amplitude.shape)
        # With another tensor beside the amplitude, Keras calls the latter's mask so.
        mask = amplitude_mask if mask is None else mask
        if mask is not None:
            mask = ops.cast(ops.convert_to_tensor(mask), "bool")
            check_mask_shape(mask.shape, amplitude.shape)
        return amplitude, mask

    def _saved_variables(self):
        # Two layers that share a tracker both have the mean rates in files, as ever, though
        # they are a weight of one of them.
        variables = super()._saved_variables()
        shared = self.rate_tracker.variable
        if shared is None or any(variable is shared for variable in variables):
            return variables
        return [*variables, shared]


def _dense(x):
    # To Keras the product of a symbolic tensor and a number is sparse, which it is not.
    return keras.KerasTensor(x.shape, x.dtype) if getattr(x, "sparse", False) is True else x
