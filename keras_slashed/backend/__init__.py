"""What each Keras backend needs of its own; only the active one is imported.

The modules named after a backend define `with_derivative(function, derivative)`:
the elementwise `function(x, *others)`, fused into one kernel where the framework
can, with `derivative(x, *others, y)` as its derivative by x in every
differentiation mode and to every order that the framework offers. The others are
functions of x themselves, whose share is in that derivative. It may take the value
of y from the forward pass, but its own derivative has to get y from x anew.
They define `input_gradient(function, x)` too: the gradient at the tensor x, and what
else there is, of a function that returns `(scalar, auxiliary)`.

The modules `replicas_*` define what a step on several devices needs:
`sum_over_replicas(x)` adds up a tensor over all devices that share a step, by the
framework's own collective, differentiable; `sum_over_mirrored_replicas(x)` does so
only where these devices write to the same variables, and
`gather_from_mirrored_replicas(x)` joins its rows there; `replica_index()` tells the
devices apart. On a single device they return `x`, `x`, `x` and 0. In `kept_losses(layer)`,
a context, a layer may do any of this, or assign to variables, at no loss of the losses
that were added before.
"""

import keras

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
    from keras_slashed.backend.torch import with_derivative
else:
    # NumPy and OpenVINO infer and never differentiate.
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
    "replica_index",
    "sum_over_mirrored_replicas",
    "sum_over_replicas",
    "with_derivative",
]
