"""The benchmark of block codes: its estimate of the distance, and its tables."""

import numpy as np
import pytest
import scipy.stats

from applications.experiment import csv_tables
from benchmarks.block_code import __main__ as block_code
from benchmarks.block_code.estimate import DistanceEstimate
from benchmarks.block_code.posteriors import DIRECTIONS
from benchmarks.block_code.posteriors import Posterior
from benchmarks.block_code.posteriors import posterior


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_posteriors_have_their_rate(direction):
    for number in (0, 1):
        one = posterior(direction, 4, 6.0, number)
        variance = np.exp(2 * one.log_stddev)
        kl = 0.5 * np.sum(one.mean**2 + variance - 1 - 2 * one.log_stddev)
        assert kl == pytest.approx(6.0, rel=1e-5)
        assert (one.log_stddev <= 0).all() == ("wide" not in direction)
        assert np.any(one.mean) == ("mean" in direction)


def chosen(mean, stddev, candidate_stddev, count, rng, repeats=10000):
    """Return draws by minimal random coding in one dimension, in NumPy."""
    z = candidate_stddev * rng.standard_normal((repeats, count))
    log_weight = scipy.stats.norm.logpdf(z, mean, stddev)
    log_weight -= scipy.stats.norm.logpdf(z, 0.0, candidate_stddev)
    index = np.argmax(log_weight + rng.gumbel(size=z.shape), axis=-1)
    return z[np.arange(repeats), index]


@pytest.mark.parametrize(
    ("mean", "stddev", "candidate_stddev"), [(2.0, 1.0, 1.0), (2.0, 1.0, 1.2), (0.5, 0.1, 1.0)]
)
@pytest.mark.parametrize("bits", [5, 7])
def test_the_estimate_is_the_distance_of_minimal_random_coding(
    mean, stddev, candidate_stddev, bits
):
    one = Posterior(None, np.array([mean]), np.log([stddev]))
    estimate = DistanceEstimate(one, candidate_stddev).distance(bits)
    draws = chosen(mean, stddev, candidate_stddev, 2**bits, np.random.default_rng(0))
    distance = scipy.stats.kstest(draws, "norm", (mean, stddev)).statistic
    assert estimate == pytest.approx(distance, abs=0.02)
    assert estimate > 0.02 or bits == 7


@pytest.mark.experiment("torch")
def test_a_table(tmp_path, capsys):
    command = (
        f"--output {tmp_path} --rates 2 --latent-dims 2 --margins 1 4 --candidate-stddevs 1.2 "
        "--directions 2 --coder-bits 7 --cost-bits 4 6 --repeats 3 --seconds 0.1"
    )
    block_code.main(command.split())
    rows = csv_tables.read_rows(tmp_path / "block_code.csv")
    by_measure = csv_tables.grouped(rows, "measure")
    estimated = by_measure[("distance, estimated",)]
    assert len(estimated) == len(by_measure[("distance, coder",)]) == 2 * 4
    for few, many in zip(estimated[::2], estimated[1::2], strict=True):
        assert float(few["worst_distance"]) > float(many["worst_distance"])
        assert float(many["worst_distance"]) < 0.05 or "wide" in many["direction"]
    assert len(by_measure[("width",)]) == len(by_measure[("cost",)]) == 2
    text = (tmp_path / "block_code.md").read_text()
    assert text in capsys.readouterr().out
    assert "## Candidates 1.2 times as wide as the prior" in text
