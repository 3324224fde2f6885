"""What a trained LSTM VAE writes: reconstructions, an interpolation, samples."""

import numpy as np

from applications.text_generation import generate
from applications.text_generation import interpolate
from applications.text_generation import reconstruct

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
