"""Choices that hold for the whole process."""

import os

_VARIABLE = "KERAS_SLASHED_COMPILE"


class _State:
    kernel_compilation = os.environ.get(_VARIABLE, "1") != "0"


def enable_kernel_compilation():
    """Let elementwise kernels be compiled where the framework fuses nothing.

    That is the default. In eager mode PyTorch and TensorFlow, and TensorFlow in
    graph mode without XLA, run array operation by array operation, each of them a
    pass over memory, and stdplus has some eighty. With a compiler at hand it runs
    as one: on TensorFlow by XLA, on PyTorch by `torch.compile`, which needs a C++
    compiler on a CPU, some seconds at the first call, and is asked for tensors of
    16,384 elements and more. Where compiling fails the operations are run one by
    one, once and for all. JAX compiles in any case.

    Example:

    >>> keras_slashed.config.enable_kernel_compilation()
    >>> keras_slashed.config.is_kernel_compilation_enabled()
    True
    """
    _State.kernel_compilation = True


def disable_kernel_compilation():
    """Run elementwise kernels operation by operation where nothing else fuses them.

    So does the environment variable `KERAS_SLASHED_COMPILE=0`, from the start.
    See `keras_slashed.config.enable_kernel_compilation`.
    """
    _State.kernel_compilation = False


def is_kernel_compilation_enabled():
    """Return whether elementwise kernels may be compiled."""
    return _State.kernel_compilation
