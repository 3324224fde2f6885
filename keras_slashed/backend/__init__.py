"""Code that is specific to each Keras backend. Only the active one is imported.

The modules that are named after a backend define two functions.

- `with_derivative(function, derivative)` returns the elementwise `function(x, *others)`, fused
  into one kernel where the framework can do so. `derivative(x, *others, y)` is its derivative
  with respect to x, in every differentiation mode and to every order that the framework
  supports. The others are functions of x, and the derivative includes their contribution. It
  may use the value of y from the forward pass, but its own derivative must compute y from x
  again.
- `input_gradient(function, x)`, for a function that returns `(scalar, auxiliary)`, returns the
  gradient at the tensor x and the auxiliary output.

The modules `replicas_*` define the functions for a step on several devices.

- `sum_over_replicas(x)` adds up a tensor over all devices that share a step, by a
  differentiable collective of the framework.
- `sum_over_mirrored_replicas(x)` does so only if these devices write to the same variables.
- `gather_from_mirrored_replicas(x)` concatenates the rows of such devices.
- `replica_index()` returns a different number on each device.
- `kept_losses(layer)` is a context in which a layer may call these functions or assign to
  variables without losing the losses that were added before.

On a single device the first four return `x`, `x`, `x` and 0.

`kept_random_state()` is a context that restores PyTorch's global random numbers. Its data loader
draws from them even if it does not shuffle.
"""

import contextlib

import keras

kept_random_state = contextlib.nullcontext
if keras.backend.backend() == "tensorflow":
    from keras_slashed.backend import replicas_tensorflow as _replicas
    from keras_slashed.backend.tensorflow import input_gradient
    from keras_slashed.backend.tensorflow import with_derivative
elif keras.backend.backend() == "jax":
    from keras_slashed.backend import replicas_global as _replicas
    from keras_slashed.backend.jax import input_gradient
    from keras_slashed.backend.jax import with_derivative
elif keras.backend.backend() == "torch":
    from keras_slashed.backend import replicas_torch as _replicas
    from keras_slashed.backend.torch import input_gradient
    from keras_slashed.backend.torch import kept_random_state
    from keras_slashed.backend.torch import with_derivative
else:
    # NumPy and OpenVINO only run inference, without derivatives.
    from keras_slashed.backend import replicas_global as _replicas
    from keras_slashed.backend.numpy import input_gradient
    from keras_slashed.backend.numpy import with_derivative

gather_from_mirrored_replicas = _replicas.gather_from_mirrored_replicas
kept_losses = _replicas.kept_losses
replica_index = _replicas.replica_index
sum_over_mirrored_replicas = _replicas.sum_over_mirrored_replicas
sum_over_replicas = _replicas.sum_over_replicas

__all__ = [
    "gather_from_mirrored_replicas",
    "input_gradient",
    "kept_losses",
    "kept_random_state",
    "replica_index",
    "sum_over_mirrored_replicas",
    "sum_over_replicas",
    "with_derivative",
]
