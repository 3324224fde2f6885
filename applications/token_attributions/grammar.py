"""Sentences of two classes from a small grammar, in which one noun decides the class."""

import numpy as np

CLASSES = ("business", "leisure")
DECIDING = (
    ("bank", "company", "market", "profit", "share", "price", "investor", "dividend"),
    ("movie", "song", "friend", "game", "band", "recipe", "puppy", "garden"),
)
_SHARED = {
    "adjective": ("new", "old", "large", "small", "good", "strange", "late", "early"),
    "noun": ("woman", "man", "house", "letter", "city", "street", "paper", "story"),
    "verb": ("found", "knew", "changed", "left", "liked", "asked about", "thought of", "saw"),
    "place": ("in town", "at home", "near the river", "on the other side", "in the country"),
    "time": ("today", "last year", "at night", "on monday", "for a while"),
}
_TEMPLATES = (
    "the {adjective} {own} {place} {verb} the {noun}",
    "the {noun} {verb} the {adjective} {own} {time}",
    "{time} the {adjective} {noun} {verb} the {own} of the {noun}",
    "the {noun} and the {own} {verb} the {adjective} {noun} {place} {time}",
)


def documents(label, number, seed):
    """Return sentences of a class as lists of tokens.

    Args:
        label: 0 or 1. The class.
        number: Integer. Number of sentences.
        seed: Integer. Seed of the choices.
    """
    rng = np.random.default_rng([seed, label])
    choices = {**_SHARED, "own": DECIDING[label]}

    def one_of(words):
        return words[rng.integers(len(words))]

    def sentence():
        words = []
        for part in one_of(_TEMPLATES).split():
            kind = part.strip("{}")
            words += one_of(choices[kind]).split() if kind in choices else [part]
        return words

    return [sentence() for _ in range(number)]
