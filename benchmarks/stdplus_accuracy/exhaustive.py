"""Measurement of every float32, float16 and bfloat16 number, in chunks that survive a kill.

Only one process holds the state, and it replaces the state's file as a whole after each chunk.
The other processes only compute. Chunks come in random order, so that finished chunks predict
the remaining time.
"""

import collections
import dataclasses
import hashlib
import json
import multiprocessing
import os
import pathlib
import time

import numpy as np

from applications.experiment.provenance import describe_run
from applications.experiment.table_runner import Progress
from benchmarks.harness import frameworks
from benchmarks.harness import tables
from benchmarks.stdplus_accuracy import methods
from benchmarks.stdplus_accuracy import oracle as stdplus_oracle
from benchmarks.stdplus_accuracy import regions
from benchmarks.stdplus_accuracy import ulps

CHUNK = 2**22
_ROOT = pathlib.Path(__file__).resolve().parents[2]
_BITS = {"float32": 32, "float16": 16, "bfloat16": 16}
DTYPES = tuple(_BITS)


def run(dtype, mode, output, jobs=1, limit=None, chunk=CHUNK):
    """Measure every number of a dtype, or continue an earlier measurement.

    Args:
        dtype: String. One of `DTYPES`.
        mode: String. One of `frameworks.MODES`.
        output: String or path. Folder of the state and of the table.
        jobs: Integer. Number of processes.
        limit: Integer or None. Number of chunks after which to stop and keep the state.
        chunk: Integer. Numbers in a chunk.

    Returns:
        The rows of the table if all chunks are finished, and None before. The table is written
        with the last chunk.
    """
    chunk = min(chunk, 2 ** (_BITS[dtype] - 1))  # all of one sign
    path = pathlib.Path(output) / f"exhaustive_{frameworks.BACKEND}_{dtype}_{mode}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    described = describe_run("benchmarks.stdplus_accuracy")
    made_by = {key: described[key] for key in ("backend", "keras", "device")}
    made_by |= {"dtype": dtype, "mode": mode, "chunk": chunk, "code": code()}
    state = _read(path, made_by, described)
    tallies = collections.defaultdict(ulps.Tally)
    for quantity, region, values in state["tallies"]:
        tallies[quantity, region] = ulps.Tally(**values)
    total = 2 ** _BITS[dtype] // chunk
    order = np.random.default_rng(0).permutation(total).tolist()
    done = set(state["done"])
    todo = [index for index in order if index not in done][:limit]
    progress = Progress(total - len(done), seconds=30.0)
    before = time.monotonic()
    for index, measured in _measured(todo, dtype, mode, chunk, jobs):
        for key, tally in measured.items():
            tallies[key].add(tally)
        state["done"].append(index)
        state["seconds"] += time.monotonic() - before
        before = time.monotonic()
        state["tallies"] = [[*key, dataclasses.asdict(t)] for key, t in tallies.items()]
        _write(path, state)
        progress.step(f"{dtype} {mode}: {len(state['done'])} of {total} chunks")
    if len(state["done"]) < total:
        return None
    rows = [
        {
            "dtype": dtype,
            "mode": mode,
            "quantity": methods.NAMES[quantity],
            "region": region,
            **in_words(tally),
            "minutes": f"{state['seconds'] / 60:.1f}",
            "jobs": jobs,
            "code": made_by["code"],
            **state["run"],
        }
        for (quantity, region), tally in _in_order(tallies, dtype)
    ]
    table = path.with_name(f"exhaustive_{frameworks.BACKEND}.csv")
    case = {"dtype": dtype, "mode": mode, "device": described["device"]}
    tables.replace_rows(table, case, rows)
    path.unlink()
    return rows


def in_words(tally):
    """Return the table columns of a tally."""
    return {
        "values": tally.values,
        "max_ulp": f"{tally.max_ulp:.4g}",
        "at": f"{tally.at:.17g}" if tally.max_ulp else "",
        "wrong": tally.wrong,
        "subnormal": tally.subnormal,
        "max_ulp_subnormal": f"{tally.max_ulp_subnormal:.4g}",
    }


def code():
    """Return a hash of the code that a result depends on, including uncommitted changes."""
    files = sorted((_ROOT / "keras_slashed").rglob("*.py"))
    files += [_ROOT / "benchmarks" / name for name in _FILES]
    contents = b"".join(path.read_bytes() for path in files)
    return hashlib.sha256(contents).hexdigest()[:12]


_FILES = (
    "harness/frameworks.py",
    "stdplus_accuracy/exhaustive.py",
    "stdplus_accuracy/methods.py",
    "stdplus_accuracy/oracle.py",
    "stdplus_accuracy/regions.py",
    "stdplus_accuracy/ulps.py",
)


def measure_chunk(functions, dtype, start, stop):
    """Return a dict {(quantity, region): Tally} for the numbers with these bit patterns."""
    tallies = collections.defaultdict(ulps.Tally)
    values = regions.every_value(dtype, start, stop)
    kinds = [(False, stdplus_oracle.forward)]
    if start < 2 ** (_BITS[dtype] - 1):
        kinds.append((True, stdplus_oracle.inverse))
    for first in range(0, len(values), methods.BLOCK):
        x = values[first : first + methods.BLOCK]
        for inverse, oracle in kinds:
            edges, names = regions.regions(inverse, dtype)
            exact = oracle(x)
            for quantity in methods.INVERSE if inverse else methods.FORWARD:
                if quantity in functions:
                    computed = functions[quantity](x)
                    measured = ulps.measure(x, computed, exact[quantity], dtype, edges)
                    for name, tally in zip((*names, regions.NOT_A_NUMBER), measured):
                        if tally.values:
                            tallies[quantity, name].add(tally)
    return dict(tallies)


def _measured(todo, dtype, mode, chunk, jobs):
    """Yield tuples (index of a chunk, its tallies), in the order in which chunks finish."""
    arguments = (dtype, mode, chunk)
    if jobs == 1:
        _start(*arguments)
        yield from map(_work, todo)
        return
    # Not forked, because backends do not survive a fork.
    with multiprocessing.get_context("spawn").Pool(jobs, _start, arguments) as pool:
        yield from pool.imap_unordered(_work, todo)


_worker = {}


def _start(dtype, mode, chunk):
    functions = methods.ours(dtype, mode)
    _worker.update(functions=functions, dtype=dtype, chunk=chunk)


def _work(index):
    start = index * _worker["chunk"]
    stop = start + _worker["chunk"]
    return index, measure_chunk(_worker["functions"], _worker["dtype"], start, stop)


def _read(path, made_by, described):
    if not path.exists():
        return {"made_by": made_by, "run": described, "done": [], "seconds": 0.0, "tallies": []}
    state = json.loads(path.read_text())
    old = state["made_by"]
    if other := [
        f"{key}: {old.get(key)}, now {now}" for key, now in made_by.items() if old.get(key) != now
    ]:
        raise SystemExit(
            f"{path.name} was started under other conditions ({'; '.join(other)}), and results "
            "must not be mixed. Delete it to start over, or choose another --output."
        )
    print(f"{path.name}: continuing after {len(state['done'])} chunks")
    return state


def _write(path, state):
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(state))
    os.replace(temporary, path)


def _in_order(tallies, dtype):
    """Return the items by quantity, then from left to right."""
    names = []
    for inverse in (False, True):
        names += [*regions.regions(inverse, dtype)[1], regions.NOT_A_NUMBER]
    quantities = list(methods.NAMES)
    return sorted(tallies.items(), key=lambda i: (quantities.index(i[0][0]), names.index(i[0][1])))
