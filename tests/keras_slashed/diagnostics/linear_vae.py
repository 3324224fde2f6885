"""The linear VAE, whose stationary posterior is known in closed form: NumPy.

p(x|z) = N(W z + mu, s^2 I), p(z) = N(0, I), q(z|x) = N(V (x - mu), diag(d^2)); Lucas et
al., Don't Blame the ELBO!, 2019. With the loss `beta |psi|^2` next to the reconstruction
it is that of a variance of `beta s^2`.
"""

import keras
import numpy as np

SQRT_2 = 2**0.5


class LinearVAE:
    """Data of given eigenvalues, and a linear VAE of variance 1 at its optimum for beta.

    Where an eigenvalue is below beta, W has a column of 0 and the posterior is the prior.

    Args:
        eigenvalues: Of the data's covariance, falling; the first `latents` are modeled.
        latents: Number of latent dimensions.
        beta: The weight of the rate.
        count: Number of instances.
    """

    def __init__(self, eigenvalues=(9.0, 3.0, 0.4, 0.2, 0.1), latents=4, beta=1.0, count=256):
        rng = np.random.default_rng(0)
        features = len(eigenvalues)
        directions = np.linalg.qr(rng.normal(size=(features, features)))[0]
        white = rng.normal(size=(count, features))
        white = np.linalg.qr(white - white.mean(axis=0))[0] * count**0.5  # covariance I, exactly
        self.mean = rng.normal(size=features)
        x = white * np.sqrt(eigenvalues) @ directions.T + self.mean
        self.x = x.astype("float32")
        self.beta = beta
        scales = np.sqrt(np.maximum(np.array(eigenvalues[:latents]) - beta, 0.0))
        self.matrix = directions[:, :latents] * scales
        precision = scales**2 / beta + 1.0
        self.to_mean = (self.matrix / beta / precision).T
        self.stddev = precision**-0.5

    def encoder(self, mean_scale=1.0, stddev_scale=1.0):
        """Return the optimal encoder, or one with scaled means and standard deviations."""
        to_a = constant(mean_scale * self.to_mean.T / SQRT_2)
        b = constant(inverse_stdplus(stddev_scale * self.stddev) / SQRT_2)

        def encode(x):
            a = keras.ops.matmul(x - constant(self.mean), to_a)
            return keras.ops.concatenate([a, b + 0.0 * a], axis=-1)

        return encode

    def loss(self, x, z):
        """Return -log p(x|z) without its constant, a tensor."""
        off = x - constant(self.mean) - keras.ops.matmul(z, constant(self.matrix.T))
        return 0.5 * keras.ops.sum(off * off, axis=-1)

    def psi(self, mean_scale=1.0, stddev_scale=1.0):
        """Return a and b of each instance, (N, K) both."""
        mean = mean_scale * (self.x - self.mean) @ self.to_mean.T
        b = inverse_stdplus(stddev_scale * self.stddev) / SQRT_2
        return mean / SQRT_2, np.broadcast_to(b, mean.shape)

    def gradient(self, mean_scale=1.0, stddev_scale=1.0):
        """Return the expected gradient of the loss by a and by b, in closed form.

        `E L = |x - mu - W mean|^2 / 2 + sum_k stddev_k^2 (W^T W)_kk / 2`.
        """
        mean = SQRT_2 * self.psi(mean_scale)[0]
        stddev = stddev_scale * self.stddev
        by_mean = (mean @ self.matrix.T - (self.x - self.mean)) @ self.matrix
        by_stddev = np.sum(self.matrix**2, axis=0) * stddev
        # Eq. 31, and its limit at 0.
        x, far = inverse_stdplus(stddev), stddev != 1
        slope = np.full(stddev.shape, 0.5**0.5)
        slope[far] = x[far] * stddev[far] / (stddev[far] ** 2 - 1)
        by_b = SQRT_2 * slope * by_stddev
        return SQRT_2 * by_mean, np.broadcast_to(by_b, mean.shape)


def inverse_stdplus(y):
    return np.sign(y - 1) * np.sqrt(y**2 - 1 - 2 * np.log(y))


def constant(x):
    return keras.ops.convert_to_tensor(np.asarray(x), dtype="float32")
