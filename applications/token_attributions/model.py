"""A small transformer with one unit, which tells sentences of two classes apart."""

import dataclasses

import keras
from keras import ops

from applications.training.epoch_seeds import ShuffledBatches
from applications.training.epoch_seeds import fit
from applications.training.optimizers import one_cycle

EMBEDDING = "embedding"  # name of the layer whose output is perturbed


@keras.saving.register_keras_serializable(package="keras_slashed_applications")
class PositionEmbedding(keras.layers.Layer):
    """Adds a learned vector to each position of a sequence of vectors."""

    def build(self, input_shape):
        self.table = self.add_weight(
            shape=tuple(input_shape[1:]), initializer="random_uniform", name="table"
        )

    def call(self, x):
        return x + self.table


@dataclasses.dataclass
class Transformer:
    """A classifier of sentences, and the parts of it that a comparison of maps needs."""

    # From token numbers, `(batch, length)`, 0 being padding, to the logit of class 1, `(batch, 1)`.
    model: keras.Model
    # From the outputs of the embedding, `(batch, length, width)`, and a mask, `(batch, length)`, to
    # the logit.
    tail: keras.Model
    # From the same inputs to the attention weights, a list with an array of shape
    # `(batch, heads, length, length)` for each block.
    attention: keras.Model

    @property
    def table(self):
        """The embedding of each token, a NumPy array of shape `(tokens, width)`."""
        return ops.convert_to_numpy(self.model.get_layer(EMBEDDING).embeddings)


def build(tokens, length, width=64, heads=4, blocks=2, dropout=0.2):
    """Build a transformer: embeddings, blocks of attention, the mean over tokens, one unit.

    Padding receives no attention and is not in the mean, so that no output depends on it. If all
    tokens are masked, the mean is 0.

    Args:
        tokens: Integer. Size of the vocabulary.
        length: Integer. Number of positions.
        width: Integer. Number of features, a multiple of `heads`.
        heads: Integer. Number of attention heads.
        blocks: Integer. Number of blocks.
        dropout: Float. Rate of dropout.

    Returns:
        `Transformer`.

    Raises:
        ValueError: If `width` is no multiple of `heads`.
    """
    if width % heads:
        raise ValueError(
            f"The width must be a multiple of the number of heads. Received: {width} and {heads}"
        )
    layers = keras.layers
    embedded = keras.Input((length, width))
    mask = keras.Input((length,), dtype="bool")
    x = layers.Dropout(dropout)(PositionEmbedding()(embedded))
    weights = []
    for _ in range(blocks):
        h = layers.LayerNormalization()(x)
        # Of shape (batch, 1, length): the same for all queries.
        h, scores = layers.MultiHeadAttention(heads, width // heads)(
            h, h, attention_mask=ops.expand_dims(mask, 1), return_attention_scores=True
        )
        weights.append(scores)
        x = x + layers.Dropout(dropout)(h)
        h = layers.Dense(2 * width, activation="gelu")(layers.LayerNormalization()(x))
        x = x + layers.Dropout(dropout)(layers.Dense(width)(h))
    x = layers.LayerNormalization()(x)
    present = ops.expand_dims(ops.cast(mask, x.dtype), -1)
    # GlobalAveragePooling1D would divide by 0 if no token is left.
    mean = ops.sum(x * present, axis=1) / ops.maximum(ops.sum(present, axis=1), 1.0)
    logit = layers.Dense(1)(layers.Dropout(dropout)(mean))
    tail = keras.Model([embedded, mask], logit, name="tail")
    ids = keras.Input((length,), dtype="int32")
    vectors = layers.Embedding(tokens, width, name=EMBEDDING)(ids)
    model = keras.Model(ids, tail([vectors, ops.not_equal(ids, 0)]))
    return Transformer(model, tail, keras.Model(tail.inputs, weights))


def train(model, data, epochs, batch_size, learning_rate, seed, verbose=2):
    """Train a model of token numbers on `Sentences`.

    Returns:
        Float. The accuracy on the test sentences.
    """
    batches = ShuffledBatches(data.train.ids, data.train.y[:, None], batch_size, seed)
    model.compile(
        optimizer=keras.optimizers.Adam(one_cycle(learning_rate, epochs * len(batches))),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.BinaryAccuracy(threshold=0.0, name="accuracy")],
    )
    fit(
        model,
        batches,
        seed,
        epochs=epochs,
        validation_data=(data.valid.ids, data.valid.y[:, None]),
        validation_batch_size=500,
        verbose=verbose,
    )
    _, accuracy = model.evaluate(data.test.ids, data.test.y[:, None], batch_size=500, verbose=0)
    return accuracy
