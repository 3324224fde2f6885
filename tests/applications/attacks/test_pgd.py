"""PGD against worst cases in closed form, on classifiers that mask, and that draw."""

import keras
import numpy as np
import pytest

from applications.attacks.pgd import PgdSearch
from applications.models import mlp
from tests.applications.attacks import foolbox_oracle
from tests.applications.attacks.error_rates import compile_pgd
from tests.applications.attacks.error_rates import fgsm_errors
from tests.support import to_numpy

EPSILONS = (0.0, 0.1, 0.3, 0.8)


def linear_classifier(weights):
    dense = keras.layers.Dense(weights.shape[1], use_bias=False)
    model = keras.Sequential([keras.Input((weights.shape[0],)), dense])
    dense.set_weights([weights])
    return model


def rough_classifier(seed=0):
    """A classifier whose loss has many local maxima."""
    rng = np.random.default_rng(seed)
    x = inputs = keras.Input((5,))
    x = keras.ops.sin(keras.layers.Dense(16)(x))
    model = keras.Model(inputs, keras.layers.Dense(3)(x))
    model.set_weights([rng.normal(size=w.shape) * 5.0 for w in model.get_weights()])
    return model


def two_classes(number=53):
    """Return weights, inputs and labels; and the direction that misleads each input most."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(6, 2)).astype("float32")
    x = rng.uniform(-1.0, 1.0, (number, 6)).astype("float32")
    y = rng.integers(0, 2, number)
    difference = weights[:, 1] - weights[:, 0]  # what raises the margin of class 0
    return weights, x, y, np.where(y[:, None] == 0, difference, -difference)


def tensors(x, y):
    return keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(y, dtype="int32")


@pytest.mark.parametrize("pixel_range", [None, (-0.9, 0.8)])
@pytest.mark.parametrize("loss", ["margin", "crossentropy"])
def test_against_the_worst_case_of_a_linear_classifier(loss, pixel_range):
    """For two classes the worst image is x + eps sign(w), clipped. No other image comes close."""
    weights, x, y, worst = two_classes()
    if pixel_range is not None:
        x = np.clip(x, *pixel_range)
    expected = []
    for eps in EPSILONS:
        image = x + eps * np.sign(worst)
        image = image if pixel_range is None else np.clip(image, *pixel_range)
        expected.append(np.mean((image * worst).sum(1) > 0))
    attack = compile_pgd(linear_classifier(weights), EPSILONS, None, pixel_range, restarts=2,
                         steps=5, loss=loss)  # fmt: skip
    errors = attack(x, y, batch_size=20)  # the last batch is not full
    np.testing.assert_allclose(errors, expected, atol=1e-9)
    assert errors[0] < errors[1] < errors[2]


@pytest.mark.parametrize("bounds", [foolbox_oracle.PIXEL_RANGE, (-10.0, 10.0)])
def test_against_foolbox(bounds):
    """On a VIB, from the same start: image for image where ours is not the one it began with."""
    epsilons, steps, step_size = (0.05, 0.2, 0.5), 6, 2.5
    model = foolbox_oracle.classifier()
    x, y = foolbox_oracle.images(120)
    starts = np.stack([np.random.default_rng([0, 0, i]).uniform(-1, 1, 6) for i in range(len(x))])
    attack = foolbox_oracle.PgdFrom(starts.astype("float32"), steps, step_size)
    expected, wrong = foolbox_oracle.attacked(attack, model, x, y, epsilons, bounds)
    options = dict(steps=steps, restarts=1, step_size=step_size, loss="crossentropy")
    images = to_numpy(PgdSearch(model, epsilons, bounds, **options)(*tensors(x, y)))
    moved = (images != x).any(axis=-1)
    assert moved.mean() > 0.9
    np.testing.assert_allclose(images[moved], expected[moved], atol=1e-6)
    # The image itself is kept where it is wrong and the attack has not made it more so.
    clean = to_numpy(model(x)).argmax(1) != y
    errors = compile_pgd(model, epsilons, pixel_range=bounds, **options)(x, y, batch_size=50)
    np.testing.assert_allclose(errors, (wrong | clean).mean(axis=1), atol=1e-9)
    assert clean.mean() < errors[0] < errors[2]


def test_images_stay_in_the_ball_and_in_the_range():
    _, x, y, _ = two_classes(20)
    x[0, 0] = -1.0
    search = PgdSearch(rough_classifier(), EPSILONS, (-1.0, 1.0), steps=4, restarts=2)
    images = to_numpy(search(*tensors(x[:, :5], y)))
    assert images.shape == (4, 20, 5)
    moved = np.abs(images - x[:, :5]).max((1, 2))
    np.testing.assert_allclose(moved, EPSILONS, atol=1e-6)
    assert (images.min(), images.max()) == (-1.0, 1.0)
    np.testing.assert_array_equal(images[0], x[:, :5])


def test_a_masked_gradient_hides_the_way_from_the_crossentropy_alone():
    """Logits times 10,000: float32 rounds every probability to 0 or 1."""
    weights, x, y, worst = two_classes(200)
    margins = (x * worst).sum(1)
    sure = margins < -0.05  # right, by 500 nats at least
    x, y, worst, margins = x[sure], y[sure], worst[sure], margins[sure]
    model = linear_classifier(1e4 * weights)
    expected = [np.mean(margins + eps * np.abs(worst).sum(1) > 0) for eps in EPSILONS]
    assert expected[-1] > 0.9
    np.testing.assert_array_equal(fgsm_errors(model, x, y, EPSILONS), [0.0] * 4)
    np.testing.assert_allclose(fgsm_errors(model, x, y, EPSILONS, loss="margin"), expected)
    np.testing.assert_allclose(compile_pgd(model, EPSILONS, restarts=1)(x, y), expected)
    # A random start that is right by as much leads nowhere.
    followed = compile_pgd(model, EPSILONS, restarts=1, loss="crossentropy")(x, y)
    assert followed[-1] < expected[-1] - 0.2


def test_more_restarts_never_lower_the_error():
    rng = np.random.default_rng(1)
    x = rng.uniform(-1.0, 1.0, (60, 5)).astype("float32")
    model = rough_classifier()
    y = to_numpy(model(x)).argmax(1)
    errors = [
        compile_pgd(model, (0.0, 0.05, 0.12), restarts=restarts, steps=3)(x, y, batch_size=25)
        for restarts in (1, 2, 6)
    ]
    assert (np.diff(errors, axis=0) >= 0).all()
    assert errors[2][2] > errors[0][2]
    np.testing.assert_array_equal(np.array(errors)[:, 0], 0.0)


def test_random_starts_depend_on_the_seed_and_not_on_the_batches():
    _, x, y, _ = two_classes(12)
    x = x[:, :5]
    model = rough_classifier()
    images = to_numpy(PgdSearch(model, (0.3,), restarts=1, steps=2)(*tensors(x, y)))
    search = PgdSearch(model, (0.3,), restarts=1, steps=2)
    parts = [to_numpy(search(*tensors(x[i : i + 4], y[i : i + 4]), i)) for i in (0, 4, 8)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), images, atol=1e-6)
    other = to_numpy(PgdSearch(model, (0.3,), restarts=1, steps=2, seed=1)(*tensors(x, y)))
    assert np.abs(other - images).max() > 0.01


def test_a_compiled_attack_sees_new_weights():
    weights, x, y, worst = two_classes()
    model = linear_classifier(weights)
    attack = compile_pgd(model, (0.1,), restarts=1, steps=3)
    expected = np.mean((x * worst).sum(1) + 0.1 * np.abs(worst).sum(1) > 0)
    assert attack(x, y)[0] == pytest.approx(expected)
    model.layers[0].set_weights([-weights])
    expected = np.mean(-(x * worst).sum(1) + 0.1 * np.abs(worst).sum(1) > 0)
    assert attack(x, y)[0] == pytest.approx(expected)


def test_the_luck_of_a_draw_is_no_attack():
    """A classifier whose class is a matter of the draw errs as often after many restarts."""
    options = dict(
        input_shape=(4,), num_classes=3, hidden_units=(), bottleneck_units=8, rate=1.0,
        inference="sample",
    )  # fmt: skip
    model = mlp.build(**options, seed=3)
    x, y = np.zeros((400, 4), "float32"), np.zeros(400, "int32")
    once = fgsm_errors(model, x, y, (0.0,), batch_size=400)[0]
    attack = compile_pgd(model, (0.0,), mlp.build(**options, seed=4, num_samples=3), restarts=8,
                         steps=1, estimates=2)  # fmt: skip
    # Were one wrong verdict of 9 enough, it would be above 0.99.
    assert attack(x, y, 400)[0] == pytest.approx(once, abs=0.15)
    assert 0.3 < once < 0.9


@pytest.mark.parametrize(
    "bad", [{"loss": "hinge"}, {"steps": 0}, {"restarts": 1.5}, {"step_size": 0.0}, {"seed": "a"}]
)
def test_bad_options_are_refused(bad):
    with pytest.raises(ValueError, match=f"`?{next(iter(bad))}`?.*Received"):
        compile_pgd(rough_classifier(), EPSILONS, **bad)
