"""The transformer, the methods and the curves, against NumPy and a linear model."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import special

from applications.token_attributions import evaluation
from applications.token_attributions import methods
from applications.token_attributions import model

rng = np.random.default_rng(0)
X = rng.normal(size=(5, 6, 4)).astype("float32")
LENGTHS = np.array([6, 3, 1, 5, 4])
MASK = np.arange(6) < LENGTHS[:, None]
Y = np.array([1, 0, 1, 1, 0])
WEIGHTS = rng.normal(size=4).astype("float32")
MEAN = rng.normal(size=4).astype("float32")
BIAS = 0.3


@pytest.fixture(scope="module")
def linear():
    """A classifier whose logit is the sum of `x @ WEIGHTS` over the tokens, plus BIAS."""
    x, mask = keras.Input((6, 4)), keras.Input((6,), dtype="bool")
    dense = keras.layers.Dense(1, use_bias=False)
    scores = dense(x)[..., 0] * ops.cast(mask, "float32")
    tail = keras.Model([x, mask], ops.sum(scores, axis=1, keepdims=True) + BIAS)
    dense.set_weights([WEIGHTS[:, None]])
    return methods.Classifier(model.Transformer(tail, tail, keras.Model([x, mask], [scores])))


@pytest.fixture(scope="module")
def transformer():
    keras.utils.set_random_seed(0)
    built = model.build(tokens=9, length=6, width=8, heads=2, blocks=2)
    for variable in built.tail.trainable_variables:  # biases, too
        variable.assign(variable + 0.3 * rng.normal(size=variable.shape))
    return built


def probability(x, mask, y):
    logit = np.sum((x @ WEIGHTS) * mask) + BIAS
    return special.expit(logit if y else -logit)


def test_linear_gradients(linear):
    np.testing.assert_allclose(
        linear.probabilities(X, MASK, Y), list(map(probability, X, MASK, Y)), rtol=1e-5
    )
    sign = np.where(Y == 1, 1, -1)[:, None]
    expected = sign * (X @ WEIGHTS) * MASK
    found = methods.gradient_times(linear, X, MASK, Y, 0.0)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    # For a linear model, three methods are the same.
    expected = sign * ((X - MEAN) @ WEIGHTS) * MASK
    for found in (
        methods.gradient_times(linear, X, MASK, Y, MEAN),
        methods.integrated_gradients(linear, X, MASK, Y, MEAN, 3),
        methods.occlusion(linear, X, MASK, Y, MEAN),
    ):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_ranks():
    maps = np.array([[3.0, -1.0, 5.0, 9.0], [1.0, 1.0, 2.0, 0.0]])
    mask = np.array([[True, True, True, False], [True] * 4])
    np.testing.assert_array_equal(evaluation.ranks(maps, mask), [[1, 2, 0, 3], [1, 2, 0, 3]])


def test_curves_and_areas(linear):
    """Token by token, sentence by sentence, with a loop in NumPy."""
    maps = rng.normal(size=MASK.shape)
    found = evaluation.curves(linear.probabilities, X, MASK, Y, maps, MEAN)
    for row, length in enumerate(LENGTHS):
        order = sorted(range(length), key=lambda position: -maps[row, position])
        expected = {"deletion": [], "masking": [], "insertion": []}
        for count in range(length + 1):
            x, mask, inserted = X[row].copy(), MASK[row].copy(), X[row].copy()
            x[order[:count]] = MEAN
            mask[order[:count]] = False
            inserted[order[count:]] = MEAN
            expected["deletion"].append(probability(x, MASK[row], Y[row]))
            expected["masking"].append(probability(X[row], mask, Y[row]))
            expected["insertion"].append(probability(inserted, MASK[row], Y[row]))
        for kind, values in expected.items():
            curve = found[kind][row]
            np.testing.assert_allclose(curve[: length + 1], values, rtol=1e-4)
            np.testing.assert_allclose(curve[length:], curve[length])
            area = np.trapezoid(values, np.linspace(0, 1, length + 1))
            np.testing.assert_allclose(evaluation.areas(found[kind], LENGTHS)[row], area, rtol=1e-4)
            shares = np.array([0.0, 1 / 3, 1.0])
            between = np.interp(shares, np.linspace(0, 1, length + 1), values)
            found_there = evaluation.at_shares(found[kind], LENGTHS, shares)[row]
            np.testing.assert_allclose(found_there, between, rtol=1e-4)


def test_the_right_order_has_the_smallest_area(linear):
    best = methods.gradient_times(linear, X, MASK, Y, MEAN)
    areas = [
        evaluation.areas(
            evaluation.curves(linear.probabilities, X, MASK, Y, maps, MEAN)["deletion"], LENGTHS
        ).mean()
        for maps in (best, methods.random_ranking(X, MASK, Y, seed=0), -best)
    ]
    assert areas[0] < areas[1] < areas[2]


def test_mean_and_error():
    assert evaluation.mean_and_error(np.array([1.0, 3.0, 5.0])) == pytest.approx((3, 2 / 3**0.5))


def test_padding_has_no_influence(transformer):
    classifier = methods.Classifier(transformer)
    x = rng.normal(size=(5, 6, 8)).astype("float32")
    other = np.where(MASK[..., None], x, 100.0).astype("float32")
    expected = classifier.logits(x, MASK)
    np.testing.assert_allclose(classifier.logits(other, MASK), expected, rtol=1e-5)
    assert np.all(classifier.gradients(x, MASK)[~MASK] == 0)
    assert np.all(np.any(classifier.gradients(x, MASK)[MASK] != 0, axis=-1))
    for method in (methods.last_attention, methods.attention_rollout):
        maps = method(classifier, x, MASK, Y)
        np.testing.assert_allclose(maps[~MASK], 0, atol=1e-6)
        np.testing.assert_allclose(maps.sum(axis=1), 1, rtol=1e-5)


def test_a_sentence_without_tokens(transformer):
    classifier = methods.Classifier(transformer)
    x = rng.normal(size=(2, 6, 8)).astype("float32")
    found = classifier.logits(x, np.zeros((2, 6), bool))
    assert np.all(np.isfinite(found))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


def test_the_parts_are_those_of_the_model(transformer):
    ids = np.array([[1, 5, 2, 0, 0, 0], [8, 3, 3, 1, 2, 4]])
    found = methods.Classifier(transformer).logits(transformer.table[ids], ids != 0)
    expected = ops.convert_to_numpy(transformer.model(ids))[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_attention(transformer):
    """Rows that are a distribution over the tokens, and their product through the blocks."""
    classifier = methods.Classifier(transformer)
    x = rng.normal(size=(5, 6, 8)).astype("float32")
    weights = classifier.attention(x, MASK)
    assert weights.shape == (5, 2, 2, 6, 6)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)
    first, second = weights.mean(axis=2).transpose(1, 0, 2, 3)
    for row, length in enumerate(LENGTHS):
        rolled = (second[row] / 2 + np.eye(6) / 2) @ (first[row] / 2 + np.eye(6) / 2)
        expected = rolled[:length].mean(axis=0)
        found = methods.attention_rollout(classifier, x, MASK, Y)[row]
        np.testing.assert_allclose(found, expected, atol=1e-5)
        found = methods.last_attention(classifier, x, MASK, Y)[row]
        np.testing.assert_allclose(found, second[row, :length].mean(axis=0), atol=1e-5)


def test_padding_has_no_nats(transformer):
    ids = np.where(MASK, rng.integers(1, 9, MASK.shape), 0)
    classifier = methods.Classifier(transformer)
    mean, noise = transformer.table.mean(axis=0), transformer.table.std(axis=0)
    # Two steps may leave a short sentence at the start, which is 0.
    steps = 4
    found = methods.methods(classifier, ids, mean, noise, 0.01, steps, 4, seed=0)
    assert len(found) == 10
    for name, (function, _) in found.items():
        maps = function(transformer.table[ids], MASK, Y)
        assert maps.shape == MASK.shape
        assert np.all(np.isfinite(maps))
        if name.startswith("amplitude"):
            assert np.all(maps[~MASK] == 0)
            assert np.all(maps[MASK] > 0)


def test_the_width_and_the_heads():
    with pytest.raises(ValueError, match=r"multiple of the number of heads\. Received: 10 and 4"):
        model.build(tokens=9, length=6, width=10, heads=4)
