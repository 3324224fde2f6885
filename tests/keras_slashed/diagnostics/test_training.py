"""diagnose on models that train: what it says as they converge."""

import keras
import numpy as np
import scipy.special

from keras_slashed.diagnostics import diagnose
from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import SlashedNormalSampling
from tests.keras_slashed.diagnostics.linear_vae import LinearVAE
from tests.support import to_numpy


def test_linear_vae():
    """Train from the start to the optimum, where half of the latent dimensions are collapsed."""
    x, draws, steps = LinearVAE((9.0, 3.0, 0.2, 0.2, 0.1)).x, 8, 100
    inputs = keras.Input((5,))
    amplitude = keras.layers.Dense(2 * 4)(inputs)
    decoder = keras.layers.Dense(5)
    outputs = decoder(SlashedNormalSampling(num_samples=draws, seed=0)(amplitude))
    vae, encoder = keras.Model(inputs, outputs), keras.Model(inputs, amplitude)

    def reconstruction_loss(x, mean):
        squares = (keras.ops.expand_dims(x, 1) - mean) ** 2
        return 0.5 / draws * keras.ops.sum(squares, axis=(1, 2))

    def loss(x, z):
        return 0.5 * keras.ops.sum((x - decoder(z)) ** 2, axis=-1)

    def diagnosis():
        return diagnose(encoder, loss, x, num_samples=128, batch_size=128, seed=0)

    stages = 1, 3, 6
    schedule = keras.optimizers.schedules.CosineDecay(0.05, sum(stages) * steps)
    vae.compile(keras.optimizers.Adam(schedule), reconstruction_loss)
    repeated = np.tile(x, (steps, 1))
    results = [diagnosis()]
    for epochs in stages:
        vae.fit(repeated, repeated, batch_size=len(x), epochs=epochs, verbose=0)
        results.append(diagnosis())
    first, early, late, last = (result.residual.sum() for result in results)
    assert first > 10
    assert early < 0.05 * first
    assert late < 0.8 * early
    assert abs(last) < 0.01
    assert results[0].fails.all()
    last = results[-1]
    assert last.holds.all()
    assert last.collapsed.sum() == 2
    # What the eigenvalues 9 and 3 say: half the logarithms.
    np.testing.assert_allclose(last.rate.sum(), 0.5 * np.log(27.0), atol=0.05)
    np.testing.assert_allclose(last.rate[last.collapsed], 0.0, atol=0.005)


def test_amplitudes_of_their_own():
    """Of each instance one, without an encoder: the residual of a nonlinear decoder goes to 0."""
    count, latents, beta = 64, 3, 0.5
    rng = np.random.default_rng(0)
    hidden, logits = keras.layers.Dense(16, "tanh"), keras.layers.Dense(10)
    hidden.build((None, latents))
    logits.build((None, 16))
    # The last latent dimension is nothing to the decoder.
    hidden.set_weights([rng.normal(size=(latents, 16)) * [[1.0], [1.0], [0.0]], np.zeros(16)])
    logits.set_weights([rng.normal(size=(16, 10)), np.zeros(10)])
    hidden.trainable = logits.trainable = False

    def decoder(z):
        return logits(hidden(z))

    y = (rng.random((count, 10)) < 0.5).astype("float32")
    index, draws = np.arange(count), 64
    inputs = keras.Input((), dtype="int32")
    amplitude = keras.layers.Embedding(count, 2 * latents)(inputs)
    sampling = SlashedNormalSampling(kl_weight=beta, num_samples=draws, seed=0)
    model = keras.Model(inputs, decoder(sampling(amplitude)))
    encoder = keras.Model(inputs, amplitude)

    def loss(y, z):
        return 10 * keras.losses.binary_crossentropy(y, decoder(z), from_logits=True)

    def reconstruction_loss(y, logits):
        y = keras.ops.repeat(keras.ops.expand_dims(y, 1), draws, axis=1)
        losses = keras.losses.binary_crossentropy(y, logits, from_logits=True)
        return 10 * keras.ops.mean(losses, axis=1)

    results = []
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 300)
    model.compile(keras.optimizers.Adam(schedule), reconstruction_loss)
    for repeats in (1, 299):
        x = np.tile(index, repeats), np.tile(y, (repeats, 1))
        model.fit(*x, batch_size=count, shuffle=False, verbose=0)
        sizes = {"num_samples": 512, "batch_size": count, "chunk_size": 64}
        results.append(diagnose(encoder, loss, index, y, beta, **sizes, seed=0))
    before, after = results
    assert before.residual.sum() > 0.5
    assert after.residual.sum() < 0.01 * before.residual.sum() + 3 * after.standard_error.sum()
    assert after.holds.all()
    assert after.collapsed.tolist() == [False, False, True]
    assert after.rate[:2].min() > 0.1
    np.testing.assert_allclose(after.gradient_rate, after.rate, rtol=0.05, atol=1e-3)


def test_fixed_rate():
    """Its price of a nat is the slope of the loss by the rate, by differences in NumPy."""
    rng = np.random.default_rng(0)
    y = rng.integers(4, size=512)
    x = (rng.normal(size=(4, 6)) * 2)[y] + rng.normal(size=(512, 6))
    x = x.astype("float32")
    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(32, activation="tanh")(inputs)
    amplitude = keras.layers.Dense(2 * 3)(hidden)
    bottleneck, classifier = FixedRateVIB(1.0, momentum=0.9, seed=0), keras.layers.Dense(4)
    model = keras.Model(inputs, classifier(bottleneck(amplitude)))
    encoder = keras.Model(inputs, bottleneck.rate_normalization(amplitude))
    entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), entropy)

    def loss(y, z):
        return keras.losses.sparse_categorical_crossentropy(y, classifier(z), from_logits=True)

    def diagnosis():
        return diagnose(encoder, loss, x, y, beta=None, num_samples=128, batch_size=128, seed=0)

    model.fit(x, y, batch_size=128, epochs=1, verbose=0)
    before = diagnosis()
    model.fit(x, y, batch_size=128, epochs=60, verbose=0)
    after = diagnosis()
    np.testing.assert_allclose(after.rate.sum(), 1.0, atol=0.1)
    shares = [result.residual.sum() / result.rate.sum() for result in (before, after)]
    assert shares[1] < 0.3 * shares[0]
    assert after.loss < 0.8 * before.loss

    weights = [to_numpy(weight) for weight in (classifier.kernel, classifier.bias)]
    psi = encoder.predict(x, verbose=0).astype("float64")
    noise = rng.normal(size=(200, len(x), 3))
    noise = np.concatenate([noise, -noise])
    step = 0.02
    low, high = (mean_loss(psi * (1 + s), noise, y, *weights) for s in (-step, step))
    slope = (high - low) / (np.mean(np.sum(psi**2, axis=1)) * 4 * step)
    np.testing.assert_allclose(after.beta, -slope, rtol=0.05)
    np.testing.assert_allclose(after.loss, (low + high) / 2, rtol=0.02)


def mean_loss(psi, noise, y, kernel, bias):
    """The mean cross entropy, with stdplus by SciPy's Lambert W."""
    a, b = np.split(psi * 2**0.5, 2, axis=1)
    argument = -np.exp(-(b**2) - 1)
    lower, upper = (-scipy.special.lambertw(argument, branch).real for branch in (0, -1))
    z = a + np.sqrt(np.where(b < 0, lower, upper)) * noise
    log_probabilities = scipy.special.log_softmax(z @ kernel + bias, axis=-1)
    return -np.mean(log_probabilities[:, np.arange(len(y)), y])
