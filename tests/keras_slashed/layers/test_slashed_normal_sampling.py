"""SlashedNormalSampling: the distribution of its draws, its loss, priors, arguments."""

import keras
import numpy as np
import pytest
from keras.src.backend import get_keras_mask

from keras_slashed.layers import SlashedNormalSampling
from keras_slashed.ops import amplitude_to_normal
from keras_slashed.ops import householder_rotation
from tests.support import BACKEND
from tests.support import floatx
from tests.support import gradient
from tests.support import random_amplitude
from tests.support import to_numpy
from tests.support import total_loss

AMPLITUDE = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
RATES = np.sum(AMPLITUDE**2, axis=-1)
SEQUENCE = np.random.default_rng(1).normal(size=(2, 4, 4)).astype("float32")
MASK = np.array([[True, True, False, True], [False, True, False, False]])


def prior_of_shape(*shape):
    generator = np.random.default_rng(len(shape))
    return (
        generator.normal(size=shape).astype("float32"),
        generator.uniform(0.5, 2.0, size=shape).astype("float32"),
    )


def draws(amplitude=AMPLITUDE, training=True, prior=(None, None), **arguments):
    layer = SlashedNormalSampling(**{"seed": 1, **arguments})
    prior_mean, prior_stddev = prior
    z = layer(amplitude, prior_mean=prior_mean, prior_stddev=prior_stddev, training=training)
    return to_numpy(z)


def hierarchy():
    """Return a model of two latents; the prior of the second is made from the first."""
    inputs = keras.Input((4,))
    top = SlashedNormalSampling(name="top")(keras.layers.Dense(4)(inputs))
    z = SlashedNormalSampling(name="bottom")(
        keras.layers.Dense(4, name="posterior")(inputs),
        prior_mean=keras.layers.Dense(2, name="prior_mean")(top),
        prior_stddev=keras.layers.Dense(2, name="prior_stddev")(top),
    )
    return keras.Model(inputs, keras.layers.Dense(1)(z))


@pytest.mark.parametrize("prior_shape", [None, (8, 2), (2,), (1, 2)])
def test_mean_and_stddev_of_draws(prior_shape):
    """Against `amplitude_to_normal`, within five standard errors of 20,000 draws."""
    count = 20_000
    prior = prior_of_shape(*prior_shape) if prior_shape else (None, None)
    z = draws(prior=prior, num_samples=count).astype("float64")
    assert z.shape == (8, count, 2)
    mean, stddev = (to_numpy(x) for x in amplitude_to_normal(AMPLITUDE, *prior))
    noise = (z - mean[:, None]) / stddev[:, None]
    bound = 5.0 / np.sqrt(count)
    np.testing.assert_allclose(noise.mean(axis=1), 0.0, atol=bound)
    np.testing.assert_allclose(noise.std(axis=1), 1.0, atol=bound / np.sqrt(2.0))
    # No two instances or latent dimensions share their noise.
    correlation = np.corrcoef(noise.swapaxes(1, 2).reshape(16, count))
    np.testing.assert_allclose(correlation, np.eye(16), atol=bound)


def test_seed():
    """The same seed draws the same, another seed and the next call something else."""
    one, same, other = (SlashedNormalSampling(seed=seed) for seed in (1, 1, 2))
    first = to_numpy(one(AMPLITUDE))
    np.testing.assert_array_equal(first, to_numpy(same(AMPLITUDE)))
    assert np.all(first != to_numpy(other(AMPLITUDE)))
    second = to_numpy(one(AMPLITUDE))
    assert np.all(first != second)
    np.testing.assert_array_equal(second, to_numpy(same(AMPLITUDE)))


def test_without_a_seed_layers_draw_differently():
    first, second = (to_numpy(SlashedNormalSampling()(AMPLITUDE)) for _ in range(2))
    assert np.all(first != second)


@pytest.mark.parametrize("shape", [(8, 4), (2, 4, 4)])
@pytest.mark.parametrize("num_samples", [1, 3])
@pytest.mark.parametrize("inference", ["sample", "mean"])
@pytest.mark.parametrize("training", [True, False])
def test_num_samples(shape, num_samples, inference, training):
    """(..., S, K): S different draws, or S times the mean."""
    amplitude = random_amplitude(shape)
    z = draws(amplitude, training, num_samples=num_samples, inference=inference)
    assert z.shape == (*shape[:-1], num_samples, 2)
    for sample in range(1, num_samples):
        same = z[..., sample, :] == z[..., 0, :]
        assert np.all(same == (not training and inference == "mean"))


