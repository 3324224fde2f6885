"""The benchmark of several devices: what it counts, predicts and writes."""

import pytest

from applications.experiment import csv_tables
from benchmarks.device_scaling import __main__ as device_scaling
from benchmarks.device_scaling import collectives
from tests.support import BACKEND
from tests.support import run_python

_HLO = """
  %all-reduce = f32[256]{0} all-reduce(%fusion.9), channel_id=1, metadata={op_name="jit(step)/jvp(\
bottleneck)/rate_normalization/reduce_sum" stack_frame_id=1}
  %all-reduce.14 = (f32[], f32[512]{0}) all-reduce(%fusion.7, %fusion.5), metadata={op_name="a"}
  %get-tuple-element.1 = f32[] get-tuple-element(%all-reduce.14), index=0, \
metadata={op_name="jit(step)/jvp(compile_loss)/reduce_sum"}
  %get-tuple-element.2 = f32[512]{0} get-tuple-element(%all-reduce.14), index=1, \
metadata={op_name="jit(step)/transpose(jvp(bottleneck))/rate_normalization/reduce_sum"}
  %all-reduce.15 = (f32[10,784]{1,0}, bf16[10]{0}, /*index=2*/f32[]) all-reduce(%dot.7, %f), \
metadata={op_name="b"}
  %get-tuple-element.3 = f32[10,784]{1,0} get-tuple-element(%all-reduce.15), index=0, \
metadata={op_name="jit(step)/transpose(jvp(hidden_1))/dot_general"}
  %get-tuple-element.4 = bf16[10]{0} get-tuple-element(%all-reduce.15), index=1, \
metadata={op_name="jit(step)/transpose(jvp(hidden_1))/reduce_sum"}
  %get-tuple-element.5 = f32[] get-tuple-element(%all-reduce.15), index=2, \
metadata={op_name="jit(step)/jvp(bottleneck)/rate_normalization/reduce_sum"}
"""


def test_count_in_hlo():
    """The last scalar goes along with the gradients."""
    assert collectives.count_in_hlo(_HLO) == {
        "statistics_forward": 4 * 256,
        "statistics_backward": 4 * 512,
        "gradients": 4 * 7840 + 2 * 10,
        "collectives": 3,
    }


@pytest.mark.parametrize(
    ("number", "size", "algorithm", "seconds"),
    [
        (1, 1e6, "ring", 0.0),
        (2, 1e6, "ring", 2 * (1e-5 + 0.5e-3)),
        (8, 8e6, "ring", 14 * (1e-5 + 1e-3)),
        (8, 0, "tree", 6e-5),
        (1024, 1e6, "tree", 20e-5 + 2e-3),
        (5, 0, "tree", 6e-5),
    ],
)
def test_all_reduce_seconds(number, size, algorithm, seconds):
    computed = collectives.all_reduce_seconds(number, size, 1e-5, 1e9, algorithm)
    assert computed == pytest.approx(seconds)


@pytest.mark.experiment("jax")
@pytest.mark.parametrize("normalization", ["batch", "feature"])
def test_a_step_on_two_devices_is_timed_and_counted(normalization, tmp_path):
    jax = BACKEND == "jax"
    if normalization == "batch" and not jax:
        pytest.skip("counted alike, and slow to start")
    options = ["--output", str(tmp_path), "--devices", "2", "--batch-size", "32", "--steps", "1",
               "--repeats", "1", "--normalization", normalization]  # fmt: skip
    script = f"from benchmarks.device_scaling.__main__ import main; main({options})"
    run_python(script, OMP_NUM_THREADS="1")
    (path,) = tmp_path.glob("device_scaling_*.csv")
    (row,) = csv_tables.read_rows(path)
    assert float(row["milliseconds"]) > 0.0
    # JAX knows the weight of a batch, and adds up the slopes of both parts of psi_k. The others
    # also send the weight and the number of entries that are not finite.
    latents = 256
    expected = {
        "batch": [4, 4],
        "feature": [4 * latents, 8 * latents] if jax else [4 * latents + 8] * 2,
    }
    sent = [int(row[f"statistics_{way}"]) for way in ("forward", "backward")]
    assert sent == expected[normalization]
    weights = 784 * 1024 + 1024 * 1024 + 1024 * 512 + 256 * 10 + 2 * 1024 + 512 + 10
    assert int(row["gradients"]) == 4 * weights
    assert row["collectives"] == ("3" if jax else "")
    text = path.with_suffix(".md").read_text()
    assert f"{4 * weights} bytes of gradients" in text
    assert f"| {normalization} | 1024 |" in text
    assert "share these cores" in text


def test_batches_must_be_divisible(capsys):
    with pytest.raises(SystemExit):
        device_scaling.parse_arguments(["--devices", "3", "--batch-size", "128"])
    assert "--batch-size 128 must be a multiple" in capsys.readouterr().err
