"""Data sets of any kind, as the functions of `keras_slashed.metrics` take them."""

import keras
import numpy as np
import pytest

from keras_slashed import metrics
from keras_slashed.evaluation.batches import padded_batches
from tests.support import BACKEND

X = np.arange(14.0).reshape(7, 2)


def rows(x, batch_size=3):
    """Return the rows that are real, once, and the shapes of the batches."""
    pairs = list(padded_batches(x, batch_size))
    real = keras.tree.map_structure(
        lambda *leaves: np.concatenate([leaf[:n] for leaf, (_, n) in zip(leaves, pairs)]),
        *(batch for batch, _ in pairs),
    )
    return real, {keras.tree.flatten(batch)[0].shape for batch, _ in pairs}


class Dataset(keras.utils.PyDataset):
    """Batches (x, y) of 3, 3 and 1 rows; indexing beyond them is no error."""

    @property
    def num_batches(self):
        return 3

    def __getitem__(self, index):
        return X[3 * index : 3 * index + 3], np.zeros(3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: X,
        lambda: keras.ops.convert_to_tensor(X, dtype="float32"),
        lambda: Dataset(),
        lambda: (X[start : start + 3] for start in (0, 3, 6)),
        lambda: [(X[start : start + 3], "no label") for start in (0, 3, 6)],
        lambda: ([keras.ops.convert_to_tensor(X[start : start + 3])] for start in (0, 3, 6)),
    ],
    ids=["array", "tensor", "PyDataset", "generator", "pairs", "lists of tensors"],
)
def test_every_row_once(make):
    computed, shapes = rows(make())
    np.testing.assert_array_equal(computed, X)
    assert shapes == {(3, 2)}


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a tf.data.Dataset")
def test_tensorflow_dataset():
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices((X, X[:, 0]))
    for batches in (dataset.batch(3), dataset.batch(3).filter(lambda *_: True)):
        computed, shapes = rows(batches)
        np.testing.assert_array_equal(computed, X)
        assert shapes == {(3, 2)}


@pytest.mark.skipif(BACKEND != "torch", reason="a torch DataLoader")
def test_torch_data_loader():
    import torch

    dataset = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(X[:, 0]))
    computed, shapes = rows(torch.utils.data.DataLoader(dataset, batch_size=3))
    np.testing.assert_array_equal(computed, X)
    assert shapes == {(3, 2)}


def test_nested_arrays():
    data = {"tokens": np.arange(7), "pair": (X, X[:, :1] > 3)}
    computed, _ = rows(data)
    keras.tree.assert_same_structure(computed, data)
    np.testing.assert_array_equal(computed["tokens"], data["tokens"])
    np.testing.assert_array_equal(computed["pair"][1], data["pair"][1])


def test_short_batch_is_filled_with_a_row_of_its_own():
    *_, (batch, length) = padded_batches(X, 3)
    assert length == 1
    np.testing.assert_array_equal(batch, X[[6, 6, 6]])


def test_progress(capsys):
    rows(X)
    assert capsys.readouterr().out == ""
    list(padded_batches(X, 3, verbose="auto"))
    assert "3/3" in capsys.readouterr().out
    list(padded_batches(iter([X, X]), 3, verbose=1))
    assert "2/" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (3.0, "`x` must be an array.*'float'"),
        ("data", "`x` must be an array.*'str'"),
        ([[1.0, 2.0], [3.0, 4.0]], "`x` must be an array.*batches of.*'float'"),
        (np.zeros(()), r"`x` must be an array.*ndarray of shape \(\)"),
        (np.zeros((0, 3)), r"at least one instance.*ndarray of shape \(0, 3\)"),
        ([], "at least one instance.*'list'"),
        ({"one": X, "other": X[:3]}, r"of the same length.*\[3, 7\]"),
    ],
)
def test_wrong_data(x, message):
    with pytest.raises(ValueError, match=message):
        list(padded_batches(x, 3))


def test_infinite_dataset():
    class Infinite(Dataset):
        num_batches = None

    with pytest.raises(ValueError, match="`x` must be finite"):
        list(padded_batches(Infinite(), 3))


@pytest.mark.parametrize("batch_size", [0, 2.0])
def test_wrong_batch_size(batch_size):
    with pytest.raises(ValueError, match=f"`batch_size` must be a positive.*{batch_size}"):
        list(padded_batches(X, batch_size))


def nll(encoder, x, batch_size):
    def log_likelihood(x, z):
        return keras.ops.sum(z, axis=-1)

    return metrics.importance_weighted_nll(encoder, log_likelihood, x, 2, batch_size)


@pytest.mark.parametrize(
    ("fold", "received"),
    [
        (lambda x: keras.ops.reshape(x, (-1, 2)), "6 rows"),
        (lambda x: keras.ops.mean(x, axis=0, keepdims=True), "1 rows"),
        (lambda x: keras.ops.concatenate([keras.ops.mean(x, axis=0)] * 3)[:6], "no axis of rows"),
    ],
    ids=["positions as rows", "one row for all", "no rows"],
)
@pytest.mark.parametrize(
    "measure",
    [metrics.rate, metrics.active_units, metrics.mutual_information, nll],
)
def test_an_encoder_with_other_rows(measure, fold, received):
    x = np.random.default_rng(0).normal(size=(7, 4)).astype("float32")
    message = f"one row for each of the 3 rows of a batch. Received: {received}"
    with pytest.raises(ValueError, match=message):
        measure(fold, x, batch_size=3)
