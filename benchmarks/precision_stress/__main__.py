"""Compare ways to parameterize a posterior under training in low precision.

    KERAS_BACKEND=jax python -m benchmarks.precision_stress

1. The command trains a deep VAE with the heads exp, softplus and stdplus at increasing learning
   rates, under mixed_float16 with and without loss scaling, and under float32 for comparison. It
   counts the steps with a NaN, an infinity or a loss spike, for the same seeds.
2. It measures rate and error of a VIB and a VAE trained under float32, mixed_bfloat16,
   mixed_float16 and float64.

By default this is a small run on scikit-learn's digits. --whole uses more learning rates, seeds
and steps, and --data-dir uses MNIST instead of the digits. The command writes
stress_BACKEND_DEVICE.csv case by case, policies_BACKEND_DEVICE.csv, and a Markdown file and a
picture of both. If it is killed, the same command at the same commit continues where it stopped.
"""

import numpy as np

from applications.datasets import images
from applications.experiment import csv_tables
from applications.experiment.command_line import fill
from applications.experiment.command_line import positive_number
from applications.experiment.provenance import describe_run
from applications.experiment.provenance import made_by
from applications.experiment.table_command import table_command
from benchmarks.harness import command_line
from benchmarks.harness import tables
from benchmarks.precision_stress import figure
from benchmarks.precision_stress import report
from benchmarks.precision_stress import training
from benchmarks.precision_stress.model import HEADS
from benchmarks.precision_stress.model import POLICIES
from benchmarks.precision_stress.steps import StressTest
from benchmarks.precision_stress.steps import flaws

_CONDITIONS = (("mixed_float16", "no"), ("mixed_float16", "yes"), ("float32", "no"))
_SMALL = {
    "learning_rates": [1e-4, 1e-3, 1e-2, 1e-1],
    "seeds": 2,
    "steps": 100,
    "epochs": 10,
}
_WHOLE = {
    "learning_rates": [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1],
    "seeds": 5,
    "steps": 500,
    "epochs": 25,
}


def parse_arguments(arguments=None):
    """Return the command line's arguments, with defaults for those that were not given."""
    parser = command_line.make_parser("benchmarks.precision_stress", __doc__, "results/precision")
    add, positive = parser.add, command_line.positive
    parser.add_argument("--whole", action="store_true",
                        help="all learning rates, 5 seeds, 500 steps, 25 epochs")  # fmt: skip
    add("--data-dir", metavar="DIR",
        help="folder with MNIST's four files (default: digits, which need no files)")  # fmt: skip
    add("--learning-rates", positive_number, metavar="RATE", nargs="+")
    add("--seeds", positive, metavar="N", help="seeds 0 to N - 1")
    add("--steps", positive, metavar="N", help="steps in a run of the stress test")
    add("--epochs", positive, metavar="N", help="epochs of a VIB or VAE for each policy")
    add("--heads", default=HEADS, choices=HEADS)
    add("--policies", default=POLICIES, choices=POLICIES, nargs="*",
        help="dtype policies of the VIB and the VAE")  # fmt: skip
    add("--width", positive, 128, metavar="N", help="width of each layer")
    add("--depth", positive, 4, metavar="N",
        help="layers in encoder and in decoder of the stressed VAE")  # fmt: skip
    add("--batch-size", positive, 100, metavar="N")
    options = parser.parse_args(arguments)
    return fill(options, _WHOLE if options.whole else _SMALL)


@table_command(tables.GOES_ON)
def main(arguments=None):
    """Run every case that the command line asks for."""
    options = parse_arguments(arguments)
    dataset = "digits" if options.data_dir is None else "mnist"
    data = images.load(dataset, options.data_dir)
    run = {
        "data": data.source,
        "data_sha256": data.sha256,
        **describe_run("benchmarks.precision_stress"),
    }
    stress = tables.table_path(options.output, "stress", run)
    policies = tables.table_path(options.output, "policies", run)
    seeds = [{"seed": seed} for seed in range(options.seeds)]
    for case in _policy_cases(options):
        _fill(policies, case, run, seeds, lambda case: _by_policy(case, data, seeds))
    runs = [{"learning_rate": rate, **seed} for rate in options.learning_rates for seed in seeds]
    for case in _stress_cases(options):
        _fill(stress, case, run, runs, lambda case: _under_stress(case, data, runs))
    found = csv_tables.read_rows(stress), csv_tables.read_rows(policies)
    text = f"{report.markdown(*found)}\n{made_by([*found[0], *found[1]])}\n"
    path = stress.with_name(stress.name.replace("stress", "precision", 1))
    path.with_suffix(".md").write_text(text)
    figure.draw(csv_tables.read_rows(stress), path.with_suffix(".png"))
    print(f"\n{text}")


def _policy_cases(options):
    for model in training.MODELS:
        for policy in options.policies:
            yield {
                "model": model,
                "policy": policy,
                "epochs": options.epochs,
                "width": options.width,
            }


def _stress_cases(options):
    for policy, loss_scaling in _CONDITIONS:
        for head in options.heads:
            if policy == "float32" and head.endswith(", float32"):
                continue  # the same as the head without it
            yield {
                "policy": policy,
                "loss_scaling": loss_scaling,
                "head": head,
                "depth": options.depth,
                "width": options.width,
                "batch_size": options.batch_size,
                "steps": options.steps,
            }


def _fill(table, case, run, wanted, measure):
    """Measure a case, unless the table has all of its rows, and print a line about it."""
    found = tables.measured_rows(table, case, run)
    missing = [one for one in wanted if csv_tables.find_row(found, **one) is None]
    if missing:
        tables.replace_rows(table, case, [{**case, **row, **run} for row in measure(case)])
    print("Done:" if missing else "Already measured:", *case.values(), flush=True)


def _by_policy(case, data, seeds):
    """Yield rows of a VIB or a VAE, without provenance."""
    for seed in (one["seed"] for one in seeds):
        arguments = case["model"], case["policy"], data, case["epochs"], seed, case["width"]
        reached = training.train(*arguments)
        yield {
            "seed": seed,
            "loss_scaling": "yes" if reached["is_scaled"] else "no",
            "rate_nats": f"{reached['rate']:.7g}",
            "test_error": f"{100 * reached['error']:.2f}" if "error" in reached else "",
            "test_elbo_nats": f"{reached['elbo']:.5g}" if "elbo" in reached else "",
        }


def _under_stress(case, data, runs):
    """Yield rows of a stressed VAE, without provenance."""
    test = StressTest(
        training.pixels_of(data.x_train),
        case["head"],
        case["policy"],
        case["loss_scaling"] == "yes",
        case["batch_size"],
        width=case["width"],
        depth=case["depth"],
    )
    for one in runs:
        losses, skipped = test.train(one["learning_rate"], one["seed"], case["steps"])
        last = losses[-max(1, case["steps"] // 10) :]
        yield {
            **one,
            **{name: f"{np.mean(steps):.6g}" for name, steps in flaws(losses).items()},
            "skipped": f"{np.mean(skipped):.6g}",
            "final_loss": f"{np.median(last):.6g}",
        }


if __name__ == "__main__":
    main()
