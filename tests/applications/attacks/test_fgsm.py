import keras
import numpy as np
import pytest

from applications.attacks.fgsm import compile_fgsm
from applications.attacks.fgsm import loss_gradient
from applications.attacks.fgsm import margin
from applications.attacks.fgsm import step_along
from applications.models import mlp
from tests.applications.attacks import foolbox_oracle
from tests.applications.attacks.error_rates import fgsm_errors
from tests.support import to_numpy


def linear_classifier(weights):
    model = keras.Sequential([keras.Input((weights.shape[0],)), keras.layers.Dense(3)])
    model.layers[0].set_weights([weights, np.zeros(3, "float32")])
    return model


def test_against_the_closed_form_of_a_linear_classifier():
    """Softmax regression: grad_x L = W (p - onehot(y))."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(6, 3)).astype("float32")
    x = rng.normal(size=(53, 6)).astype("float32")  # the last batch is not full
    y = rng.integers(0, 3, 53)
    logits = x @ weights
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    direction = np.sign((p - np.eye(3)[y]) @ weights.T)
    epsilons = (0.0, 0.2, 0.7)
    expected = [
        np.mean(np.argmax((x + eps * direction) @ weights, axis=1) != y) for eps in epsilons
    ]
    errors = fgsm_errors(linear_classifier(weights), x, y, epsilons, batch_size=20)
    np.testing.assert_allclose(errors, expected, atol=1e-9)
    assert errors[0] < errors[2]


def test_clipped_to_a_range_of_pixels():
    """The pixel that beats the true class is out of range: it works only without clipping."""
    weights = np.diag([1.0, 1.0, -1.0]).astype("float32")
    model = linear_classifier(weights)
    x, y = np.array([[0.5, 0.0, -0.9]], "float32"), np.array([2])
    # The direction is (+, +, +): at eps = 0.3 the logits are 0.8 or 0.55, 0.3, and 0.6.
    errors = fgsm_errors(model, x, y, (0.1, 0.3), pixel_range=(-1.0, 0.55))
    np.testing.assert_array_equal(errors, [[0.0, 0.0], [0.0, 1.0]])


@pytest.mark.parametrize("bounds", [foolbox_oracle.PIXEL_RANGE, (-10.0, 10.0)])
def test_against_foolbox(bounds):
    """On a VIB: image for image, with pixels clipped to their range and beyond it."""
    epsilons = (0.05, 0.2, 0.5)
    model = foolbox_oracle.classifier()
    x, y = foolbox_oracle.images(120)
    attack = foolbox_oracle.foolbox.attacks.LinfFastGradientAttack()
    expected, wrong = foolbox_oracle.attacked(attack, model, x, y, epsilons, bounds)
    inputs, labels = keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(y, dtype="int32")
    gradient, _ = loss_gradient(model, inputs, labels, "crossentropy")
    images = np.clip(to_numpy(step_along(gradient, inputs, epsilons)), *bounds)
    np.testing.assert_allclose(images, expected, atol=1e-6)
    errors = fgsm_errors(model, x, y, epsilons, pixel_range=bounds, batch_size=50)
    np.testing.assert_allclose(errors[0], wrong.mean(axis=1), atol=1e-9)
    clean = np.mean(to_numpy(model(x)).argmax(1) != y)
    assert clean < errors[0, 0] < errors[0, 2]


def test_the_attacked_model_gives_the_direction():
    weights = np.eye(3, dtype="float32")
    x = np.array([[1.0, 0.5, 0.0]], "float32")
    y = np.array([0])
    # Attacking the negated model pushes the true class up.
    kinder = linear_classifier(-weights)
    model = linear_classifier(weights)
    assert fgsm_errors(model, x, y, (1.0,))[0] == 1.0
    assert fgsm_errors(model, x, y, (1.0,), attacked_model=kinder)[0] == 0.0


def test_a_compiled_attack_sees_new_weights():
    weights = np.eye(3, dtype="float32")
    model = linear_classifier(weights)
    attack = compile_fgsm(model, (0.0, 1.0))
    x = np.array([[1.0, 0.5, 0.0]], "float32")
    np.testing.assert_array_equal(attack(x, np.array([0])), [0.0, 1.0])
    model.layers[0].set_weights([10 * weights[::-1], np.zeros(3, "float32")])
    np.testing.assert_array_equal(attack(x, np.array([0])), [1.0, 1.0])
    np.testing.assert_array_equal(attack(x, np.array([2])), [0.0, 1.0])


@pytest.mark.parametrize("attack_samples", [None, 4])
def test_a_stochastic_model_draws_anew_for_each_batch(attack_samples):
    options = dict(
        input_shape=(4,), num_classes=3, hidden_units=(), bottleneck_units=8, rate=1.0,
        inference="sample", seed=3,
    )  # fmt: skip
    model = mlp.build(**options)
    attacked = None
    if attack_samples:
        attacked = mlp.build(**options, num_samples=attack_samples)
    x = np.zeros((400, 4), "float32")
    errors = fgsm_errors(model, x, np.zeros(400, "int32"), (0.0,), attacked, batch_size=40)
    # 400 times the amplitude 0: the class is a matter of the draw.
    assert 0.0 < errors[0] < 1.0
    # The noise continues from there, so nothing is lost between compiled calls.
    before = noise_state(model)
    fgsm_errors(model, x, np.zeros(400, "int32"), (0.0,), attacked, batch_size=40)
    assert noise_state(model) != before


def noise_state(model):
    return [to_numpy(v.value).tolist() for v in model.variables if "seed_generator" in v.path]


def test_the_margin_against_its_closed_form():
    """FGSM on the margin goes along W (onehot(best other class) - onehot(y))."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(6, 3)).astype("float32")
    x = rng.normal(size=(53, 6)).astype("float32")
    y = rng.integers(0, 3, 53)
    rivals = np.where(np.eye(3, dtype=bool)[y], -np.inf, x @ weights).argmax(1)
    direction = np.sign(weights[:, rivals] - weights[:, y]).T
    epsilons = (0.2, 0.7)
    expected = [
        np.mean(np.argmax((x + eps * direction) @ weights, axis=1) != y) for eps in epsilons
    ]
    model = linear_classifier(weights)
    errors = fgsm_errors(model, x, y, epsilons, batch_size=20, loss="margin")
    np.testing.assert_allclose(errors, expected, atol=1e-9)
    logits = x @ weights
    margins = np.take_along_axis(logits, rivals[:, None], 1) - logits[np.arange(53), y][:, None]
    found = margin(keras.ops.convert_to_tensor(y, dtype="int32"), model(x))
    np.testing.assert_allclose(to_numpy(found), margins[:, 0], rtol=1e-4, atol=1e-5)


def test_an_unknown_loss_is_refused():
    with pytest.raises(ValueError, match=r"`loss`.*'crossentropy', 'margin'.*'hinge'"):
        compile_fgsm(linear_classifier(np.eye(3, dtype="float32")), loss="hinge")
