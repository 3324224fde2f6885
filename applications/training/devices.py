"""Training on several devices: one call for the way of each backend."""

import contextlib
import functools

import keras

_BACKEND = keras.backend.backend()
if _BACKEND == "torch":
    from applications.training import devices_torch


def run_on_devices(number, function, *arguments):
    """Call a function so that the models it makes train on several devices at once.

    - TensorFlow: in the scope of a `tf.distribute.MirroredStrategy`.
    - JAX: under a `keras.distribution.DataParallel`.
    - PyTorch: in one process per device, connected by nccl on GPUs and by gloo on a CPU. The
      function and its arguments are pickled.

    The devices are GPUs if there are enough. Otherwise they are virtual CPU devices, which
    share the processors. For TensorFlow and JAX, a process can create these only before its
    first computation. A process can use only one number of devices, because TensorFlow's
    collectives do not allow a second. The function must pass its model through `parallel`, and
    take only the part of each batch that `share` selects.

    Args:
        number: Integer. Number of devices, at least 1.
        function: Function that makes and trains models.
        *arguments: Arguments of the function.

    Returns:
        The result of the function. With PyTorch it is that of the first process.

    Raises:
        RuntimeError: If there are too few devices and it is too late to create more.
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
    """Return a model that trains like the given one, on all devices.

    With PyTorch this is a `Model` that calls the given one through `DistributedDataParallel`.
    Otherwise it is the model itself, since strategy and distribution act on its variables.
    """
    return devices_torch.DataParallelModel(model) if _BACKEND == "torch" else model


def share():
    """Return the slice of a batch's rows that this process supplies.

    It selects all rows, except with PyTorch, where each process has its own.
    """
    return devices_torch.share() if _BACKEND == "torch" else slice(None)


def mean(values):
    """Return the mean over all processes of a list of numbers that each process logged."""
    return devices_torch.mean(values) if _BACKEND == "torch" else values


def _make_devices(number):
    """Make virtual CPU devices, in case there are too few GPUs. PyTorch needs none."""
    if _BACKEND == "jax":
        import jax

        with contextlib.suppress(RuntimeError):  # JAX has already made its devices
            jax.config.update("jax_num_cpu_devices", number)
    elif _BACKEND == "tensorflow":
        import tensorflow as tf

        (cpu,) = tf.config.list_physical_devices("CPU")
        if len(tf.config.get_logical_device_configuration(cpu) or [None]) < number:
            configuration = [tf.config.LogicalDeviceConfiguration()] * number
            tf.config.set_logical_device_configuration(cpu, configuration)


@functools.cache  # two strategies on the same devices would mix up their collectives
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
            f"{number} devices are required, but JAX has {len(found)}: {found}. "
            "More CPU devices can be created only before the first computation of JAX."
        )
    return keras.distribution.DataParallel(devices=found[:number])
