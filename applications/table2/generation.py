"""Text from a trained LSTM VAE: reconstructions, samples and interpolations."""

import numpy as np

from keras_slashed.ops import amplitude_to_normal

_DOCUMENTS = 12
_SAMPLES = 6
# Of the documents to show: long ones tell less at a glance.
_MOST_TOKENS = 40


def describe(model, corpus, vocabulary, seed=0):
    """Return a text with a dozen documents, their reconstructions, and more.

    Reconstructions and the interpolation begin with posterior means, and take the most
    likely token each time; samples draw z and each token from the model.

    Args:
        model: An `LSTMVAE`.
        corpus: A `Corpus`, of which the first documents of at most 40 tokens are shown.
        vocabulary: The `Vocabulary` it was trained with.
        seed: Integer seed of the samples.
    """
    lines = []
    if model.encoder is not None:
        shown = np.flatnonzero(corpus.lengths <= _MOST_TOKENS)[:_DOCUMENTS]
        if len(shown) == 0:
            shown = np.argsort(corpus.lengths)[:_DOCUMENTS]
        length = int(corpus.lengths[shown].max()) + 1
        rows = corpus.padded(shown, length, vocabulary)
        options = {"max_length": _MOST_TOKENS}
        lines.append("# Documents, and what is written from their posterior means\n")
        written = reconstruct(model, vocabulary, rows, **options)
        for index, text in zip(shown, written):
            lines += [f"document:       {vocabulary.decode(corpus[index])}",
                      f"reconstruction: {text}\n"]  # fmt: skip
        if len(shown) > 1:
            lines.append("# From the first document to the second, in six steps\n")
            lines += [f"- {text}" for text in interpolate(model, vocabulary, rows[:2], **options)]
            lines.append("")
    lines.append("# Samples\n")
    z = None
    if model.encoder is not None:
        rng = np.random.default_rng(seed)
        z = rng.standard_normal((_SAMPLES, model.decoder.latent_dim))
    samples = generate(model.decoder, vocabulary, z, _SAMPLES, 2 * _MOST_TOKENS, 1.0, seed)
    lines += [f"- {text}" for text in samples]
    return "\n".join(lines) + "\n"


def generate(decoder, vocabulary, z=None, num_texts=None, max_length=60, temperature=0.0, seed=0):
    """Write a text for each z, token after token.

    Each step is one call of `decoder.step`, compiled once for a number of texts. The
    most likely token is taken, or one is drawn from `softmax(logits / temperature)`;
    never padding or the begin token. A text stops at its end token.

    Args:
        decoder: An `LSTMDecoder`.
        vocabulary: The `Vocabulary` it was trained with.
        z: Array of shape `(num_texts, latent_dim)`; None for a plain language model.
        num_texts: Without z, how many texts to write.
        max_length: Greatest number of tokens of a text.
        temperature: 0 for the most likely tokens, 1 to draw from the model.
        seed: Integer seed of the draws.

    Returns:
        A list of strings.
    """
    # z may be of `np.random.default_rng(seed)`: this must be another stream.
    rng = np.random.default_rng([*b"generate", seed])
    given = [] if z is None else [np.asarray(z, "float32")]
    count = num_texts if z is None else len(z)
    if z is None:
        states = np.zeros((count, *decoder.states_shape), "float32")
    else:
        states = decoder.start.predict_on_batch(given[0])
    token = np.full(count, vocabulary.begin, "int32")
    tokens = []
    ended = np.zeros(count, bool)
    while len(tokens) < max_length and not ended.all():
        logits, states = decoder.step.predict_on_batch([token[:, None], *given, states])
        token = _choose(logits, vocabulary, temperature, rng)
        tokens.append(token)
        ended |= token == vocabulary.end
    return [vocabulary.decode(text) for text in np.stack(tokens, axis=1)]


def _choose(logits, vocabulary, temperature, rng):
    logits = np.array(logits, "float64")
    logits[:, [0, vocabulary.begin]] = -np.inf
    if temperature > 0:
        # The greatest of logits with Gumbel noise is a draw from their softmax.
        logits = logits / temperature + rng.gumbel(size=logits.shape)
    return np.argmax(logits, axis=-1).astype("int32")


def posterior_means(encoder, rows):
    """Return the posterior mean of each row of tokens, `(batch, latent_dim)`."""
    mean, _ = amplitude_to_normal(encoder.predict_on_batch(rows))
    return np.asarray(mean)


def reconstruct(model, vocabulary, rows, **options):
    """Write a text from the posterior mean of each row; `options` are those of `generate`."""
    z = posterior_means(model.encoder, rows)
    return generate(model.decoder, vocabulary, z, **options)


def interpolate(model, vocabulary, rows, steps=7, **options):
    """Write texts on the straight line between the posterior means of two rows.

    Args:
        model: An `LSTMVAE`.
        vocabulary: The `Vocabulary` it was trained with.
        rows: Two rows of tokens.
        steps: Number of texts, those of the two ends included.
        **options: Of `generate`.
    """
    first, second = posterior_means(model.encoder, rows)
    share = np.linspace(0.0, 1.0, steps)[:, None]
    return generate(model.decoder, vocabulary, (1 - share) * first + share * second, **options)
