"""How important each token is for the class of a sentence, by each method of the comparison.

A method is a function of embedded sentences, their masks and their classes. It returns an array
of shape (N, length), in which a larger number is a token that speaks more for the class.
"""

import functools

import numpy as np
from keras import ops
from keras import tree

from applications.token_attributions.model import EMBEDDING
from applications.training.backends import compile_with_state
from applications.training.backends import input_gradient
from keras_slashed.attribution import amplitude_attribution

AMPLITUDE = "amplitude"  # the map that others are compared with
AROUND_VALUE = "amplitude, noise around the token"
_BATCH = 64  # rows in one computation


class Classifier:
    """The parts of a trained transformer as functions of NumPy arrays.

    Args:
        transformer: `Transformer`.
    """

    def __init__(self, transformer):
        tail, attention = transformer.tail, transformer.attention
        self.model = transformer.model
        self._logits = compile_with_state(lambda x, mask: tail([x, mask]), tail.variables)

        def weights(x, mask):
            # Keras returns a list with a single tensor as this tensor.
            return ops.stack(tree.flatten(attention([x, mask])), axis=1)

        self._attention = compile_with_state(weights, attention.variables)

        def gradients(x, mask):
            return input_gradient(lambda x: (ops.sum(tail([x, mask])), ()), x)[0]

        self._gradients = compile_with_state(gradients, tail.variables)

    def logits(self, x, mask):
        """Return the logit of class 1 for each row, (N,), of embedded tokens and their mask."""
        return _in_batches(self._logits, x, mask)[:, 0]

    def gradients(self, x, mask):
        """Return the gradient of the logit with respect to the embedded tokens."""
        return _in_batches(self._gradients, x, mask)

    def attention(self, x, mask):
        """Return attention weights, of shape (N, blocks, heads, length, length)."""
        return _in_batches(self._attention, x, mask)

    def probabilities(self, x, mask, y):
        """Return the probability of the class `y` of each row."""
        # The sigmoid, without overflow.
        return (1 + np.tanh((2 * y - 1) * self.logits(x, mask) / 2)) / 2


def gradient_times(classifier, x, mask, y, reference):
    """Return the gradient of the class's logit times the difference from a reference."""
    gradients = classifier.gradients(x, mask)
    return (2 * y - 1)[:, None] * np.sum(gradients * (x - reference), axis=-1)


def integrated_gradients(classifier, x, mask, y, reference, steps):
    """Return the mean gradient along a line times the change of x (Sundararajan et al. 2017)."""
    total = sum(
        classifier.gradients(
            (reference + (k + 0.5) / steps * (x - reference)).astype(x.dtype), mask
        )
        for k in range(steps)
    )
    return (2 * y - 1)[:, None] * np.sum(total * (x - reference), axis=-1) / steps


def occlusion(classifier, x, mask, y, reference):
    """Return how much the class's logit falls if a token is replaced by the reference."""
    whole, maps = classifier.logits(x, mask), np.zeros(mask.shape)
    for position in range(mask.shape[1]):
        without = x.copy()
        without[:, position] = reference
        maps[:, position] = (2 * y - 1) * (whole - classifier.logits(without, mask))
    return maps


def last_attention(classifier, x, mask, y):
    """Return the attention to each token in the last block: the mean over heads and queries."""
    del y
    weights = classifier.attention(x, mask)[:, -1].mean(axis=1)
    return _mean_over_queries(weights, mask)


def attention_rollout(classifier, x, mask, y):
    """Return the attention through all blocks with their skip connections.

    It is the product of `(A + I) / 2` over the blocks, where A is the mean over heads (Abnar and
    Zuidema 2020), averaged over the queries, as the model averages over tokens.
    """
    del y
    weights = classifier.attention(x, mask).mean(axis=2)
    rolled = np.eye(mask.shape[1])
    for block in range(weights.shape[1]):
        rolled = (weights[:, block] + np.eye(mask.shape[1])) / 2 @ rolled
    return _mean_over_queries(rolled, mask)


def random_ranking(x, mask, y, seed):
    """Return noise, a map without information."""
    del x, y
    return np.random.default_rng(seed).random(mask.shape)


def amplitude(classifier, ids, x, mask, y, **options):
    """Return the nats of each token by `keras_slashed.attribution.amplitude_attribution`."""
    del x, mask  # the model embeds the tokens itself, so that the mask is its own
    return amplitude_attribution(
        classifier.model, ids, y, layer=EMBEDDING, batch_size=_BATCH // 8, chunk_size=8, **options
    ).tokens


def methods(classifier, ids, mean, noise, beta, steps, num_samples, seed):
    """Return the methods to compare by name, each with its number of gradients per sentence.

    Args:
        classifier: `Classifier`.
        ids: Integer NumPy array of shape (N, length). The sentences that all methods get.
        mean: NumPy array. The mean embedding, which is the amplitude's prior mean.
        noise: NumPy array. The standard deviation of each feature of the embedding, which is that
            of the amplitude's prior.
        beta: Float. Price of a nat.
        steps: Integer. Steps of the amplitude's iteration.
        num_samples: Integer. Number of draws.
        seed: Integer. Seed of the draws.

    Returns:
        Dict from names to tuples `(function, gradients)`.
    """
    partial, length = functools.partial, ids.shape[1]
    shared = {"noise": noise, "beta": beta, "num_samples": num_samples, "seed": seed}
    nats = partial(amplitude, classifier, ids, **shared)
    iterated = (steps + 1) * num_samples
    return {
        AMPLITUDE: (partial(nats, prior_mean=mean, steps=steps), iterated),
        "amplitude, one step": (partial(nats, prior_mean=mean, steps=1, damping=1.0),
                                2 * num_samples),  # the second half measures the residual
        AROUND_VALUE: (partial(nats, steps=steps), iterated),
        "gradient x input": (partial(gradient_times, classifier, reference=0.0), 1),
        "gradient x difference": (partial(gradient_times, classifier, reference=mean), 1),
        "integrated gradients": (
            partial(integrated_gradients, classifier, reference=mean, steps=num_samples),
            num_samples,
        ),
        "occlusion": (partial(occlusion, classifier, reference=mean), f"0, {length + 1} outputs"),
        "attention, last block": (partial(last_attention, classifier), 0),
        "attention rollout": (partial(attention_rollout, classifier), 0),
        "random": (partial(random_ranking, seed=seed), 0),
    }  # fmt: skip


def _mean_over_queries(weights, mask):
    return np.sum(weights * mask[:, :, None], axis=1) / mask.sum(axis=1, keepdims=True)


def _in_batches(function, x, mask):
    """Return the outputs of all rows. Batches have one size, so that it is compiled once."""
    parts = []
    for start in range(0, len(x), _BATCH):
        rows = np.arange(start, start + _BATCH) % len(x)
        outputs = function(ops.convert_to_tensor(x[rows]), ops.convert_to_tensor(mask[rows]))
        parts.append(ops.convert_to_numpy(outputs)[: len(x) - start])
    return np.concatenate(parts)
