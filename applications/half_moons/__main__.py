"""Figure 1 of the paper: tuning beta or the rate, and schedules that aim at a rate.

    python -m applications.half_moons

The data are two half moons whose labels are flipped with probability p. The command trains a
beta-VIB for each of a range of beta, and a FixedRateVIB for each of a range of rates, and
evaluates them on the true labels. For beta above beta_0 = (1 - 2p)^2, no information is worth
its rate: the beta-VIB collapses and guesses (Wu et al. 2020). A fixed rate has no such cliff.

The command then trains with the schedules of the KL weight that the paper only mentions. Each
should end at a target rate. Since a schedule has no setting for the rate, it gets a value that
the earlier runs suggest for this rate. For KLWarmup and CyclicalAnnealing this is a beta,
interpolated from the sweep over beta. For GECO it is the cross-entropy that FixedRateVIB
reached at this rate.

The command writes half_moons.csv row by row, half_moons.png, and set_and_get.png, the picture
of the README. If it is killed, the same command continues where it stopped.
"""

import pathlib
import shutil
import time

import numpy as np

from applications.experiment import claims
from applications.experiment import command_line
from applications.experiment import csv_tables
from applications.experiment import provenance
from applications.experiment.result_table import ResultTable
from applications.experiment.table_command import table_command
from applications.half_moons.figure import draw
from applications.half_moons.figure import draw_in_words
from applications.half_moons.training import Trainer
from applications.half_moons.training import make_data
from keras_slashed.callbacks import GECO
from keras_slashed.callbacks import CyclicalAnnealing
from keras_slashed.callbacks import KLWarmup

BETAS = (0.003, 0.01, 0.03, 0.06, 0.1, 0.15, 0.2, 0.25, 0.3, 0.34, 0.38, 0.45, 0.6, 1.0)
RATES = (0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.5, 2.5, 4.0, 8.0)
TARGETS = (0.1, 0.35, 1.0, 2.5)
SCHEDULES = ("warmup", "cyclic", "geco")
_DECIDING = ("tuned", "value", "seed", "epochs", "flip_probability")
COLUMNS = (
    *_DECIDING,
    *("told", "accuracy", "cross_entropy", "achieved_rate", "target_rate", "miss"),
    *provenance.COLUMNS,
)
_GECO_BETA = 0.1  # initial KL weight


