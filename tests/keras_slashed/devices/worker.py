"""Computes on several devices, for `tests/keras_slashed/devices/test_synchronized.py` to compare.

To be run in a process of its own, which can still make the devices.
"""

import keras
import numpy as np

from applications.training import devices
from keras_slashed.layers import RateNormalization
from tests.keras_slashed.devices import cases as cases
from tests.support import BACKEND
from tests.support import to_numpy

NUMBER = 8 if BACKEND == "jax" else 2


def write(path):
    """Compute on several devices; write NumPy arrays, by "case/what"."""
    np.savez(path, **devices.run_on_devices(NUMBER, work))


def work():
    """Return everything that the tests look at, by name."""
    compute = {"jax": on_jax, "tensorflow": on_tensorflow, "torch": on_torch}[BACKEND]
    found = {}
    for name, case in cases.CASES.items():
        found |= {f"{name}/{what}": array for what, array in compute(case).items()}
    found["noise"] = noise()
    found["calibrated"] = calibrated()
    for name in ("trained_without_noise", "trained_vib"):
        found |= named(name, *getattr(cases, name)())
    if BACKEND == "tensorflow":
        found |= metric_states()
    if BACKEND == "jax":
        with model_parallel().scope():
            found |= named("model_parallel", *cases.trained_without_noise())
    return found


def named(name, weights, logged):
    """Return the results of a training as arrays by name."""
    arrays = {**dict(enumerate(weights)), **logged}
    return {f"{name}/{key}": np.array(value) for key, value in arrays.items()}


def model_parallel():
    """Return a distribution of rows over four pairs, of latent dimensions over each pair."""
    mesh = keras.distribution.DeviceMesh(
        (NUMBER // 2, 2), ["rows", "latents"], keras.distribution.list_devices()
    )
    layouts = keras.distribution.LayoutMap(mesh)
    layouts["encoder/kernel"] = (None, "latents")
    layouts["encoder/bias"] = ("latents",)
    return keras.distribution.ModelParallel(layout_map=layouts, batch_dim_name="rows")


def on_torch(case):
    """Each process computes on its rows."""
    from torch import distributed

    mine = cases.normalized(case, cases.SHARES[distributed.get_rank()])
    return joined(gathered(mine))


def on_tensorflow(case):
    """Each replica computes on its rows, with one layer."""
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    layer = RateNormalization(**cases.options_of(case))
    layer.build((None, cases.SIZE))

    def per_replica(index):
        values = [cases.inputs_of(case, rows)[index] for rows in cases.SHARES]
        if values[0] is None:
            return None
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(values[context.replica_id_in_sync_group])
        )

    @tf.function
    def step(x, upstream, mask, rates):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, rate=rates, mask=mask, training=True)
        return y, tape.gradient(y, x, output_gradients=upstream)

    @tf.function
    def infer(x):
        return layer(x)

    inputs = [per_replica(index) for index in range(4)]
    outputs, slope = strategy.run(step, inputs)
    replicas = {
        "outputs": outputs,
        "gradient": slope,
        "inferred": strategy.run(infer, inputs[:1]),
    }
    found = {what: np.concatenate(local(values)) for what, values in replicas.items()}
    found["statistic"] = statistics_of_replicas(layer)
    return {what: np.array(value) for what, value in found.items()}


def statistics_of_replicas(layer):
    """Return the moving statistic that each replica has, one under the other."""
    moving = [local(weight.value) for weight in layer.weights if "moving" in weight.path]
    return [
        np.concatenate([values[index].ravel() for values in moving] + [np.zeros(0)])
        for index in range(NUMBER)
    ]


def calibrated():
    """Return the moving statistics of all devices after a calibration."""
    layers = cases.calibrated()
    if BACKEND == "tensorflow":
        return np.concatenate([statistics_of_replicas(layer) for layer in layers], axis=-1)
    statistic = np.concatenate([cases.statistic(layer) for layer in layers])
    if BACKEND == "torch":
        return joined(gathered({"statistic": statistic}))["statistic"]
    return np.array([statistic])


def metric_states():
    """Return the state of metrics after three batches, of which each replica saw its rows."""
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    found = {}
    for name, metric in cases.metrics().items():
        step = tf.function(metric.update_state)
        for batch in range(3):
            shares = [cases.metric_batch(batch, rows) for rows in cases.SHARES]
            inputs = [
                strategy.experimental_distribute_values_from_function(
                    lambda context, values=values: tf.constant(
                        values[context.replica_id_in_sync_group]
                    )
                )
                for values in zip(*shares)
            ]
            strategy.run(step, inputs)
        found |= named(name, [to_numpy(variable) for variable in metric.variables], {})
    return found


def local(values):
    """Return the value of each replica as a NumPy array."""
    import tensorflow as tf

    return [x.numpy() for x in tf.distribute.get_strategy().experimental_local_results(values)]


def on_jax(case):
    """One program computes on the whole batch, whose rows lie on all devices."""
    import jax

    layer = RateNormalization(**cases.options_of(case))
    layer.build((None, cases.SIZE))
    state = [variable.value for variable in layer.non_trainable_variables]
    inputs = [sharded(x) for x in cases.inputs_of(case)]

    def step(state, x, upstream, mask, rates):
        def weighted(x):
            y, new = layer.stateless_call([], state, x, rate=rates, mask=mask, training=True)
            return (upstream * y).sum(), (y, new)

        slope, (y, new) = jax.grad(weighted, has_aux=True)(x)
        return y, slope, new

    outputs, slope, state = jax.jit(step)(state, *inputs)
    for variable, value in zip(layer.non_trainable_variables, state):
        variable.assign(value)
    assert len(outputs.sharding.device_set) == NUMBER
    return {
        "outputs": np.array(outputs),
        "gradient": np.array(slope),
        "inferred": to_numpy(layer(inputs[0])),
        "statistic": np.array([cases.statistic(layer)]),
    }


def sharded(x):
    """Return a batch with its rows on all devices, or None."""
    if x is None:
        return None
    layout = keras.distribution.distribution().get_data_layout(x.shape)
    return keras.distribution.distribute_tensor(keras.ops.convert_to_tensor(x), layout)


def noise():
    """Return the draws of all devices in two steps, each for 8 rows of one posterior."""
    layer, x = cases.noise()
    layer.build(x.shape)
    if BACKEND == "jax":
        import jax

        def step(state, x):
            return layer.stateless_call([], state, x, training=True)

        state = [variable.value for variable in layer.non_trainable_variables]
        rows = sharded(np.concatenate([x] * NUMBER))
        first, state = jax.jit(step)(state, rows)
        second, _ = jax.jit(step)(state, rows)
        return np.concatenate([first, second])
    if BACKEND == "tensorflow":
        import tensorflow as tf

        step = tf.function(lambda: layer(x, training=True))
        draw = lambda: np.concatenate(local(tf.distribute.get_strategy().run(step)))  # noqa: E731
    else:
        draw = lambda: joined(gathered({"z": to_numpy(layer(x, training=True))}))["z"]  # noqa: E731
    return np.concatenate([draw(), draw()])


def gathered(arrays):
    """Return a process's arrays next to those of the others."""
    from torch import distributed

    of_all = [None] * NUMBER
    distributed.all_gather_object(of_all, arrays)
    return of_all


def joined(of_all):
    """Return the rows of all processes together, but statistics one under the other."""
    join = dict.fromkeys(of_all[0], np.concatenate) | {"statistic": np.array}
    return {what: join[what]([arrays[what] for arrays in of_all]) for what in of_all[0]}
