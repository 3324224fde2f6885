"""Figure 1 of the paper: tuning beta against tuning the rate.

    python -m applications.half_moons

Two half moons whose labels are flipped with probability p. A beta-VIB is
trained for each of a range of beta, a FixedRateVIB for each of a range of
rates, and judged by the true labels. From beta_0 = (1 - 2p)^2 on nothing is
worth its rate: the beta-VIB collapses and guesses (Wu et al. 2020). A fixed rate
has no such cliff. Writes half_moons.csv row by row, and half_moons.png; a killed
run goes on where it was.
"""

import argparse
import pathlib
import time

import keras
import numpy as np
from sklearn.datasets import make_moons

from applications import mlp
from applications import results
from applications.half_moons_figure import draw
from applications.provenance import describe_run
from keras_slashed.callbacks import RateMonitor

BETAS = (0.003, 0.01, 0.03, 0.06, 0.1, 0.15, 0.2, 0.25, 0.3, 0.34, 0.38, 0.45, 0.6, 1.0)
RATES = (0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.5, 2.5, 4.0, 8.0)


def make_data(flip_probability, num_train=4000, num_test=2000, noise=0.1, seed=0):
    """Return (x, flipped labels) for training and (x, true labels) for testing."""
    x, y = make_moons(num_train + num_test, noise=noise, random_state=seed)
    x = ((x - x[:num_train].mean(0)) / x[:num_train].std(0)).astype("float32")
    y = y.astype("int32")
    rng = np.random.default_rng(seed)
    flipped = np.where(rng.random(num_train) < flip_probability, 1 - y[:num_train], y[:num_train])
    return (x[:num_train], flipped), (x[num_train:], y[num_train:])


def train_one(data, epochs, batch_size=200, seed=0, **vib_options):
    """Train one classifier.

    Args:
        data: Of `make_data`.
        epochs: Number of passes over the training data.
        batch_size: Instances in a step.
        seed: Of weights, shuffling and noise.
        **vib_options: Of `mlp.build`: `bottleneck`, and `kl_weight` or `rate`.

    Returns:
        Its accuracy on the test data, with class probabilities averaged over 12
        draws, and the mean rate of the training data in the last epoch, in nats.
    """
    (x, y), (x_test, y_test) = data
    keras.utils.set_random_seed(seed)

    def build(num_samples=None):
        return mlp.build(
            input_shape=(2,),
            num_classes=2,
            hidden_units=(64, 64),
            bottleneck_units=16,
            inference="sample",
            seed=seed,
            num_samples=num_samples,
            **vib_options,
        )

    model = build()
    # An epoch in one call, on the backends that can.
    steps = 1 if keras.backend.backend() == "torch" else max(1, len(x) // batch_size)
    model.compile(
        optimizer=keras.optimizers.Adam(3e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        steps_per_execution=steps,
    )
    history = model.fit(
        x, y, batch_size=batch_size, epochs=epochs, verbose=0, callbacks=[RateMonitor()]
    )
    classifier = build(num_samples=12)
    classifier.set_weights(model.get_weights())
    logits = keras.ops.convert_to_numpy(classifier(x_test))
    accuracy = float(np.mean(np.argmax(logits, -1) == y_test))
    return accuracy, history.history["bottleneck_rate"][-1]


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m applications.half_moons",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--flip-probability", type=float, default=0.2, help="p, below 1/2 (default 0.2)")
    add("--betas", nargs="+", type=float, default=list(BETAS))
    add("--rates", nargs="+", type=float, default=list(RATES), help="in nats")
    add("--epochs", type=int, default=40)
    add("--seeds", nargs="+", type=int, default=[0])
    add("--output", default="runs/half_moons", help="folder of the table and the picture")
    options = parser.parse_args(arguments)
    if not 0 <= options.flip_probability < 0.5:
        parser.error(f"--flip-probability must lie in [0, 0.5), not {options.flip_probability}")
    return options


def main(arguments=None):
    """Train every classifier that the command line asks for, and draw the figure."""
    options = parse_arguments(arguments)
    output = pathlib.Path(options.output)
    table = output / "half_moons.csv"
    run = describe_run("applications.half_moons")
    jobs = [("beta_vib", "kl_weight", beta) for beta in options.betas]
    jobs += [("vib", "rate", rate) for rate in options.rates]
    jobs = [(seed, *job) for seed in options.seeds for job in jobs]
    start, trained, rows = time.time(), 0, []
    print("  tuned   value  accuracy  rate (nats)")
    for number, (seed, bottleneck, option, value) in enumerate(jobs, start=1):
        key = {
            "tuned": "beta" if option == "kl_weight" else "rate",
            "value": value,
            "seed": seed,
            "epochs": options.epochs,
            "flip_probability": options.flip_probability,
        }
        row = results.find_row(results.read_rows(table), **key)
        if row is None:
            data = make_data(options.flip_probability, seed=seed)
            accuracy, rate = train_one(
                data, options.epochs, seed=seed, bottleneck=bottleneck, **{option: value}
            )
            row = {**key, "accuracy": f"{accuracy:.4f}", "achieved_rate": f"{rate:.6g}", **run}
            results.append_row(table, row)
            trained += 1
        rows.append({name: str(value) for name, value in row.items()})
        left = (time.time() - start) / max(trained, 1) * (len(jobs) - number)
        print(
            f"{key['tuned']:>7} {value:7g}  {float(row['accuracy']):8.4f}  "
            f"{float(row['achieved_rate']):11.4f}   [{number}/{len(jobs)}, {left:.0f} s left]"
        )
    threshold = (1 - 2 * options.flip_probability) ** 2
    picture = output / "half_moons.png"
    draw(rows, threshold, picture)
    print(f"beta_0 = (1 - 2p)^2 = {threshold:.4g}")
    print(f"written to {table} and {picture}")


if __name__ == "__main__":
    main()
