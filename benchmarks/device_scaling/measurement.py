"""Measure one case of `benchmarks.device_scaling`, in a process of its own.

A new process imports what it is given by the name of its module, which `__main__` has not.
"""

from applications.datasets.image_data import random_images
from applications.experiment.resumable_training import Seconds
from applications.table1.compiled_classifier import build_classifier
from applications.table1.compiled_classifier import compile_for_training
from applications.table1.config import Setting
from applications.table1.data_parallel import SharedBatches
from applications.training import devices
from benchmarks.device_scaling import collectives
from benchmarks.harness import timing

_WARM_UP = 2  # epochs that include compilation


def step_times(case, steps, rounds):
    """Return the seconds per step for each round, on the devices of `run_on_devices`.

    It also returns what a step sends, from `benchmarks.device_scaling.collectives`.
    """
    normalization = case["normalization"]
    vib = normalization != "none"
    setting = Setting(
        dataset="random",
        bottleneck="vib" if vib else "none",
        normalization=normalization if vib else "batch",
        batch_size=case["batch_size"],
    )
    data = random_images(steps * setting.batch_size, 1)
    model = build_classifier(setting, data, synchronized=True)
    trained = devices.parallel(model)
    compile_for_training(trained, setting, steps)
    batches = SharedBatches(data.x_train, data.y_train, setting.batch_size, seed=0)
    history = trained.fit(
        batches, shuffle=False, epochs=_WARM_UP + rounds, verbose=0, callbacks=[Seconds()]
    ).history
    seconds = [value / steps for value in devices.mean(history["seconds"])[_WARM_UP:]]
    size = setting.batch_size
    return seconds, collectives.count(model, data.x_train[:size], data.y_train[:size])


def measure_case(case, options):
    """Return the row of a case, without provenance."""
    arguments = (case, options.steps, options.repeats)
    seconds, sent = devices.run_on_devices(case["devices"], step_times, *arguments)
    spread = timing.spread(seconds)
    return {
        **case,
        "milliseconds": f"{1e3 * spread.median:.4g}",
        "milliseconds_low": f"{1e3 * spread.low:.4g}",
        "milliseconds_high": f"{1e3 * spread.high:.4g}",
        "steps": options.steps,
        "rounds": len(seconds),
        **sent,
    }
