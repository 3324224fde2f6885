"""Settings for the whole process."""

import os

_VARIABLE = "KERAS_SLASHED_COMPILE"


class _State:
    kernel_compilation = os.environ.get(_VARIABLE, "1") != "0"


def enable_kernel_compilation():
    """Enable the compilation of elementwise kernels where the framework does not fuse operations.

    This is the default. PyTorch and TensorFlow in eager mode, and TensorFlow in graph mode
    without XLA, run one array operation after another. Each is a pass over memory, and stdplus
    consists of about eighty. If a compiler is available, stdplus runs as one kernel instead:

    - On TensorFlow, XLA compiles it.
    - On PyTorch, `torch.compile` compiles it for tensors of 16,384 elements or more. This takes
      some seconds at the first call, and on a CPU it requires a C++ compiler.
    - JAX always compiles.

    If a compilation fails, the operations run one by one from then on.

    Example:

    >>> keras_slashed.config.enable_kernel_compilation()
    >>> keras_slashed.config.is_kernel_compilation_enabled()
    True
    """
    _State.kernel_compilation = True


def disable_kernel_compilation():
    """Run elementwise kernels operation by operation where the framework does not fuse them.

    To do so from the start, set the environment variable `KERAS_SLASHED_COMPILE=0`. See
    `keras_slashed.config.enable_kernel_compilation`.
    """
    _State.kernel_compilation = False


def is_kernel_compilation_enabled():
    """Return whether the compilation of elementwise kernels is enabled."""
    return _State.kernel_compilation
