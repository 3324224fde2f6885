"""AmplitudeLayer: the base class of layers that take an amplitude."""

import numbers

import keras
import numpy as np
from keras import ops
from keras import tree

from keras_slashed.hyperparameters import HyperparameterLayer
from keras_slashed.layers.kl_loss import cast_to_loss_of_keras
from keras_slashed.layers.rate_tracker import RateTracker
from keras_slashed.one_tensor import check_one_amplitude
from keras_slashed.one_tensor import check_real
from keras_slashed.ops.floats import to_float_tensor
from keras_slashed.validation import check_amplitude_shape
from keras_slashed.validation import check_mask_shape
from keras_slashed.validation import check_number


class AmplitudeLayer(HyperparameterLayer):
    """Base class of layers that take one amplitude, support a mask and track the mean rate.

    A subclass checks the shapes of all inputs in `call`, which symbolic calls run too. In
    `build` it checks the shape that its state depends on.

    Attributes:
        rate_tracker: `RateTracker`. Records the achieved rate for `RateMonitor`.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        # Keras would also cast rates, priors and rotations to the compute dtype, which rounds
        # them before they are used in float32. `checked` casts only the amplitude.
        self._casts_amplitude, self.autocast = self.autocast, False
        self.rate_tracker = RateTracker()
        self.supports_masking = True

    def __call__(self, amplitude, *args, **kwargs):
        # Check before Keras counts and casts the inputs, since its message suggests no remedy.
        check_one_amplitude(amplitude)
        check_real(amplitude)
        return super().__call__(amplitude, *args, **kwargs)

    def add_loss(self, loss):
        super().add_loss(cast_to_loss_of_keras(loss))

    def compute_output_spec(self, *args, **kwargs):
        # Keras does not trace `call` if a layer defines `compute_output_shape`.
        args, kwargs = tree.map_structure(_dense, (args, kwargs))
        try:
            return keras.Operation.compute_output_spec(self, *args, **kwargs)
        except ValueError as error:
            # Keras prefixes the message with a claim that `call` is wrong or a method is missing.
            raise (error.__context__ or error) from None

    def checked(self, amplitude, mask, amplitude_mask):
        """Return the amplitude of a call in the compute dtype, and its mask as booleans or None."""
        amplitude = to_float_tensor(amplitude)
        if self._casts_amplitude and keras.backend.is_float_dtype(self.compute_dtype):
            amplitude = ops.cast(amplitude, self.compute_dtype)
        check_amplitude_shape(amplitude.shape)
        # Keras passes the amplitude's mask under this name if the call has other tensors.
        mask = amplitude_mask if mask is None else mask
        if mask is not None:
            mask = ops.cast(ops.convert_to_tensor(mask), "bool")
            check_mask_shape(mask.shape, amplitude.shape)
        return amplitude, mask

    def _saved_variables(self):
        # The mean rates are a weight of only one of two layers that share a tracker. Both
        # layers save them, so that the layout of saved files does not change.
        variables = super()._saved_variables()
        shared = self.rate_tracker.variable
        if shared is None or any(variable is shared for variable in variables):
            return variables
        return [*variables, shared]


class LayerWithRate(AmplitudeLayer):
    """Base class of layers whose call takes `rate` after the amplitude."""

    def __call__(self, amplitude, *args, **kwargs):
        # Keras makes a tensor of a NumPy scalar, whose value nothing can check later.
        if args:
            args = (_checked_rate(args[0]), *args[1:])
        elif "rate" in kwargs:
            kwargs = {**kwargs, "rate": _checked_rate(kwargs["rate"])}
        return super().__call__(amplitude, *args, **kwargs)


def _checked_rate(rate):
    """Check a scalar that is no tensor, and return it as a Python number."""
    if isinstance(rate, (str, numbers.Number, np.generic)) or (
        isinstance(rate, np.ndarray) and rate.ndim == 0
    ):
        rate = np.asarray(rate).item()
        check_number("rate", rate, minimum=0, of_what="of nats")
    return rate


def _dense(x):
    # Keras marks the product of a symbolic tensor and a number as sparse, although it is dense.
    return keras.KerasTensor(x.shape, x.dtype) if getattr(x, "sparse", False) is True else x
