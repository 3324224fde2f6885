"""save_reusable: save a model as a SavedModel that TensorFlow Hub can load and train."""

import keras
from keras import tree


def save_reusable(model, filepath, input_signature=None):
    """Save a model as a reusable SavedModel, which TensorFlow Hub can load and train.

    `model.export` writes endpoints for serving. This function writes a callable object for
    `hub.load` and for `hub.KerasLayer` in models of `tf_keras`. It has these attributes:

    - `__call__(inputs, training=False, return_loss=False)`: the model. With `training=True`, a
      call updates moving statistics and draws noise in the same way as the Keras model. With
      `return_loss=True`, it returns `(outputs, loss)`. The loss is the sum of all losses that
      the layers add: weighted rates and activity regularizers.
    - `variables` and `trainable_variables`: those of the model. A frozen layer has no
      trainable variables.
    - `regularization_losses`: functions without arguments. One returns the loss that the
      layers added in the last call, unless that call returned it. Another returns the sum of
      the weight regularizers. Each is missing if the model has no such loss.

    `hub.KerasLayer(filepath, trainable=True)` adds `regularization_losses` to the loss. `fit`
    therefore trains with the rates, and `evaluate` includes them. A function without arguments
    does not receive the inputs. It computes the loss of the last call again, from the stored
    inputs of that call and with the same noise. The value is the same, and so is the gradient
    with respect to the model's own weights. This method has limits:

    - Layers in front of the model get no gradient of the rates.
    - If a step calls the model several times, only the last call counts.
    - The inputs of the last call stay in memory. A TensorFlow checkpoint that is written
      afterward contains them.
    - It requires a second forward pass up to the rates.

    With `return_loss=True` the loss is an output instead, and none of these limits applies:

    ```python
    layer = hub.KerasLayer("encoder", trainable=True, arguments={"return_loss": True})
    outputs, loss = layer(inputs)
    model = tf_keras.Model(inputs, outputs)
    model.add_loss(loss)
    ```

    The file contains the values of all variables, including moving statistics. Everything else
    is fixed when the file is written: whether layers draw at inference, the number of samples,
    and dtypes. Derivatives of second and higher order are those of the operations of the first
    derivative, since TensorFlow saves no others. A model of `tf_keras` with such a layer cannot
    be compiled with `jit_compile=True` if the layers add a loss.

    Args:
        model: `keras.Model`. A built model on the TensorFlow backend.
        filepath: String or `pathlib.Path`. Path of the folder to write.
        input_signature: `keras.InputSpec` with a shape and a dtype, or a list or dictionary of
            them. Signature of the inputs. Defaults to the inputs of the model, with any batch
            size. A subclassed model requires it.

    Raises:
        ValueError: If the backend is not TensorFlow, the model is not a built `keras.Model`, or
            `input_signature` lacks a shape or a dtype.

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
            "A reusable SavedModel requires the TensorFlow backend. Save the model with "
            "`model.save`, and load it in a process with KERAS_BACKEND=tensorflow. "
            f"Received: keras.backend.backend()={keras.backend.backend()!r}"
        )
    if not isinstance(model, keras.Model) or not model.built:
        raise ValueError(f"Argument `model` must be a built `keras.Model`. Received: model={model}")
    if input_signature is None:
        input_signature = _signature_of(model)
    for spec in tree.flatten(input_signature):
        if getattr(spec, "shape", None) is None or getattr(spec, "dtype", None) is None:
            raise ValueError(
                "Argument `input_signature` must be a structure of `keras.InputSpec`, each with "
                "a shape and a dtype. A subclassed model requires it. "
                f"Received: input_signature={input_signature}"
            )
    # Import it only here, since it imports TensorFlow.
    from keras_slashed.backend import reusable_saved_model

    reusable_saved_model.save(model, str(filepath), input_signature)


def _signature_of(model):
    """Return the inputs of a functional or sequential model, or None for other models."""
    sequential = isinstance(model, keras.Sequential)
    inputs = getattr(model, "inputs" if sequential else "input", None)
    if isinstance(inputs, list | tuple) and len(inputs) == 1:
        (inputs,) = inputs
    if inputs is None:
        return None
    return tree.map_structure(
        lambda x: keras.InputSpec(shape=(None, *x.shape[1:]), dtype=x.dtype, name=x.name), inputs
    )
