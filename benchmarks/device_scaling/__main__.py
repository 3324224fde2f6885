"""Measure what the synchronized statistics of a bottleneck cost on several devices.

    KERAS_BACKEND=jax python -m benchmarks.device_scaling

The command times a training step of the MNIST classifier through `model.fit` on 1, 2, 4 and 8
devices, without a bottleneck and with a synchronized one of each normalization. It counts the
bytes that a step sends, and predicts the time that more devices would wait, by a model of the
network (--latency of a message, --bandwidth between two devices). The model sends the gradients
through a ring, which suits large tensors, and the statistics through the faster of a ring and a
tree. The images are random, since the times do not depend on them. The command writes
device_scaling_BACKEND_DEVICE.csv and .md.
"""

from applications.experiment import csv_tables
from applications.experiment.command_line import nonnegative_number
from applications.experiment.command_line import positive_number
from applications.experiment.provenance import describe_run
from applications.experiment.provenance import made_by
from applications.experiment.table_command import table_command
from applications.training.backends import threads
from benchmarks.device_scaling import collectives
from benchmarks.device_scaling import measurement
from benchmarks.harness import command_line
from benchmarks.harness import frameworks
from benchmarks.harness import tables
from benchmarks.harness.processes import in_new_process

_PREDICTED = (8, 1024)
_TITLE = "# A training step on several devices\n"
_TEXT = """
The model is the MNIST classifier (784-1024-1024-512-10, {gradients} bytes of gradients) on
{backend}, {device}. {shared}The batch size is that of all devices together. Times are medians of
{rounds} epochs of {steps} steps, with quartiles.
"""
_VIRTUAL = """The devices are virtual and share these cores, so the times show what dividing
a step costs, and not what more devices save. """
_SENT = """
## Bytes that a step sends

The table shows the bytes of each device's tensors in the forward and backward passes of the
normalization. {how}
"""
_HOW = {
    "jax": """They are read from the compiled step, without what is sent together with
the gradients. The collectives are those of the whole step, and one of them sends the gradients.""",
}
_COUNTED = """The bytes are those that the layer passes to the framework's collective in
the forward pass. The backward pass sends the same number."""
_PREDICTION = """
## Prediction for more devices

The prediction uses a model of the network. A message takes {latency:g} s, and {bandwidth:g} bytes
per second pass between two devices. A ring of n devices sends 2 (n - 1) messages of 1/n of a tensor
one after another. A tree sends 2 log2(n) messages of the whole tensor. The gradients go through a
ring, and the two collectives of the statistics through the faster of the two. The model overlaps
nothing with computation. In practice gradients often overlap, but statistics cannot, because the
step waits for them.
"""


def prediction(sent, number, latency, bandwidth):
    """Return the seconds that a step of `number` devices waits for statistics and gradients.

    Args:
        sent: Dict of bytes, from `benchmarks.device_scaling.collectives.count`.
        number: Integer. Number of devices.
        latency: Float. Latency of a message in seconds.
        bandwidth: Float. Bandwidth between two devices in bytes per second.
    """
    network = latency, bandwidth
    statistics = 0.0
    for key in ("statistics_forward", "statistics_backward"):
        if size := int(sent[key]):
            statistics += min(
                collectives.all_reduce_seconds(number, size, *network, algorithm)
                for algorithm in ("ring", "tree")
            )
    return statistics, collectives.all_reduce_seconds(number, int(sent["gradients"]), *network)