@pytest.mark.parametrize("prior", [(None, None), prior_of_shape(8, 2)])
def test_inference_mean(prior):
    """The posterior mean at inference, and nothing but; in training it draws."""
    mean, _ = amplitude_to_normal(AMPLITUDE, *prior)
    z = draws(training=False, prior=prior, inference="mean")
    np.testing.assert_allclose(z, to_numpy(mean), rtol=1e-6)
    assert np.all(draws(training=True, prior=prior, inference="mean") != z)


def test_inference_sample_draws_as_training_does():
    np.testing.assert_array_equal(draws(training=False), draws(training=True))


@pytest.mark.parametrize("num_samples", [None, 3])
@pytest.mark.parametrize("shape", [(2,), (1, 2), (1, 1, 2), (4, 1), (2, 1, 1), (2, 4, 2), ()])
def test_priors_broadcast(shape, num_samples):
    """The result equals that of a prior with an entry for each position and dimension."""
    prior = prior_of_shape(*shape)
    full = tuple(np.array(np.broadcast_to(each, (2, 4, 2))) for each in prior)
    np.testing.assert_allclose(
        draws(SEQUENCE, prior=prior, num_samples=num_samples),
        draws(SEQUENCE, prior=full, num_samples=num_samples),
        rtol=1e-6,
    )
    assert np.any(
        draws(SEQUENCE, num_samples=num_samples)
        != draws(SEQUENCE, prior=prior, num_samples=num_samples)
    )


@pytest.mark.parametrize("num_samples", [None, 3])
def test_prior_scales_and_shifts_the_standard_draw(num_samples):
    """A draw is prior_mean + prior_stddev z0; a prior stddev of 0 is no trouble."""
    mean, stddev = prior_of_shape(8, 2)
    stddev[0, 0], stddev[1] = 0.0, -stddev[1]
    standard = draws(num_samples=num_samples)
    z = draws(prior=(mean, stddev), num_samples=num_samples)
    if num_samples:
        mean, stddev = mean[:, None], stddev[:, None]
    np.testing.assert_allclose(z, mean + stddev * standard, rtol=1e-5, atol=1e-6)
    for prior, expected in (((mean, None), mean + standard), ((None, stddev), stddev * standard)):
        if num_samples is None:
            np.testing.assert_allclose(draws(prior=prior), expected, rtol=1e-5, atol=1e-6)


def test_prior_may_be_a_number():
    expected = draws(prior=(np.float32([0.5]), np.float32([2.0])))
    np.testing.assert_allclose(draws(prior=(0.5, 2.0)), expected, rtol=1e-6)


def test_float16_draws_stay_in_range():
    """A value that is too large for float16 becomes its largest number, with a finite slope."""
    amplitude = np.array([[60.0, -60.0, 2.0, -2.0]], "float16")
    stddev = np.array([[6e4, 6e4]], "float16")

    def z(amplitude):
        return SlashedNormalSampling(inference="mean", dtype="float16")(amplitude, None, stddev)

    np.testing.assert_array_equal(to_numpy(z(amplitude)), [[65504.0, -65504.0]])
    assert np.isfinite(to_numpy(gradient(z, amplitude))).all()


def test_prior_of_low_precision_keeps_the_compute_dtype():
    layer = SlashedNormalSampling(dtype="mixed_float16", seed=1)
    z = layer(AMPLITUDE, *prior_of_shape(8, 2))
    assert keras.backend.standardize_dtype(z.dtype) == "float16"
    np.testing.assert_allclose(to_numpy(z), draws(prior=prior_of_shape(8, 2)), atol=0.02)


