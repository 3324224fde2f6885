"""Training on several devices: the engine of each backend, behind one call."""

import contextlib
import functools

import keras

_BACKEND = keras.backend.backend()
if _BACKEND == "torch":
    from applications.training import devices_torch


def run_on_devices(number, function, *arguments):
    """Call a function so that the models it makes train on several devices at once.

    - TensorFlow: in the scope of a `tf.distribute.MirroredStrategy`;
    - JAX: under a `keras.distribution.DataParallel`;
    - PyTorch: in as many processes, joined by nccl on GPUs and by gloo on a CPU; the
      function and its arguments are pickled.

    GPUs where there are enough, or else as many virtual CPU devices, which share the
    processors: for TensorFlow and JAX only a process that has not computed yet can make
    them. One number of devices to a process: TensorFlow's collectives allow no second.
    The function passes its model through `parallel`, and takes of each batch the part
    that `share` says.

    Args:
        number: Of devices, at least 1.
        function: Makes and trains models.
        *arguments: Of the function.

    Returns:
        What the function returned; with PyTorch, in the first process.

    Raises:
        RuntimeError: There are not enough devices, nor can they be made any more.
    """
    _make_devices(number)
    if _BACKEND == "tensorflow":
        with _mirrored_strategy(number).scope():
            return function(*arguments)
    if _BACKEND == "jax":
        before = keras.distribution.distribution()
        keras.distribution.set_distribution(_data_parallel(number))
        try:
            return function(*arguments)
        finally:
            keras.distribution.set_distribution(before)
    return devices_torch.run_in_processes(number, function, *arguments)


def parallel(model):
    """Return a model that trains as the one given, on all devices.

    With PyTorch a `Model` around it, which calls it by `DistributedDataParallel`;
    else the model itself: strategy and distribution work on its variables.
    """
    return devices_torch.DataParallelModel(model) if _BACKEND == "torch" else model


def share():
    """Return the slice of a batch's rows that this process supplies.

    All of them, but with PyTorch, where each process has its own.
    """
    return devices_torch.share() if _BACKEND == "torch" else slice(None)


def mean(values):
    """Return the mean over all processes of a list of numbers that each has logged."""
    return devices_torch.mean(values) if _BACKEND == "torch" else values


def _make_devices(number):
    """Make virtual CPU devices, for where there are too few GPUs; PyTorch needs none."""
    if _BACKEND == "jax":
        import jax

        with contextlib.suppress(RuntimeError):  # too late: there are what there are
            jax.config.update("jax_num_cpu_devices", number)
    elif _BACKEND == "tensorflow":
        import tensorflow as tf

        (cpu,) = tf.config.list_physical_devices("CPU")
        if len(tf.config.get_logical_device_configuration(cpu) or [None]) < number:
            configuration = [tf.config.LogicalDeviceConfiguration()] * number
            tf.config.set_logical_device_configuration(cpu, configuration)


@functools.cache  # two of the same devices would get their collectives mixed up
def _mirrored_strategy(number):
    import tensorflow as tf

    kind = "GPU" if len(tf.config.list_physical_devices("GPU")) >= number else "CPU"
    return tf.distribute.MirroredStrategy([f"{kind}:{index}" for index in range(number)])


def _data_parallel(number):
    found = keras.distribution.list_devices()
    if len(found) < number:
        found = keras.distribution.list_devices("cpu")
    if len(found) < number:
        raise RuntimeError(
            f"{number} devices were asked for, JAX has {len(found)}: {found}. "
            "More can be made on a CPU, before JAX computes for the first time."
        )
    return keras.distribution.DataParallel(devices=found[:number])
