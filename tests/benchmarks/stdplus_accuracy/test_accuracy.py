"""The measuring of errors: ulp, tallies, and runs that are killed and continue."""

import math

import keras
import numpy as np
import pytest

from applications.experiment import csv_tables
from benchmarks.harness import frameworks
from benchmarks.stdplus_accuracy import __main__ as stdplus_accuracy
from benchmarks.stdplus_accuracy import exhaustive
from benchmarks.stdplus_accuracy import methods
from benchmarks.stdplus_accuracy import regions
from benchmarks.stdplus_accuracy import ulps
from keras_slashed import config

# Where there is no need to wait for a compiler
MODE = "plain" if "plain" in frameworks.MODES else frameworks.MODES[0]
CHUNK = 2**13  # of the 2^16 numbers of float16


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(methods, "BLOCK", CHUNK)


def one(computed, exact, dtype="float32"):
    """Return the tally of one result."""
    ends = [-math.inf, math.inf]
    return ulps.measure(np.array([1.0]), np.array([computed]), np.array([exact]), dtype, ends)[0]


@pytest.mark.parametrize(
    ("computed", "exact", "error"),
    [(1 + 2.0**-23, 1.0, 1.0), (1 - 2.0**-24, 1.0, 0.5), (-2.0, -2 - 2.0**-22, 1.0)],
)
def test_an_error_is_in_steps_at_the_exact_value(computed, exact, error):
    assert one(computed, exact).max_ulp == error
    assert one(computed, exact).wrong == 0


def test_an_error_beyond_float64():
    x = np.array([1.0])
    ends = [-math.inf, math.inf]
    tally = ulps.measure(x, x, x, "float64", ends, rest=np.array([2.0**-54]))[0]
    assert tally.max_ulp == 0.25


def test_subnormal_results_count_apart():
    assert one(0.0, 1e-39) == ulps.Tally(values=1, at=1.0, subnormal=1)
    tally = one(2 * 2.0**-149, 2.0**-149)
    assert (tally.max_ulp, tally.subnormal, tally.max_ulp_subnormal) == (0.0, 1, 1.0)
    assert one(1e-5, 1e-5, "float16").subnormal == 1


@pytest.mark.parametrize(
    ("computed", "exact", "wrong"),
    [
        (np.nan, 1.0, 1),
        (np.inf, 1.0, 1),
        (1.0, np.inf, 1),
        (-np.inf, np.inf, 1),
        (1.0, np.nan, 1),
        (np.nan, np.nan, 0),
        (np.inf, np.inf, 0),
        (np.inf, 1e39, 0),
        (np.inf, float(np.finfo("float32").max), 1),
    ],
)
def test_wrong_results(computed, exact, wrong):
    tally = one(computed, exact)
    assert (tally.wrong, tally.max_ulp) == (wrong, 0.0)