@pytest.mark.parametrize("kl_weight", [1.0, 0.5, 0.0, 3])
@pytest.mark.parametrize("mask", [None, MASK, ~MASK & MASK])
@pytest.mark.parametrize("training", [True, False])
def test_loss(kl_weight, mask, training):
    """The mean over the rows of which something is kept of the sum over the kept positions."""
    layer = SlashedNormalSampling(kl_weight)
    layer(SEQUENCE, mask=mask, training=training)
    rates = np.sum(SEQUENCE**2, axis=-1)
    kept = np.ones(rates.shape, "bool") if mask is None else mask
    rows = max(kept.reshape(2, -1).any(axis=1).sum(), 1)
    expected = kl_weight * np.sum(rates * kept) / rows
    (loss,) = layer.losses
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    assert tuple(loss.shape) == ()
    np.testing.assert_allclose(to_numpy(loss), expected, rtol=1e-6)


@pytest.fixture
def floatx64():
    with floatx("float64"):
        yield


def test_loss_in_float64(floatx64):
    """A weight of 0.1 in float32 is wrong in the eighth digit."""
    amplitude = np.random.default_rng(0).normal(size=(8, 4))
    layer = SlashedNormalSampling(0.1)
    layer(amplitude, training=True)
    (loss,) = layer.losses
    assert keras.backend.standardize_dtype(loss.dtype) == "float64"
    np.testing.assert_allclose(to_numpy(loss), 0.1 * np.sum(amplitude**2) / 8, rtol=1e-14)


@pytest.mark.parametrize("arguments", [{"num_samples": 3}, {"inference": "mean"}])
def test_loss_depends_on_the_amplitude_alone(arguments):
    """Neither on the prior, nor on the number of samples, nor on what is drawn."""
    for prior in ((None, None), prior_of_shape(2), prior_of_shape(8, 2)):
        layer = SlashedNormalSampling(**arguments)
        layer(AMPLITUDE, *prior)
        np.testing.assert_allclose(total_loss(layer), RATES.mean(), rtol=1e-6)


@pytest.mark.parametrize("mask", [None, np.arange(8) < 5])
def test_gradient_of_the_loss(mask):
    def loss(amplitude):
        layer = SlashedNormalSampling(kl_weight=0.3)
        layer(amplitude, mask=mask)
        return layer.losses[0]

    kept = 1.0 if mask is None else mask[:, None]
    rows = 8 if mask is None else mask.sum()
    expected = 2.0 * 0.3 * AMPLITUDE / rows * kept
    np.testing.assert_allclose(to_numpy(gradient(loss, AMPLITUDE)), expected, rtol=1e-5)


@pytest.mark.parametrize("num_samples", [None, 3])
def test_gradient_reaches_priors(num_samples):
    """The slope by prior_mean is 1, by prior_stddev the standard draw."""
    mean, stddev = prior_of_shape(8, 2)
    standard = draws(num_samples=num_samples)

    def z(prior_mean, prior_stddev):
        layer = SlashedNormalSampling(seed=1, num_samples=num_samples)
        return layer(AMPLITUDE, prior_mean, prior_stddev)

    slope = to_numpy(gradient(lambda x: z(x, stddev), mean))
    np.testing.assert_allclose(slope, num_samples or 1.0, rtol=1e-6)
    slope = to_numpy(gradient(lambda x: z(mean, x), stddev))
    expected = standard if num_samples is None else standard.sum(axis=1)
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-6)


def test_hierarchy():
    """A prior made by layers learns, in a compiled step, through z alone."""
    model = hierarchy()
    model.compile("sgd", "mse")
    kernels = [model.get_layer(name).kernel for name in ("prior_mean", "prior_stddev", "posterior")]
    before = [to_numpy(kernel).copy() for kernel in kernels]
    model.fit(AMPLITUDE, np.ones((8, 1), "float32"), verbose=0)
    for kernel, old in zip(kernels, before, strict=True):
        assert np.all(np.isfinite(to_numpy(kernel)))
        assert np.any(to_numpy(kernel) != old), kernel.path
    model(AMPLITUDE)
    assert len(model.losses) == 2


def test_hierarchy_saves(tmp_path):
    model = hierarchy()
    for layer in (model.get_layer("top"), model.get_layer("bottom")):
        layer.inference = "mean"
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for layer in (loaded.get_layer("top"), loaded.get_layer("bottom")):
        layer.inference = "mean"
    np.testing.assert_allclose(
        to_numpy(loaded(AMPLITUDE)), to_numpy(model(AMPLITUDE)), rtol=1e-6, atol=1e-6
    )


