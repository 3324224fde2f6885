"""Texts that a trained LSTM VAE generates: reconstructions, samples and interpolations."""

import numpy as np

from keras_slashed.ops import amplitude_to_normal

_DOCUMENTS = 12
_SAMPLES = 6
# Only short documents are shown, since long ones are harder to compare.
_MOST_TOKENS = 40


def describe(model, corpus, vocabulary, seed=0):
    """Return a text with a dozen documents, their reconstructions, an interpolation and samples.

    Reconstructions and the interpolation start from posterior means, and take the most likely
    token at each step. For samples, z and each token are drawn from the model.

    Args:
        model: `LSTMVAE` that generates the texts.
        corpus: `Corpus` whose first documents of at most 40 tokens are shown.
        vocabulary: `Vocabulary` that the model was trained with.
        seed: Integer. Seed of the samples.
    """
    lines = []
    if model.encoder is not None:
        shown = np.flatnonzero(corpus.lengths <= _MOST_TOKENS)[:_DOCUMENTS]
        if len(shown) == 0:
            shown = np.argsort(corpus.lengths)[:_DOCUMENTS]
        length = int(corpus.lengths[shown].max()) + 1
        rows = corpus.padded(shown, length, vocabulary)
        options = {"max_length": _MOST_TOKENS}
        lines.append("# Documents, and their reconstructions from posterior means\n")
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
    """Generate a text for each z, token by token.

    Each step is one call of `decoder.step`, compiled once for a number of texts. The function
    takes the most likely token, or draws one from `softmax(logits / temperature)`, but never
    padding or the begin token. A text stops at its end token.

    Args:
        decoder: `LSTMDecoder` of the model.
        vocabulary: `Vocabulary` that the model was trained with.
        z: Array of shape `(num_texts, latent_dim)`, or None for a plain language model.
        num_texts: Integer. Number of texts, required without z.
        max_length: Integer. Largest number of tokens in a text.
        temperature: Float. Use 0 for the most likely tokens, and 1 to draw from the model.
        seed: Integer. Seed of the draws.

    Returns:
        List of strings.
    """
    # z may come from `np.random.default_rng(seed)`, so these draws need another stream.
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
        # The argmax of logits plus Gumbel noise is a draw from their softmax.
        logits = logits / temperature + rng.gumbel(size=logits.shape)
    return np.argmax(logits, axis=-1).astype("int32")


def posterior_means(encoder, rows):
    """Return the posterior mean of each row of tokens, of shape `(batch, latent_dim)`."""
    mean, _ = amplitude_to_normal(encoder.predict_on_batch(rows))
    return np.asarray(mean)


def reconstruct(model, vocabulary, rows, **options):
    """Generate a text from each row's posterior mean. `options` are those of `generate`."""
    z = posterior_means(model.encoder, rows)
    return generate(model.decoder, vocabulary, z, **options)


def interpolate(model, vocabulary, rows, steps=7, **options):
    """Generate texts on the straight line between the posterior means of two rows.

    Args:
        model: `LSTMVAE` that generates the texts.
        vocabulary: `Vocabulary` that the model was trained with.
        rows: Integer array. Two rows of tokens.
        steps: Integer. Number of texts, including both ends.
        **options: Further keyword arguments of `generate`.
    """
    first, second = posterior_means(model.encoder, rows)
    share = np.linspace(0.0, 1.0, steps)[:, None]
    return generate(model.decoder, vocabulary, (1 - share) * first + share * second, **options)