def schedule(name, told, epochs):
    """Return the initial beta and the callback of a schedule.

    Args:
        name: String. One of `SCHEDULES`.
        told: Float. The final beta or, for "geco", the target cross-entropy.
        epochs: Integer. Number of training epochs.
    """
    if name == "geco":
        return _GECO_BETA, GECO("cross_entropy", told, by="epoch", step_size=3.0)
    if name == "warmup":
        return told, KLWarmup(epochs=max(1, epochs // 2))
    return told, CyclicalAnnealing(epochs=epochs, cycles=4)


def what_to_tell(name, target, rows):
    """Return the value with which a schedule should reach a target rate.

    Args:
        name: String. One of `SCHEDULES`.
        target: Float. The rate in nats.
        rows: Rows of the sweeps over beta and rate, for one seed.
    """
    if name == "geco":
        return float(csv_tables.find_row(rows, tuned="rate", value=target)["cross_entropy"])
    sweep = [row for row in rows if row["tuned"] == "beta"]
    pairs = sorted((float(row["achieved_rate"]), float(row["value"])) for row in sweep)
    log_rates, log_betas = np.log(np.maximum(pairs, 1e-12)).T
    return float(np.exp(np.interp(np.log(target), log_rates, log_betas)))


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = command_line.Parser("applications.half_moons", __doc__, "runs/half_moons")
    add, positive_number = parser.add, command_line.positive_number
    add("--flip-probability", command_line.number(0, below=0.5), 0.2, metavar="P", help="below 1/2")
    add("--betas", command_line.nonnegative_number, list(BETAS), metavar="B")
    add("--rates", positive_number, list(RATES), metavar="R", help="in nats")
    add("--targets", positive_number, list(TARGETS), metavar="R", nargs="*",
        help="target rates of the schedules, in nats")  # fmt: skip
    add("--epochs", command_line.positive, 40, metavar="E")
    add("--seeds", command_line.seed, [0], metavar="S")
    options = parser.parse_args(arguments)
    # GECO needs the cross-entropy of FixedRateVIB at each target.
    options.rates += [target for target in options.targets if target not in options.rates]
    return options


def train_row(job, options, rows, trainers):
    """Train one classifier, and return the columns of its results."""
    tuned, value, seed = job["tuned"], float(job["value"]), int(job["seed"])
    data = make_data(options.flip_probability, seed=seed)
    callbacks, told, target = [], value, ""
    if tuned == "rate":
        bottleneck, vib_options, target = "vib", {"rate": value}, value
    elif tuned == "beta":
        bottleneck, vib_options = "beta_vib", {"kl_weight": value}
    else:
        told, target = what_to_tell(tuned, value, rows), value
        beta, callback = schedule(tuned, told, options.epochs)
        bottleneck, vib_options, callbacks = "beta_vib", {"kl_weight": beta}, [callback]
    if bottleneck not in trainers:
        trainers[bottleneck] = Trainer(bottleneck, **vib_options)
    reached = trainers[bottleneck].train(data, options.epochs, seed, callbacks, **vib_options)
    miss = "" if target == "" else f"{abs(reached['rate'] - target):.3g}"
    return {
        "told": f"{told:.6g}",
        "accuracy": f"{reached['accuracy']:.4f}",
        "cross_entropy": f"{reached['cross_entropy']:.6g}",
        "achieved_rate": f"{reached['rate']:.6g}",
        "target_rate": str(target),
        "miss": miss,
    }


def miss_table(rows):
    """Return a Markdown table of the distances between reached and target rate in nats."""
    header = ["target (nats)", "FixedRateVIB", "warm-up", "cyclic", "GECO"]
    groups = csv_tables.grouped(rows, "target_rate", "tuned")
    targets = sorted({target for target, tuned in groups if tuned in SCHEDULES}, key=float)
    lines = []
    for target in targets:
        misses = [csv_tables.numbers(groups[target, of], "miss") for of in ("rate", *SCHEDULES)]
        lines.append([target, *(f"{miss.mean():.2g}" for miss in misses)])
    return csv_tables.markdown_table(header, lines)


@table_command()
def main(arguments=None):
    """Train every classifier that the command line asks for, and plot the figure."""
    options = parse_arguments(arguments)
    output = pathlib.Path(options.output)
    table = ResultTable(output / "half_moons.csv", COLUMNS, _DECIDING, _DECIDING[:3])
    run = provenance.describe_run("applications.half_moons")
    jobs = [("beta", beta) for beta in options.betas]
    jobs += [("rate", rate) for rate in options.rates]
    jobs += [(name, target) for target in options.targets for name in SCHEDULES]
    jobs = [
        {
            "tuned": tuned,
            "value": str(value),
            "seed": str(seed),
            "epochs": str(options.epochs),
            "flip_probability": str(options.flip_probability),
        }
        for seed in options.seeds
        for tuned, value in jobs
    ]
    there = table.rows()
    for job in jobs:
        table.find(job, there)  # refuses rows of another backend before the first epoch
    start, trained, rows, trainers = time.time(), 0, [], {}
    print(" tuned   value  accuracy  rate (nats)")
    for number, job in enumerate(jobs, start=1):
        row = table.find(job)
        if row is None:
            # Later rows need this one, so wait for it if another command is training it.
            folder = output / "checkpoints" / "_".join(["half_moons", *job.values()])
            with claims.claim(folder, wait=True):
                row = table.find(job)
                if row is None:
                    same_seed = [row for row in rows if row["seed"] == job["seed"]]
                    row = {**job, **train_row(job, options, same_seed, trainers), **run}
                    table.append(row)
                    trained += 1
                shutil.rmtree(folder, ignore_errors=True)
        rows.append(row)
        left = (time.time() - start) / max(trained, 1) * (len(jobs) - number)
        print(
            f"{row['tuned']:>6} {float(row['value']):7g}  {float(row['accuracy']):8.4f}  "
            f"{float(row['achieved_rate']):11.4f}   [{number}/{len(jobs)}, {left:.0f} s left]"
        )
    threshold = (1 - 2 * options.flip_probability) ** 2
    picture = output / "half_moons.png"
    draw(rows, threshold, picture)
    draw_in_words(rows, threshold, output / "set_and_get.png")
    print(f"beta_0 = (1 - 2p)^2 = {threshold:.4g}")
    if options.targets:
        print(f"\n|reached - target| in nats\n\n{miss_table(rows)}\n")
    print(provenance.made_by(rows))
    print(f"written to {table.path}, {picture} and set_and_get.png next to it")


if __name__ == "__main__":
    main()
