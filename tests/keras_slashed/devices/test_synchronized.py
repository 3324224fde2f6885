"""Training on several devices equals training on one, on the joined batch."""

import numpy as np
import pytest

from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import RateNormalization
from tests.keras_slashed.devices import cases as cases
from tests.support import BACKEND
from tests.support import run_python
from tests.support import to_numpy

# Without `synchronized` a program of JAX sees the joined batch all the same.
JOINED = [name for name in cases.CASES if BACKEND == "jax" or name != "unsynchronized"]


@pytest.fixture(scope="module")
def on_devices(tmp_path_factory):
    """Return the results of `worker.py`, on eight devices with JAX and on two otherwise."""
    path = tmp_path_factory.mktemp("devices") / "found.npz"
    script = f"from tests.keras_slashed.devices.worker import write; write({str(path)!r})"
    run_python(script, OMP_NUM_THREADS="1")
    with np.load(path) as found:
        return dict(found)


@pytest.mark.parametrize("name", JOINED)
def test_equals_one_device_on_the_joined_batch(on_devices, name):
    """Amplitudes, gradients, the moving statistic of every replica, and inference with it."""
    expected = cases.normalized(cases.CASES[name])
    for what in ("outputs", "gradient", "inferred"):
        computed = on_devices[f"{name}/{what}"]
        np.testing.assert_allclose(computed, expected[what], rtol=2e-5, atol=2e-6, err_msg=what)
    statistics = on_devices[f"{name}/statistic"]
    assert len(statistics) == (1 if BACKEND == "jax" else 2)
    for statistic in statistics:
        np.testing.assert_allclose(statistic, expected["statistic"], rtol=1e-5)
    np.testing.assert_array_equal(statistics, statistics[:1].repeat(len(statistics), axis=0))


def test_mean_rate_of_the_joined_batch(on_devices):
    """Compare with NumPy. The rate is exact over all devices, and not on each device alone."""
    rates = np.sum(np.float64(on_devices["batch/outputs"]) ** 2, axis=-1)
    np.testing.assert_allclose(rates.mean(), cases.RATE, rtol=1e-6)
    for rows in cases.SHARES:
        assert abs(rates[rows].mean() / cases.RATE - 1.0) > 0.3


def test_calibration_on_all_data(on_devices):
    """Compare with NumPy. Later layers see the rate of a layer."""
    real, imaginary = np.split(np.float64(cases.calibration_rows()), 2, axis=-1)
    expected = [*np.mean(real**2 + imaginary**2, axis=0), 1.0, cases.RATE, 1.0]
    computed = on_devices["calibrated"]
    assert len(computed) == (1 if BACKEND == "jax" else 2)
    for statistic in computed:
        np.testing.assert_allclose(statistic, expected, rtol=1e-6)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="replicas that share their variables")
def test_metrics_of_the_joined_batch(on_devices):
    """Moments are no sums over replicas, nor is a sample kept of all rows."""
    for name, metric in cases.metrics().items():
        for batch in range(3):
            metric.update_state(*cases.metric_batch(batch))
        for index, variable in enumerate(metric.variables):
            computed = on_devices[f"{name}/{index}"]
            np.testing.assert_allclose(computed, to_numpy(variable), rtol=1e-5, err_msg=name)


@pytest.mark.skipif(BACKEND == "jax", reason="a program of JAX sees the joined batch")
def test_unsynchronized_devices_normalize_their_own_rows(on_devices):
    """The statistic is the mean of theirs on TensorFlow, their own on PyTorch."""
    case = cases.CASES["unsynchronized"]
    shares = [cases.normalized(case, rows) for rows in cases.SHARES]
    for what in ("outputs", "gradient"):
        expected = np.concatenate([share[what] for share in shares])
        computed = on_devices[f"unsynchronized/{what}"]
        np.testing.assert_allclose(computed, expected, rtol=2e-5, atol=2e-6, err_msg=what)
    expected = np.array([share["statistic"] for share in shares])
    if BACKEND == "tensorflow":
        expected = np.broadcast_to(expected.mean(axis=0), expected.shape)
    np.testing.assert_allclose(on_devices["unsynchronized/statistic"], expected, rtol=1e-5)


def test_noise_differs_between_devices_and_steps(on_devices):
    """The first device draws what a device alone draws, but on JAX, which draws for all."""
    z = on_devices["noise"]
    devices = 8 if BACKEND == "jax" else 2
    assert z.shape == (2 * devices * 8, cases.SIZE // 2)
    assert len(np.unique(z)) == z.size
    if BACKEND != "jax":
        layer, x = cases.noise()
        alone = to_numpy(layer(x, training=True))
        np.testing.assert_allclose(z[: len(x)], alone, rtol=1e-5)


@pytest.mark.parametrize(
    "name", ["trained_without_noise", *(["model_parallel"] if BACKEND == "jax" else [])]
)
def test_fit_equals_one_device(on_devices, name):
    """Weights and statistic after 16 steps of a training that draws nothing."""
    weights, logged = cases.trained_without_noise(parallel=False)
    for index, weight in enumerate(weights):
        computed = on_devices[f"{name}/{index}"]
        np.testing.assert_allclose(computed, weight, rtol=1e-4, atol=1e-5)
    for key in ("loss", "bottleneck_rate"):
        np.testing.assert_allclose(on_devices[f"{name}/{key}"], logged[key], rtol=1e-5)


def test_fit_of_a_bottleneck_learns_at_its_rate(on_devices):
    np.testing.assert_allclose(on_devices["trained_vib/bottleneck_rate"], 4.0, rtol=1e-5)
    assert on_devices["trained_vib/accuracy"] > 0.9
    assert all(np.isfinite(array).all() for array in on_devices.values())


@pytest.mark.parametrize("layer_class", [RateNormalization, FixedRateVIB])
def test_argument(layer_class):
    layer = layer_class(1.0, synchronized=True)
    assert layer.get_config()["synchronized"] is True
    assert layer_class.from_config(layer.get_config()).get_config() == layer.get_config()
    assert layer_class(1.0).get_config()["synchronized"] is False
    with pytest.raises(ValueError, match=r"`synchronized` must be one of .*Received: .*'auto'"):
        layer_class(1.0, synchronized="auto")