def markdown(rows, latency, bandwidth):
    """Return tables of times, bytes and predictions, from all rows of the CSV file."""
    first = {**rows[0], "gradients": max(int(row["gradients"]) for row in rows)}
    virtual = first["device"].startswith("CPU ")
    text = _TITLE + _TEXT.format(**first, shared=_VIRTUAL if virtual else "")
    numbers = sorted({int(row["devices"]) for row in rows})
    cells = []
    for key in dict.fromkeys((row["normalization"], row["batch_size"]) for row in rows):
        times = []
        for number in numbers:
            row = csv_tables.find_row(
                rows, normalization=key[0], batch_size=key[1], devices=str(number)
            )
            times.append("{milliseconds} ({milliseconds_low}-{milliseconds_high})".format(**row)
                         if row else "")  # fmt: skip
        cells.append([*key, *times])
    header = ["normalization", "batch size", *(f"ms on {number}" for number in numbers)]
    text += "\n" + csv_tables.markdown_table(header, cells) + "\n"
    most = [row for row in rows if int(row["devices"]) == numbers[-1]]
    most = {row["normalization"]: row for row in most}.values()
    header = ["normalization", "forward", "backward", "collectives"]
    keys = ("normalization", "statistics_forward", "statistics_backward", "collectives")
    text += _SENT.format(how=_HOW.get(frameworks.BACKEND, _COUNTED)) + "\n"
    text += csv_tables.markdown_table(header, [[row[key] for key in keys] for row in most]) + "\n"
    cells = []
    for row in most:
        for number in _PREDICTED:
            statistics, gradients = prediction(row, number, latency, bandwidth)
            share = f"{statistics / (statistics + gradients):.1%}"
            cells.append([row["normalization"], number, f"{1e6 * statistics:.4g}",
                          f"{1e6 * gradients:.4g}", share])  # fmt: skip
    header = ["normalization", "devices", "statistics, µs", "gradients, µs", "share of statistics"]
    text += _PREDICTION.format(latency=latency, bandwidth=bandwidth) + "\n"
    return f"{text}{csv_tables.markdown_table(header, cells)}\n\n{made_by(rows)}\n"


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = command_line.make_parser("benchmarks.device_scaling", __doc__, "results/devices")
    add, positive = parser.add, command_line.positive
    kinds = ["none", "batch", "feature", "instance"]
    add("--devices", positive, [1, 2, 4, 8], metavar="N")
    add("--batch-size", positive, [128, 1024], metavar="N",
        help="batch size of all devices together")  # fmt: skip
    add("--normalization", default=kinds, choices=kinds)
    add("--steps", positive, 20, metavar="N", help="steps in an epoch")
    add("--repeats", positive, 7, metavar="N", help="epochs")
    add("--latency", nonnegative_number, 5e-6, metavar="S",
        help="seconds of latency of a message, for the prediction")  # fmt: skip
    add("--bandwidth", positive_number, 25e9, metavar="B",
        help="bytes per second between two devices, for the prediction")  # fmt: skip
    options = parser.parse_args(arguments)
    for size in options.batch_size:
        if any(size % number for number in options.devices):
            parser.error(f"--batch-size {size} must be a multiple of each of {options.devices}")
    return options


def _cases(options):
    for number in options.devices:
        for batch_size in options.batch_size:
            for normalization in options.normalization:
                yield {
                    "normalization": normalization,
                    "batch_size": batch_size,
                    "devices": number,
                    "threads": threads(),
                }


@table_command(tables.GOES_ON)
def main(arguments=None):
    """Measure every case that the command line asks for."""
    options = parse_arguments(arguments)
    run = describe_run("benchmarks.device_scaling")
    table = tables.table_path(options.output, "device_scaling", run)
    for case in _cases(options):
        if not tables.measured_rows(table, case, run):
            # TensorFlow's collectives allow only one number of devices in a process.
            row = {**in_new_process(measurement.measure_case, case, options), **run}
            tables.replace_rows(table, case, [row])
            title = "{normalization}, batch {batch_size}, {devices} devices"
            print(f"{title.format(**case)}: {row['milliseconds']} ms per step", flush=True)
    text = markdown(csv_tables.read_rows(table), options.latency, options.bandwidth)
    table.with_suffix(".md").write_text(text)
    print(f"\n{text}")


if __name__ == "__main__":
    main()
