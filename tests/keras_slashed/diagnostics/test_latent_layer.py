"""diagnose with a layer of a compiled model, against an encoder and a loss written by hand."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_slashed.diagnostics import diagnose
from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import SlashedNormalSampling

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 6)).astype("float32")
SIZES = {"num_samples": 8, "batch_size": 16, "chunk_size": 4, "seed": 0}


def build(latent, loss="mse", prior=False, skip=False):
    """Return a VAE whose encoder is nested, with its encoder and its decoder."""
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)], name="encoder")
    decoder = keras.layers.Dense(6, activation="tanh", name="decoder")
    inputs = keras.Input((6,))
    amplitude = encoder(inputs)
    extra = (inputs[:, :2], ops.exp(inputs[:, 2:4])) if prior else ()
    z = latent(amplitude, *extra)
    model = keras.Model(inputs, decoder(ops.concatenate([z, inputs], -1) if skip else z))
    model.compile("adam", loss)
    return model, encoder, decoder


def squares(x, outputs):
    return ops.mean(ops.square(x - outputs), axis=-1)


def same(one, other):
    for name in ("rate", "gradient_rate", "residual", "variance", "price", "beta", "loss"):
        np.testing.assert_allclose(
            getattr(one, name), getattr(other, name), rtol=2e-4, atol=1e-6, err_msg=name
        )


@pytest.mark.parametrize("loss", [keras.losses.MeanSquaredError(), squares])
def test_it_is_the_diagnosis_of_the_parts(loss):
    model, encoder, decoder = build(SlashedNormalSampling(kl_weight=0.3, name="latent"), loss)
    found = diagnose(model, x=X, layer="latent", **SIZES)
    same(found, diagnose(encoder, lambda x, z: squares(x, decoder(z)), X, beta=0.3, **SIZES))
    assert found.beta == pytest.approx(0.3)


def test_a_fixed_rate_is_priced():
    latent = FixedRateVIB(2.0, name="latent", inference="sample")
    model, encoder, decoder = build(latent)
    model.compile(keras.optimizers.Adam(0.05), "mse")
    model.fit(X, X, epochs=20, verbose=0)
    found = diagnose(model, x=X, layer="latent", **SIZES)

    def normalized(x):
        return latent.rate_normalization(encoder(x))

    expected = diagnose(normalized, lambda x, z: squares(x, decoder(z)), X, beta=None, **SIZES)
    same(found, expected)


def test_what_goes_around_the_latent():
    """A skip connection, and a prior that depends on the input."""
    latent = SlashedNormalSampling(name="latent")
    model, encoder, decoder = build(latent, prior=True, skip=True)
    found = diagnose(model, x=X, layer="latent", **SIZES)

    def loss(x, z):
        z = x[:, :2] + ops.exp(x[:, 2:4]) * z
        return squares(x, decoder(ops.concatenate([z, x], -1)))

    same(found, diagnose(encoder, loss, X, **SIZES))


def test_other_targets():
    model, encoder, decoder = build(SlashedNormalSampling(name="latent"), "mse")
    found = diagnose(model, x=X, y=-X, layer=model.get_layer("latent"), beta=0.5, **SIZES)
    loss = diagnose(encoder, lambda y, z: squares(y, decoder(z)), X, -X, beta=0.5, **SIZES)
    same(found, loss)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer": "decoder"}, "must be a SlashedNormalSampling or FixedRateVIB"),
        ({"layer": "other"}, "Expected one of"),
        ({"layer": None}, "either a `loss`"),
        ({"loss": squares}, "either a `loss`"),
        ({"x": None}, "Expected data `x`"),
        ({"beta": 0.0}, "`beta` must be a positive"),
        ({"beta": "own"}, "`beta` must be a positive"),
    ],
)
def test_what_it_refuses(change, message):
    model, _, _ = build(SlashedNormalSampling(name="latent"))
    with pytest.raises(ValueError, match=message):
        diagnose(**{"encoder": model, "x": X, "layer": "latent", **SIZES, **change})


@pytest.mark.parametrize(
    ("compiled", "message"),
    [
        (None, "compiled with one loss"),
        (["mse"], "compiled with one loss"),
        (keras.losses.MeanSquaredError(reduction="sum"), "a mean over the batch"),
    ],
)
def test_losses_without_a_value_for_each_row(compiled, message):
    model, _, _ = build(SlashedNormalSampling(name="latent"), compiled)
    with pytest.raises(ValueError, match=message):
        diagnose(model, x=X, layer="latent", **SIZES)


def test_draws_and_rotations_are_refused():
    model, _, _ = build(lambda psi: SlashedNormalSampling(num_samples=2, name="latent")(psi))
    with pytest.raises(ValueError, match="one draw"):
        diagnose(model, x=X, layer="latent", **SIZES)
    rotation = np.eye(2, dtype="float32")
    model, _, _ = build(lambda psi: SlashedNormalSampling(name="latent")(psi, rotation=rotation))
    with pytest.raises(ValueError, match="without a rotation"):
        diagnose(model, x=X, layer="latent", **SIZES)


def test_a_matrix_as_the_prior_scale():
    keras.utils.set_random_seed(0)
    scale = np.array([[1.0, 0.5], [0.0, 2.0], [0.3, -1.0]], "float32")
    latent = SlashedNormalSampling(name="latent")
    model, encoder, decoder = build(lambda psi: latent(psi, prior_scale=scale))
    found = diagnose(model, x=X, layer="latent", **SIZES)
    expected = diagnose(
        encoder,
        lambda x, z: squares(x, decoder(ops.matmul(z, scale.T))),
        X,
        **SIZES,
    )
    same(found, expected)


def test_rates_of_each_input():
    latent = FixedRateVIB(2.0, "instance", name="latent")
    model, encoder, decoder = build(
        lambda psi: latent(psi, rate=ops.exp(psi[:, 0])),
    )
    found = diagnose(model, x=X, layer="latent", beta=0.5, **SIZES)

    def normalized(x):
        psi = encoder(x)
        return latent.rate_normalization(psi, ops.exp(psi[:, 0]))

    expected = diagnose(
        normalized,
        lambda x, z: squares(x, decoder(z)),
        X,
        beta=0.5,
        **SIZES,
    )
    same(found, expected)


def test_a_prior_alone():
    latent = SlashedNormalSampling(name="latent")
    model, encoder, decoder = build(latent, prior=True)
    found = diagnose(model, x=X, layer="latent", **SIZES)

    def loss(x, z):
        return squares(x, decoder(x[:, :2] + ops.exp(x[:, 2:4]) * z))

    same(found, diagnose(encoder, loss, X, **SIZES))