def test_intervals():
    x = np.array([-np.inf, -1.0, -0.5, 0.0, 3.0, np.inf, np.nan])
    tallies = ulps.measure(x, x, x, "float32", [-np.inf, -1.0, 0.0, np.inf])
    assert [tally.values for tally in tallies] == [1, 2, 3, 1]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_every_value_is_in_order(dtype):
    half = 2 ** (15 if dtype != "float32" else 31)
    for start in (0, half, half // 8 * 7, 2 * half - 4096):
        x = regions.every_value(dtype, start, start + 4096)
        numbers = x[~np.isnan(x)]
        assert len(x) == 4096
        assert (np.diff(numbers) > 0).all()
        assert not np.isnan(x[: len(numbers)]).any()


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("dtype", stdplus_accuracy.DTYPES)
def test_a_sample_reaches_every_region(dtype, inverse):
    x = regions.sample(inverse, dtype, 20)
    edges, names = regions.regions(inverse, dtype)
    assert len(edges) == len(names) + 1
    assert (np.diff(edges) > 0).all()
    counts, _ = np.histogram(x[np.isfinite(x)], np.clip(edges, -1e308, 1e308))
    # float16 ends at 65504, and has subnormal numbers alone below 6e-5.
    assert all(count > 10 for count in counts) or dtype == "float16"
    # An edge belongs to the side with the smaller |x|, as in Algorithm 1.
    if not inverse:
        assert edges[names.index("abs x 1e-06 to 0.04")] == -0.04
        assert 0.04 in edges or np.nextafter(0.04, 1.0) in edges


def without_time(rows):
    return [{key: value for key, value in row.items() if key != "minutes"} for row in rows]


@pytest.mark.experiment("torch")
@pytest.mark.usefixtures("small_blocks")
def test_a_killed_run_goes_on_and_finds_the_same(tmp_path, monkeypatch):
    def run(folder, **options):
        return exhaustive.run("float16", MODE, tmp_path / folder, chunk=CHUNK, **options)

    whole = run("whole")
    assert run("parts", limit=3) is None
    # Killed in the middle of the third chunk from here
    work, calls = exhaustive._work, []

    def killed(index):
        calls.append(index)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return work(index)

    with monkeypatch.context() as patch:
        patch.setattr(exhaustive, "_work", killed)
        with pytest.raises(KeyboardInterrupt):
            run("parts")
    assert not list((tmp_path / "parts").glob("*.csv"))
    assert without_time(run("parts")) == without_time(whole)
    name = f"exhaustive_{frameworks.BACKEND}.csv"
    left = {path.name for path in (tmp_path / "parts").iterdir()}
    assert left - {f".{name}.lock"} == {name}
    rows = csv_tables.read_rows(tmp_path / "parts" / name)
    assert str(tmp_path) not in str(rows)
    for quantity, title in methods.NAMES.items():
        counted = sum(int(row["values"]) for row in rows if row["quantity"] == title)
        if counted or quantity != "second":  # which torch.compile has not
            assert counted == 2 ** (15 if quantity in methods.INVERSE else 16)


@pytest.mark.usefixtures("small_blocks")
def test_a_run_does_not_go_on_with_other_code(tmp_path, monkeypatch):
    exhaustive.run("bfloat16", MODE, tmp_path, chunk=CHUNK, limit=1)
    monkeypatch.setattr(exhaustive, "code", lambda: "other")
    with pytest.raises(SystemExit, match="Delete it to start over"):
        exhaustive.run("bfloat16", MODE, tmp_path, chunk=CHUNK)


@pytest.mark.experiment("torch")
def test_two_processes(tmp_path):
    for jobs in (1, 2):
        exhaustive.run("bfloat16", MODE, tmp_path / str(jobs), jobs=jobs)
    name = f"exhaustive_{frameworks.BACKEND}.csv"
    one, two = (csv_tables.read_rows(tmp_path / jobs / name) for jobs in "12")
    different = ("minutes", "jobs", "command")
    for a, b in zip(one, two):
        assert {k: v for k, v in a.items() if k not in different} == {
            k: v for k, v in b.items() if k not in different
        }


@pytest.mark.experiment("torch")
@pytest.mark.usefixtures("small_blocks")
def test_the_sample_writes_a_table_and_a_picture(tmp_path, capsys):
    output = tmp_path / "out"
    options = ["--samples", "1024", "--dtypes", "float32", "float64", "--modes", MODE]
    stdplus_accuracy.main([*options, "--output", str(output)])
    printed = capsys.readouterr().out
    assert "| abs x 0.05 to 0.2 | Algorithm 1 |" in printed
    assert "SciPy lambertw" in printed
    rows = csv_tables.read_rows(output / f"accuracy_{frameworks.BACKEND}.csv")
    assert str(tmp_path) not in printed + str(rows)
    assert (output / f"accuracy_{frameworks.BACKEND}.png").read_bytes()[:4] == b"\x89PNG"
    wanted = {"dtype": "float32", "quantity": "gradient", "region": "abs x 0.05 to 0.2"}
    paper = csv_tables.find_row(rows, method="Algorithm 1", **wanted)
    ours = csv_tables.find_row(rows, method="keras_slashed", **wanted)
    assert float(paper["max_ulp"]) > 100 > 10 > float(ours["max_ulp"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--exhaustive", "--dtypes", "float64"], "supports only float32, float16, bfloat16"),
        (["--samples", "0"], "--samples: must be a positive integer like 1000, 1e6 or 2^28"),
        (["--jobs", "2"], "--jobs and --limit require --exhaustive"),
        (["--modes", "quick"], "invalid choice: 'quick'"),
    ],
)
def test_what_cannot_be_asked_for(arguments, message, capsys):
    with pytest.raises(SystemExit):
        stdplus_accuracy.parse_arguments(arguments)
    assert message in capsys.readouterr().err


def test_one_mode_is_run_through_by_default():
    options = stdplus_accuracy.parse_arguments(["--exhaustive"])
    expected = {"jax": ["jit"], "tensorflow": ["xla"], "torch": ["eager"]}
    assert options.modes == expected[frameworks.BACKEND]


@pytest.mark.parametrize("enabled", [True, False])
def test_plain_mode_leaves_compilation_as_it_was(enabled, monkeypatch):
    monkeypatch.setattr(config._State, "kernel_compilation", enabled)

    @frameworks.setting("float32", "plain")
    def broken():
        assert not config.is_kernel_compilation_enabled()
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        broken()
    assert config.is_kernel_compilation_enabled() == enabled
    with frameworks.setting("float64", frameworks.MODES[0]):
        assert config.is_kernel_compilation_enabled() == enabled
        x = keras.ops.convert_to_tensor(np.ones(2))
        assert keras.backend.standardize_dtype(x.dtype) == "float64"
