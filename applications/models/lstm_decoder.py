"""The decoder of the LSTM VAE, which predicts each token from those before it and z."""

import keras
from keras import layers
from keras import ops

from applications.checks import check_positive_integer
from applications.models.lstm_stack import LSTMStack


@keras.saving.register_keras_serializable(package="keras_slashed_applications")
class NextToken(keras.layers.Layer):
    """Compute the distribution of the next token at each position of a sequence.

    `logits = hidden W + b`. With targets, the layer instead returns the negative log-likelihood
    of each sequence: the sum over its tokens, without padding, of
    `logsumexp(logits) - logits[target]`, in nats and in float32. It gathers the target's logit
    and uses no one-hot vector. Training then stores only the logits and their gradient, and no
    third array of that size, which for 20,000 words takes most of a model's memory.

    Args:
        vocabulary_size: Integer. Number V of tokens. Token 0 is padding and costs nothing.
        **kwargs: Base layer keyword arguments, such as `name` and `dtype`.

    Call arguments:
        hidden: Float tensor of shape `(batch, length, units)`.
        targets: Integer tensor of shape `(batch, length)` or None. The next tokens.

    Output shape:
        `(batch, length, V)`, or `(batch,)` with targets.
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
        # One matrix and not a batch of matrices, because XLA multiplies it faster: in half
        # the time on a CPU.
        logits = ops.matmul(ops.reshape(hidden, (-1, hidden.shape[-1])), self.kernel)
        logits = ops.add(logits, self.bias)
        shape = ops.shape(hidden)[:-1]
        if targets is None:
            return ops.reshape(logits, (*shape, self.vocabulary_size))
        # The sum over a document may overflow float16.
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


def words_embedding(vocabulary_size, embedding_dim, name):
    """Return an embedding of tokens with initial values uniform in [-0.1, 0.1]."""
    # A new initializer each time, because an initializer draws its seed when it is made.
    uniform = keras.initializers.RandomUniform(-0.1, 0.1)
    return layers.Embedding(
        vocabulary_size, embedding_dim, embeddings_initializer=uniform, name=name
    )


class LSTMDecoder:
    """The decoder's layers, and the functional models made of them.

    z sets the initial states of the LSTM layers, `c = W z + b` and `h = tanh(c)`, and is
    concatenated to the embedding of each input token. Without z (`latent_dim=None`) this is a
    plain language model, whose initial states are 0.

    Attributes:
        logits: Model that maps `[tokens, z]` to the logits of the token after each token.
        reconstruction: Model that maps `[rows, z]` to the negative log-likelihood of each row
            in nats, summed over its tokens. `Corpus.padded` makes such rows.
        start: Model that maps z to the initial states, or None without z.
        step: Model that maps `[token, z, states]` to the next token's logits, of shape
            `(batch, vocabulary)`, and the states after it.

    Without z, `logits` and `reconstruction` take only the tokens, and `step` takes no z.
    """

    def __init__(
        self, vocabulary_size, latent_dim, num_layers, units, embedding_dim, dropout, skip
    ):
        self.latent_dim = latent_dim
        self.states_shape = (2, num_layers, units)
        self._embedding = words_embedding(vocabulary_size, embedding_dim, "decoder_words")
        self._stack = LSTMStack(units, num_layers, dropout, skip, name="decoder_lstm")
        self._next_token = NextToken(vocabulary_size, name="next_token")
        self._z_to_cells = self._z_to_output = None
        if latent_dim is not None:
            self._z_to_cells = layers.Dense(num_layers * units, name="z_to_cells")
            if skip:
                self._z_to_output = layers.Dense(units, use_bias=False, name="z_to_output")
        self._make_models()

    def _make_models(self):
        z = [] if self.latent_dim is None else [keras.Input((self.latent_dim,), name="z")]
        tokens = keras.Input((None,), dtype="int32", name="tokens")
        hidden, _ = self._hidden(tokens, *z)
        self.logits = keras.Model(
            [tokens, *z] if z else tokens, self._next_token(hidden), name="decoder"
        )
        rows = keras.Input((None,), dtype="int32", name="rows")
        hidden, _ = self._hidden(rows[:, :-1], *z)
        nll = self._next_token(hidden, rows[:, 1:])
        self.reconstruction = keras.Model([rows, *z] if z else rows, nll, name="reconstruction")
        self.start = keras.Model(z[0], self._start(*z), name="start") if z else None
        token = keras.Input((1,), dtype="int32", name="token")
        before = keras.Input(self.states_shape, name="states")
        hidden, after = self._hidden(token, *z, states=before)
        self.step = keras.Model(
            [token, *z, before], [self._next_token(hidden)[:, 0], after], name="step"
        )

    def _start(self, z):
        cells = self._z_to_cells(z)
        states = ops.concatenate([ops.tanh(cells), cells], axis=-1)
        return ops.reshape(states, (-1, *self.states_shape))

    def _hidden(self, tokens, z=None, states=None):
        x = self._embedding(tokens)
        if z is None:
            return self._stack(x, states)
        everywhere = ops.add(ops.expand_dims(z, 1), ops.zeros_like(x[..., :1]))
        x = ops.concatenate([x, everywhere], axis=-1)
        hidden, after = self._stack(x, self._start(z) if states is None else states)
        if self._z_to_output is not None:
            hidden = ops.add(hidden, ops.expand_dims(self._z_to_output(z), 1))
        return hidden, after
