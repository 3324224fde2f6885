"""Write a Keras model on TensorFlow as a reusable SavedModel, as defined by TensorFlow Hub."""

import keras
import tensorflow as tf

from keras_slashed.backend.tensorflow import saving

# Modes of the last call, whose loss `regularization_losses` returns.
_NONE, _INFERENCE, _TRAINING = range(3)


def save(model, filepath, input_signature):
    """Write a model for `keras_slashed.export.save_reusable`.

    Args:
        model: `keras.Model`. A built model.
        filepath: String. Path of the folder to write.
        input_signature: Structure of `keras.InputSpec`. Signature of the inputs of the model.
    """
    functions = _Functions(model, keras.tree.map_structure(_tensor_spec, input_signature))
    reusable = tf.train.Checkpoint()
    reusable.__call__ = functions.traced_call()
    reusable.regularization_losses = functions.regularization_losses()
    reusable.trainable_variables = [v.value for v in model.trainable_variables]
    reusable.variables = reusable.trainable_variables + functions.states
    # The last call is not among the variables, since fine-tuning must not treat it as weights.
    # Lookup tables are not variables either.
    reusable.last_call = functions.last_call()
    reusable.tables = [
        resource
        for resource in tf.train.TrackableView(model).descendants()
        if isinstance(resource, tf.saved_model.experimental.TrackableResource)
    ]
    with saving():
        tf.saved_model.save(reusable, filepath)


class _Functions:
    """The functions of a reusable SavedModel.

    `regularization_losses` are functions without arguments, but the losses that layers add depend
    on the inputs. Each call therefore stores its inputs, and the previous values of the states
    that it changes, mainly those of the noise. The function computes the loss from them again. It
    has the same value, and a gradient with respect to all weights.
    """

    def __init__(self, model, signature):
        self._model = model
        self._signature = signature
        self.states = [v.value for v in model.non_trainable_variables]
        self._changing = set()  # indices of the states that calls change
        self._adds_losses = False
        self._forward = {training: self._traced_forward(training) for training in (True, False)}
        self._kind = tf.Variable(_NONE, trainable=False)
        self._inputs = keras.tree.map_structure(_empty_variable, signature)
        self._before = {
            index: tf.Variable(self.states[index], trainable=False) for index in self._changing
        }

    def _traced_forward(self, training):
        """Return a function of inputs and states without side effects.

        It returns the outputs, the new values of the states that change, and the sum of the losses.
        """
        variables = self._model.non_trainable_variables

        def forward(inputs, states):
            scope = keras.StatelessScope(zip(variables, states), collect_losses=True)
            before = [scope.get_current_value(v) for v in variables]
            # With `stateless_call`, a layer that is called twice would keep only the loss of
            # its last call.
            with scope:
                outputs = self._model(inputs, training=training)
            after = [scope.get_current_value(v) for v in variables]
            changes = {i: x for i, x in enumerate(after) if x is not before[i]}
            self._changing |= set(changes)
            self._adds_losses |= bool(scope.losses)
            return outputs, changes, _sum(scope.losses)

        specs = [tf.TensorSpec(v.shape, v.dtype) for v in self.states]
        forward = tf.function(forward, input_signature=[self._signature, specs], autograph=False)
        forward.get_concrete_function()
        return forward

    def traced_call(self):
        """Return `__call__`, traced for all combinations of its flags."""
        call = tf.function(self._call, autograph=False)
        for training in (True, False):
            for return_loss in (False, True):
                call.get_concrete_function(self._signature, training, return_loss)
        return call

    def _call(self, inputs, training=False, return_loss=False):
        states = [tf.convert_to_tensor(state) for state in self.states]
        outputs, changes, loss = self._forward[training](inputs, states)
        if self._adds_losses:
            # A returned loss must not count twice.
            self._kind.assign(_NONE if return_loss else _TRAINING if training else _INFERENCE)
        if self._adds_losses and not return_loss:
            keras.tree.map_structure(lambda kept, x: kept.assign(x), self._inputs, inputs)
            for index, before in self._before.items():
                before.assign(states[index])
        for index, value in changes.items():
            self.states[index].assign(value)
        return (outputs, loss) if return_loss else outputs

    def last_call(self):
        """Return the variables that store the last call."""
        if not self._adds_losses:
            return []
        return [self._kind, *keras.tree.flatten(self._inputs), *self._before.values()]

    def regularization_losses(self):
        """Return the functions without arguments that compute losses."""
        losses = []
        if self._adds_losses:
            losses.append(self._loss_of_last_call)
        if any(v.regularizer for v in self._model.trainable_variables):
            losses.append(self._loss_of_weights)
        return [tf.function(loss, input_signature=[], autograph=False) for loss in losses]

    def _loss_of_last_call(self):
        # Read the inputs outside of the branches, since TensorFlow cannot compute the gradient
        # of a branch with respect to a variable of unknown shape.
        inputs = keras.tree.map_structure(tf.stop_gradient, self._inputs)
        states = [tf.convert_to_tensor(self._before.get(i, x)) for i, x in enumerate(self.states)]

        def loss_if(kind, training):
            return tf.cond(
                tf.equal(self._kind, kind),
                lambda: self._forward[training](inputs, states)[2],
                lambda: _sum([]),
            )

        # For the gradient of a single `tf.switch_case`, TensorFlow would log that types differ.
        return loss_if(_TRAINING, training=True) + loss_if(_INFERENCE, training=False)

    def _loss_of_weights(self):
        return _sum(v.regularizer(v) for v in self._model.trainable_variables if v.regularizer)


def _tensor_spec(spec):
    return tf.TensorSpec(spec.shape, spec.dtype, name=spec.name)


def _empty_variable(spec):
    # A variable of unknown shape cannot be saved without a value.
    value = tf.zeros([size or 0 for size in spec.shape], spec.dtype)
    return tf.Variable(value, trainable=False, shape=spec.shape)


def _sum(losses):
    # With floatx float64, Keras losses are float64.
    dtype = "float64" if keras.config.floatx() == "float64" else "float32"
    return sum((tf.cast(loss, dtype) for loss in losses), tf.zeros((), dtype))
