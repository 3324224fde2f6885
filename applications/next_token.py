"""NextToken: logits over a vocabulary, or what given tokens cost under them."""

import keras
from keras import ops

from keras_slashed.validation import check_positive_integer


@keras.saving.register_keras_serializable(package="keras_slashed_applications")
class NextToken(keras.layers.Layer):
    """The distribution of the next token at each position of a sequence.

    `logits = hidden W + b`. With targets, the layer returns what each sequence costs
    instead: the sum over its true tokens of `logsumexp(logits) - logits[target]`, in
    nats and in float32. The target's logit is picked from the logits, not by
    a one-hot vector: in training there are the logits and their gradient, and no third
    array of that size, which with 20,000 words is most of a model's memory.

    Args:
        vocabulary_size: Number V of tokens. Token 0 is padding, and costs nothing.
        **kwargs: As for any `keras.layers.Layer`.

    Call arguments:
        hidden: Float tensor of shape `(batch, length, units)`.
        targets: None, or the next tokens, integers of shape `(batch, length)`.

    Output shape:
        `(batch, length, V)`, or with targets `(batch,)`.
    """

    def __init__(self, vocabulary_size, **kwargs):
        super().__init__(**kwargs)
        check_positive_integer("vocabulary_size", vocabulary_size)
        self.vocabulary_size = vocabulary_size

    def build(self, hidden_shape, targets_shape=None):
        self.kernel = self.add_weight(
            shape=(hidden_shape[-1], self.vocabulary_size),
            initializer="glorot_uniform",
            name="kernel",
        )
        self.bias = self.add_weight(shape=(self.vocabulary_size,), initializer="zeros", name="bias")

    def call(self, hidden, targets=None):
        # A matrix and not a batch of them: XLA multiplies it faster, on a CPU by half.
        logits = ops.matmul(ops.reshape(hidden, (-1, hidden.shape[-1])), self.kernel)
        logits = ops.add(logits, self.bias)
        shape = ops.shape(hidden)[:-1]
        if targets is None:
            return ops.reshape(logits, (*shape, self.vocabulary_size))
        # float16 cannot hold the sum over a document
        logits = ops.cast(logits, "float32")
        targets = ops.reshape(targets, (-1,))
        chosen = ops.take_along_axis(logits, ops.expand_dims(targets, -1), axis=-1)
        costs = ops.logsumexp(logits, axis=-1) - ops.squeeze(chosen, -1)
        costs = ops.where(ops.not_equal(targets, 0), costs, 0.0)
        return ops.sum(ops.reshape(costs, shape), axis=-1)

    def compute_output_spec(self, hidden, targets=None):
        if targets is None:
            shape = (*hidden.shape[:-1], self.vocabulary_size)
            return keras.KerasTensor(shape, dtype=self.compute_dtype)
        return keras.KerasTensor(hidden.shape[:1], dtype="float32")

    def get_config(self):
        return {**super().get_config(), "vocabulary_size": self.vocabulary_size}