SCALES = [(2, 2), (3, 2), (1, 2), (8, 3, 2), (1, 3, 2)]


def matrices(scale_shape, rotation_shape=(8, 1, 2)):
    """Return a prior scale and the rotation of reflections of a shape."""
    rng = np.random.default_rng(5)
    reflections = rng.normal(size=rotation_shape).astype("float32")
    scale = rng.normal(size=scale_shape).astype("float32")
    return scale, to_numpy(householder_rotation(reflections))


@pytest.mark.parametrize("num_samples", [None, 3])
@pytest.mark.parametrize("rotation_shape", [(8, 1, 2), (2, 2), None])
@pytest.mark.parametrize("scale_shape", SCALES)
def test_prior_scale_and_rotation(scale_shape, rotation_shape, num_samples):
    """A draw is prior_mean + S0 (m + P (z0 - m)), by NumPy, with the mean m of a draw z0."""
    scale, rotation = matrices(scale_shape, rotation_shape or (8, 1, 2))
    arguments = {"prior_mean": np.float32([0.5]), "prior_scale": scale}
    if rotation_shape:
        arguments["rotation"] = rotation
    layer = SlashedNormalSampling(seed=1, num_samples=num_samples)
    z = to_numpy(layer(AMPLITUDE, training=True, **arguments))
    samples = () if num_samples is None else (num_samples,)
    assert z.shape == (8, *samples, scale.shape[-2])
    shapes = (8, 4), *(arguments[name].shape for name in ("prior_mean", "prior_scale"))
    assert layer.compute_output_shape(shapes[0], shapes[1], None, shapes[2]) == z.shape
    standard = draws(num_samples=num_samples).reshape(8, -1, 2)
    mean = np.sqrt(2.0) * AMPLITUDE[:, None, :2]
    if rotation_shape:
        standard = mean + (standard - mean) @ np.swapaxes(rotation, -1, -2)
    expected = 0.5 + standard @ np.swapaxes(scale, -1, -2)
    np.testing.assert_allclose(z.reshape(expected.shape), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(total_loss(layer), RATES.mean(), rtol=1e-6)


def test_rotation_with_a_diagonal_prior():
    _, rotation = matrices((2, 2))
    stddev = np.float32([2.0, -0.5])
    z, diagonal = (
        to_numpy(SlashedNormalSampling(seed=1)(AMPLITUDE, rotation=rotation, **prior))
        for prior in ({"prior_stddev": stddev}, {"prior_scale": np.diag(stddev)})
    )
    np.testing.assert_allclose(z, diagonal, rtol=1e-6, atol=1e-6)


def test_mean_at_inference_with_matrices():
    """No noise, so no rotation."""
    scale, rotation = matrices((8, 3, 2))
    layer = SlashedNormalSampling(inference="mean")
    z = to_numpy(layer(AMPLITUDE, prior_scale=scale, rotation=rotation))
    expected = np.einsum("bdk,bk->bd", scale, np.sqrt(2.0) * AMPLITUDE[:, :2])
    np.testing.assert_allclose(z, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["prior_scale", "rotation"])
def test_gradient_reaches_matrices_through_the_sample_alone(name):
    scale, rotation = matrices((8, 3, 2))
    arguments = {"prior_scale": scale, "rotation": rotation}

    def both(x):
        layer = SlashedNormalSampling(seed=1)
        z = layer(AMPLITUDE, **{**arguments, name: x})
        return z, layer.losses[0]

    assert to_numpy(gradient(lambda x: both(x)[0], arguments[name])).all()
    # The sum is of both, so the same slope as of the sample says that the loss has none.
    slopes = [
        to_numpy(gradient(lambda x, w=w: both(x)[0] + w * both(x)[1], arguments[name]))
        for w in (0.0, 1.0)
    ]
    np.testing.assert_array_equal(*slopes)


def hypernetwork():
    """Return a model whose prior scale and rotation are made by layers from the inputs."""
    inputs = keras.Input((4,))
    reflections = keras.layers.Reshape((1, 2))(keras.layers.Dense(2, name="rotation")(inputs))
    scale = keras.layers.Reshape((3, 2))(keras.layers.Dense(6, name="prior_scale")(inputs))
    z = SlashedNormalSampling(name="latent", num_samples=2, seed=1)(
        keras.layers.Dense(4, name="posterior")(inputs),
        prior_mean=keras.layers.Dense(3, name="prior_mean")(inputs),
        prior_scale=scale,
        rotation=householder_rotation(reflections),
    )
    assert z.shape == (None, 2, 3)
    return keras.Model(inputs, keras.layers.Dense(1)(z))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_hypernetwork_trains(policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = hypernetwork()
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile("sgd", "mse", run_eagerly=policy != "float32")
    names = "posterior", "prior_mean", "prior_scale", "rotation"
    before = [to_numpy(model.get_layer(name).kernel).copy() for name in names]
    model.fit(AMPLITUDE, np.ones((8, 2, 1), "float32"), verbose=0)
    for name, old in zip(names, before, strict=True):
        new = to_numpy(model.get_layer(name).kernel)
        assert np.isfinite(new).all()
        assert (new != old).any(), name


def test_hypernetwork_saves(tmp_path):
    model = hypernetwork()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for each in (model, loaded):
        each.get_layer("latent").seed_generator.state.assign([5, 0])
    np.testing.assert_allclose(
        to_numpy(loaded(AMPLITUDE)), to_numpy(model(AMPLITUDE)), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prior_scale": (3, 3)}, r"`prior_scale` must be a matrix \(\.\.\., D, 2\).*Received"),
        ({"prior_scale": (2,)}, r"`prior_scale` must be a matrix"),
        ({"prior_scale": (7, 3, 2)}, r"`prior_scale` must be a matrix"),
        ({"rotation": (3, 2)}, r"`rotation` must be a matrix \(\.\.\., 2, 2\).*Received"),
        ({"rotation": (1, 8, 2, 2)}, r"`rotation` must be a matrix"),
        ({"prior_scale": (3, 2), "prior_mean": (8, 2)}, r"`prior_mean` must broadcast.*\(8, 3\)"),
        ({"prior_scale": (3, 2), "prior_stddev": (8, 2)}, "Only one of `prior_stddev` and"),
    ],
)
def test_matrices_that_do_not_fit(arguments, message):
    values = {name: np.ones(shape, "float32") for name, shape in arguments.items()}
    with pytest.raises(ValueError, match=message):
        SlashedNormalSampling()(AMPLITUDE, **values)
    values = {name: keras.KerasTensor(shape) for name, shape in arguments.items()}
    layer = SlashedNormalSampling()
    layer(keras.KerasTensor((8, 4)))
    with pytest.raises(ValueError, match=message):  # in a symbolic call after the first
        layer(keras.KerasTensor((8, 4)), **values)


@pytest.mark.parametrize("with_prior", [False, True])
def test_mask_of_the_amplitude_counts(with_prior):
    """Keras finds a mask by itself only where there is one tensor argument."""
    amplitude = keras.layers.Masking()(np.where(MASK[..., None], SEQUENCE, 0.0))
    # Whatever stands at a masked position, here 1, must not count.
    amplitude = keras.layers.Dense(4, "relu", bias_initializer="ones")(amplitude)
    layer, explicit = SlashedNormalSampling(), SlashedNormalSampling()
    prior = {"prior_mean": np.zeros((2, 4, 2)), "prior_scale": np.eye(2)} if with_prior else {}
    prior = {name: value.astype("float32") for name, value in prior.items()}
    z = layer(amplitude, **prior)
    explicit(to_numpy(amplitude), mask=MASK)
    np.testing.assert_allclose(total_loss(layer), total_loss(explicit), rtol=1e-6)
    np.testing.assert_array_equal(to_numpy(get_keras_mask(z)), MASK)


class _CountCalls(keras.layers.Layer):
    calls = 0

    def call(self, inputs):
        self.calls += 1
        return inputs


def test_kl_weight_is_assigned_without_retracing():
    counter, layer = _CountCalls(), SlashedNormalSampling()
    encoder = keras.layers.Dense(4, kernel_initializer="identity")
    model = keras.Sequential([keras.Input((4,)), encoder, counter, layer])
    model.compile(keras.optimizers.SGD(0.0))  # no loss but the layer's
    calls = []

    def begin(epoch, logs):
        layer.kl_weight.assign([1.0, 0.0, 3.0][epoch])

    callback = keras.callbacks.LambdaCallback(
        on_epoch_begin=begin, on_epoch_end=lambda epoch, logs: calls.append(counter.calls)
    )
    history = model.fit(AMPLITUDE, epochs=3, verbose=0, callbacks=[callback]).history
    np.testing.assert_allclose(history["loss"], RATES.mean() * np.array([1.0, 0.0, 3.0]), rtol=1e-5)
    if BACKEND != "torch":  # which traces nothing and calls each layer at each step
        assert len(set(calls)) == 1


def test_kl_weight_is_a_variable_and_no_weight():
    layer = SlashedNormalSampling(0.25)
    layer.kl_weight = 0.5  # before it is built, and after
    layer.build((8, 4))
    assert not layer.trainable_weights
    assert len(layer.weights) == 1  # the mean rates
    assert any(variable is layer.kl_weight for variable in layer.non_trainable_variables)
    assert layer.get_config()["kl_weight"] == float(layer.kl_weight) == 0.5
    layer.kl_weight.assign(0.75)
    assert layer.get_config()["kl_weight"] == 0.75


@pytest.mark.parametrize("name", ["prior_mean", "prior_stddev"])
@pytest.mark.parametrize("shape", [(3,), (8, 4), (7, 2), (1, 8, 2)])
@pytest.mark.parametrize("symbolic", [True, False])
def test_prior_of_another_shape(name, shape, symbolic):
    amplitude, prior = AMPLITUDE, np.ones(shape, "float32")
    if symbolic:
        amplitude, prior = keras.KerasTensor((8, 4)), keras.KerasTensor(shape)
    with pytest.raises(
        ValueError, match=rf"`{name}` must broadcast to .*\(8, 2\).*Received: {name}"
    ):
        SlashedNormalSampling()(amplitude, **{name: prior})


def test_prior_of_another_shape_in_a_later_call():
    layer = SlashedNormalSampling()
    layer(AMPLITUDE)
    with pytest.raises(ValueError, match="`prior_mean` must broadcast"):
        layer(AMPLITUDE, prior_mean=np.ones((8, 3), "float32"))


@pytest.mark.parametrize("shape", [(8, 4), (8, 1), (7,), (4, 8)])
def test_mask_of_another_shape(shape):
    with pytest.raises(ValueError, match=r"`mask` must have the shape of the amplitude without"):
        SlashedNormalSampling()(AMPLITUDE, mask=np.ones(shape, "bool"))


@pytest.mark.parametrize("num_samples", [0, -1, 1.5, True, "3", 2.0])
def test_num_samples_is_a_positive_integer(num_samples):
    with pytest.raises(ValueError, match=r"`num_samples` must be None or a positive.*Received"):
        SlashedNormalSampling(num_samples=num_samples)


@pytest.mark.parametrize("inference", ["median", None, True])
def test_inference_is_one_of_two(inference):
    with pytest.raises(ValueError, match=r"`inference` must be one of 'sample', 'mean'.*Received"):
        SlashedNormalSampling(inference=inference)


@pytest.mark.parametrize("kl_weight", [-1, float("nan"), float("inf"), "1", None, True])
def test_kl_weight_is_not_negative(kl_weight):
    with pytest.raises(
        ValueError, match=r"`kl_weight` must be a finite number, 0 or more.*Received"
    ):
        SlashedNormalSampling(kl_weight)


@pytest.mark.parametrize("shape", [(8, 3), (8, None), ()])
def test_build_needs_an_even_last_axis(shape):
    with pytest.raises(ValueError, match=r"An amplitude must have the shape \(\.\.\., 2K\)"):
        SlashedNormalSampling().build(shape)


def test_prior_of_a_later_symbolic_call_is_checked():
    """Keras builds a layer in its first call alone."""
    layer = SlashedNormalSampling()
    layer(keras.Input((4,)))
    with pytest.raises(ValueError, match="prior_mean"):
        layer(keras.Input((4,)), prior_mean=keras.Input((3,)))
