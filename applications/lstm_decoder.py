"""The decoder of the LSTM VAE: the next token, given those before it and z."""

import keras
from keras import layers
from keras import ops

from applications.lstm_stack import LSTMStack
from applications.next_token import NextToken


def words_embedding(vocabulary_size, embedding_dim, name):
    """Return an embedding of tokens that starts uniform on +-0.1."""
    # An initializer of its own: it draws its seed as it is made.
    uniform = keras.initializers.RandomUniform(-0.1, 0.1)
    return layers.Embedding(
        vocabulary_size, embedding_dim, embeddings_initializer=uniform, name=name
    )


class LSTMDecoder:
    """The decoder's layers, and the functional models made of them.

    z sets the states the LSTM layers start from, `c = W z + b` and `h = tanh(c)`,
    and is joined to each input token's embedding. Without z (`latent_dim=None`)
    this is a plain language model, whose states start from 0.

    Attributes:
        logits: Model of `[tokens, z]` to logits of the token after each.
        reconstruction: Model of `[rows, z]` to each row's negative log-likelihood in
            nats, the sum over its tokens; a row as `Corpus.padded` makes it.
        start: Model of z to states; None without z.
        step: Model of `[token, z, states]` to the next token's logits, of shape
            `(batch, vocabulary)`, and the states after it.

    Without z the first two take the tokens alone, and `step` takes no z.
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
