"""The outcome of exporting a piece to a format: one checked cell of the table of exports."""

import keras
import numpy as np

from tests.keras_slashed.export.formats import load
from tests.keras_slashed.export.formats import missing_packages
from tests.keras_slashed.export.formats import offered
from tests.keras_slashed.export.formats import write
from tests.keras_slashed.export.pieces import make_piece
from tests.keras_slashed.export.pieces import plain_model
from tests.keras_slashed.export.pieces import rows
from tests.support import BACKEND

NOT_OFFERED = "not offered"
NOT_AT_HAND = "not available"
EQUAL = "equal"
DRAWS = "draws"
CLEAR_ERROR = "clear error"


def expected(format, inference):
    """Return what a cell of this backend should hold."""
    if not offered(format):
        return NOT_OFFERED
    if missing_packages(format):
        return NOT_AT_HAND
    if inference == "mean":
        return EQUAL
    return DRAWS if format == "tf_saved_model" else CLEAR_ERROR


def cell(format, piece, inference, folder):
    """Export a piece, load it, run it, and return the outcome.

    Args:
        format: String. An export format of Keras.
        piece: String. A piece of `tests.keras_slashed.export.pieces`.
        inference: String, "mean" or "sample".
        folder: String or path. Folder to write to.

    Returns:
        String. One of the outcomes above.

    Raises:
        AssertionError: If the outcome is none of them: the outputs differ from those of Keras,
            the noise is frozen, or an error does not state what is wrong.
    """
    if not offered(format):
        check_not_offered(format, folder)
        return NOT_OFFERED
    if missing_packages(format):
        return NOT_AT_HAND
    model = make_piece(piece, inference)
    try:
        path = write(model, format, folder)
    # Keras wraps errors of an export to "torch" in a RuntimeError.
    except (ValueError, RuntimeError) as error:
        if inference == "mean":
            raise
        check_message(error, format)
        return CLEAR_ERROR
    run = load(path, format)
    if inference == "mean":
        check_equal(run, model, (1,) if has_fixed_batch(format) else (5, 1, 33))
        return EQUAL
    check_draws(run, model)
    return DRAWS


def has_fixed_batch(format):
    """Return whether Keras writes a batch size of 1 if it is unknown."""
    return (format, BACKEND) == ("litert", "torch")


def check_not_offered(format, folder):
    """Check that Keras cannot export a model of its own layers either."""
    try:
        write(plain_model(), format, folder)
    except Exception:  # of any kind, from Keras or from a converter
        return
    raise AssertionError(f"Keras offers {format} here: add its row in formats.py")


def check_message(error, format):
    """Check that the error names the layer, the format, what was received and what to do."""
    message = str(error)
    for words in ("draws at inference", f"format={format!r}", "inference='mean'", "tf_saved_model"):
        assert words in message, message


def check_equal(run, model, batch_sizes=(5, 1, 33)):
    """Check that outputs equal those of Keras for each batch size, in repeated calls."""
    for number in batch_sizes:
        x = rows(model, number)
        outputs = keras.ops.convert_to_numpy(model(x))
        for _ in range(2):
            np.testing.assert_allclose(run(x), outputs, rtol=1e-5, atol=1e-5)


def check_draws(run, model, number=4000):
    """Check that each call and each row has its own noise, distributed as in Keras."""
    x = np.repeat(rows(model, 1), number, axis=0)
    draws, again, reference = run(x), run(x), keras.ops.convert_to_numpy(model(x))
    assert (draws != again).mean() > 0.99
    assert (draws[1:] != draws[:-1]).mean() > 0.99
    deviations = reference.std(axis=0)
    assert deviations.min() > 0.01
    errors = np.abs(draws.mean(axis=0) - reference.mean(axis=0)) / deviations
    assert errors.max() < 6 * np.sqrt(2 / number), errors
    np.testing.assert_allclose(draws.std(axis=0), deviations, rtol=0.12)
