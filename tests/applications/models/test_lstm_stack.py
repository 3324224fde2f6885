import keras
import numpy as np
import pytest
from scipy.special import expit

from applications.models.lstm_stack import LSTMStack
from tests.support import at_once
from tests.support import to_numpy

RNG = np.random.default_rng(0)
SEQUENCE = RNG.normal(size=(2, 5, 3)).astype("float32")
STATES = RNG.normal(size=(2, 2, 2, 4)).astype("float32")


def stack_of(skip=False, dropout=0.0):
    """A stack of two layers of four units, with weights large enough to matter."""
    stack = LSTMStack(4, 2, skip=skip, dropout=dropout)
    stack.build(SEQUENCE.shape)
    rng = np.random.default_rng(1)
    stack.set_weights([0.7 * rng.normal(size=weight.shape) for weight in stack.weights])
    return stack


def reference(stack, states):
    """An LSTM step by step in NumPy: Hochreiter and Schmidhuber's, with a forget gate."""
    sequence = SEQUENCE.astype("float64")
    h, c = (np.array(states[:, i], "float64") for i in range(2))
    for index, lstm in enumerate(stack.lstms):
        kernel, recurrent, bias = (to_numpy(w).astype("float64") for w in lstm.weights)
        outputs = []
        for step in range(sequence.shape[1]):
            gates = sequence[:, step] @ kernel + h[:, index] @ recurrent + bias
            i, f, g, o = np.split(gates, 4, axis=-1)
            c[:, index] = expit(f) * c[:, index] + expit(i) * np.tanh(g)
            h[:, index] = expit(o) * np.tanh(c[:, index])
            outputs.append(h[:, index].copy())
        if stack.skip and index == 0:
            sequence = sequence @ to_numpy(stack.projection.kernel).astype("float64")
        sequence = np.stack(outputs, axis=1) + (sequence if stack.skip else 0.0)
    return sequence, np.stack([h, c], axis=1)


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("states", [None, STATES], ids=["from 0", "from states"])
def test_outputs_and_states(skip, states):
    stack = stack_of(skip)
    outputs, after = at_once(stack)(SEQUENCE, states)
    expected, expected_after = reference(stack, np.zeros_like(STATES) if states is None else states)
    np.testing.assert_allclose(to_numpy(outputs), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(to_numpy(after), expected_after, rtol=1e-4, atol=1e-5)


def test_piece_by_piece_is_at_once():
    stack = at_once(stack_of(skip=True))
    outputs, after = stack(SEQUENCE, STATES)
    first, states = stack(SEQUENCE[:, :2], STATES)
    second, states = stack(SEQUENCE[:, 2:], states)
    pieces = np.concatenate([to_numpy(first), to_numpy(second)], axis=1)
    np.testing.assert_allclose(pieces, to_numpy(outputs), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(to_numpy(states), to_numpy(after), rtol=1e-5, atol=1e-6)


def test_dropout_is_between_layers_and_in_training_alone():
    with_dropout, without = stack_of(dropout=0.5), stack_of()
    plain, _ = without(SEQUENCE)
    np.testing.assert_array_equal(to_numpy(with_dropout(SEQUENCE)[0]), to_numpy(plain))
    outputs, after = with_dropout(SEQUENCE, training=True)
    assert np.max(np.abs(to_numpy(outputs) - to_numpy(plain))) > 1e-2
    # the first layer sees none of it
    first = to_numpy(without(SEQUENCE)[1])[:, :, 0]
    np.testing.assert_array_equal(to_numpy(after)[:, :, 0], first)


def test_an_input_of_the_layers_width_is_added_as_it_is():
    stack = LSTMStack(3, 2, skip=True)
    stack.build((None, None, 3))
    assert stack.projection is None
    stack.set_weights([np.zeros(weight.shape) for weight in stack.weights])
    np.testing.assert_array_equal(to_numpy(stack(SEQUENCE)[0]), SEQUENCE)


def test_symbolic_shapes_and_config():
    stack = LSTMStack.from_config(stack_of(skip=True, dropout=0.1).get_config())
    outputs, states = stack(keras.KerasTensor((None, None, 3)))
    assert outputs.shape == (None, None, 4)
    assert states.shape == (None, 2, 2, 4)
    assert (stack.skip, stack.dropout, len(stack.weights)) == (True, 0.1, 7)


@pytest.mark.parametrize("options", [dict(units=0), dict(units=2, num_layers=0)], ids=str)
def test_bad_options(options):
    with pytest.raises(ValueError, match="=0"):
        LSTMStack(**options)
