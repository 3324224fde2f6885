"""save_reusable: a model as a SavedModel that TensorFlow Hub loads and trains."""

import keras
from keras import tree


def save_reusable(model, filepath, input_signature=None):
    """Write a model as a reusable SavedModel, which TensorFlow Hub loads and trains.

    `model.export` writes endpoints for serving. This function writes a callable object, for
    `hub.load` and for `hub.KerasLayer` in models of `tf_keras`. It has these attributes:

    - `__call__(inputs, training=False, return_loss=False)`: the model. A call in training
      updates moving statistics and draws noise, as that of the Keras model does. With
      `return_loss=True` it returns `(outputs, loss)`, where the loss is the sum of what the
      layers add to it: weighted rates and activity regularizers.
    - `variables` and `trainable_variables`: those of the model. A frozen layer has no
      trainable variables.
    - `regularization_losses`: functions without arguments. One returns the loss that the
      layers added in the last call, unless that call returned it; another returns the sum
      of the weight regularizers. Either is missing if the model has no such loss.

    `hub.KerasLayer(filepath, trainable=True)` adds `regularization_losses` to the loss, so
    that `fit` trains with the rates and `evaluate` counts them. A function without arguments
    knows no inputs: it computes the loss of the last call again, from the inputs of that call
    and with the same noise. The value is the same, and so is the gradient with respect to
    the model's own weights. This has its limits:

    - Layers in front of the model get no gradient of the rates.
    - Of several calls in a step only the last one counts.
    - The inputs of the last call stay in memory, and a TensorFlow checkpoint that is
      written afterward contains them.
    - It takes a second forward pass, up to the rates.

    With `return_loss=True` the loss is an output instead, and none of these limits applies:

    ```python
    layer = hub.KerasLayer("encoder", trainable=True, arguments={"return_loss": True})
    outputs, loss = layer(inputs)
    model = tf_keras.Model(inputs, outputs)
    model.add_loss(loss)
    ```

    The file contains the values of variables, moving statistics among them. Everything else
    is fixed when it is written: whether layers draw at inference, the number of samples,
    dtypes. Derivatives of second and higher order are those of the operations of the first
    derivative, since TensorFlow saves no others. A model of `tf_keras` with such a layer
    cannot be compiled with `jit_compile=True` if the layers add a loss.

    Args:
        model: A built `keras.Model`, on the TensorFlow backend.
        filepath: String or `pathlib.Path`. The folder to write.
        input_signature: One `keras.InputSpec` with a shape and a dtype, or a list or
            dictionary of them: what the model is called with. By default, the inputs of
            the model, with any batch size. A subclassed model needs it.

    Raises:
        ValueError: The backend is not TensorFlow, the model is not a built `keras.Model`,
            or `input_signature` lacks a shape or a dtype.

    Example:

    ```python
    inputs = keras.Input((6,))
    amplitude = keras.layers.Dense(8)(inputs)
    z = keras_slashed.layers.SlashedNormalSampling()(amplitude)
    keras_slashed.export.save_reusable(keras.Model(inputs, z), "encoder")

    layer = hub.KerasLayer("encoder", trainable=True)
    model = tf_keras.Sequential([layer, tf_keras.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(x, y)
    ```

    Reference:
        https://www.tensorflow.org/hub/reusable_saved_models
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "A reusable SavedModel requires the TensorFlow backend: save the model with "
            "`model.save`, and load it where KERAS_BACKEND is tensorflow. "
            f"Received: keras.backend.backend()={keras.backend.backend()!r}"
        )
    if not isinstance(model, keras.Model) or not model.built:
        raise ValueError(
            f"Argument `model` must be a `keras.Model` that is built. Received: model={model}"
        )
    if input_signature is None:
        input_signature = _signature_of(model)
    for spec in tree.flatten(input_signature):
        if getattr(spec, "shape", None) is None or getattr(spec, "dtype", None) is None:
            raise ValueError(
                "Argument `input_signature` must be a structure of `keras.InputSpec`, each with "
                "a shape and a dtype. A subclassed model requires it. "
                f"Received: input_signature={input_signature}"
            )
    # Here, since this imports TensorFlow.
    from keras_slashed.backend import reusable_saved_model

    reusable_saved_model.save(model, str(filepath), input_signature)


def _signature_of(model):
    """Return the inputs of a functional or sequential model, or None of another."""
    sequential = isinstance(model, keras.Sequential)
    inputs = getattr(model, "inputs" if sequential else "input", None)
    if isinstance(inputs, list | tuple) and len(inputs) == 1:
        (inputs,) = inputs
    if inputs is None:
        return None
    return tree.map_structure(
        lambda x: keras.InputSpec(shape=(None, *x.shape[1:]), dtype=x.dtype, name=x.name), inputs
    )
