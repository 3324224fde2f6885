"""The cost of the negative log-likelihood of documents, measured in a separate process.

The peak memory of a process covers its whole lifetime, so that each number of samples has a new
process.
"""

import pathlib
import re
import sys
import time

import numpy as np

from applications.models import lstm_vae
from benchmarks.harness.processes import in_new_process
from keras_slashed.metrics import importance_weighted_nll


def measure(case, samples):
    """Return a row for each number of samples, without provenance.

    Args:
        case: Dict of what the rows share: the case of `cost` without `num_samples`, and further
            columns to write.
        samples: Sequence of integers. Numbers of samples. Peaks are relative to that of the
            first one.
    """
    rows = []
    for number in samples:
        found = in_new_process(cost, {**case, "num_samples": number})
        first = float(rows[0]["mib_peak"]) if rows else found["peak"]
        rows.append(
            {
                "samples": number,
                "documents_per_wall_second": f"{found['documents'] / found['wall']:.4g}",
                "documents_per_processor_second": f"{found['documents'] / found['processor']:.4g}",
                "mib_before": f"{found['before']:.0f}",
                "mib_peak": f"{found['peak']:.0f}",
                "peak_ratio": f"{found['peak'] / first:.3f}",
            }
        )
    return rows


def cost(case):
    """Estimate the NLL of random documents by an untrained model.

    The first batch compiles and is not included in the times.

    Args:
        case: Dict with `vocabulary_size`, `model` (other options of `lstm_vae.build`),
            `num_samples`, `chunk_size`, `batch_size`, `batches`, and `length`, the number of
            tokens in each document.

    Returns:
        Dict with the number of `documents` that were timed, their seconds of `wall` and
        `processor` time, and the MiB of resident memory `before` the estimate and at the
        `peak`.
    """
    size = case["vocabulary_size"]
    model = lstm_vae.build(size, seed=0, **case["model"])
    shape = (case["batch_size"], 1 + case["length"])
    rows = np.random.default_rng(0).integers(1, size, shape, dtype="int32")
    marks = []

    def batches():
        for _ in range(1 + case["batches"]):
            marks.append((time.perf_counter(), time.process_time()))
            yield rows

    before = _resident("VmRSS")
    importance_weighted_nll(
        model.encoder,
        model.log_likelihood,
        batches(),
        case["num_samples"],
        chunk_size=case["chunk_size"],
        seed=0,
    )
    marks.append((time.perf_counter(), time.process_time()))
    wall, processor = np.subtract(marks[-1], marks[1])
    return {
        "documents": case["batches"] * case["batch_size"],
        "wall": float(wall),
        "processor": float(processor),
        "before": before,
        "peak": _resident("VmHWM"),
    }


def _resident(name):
    """Return the MiB of memory that this process has now, "VmRSS", or had at most, "VmHWM".

    Without /proc both return the maximum, which may be that of the parent process.
    """
    try:
        status = pathlib.Path("/proc/self/status").read_text()
        return int(re.search(rf"{name}:\s*(\d+) kB", status)[1]) / 2**10
    except (OSError, TypeError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 2 ** (20 if sys.platform == "darwin" else 10)
