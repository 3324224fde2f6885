"""Measure how many bits a block needs beyond its rate, and what a block costs.

    KERAS_BACKEND=jax python -m benchmarks.block_code

The command estimates the Kolmogorov-Smirnov distance of decoded draws from the posterior, the
largest over the dimensions, against the margin in bits beyond the rate. It does so for posteriors
that differ from the prior in the mean, in the standard deviation or in both, for candidates of
several widths. The estimate does not need the candidates, so that blocks of 2^30 candidates are
no problem. For blocks of up to --coder-bits bits it also measures the distance with the coder.
Further rows measure the width of decoded draws of a posterior that is wider than its prior, with
and without `keras_slashed.ops.narrow_amplitude`, and the processor time of a block. The command
writes block_code.csv and block_code.md, in about ten minutes on one core.
"""

import itertools
import pathlib

import numpy as np
from keras import ops

from applications.experiment import csv_tables
from applications.experiment.command_line import positive_number
from applications.experiment.provenance import describe_run
from applications.experiment.table_command import table_command
from benchmarks.block_code.coder import cost
from benchmarks.block_code.coder import decoded_noise
from benchmarks.block_code.coder import measured_distance
from benchmarks.block_code.estimate import DistanceEstimate
from benchmarks.block_code.posteriors import DIRECTIONS
from benchmarks.block_code.posteriors import Posterior
from benchmarks.block_code.posteriors import posterior
from benchmarks.block_code.report import markdown
from benchmarks.harness import command_line
from keras_slashed.coding import BlockCode
from keras_slashed.coding import bits_for
from keras_slashed.ops import amplitude_to_normal
from keras_slashed.ops import narrow_amplitude

_CODER_CANDIDATES = 2**24  # of all blocks of a measurement
_MOST_DRAWS = 4000
_WIDE = {"latent_dim": 8, "rate": 6.0, "bits": 12}
_EMPTY = dict.fromkeys(
    "measure direction latent_dim rate candidate_stddev margin bits directions draws "
    "median_distance worst_distance stddev decoded_stddev encode_ms decode_us".split(),
    "",
)


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = command_line.make_parser("benchmarks.block_code", __doc__, "results/coding")
    add, positive = parser.add, command_line.positive
    add("--rates", positive_number, [2.0, 5.0, 8.0, 11.0, 14.0], metavar="R", help="nats")
    add("--latent-dims", positive, [2, 4, 8], metavar="K")
    add("--margins", positive_number, [2.0, 3.0, 4.0, 5.0, 6.0], metavar="BITS")
    add("--candidate-stddevs", positive_number, [1.0, 1.2, 1.4], metavar="C")
    add("--directions", positive, 6, metavar="N", help="random directions of an amplitude")
    add("--coder-bits", positive, 10, metavar="B", help="measure with the coder up to B bits")
    add("--cost-bits", positive, [8, 10, 12, 14, 16], metavar="B")
    command_line.add_timing(parser, seconds=5.0)
    return parser.parse_args(arguments)


@table_command("Nothing was written.")
def main(arguments=None):
    """Measure what the command line asks for, and write both files."""
    options = parse_arguments(arguments)
    run = describe_run("benchmarks.block_code")
    rows = []
    for part in (distances, widths, costs):
        for row in part(options):
            rows.append({**_EMPTY, **row, **run})
            print(", ".join(f"{name} {value}" for name, value in row.items()), flush=True)
    table = pathlib.Path(options.output) / "block_code.csv"
    csv_tables.write_rows(table, rows)
    text = markdown(csv_tables.read_rows(table))
    table.with_suffix(".md").write_text(text)
    print(f"\n{text}")


def distances(options):
    """Yield rows with the distances of decoded draws from their posterior."""
    cases = itertools.product(
        options.candidate_stddevs, DIRECTIONS, options.latent_dims, options.rates
    )
    for candidate_stddev, direction, latent_dim, rate in cases:
        some = [posterior(direction, latent_dim, rate, i) for i in range(options.directions)]
        estimates = [DistanceEstimate(one, candidate_stddev) for one in some]
        for margin in options.margins:
            bits = bits_for(rate, margin)
            row = {
                "measure": "distance, estimated",
                "direction": direction,
                "latent_dim": latent_dim,
                "rate": f"{rate:g}",
                "candidate_stddev": f"{candidate_stddev:g}",
                "margin": f"{margin:g}",
                "bits": bits,
                "directions": len(some),
            }
            found = [estimate.distance(bits) for estimate in estimates]
            yield row | _summary(found)
            if bits <= options.coder_bits:
                draws = min(_MOST_DRAWS, _CODER_CANDIDATES >> bits)
                code = BlockCode(bits, candidate_stddev=candidate_stddev)
                few = some[:2]
                found = [measured_distance(one, code, draws) for one in few]
                measured = {"measure": "distance, coder", "directions": len(few), "draws": draws}
                yield row | measured | _summary(found)
                found = [estimate.distance(bits) for estimate in estimates[:2]]
                yield (
                    row
                    | {"measure": "distance, estimated for these"}
                    | {"directions": len(few)}
                    | _summary(found)
                )


def _summary(distances):
    return {
        "median_distance": f"{np.median(distances):.4f}",
        "worst_distance": f"{np.max(distances):.4f}",
    }


def widths(options):
    """Yield rows with the standard deviation of draws of a posterior wider than its prior."""
    latent_dim, rate, bits = _WIDE["latent_dim"], _WIDE["rate"], _WIDE["bits"]
    wide = np.zeros(2 * latent_dim, "float32")
    wide[latent_dim:] = np.sqrt(rate / latent_dim)
    folded = ops.convert_to_numpy(narrow_amplitude(wide))
    for direction, amplitude in (("wide", wide), ("the same, folded", folded)):
        mean, stddev = (np.float64(ops.convert_to_numpy(x)) for x in amplitude_to_normal(amplitude))
        one = Posterior(amplitude, mean, np.log(stddev))
        for candidate_stddev in options.candidate_stddevs:
            code = BlockCode(bits, candidate_stddev=candidate_stddev)
            noise = decoded_noise(one, code, _MOST_DRAWS // 2)
            yield {
                "measure": "width",
                "direction": direction,
                **_WIDE,
                "candidate_stddev": f"{candidate_stddev:g}",
                "draws": len(noise),
                "stddev": f"{stddev[0]:.3f}",
                "decoded_stddev": f"{stddev[0] * np.std(noise):.3f}",
            }


def costs(options):
    """Yield rows with the processor time of a block."""
    for latent_dim, bits in itertools.product(options.latent_dims, options.cost_bits):
        encode, decode = cost(bits, latent_dim, options)
        yield {
            "measure": "cost",
            "latent_dim": latent_dim,
            "bits": bits,
            "encode_ms": f"{1e3 * encode:.4g}",
            "decode_us": f"{1e6 * decode:.4g}",
        }


if __name__ == "__main__":
    main()
