"""What each Keras backend needs of its own; only the active one is imported.

Every module here defines `with_derivative(function, derivative)`: the elementwise
`function(x, *others)`, fused into one kernel where the framework can, with
`derivative(x, *others, y)` as its derivative by x in every differentiation mode
and to every order that the framework offers. The others are functions of x
themselves, whose share is in that derivative. It may take the value of y from the
forward pass, but its own derivative has to get y from x anew.
"""

import keras

if keras.backend.backend() == "tensorflow":
    from keras_slashed.backend.tensorflow import with_derivative
elif keras.backend.backend() == "jax":
    from keras_slashed.backend.jax import with_derivative
elif keras.backend.backend() == "torch":
    from keras_slashed.backend.torch import with_derivative
else:
    # NumPy and OpenVINO infer and never differentiate.
    from keras_slashed.backend.numpy import with_derivative

__all__ = ["with_derivative"]
