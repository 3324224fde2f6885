"""Custom derivatives and fused kernels on PyTorch."""

import logging
import re
import warnings

import keras
import torch

from keras_slashed.config import is_kernel_compilation_enabled

# With fewer elements, the seconds of a first compilation do not pay off.
_FEWEST_ELEMENTS = 2**14
# torch.compile warns of deprecations within torch at its first use.
_DEPRECATIONS = ("ignore", None, DeprecationWarning, re.compile(r"torch\."), 0)
_logger = logging.getLogger(__name__)


def with_derivative(function, derivative):
    """Define the derivative of an elementwise function, in forward and reverse mode.

    With `setup_context` and `generate_vmap_rule` it works under `torch.func`, where
    `keras.ops.custom_gradient` fails.
    """
    fused = _fused(function)

    class Elementwise(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(*inputs):
            return fused(*inputs)

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs, output)
            ctx.save_for_forward(*inputs, output)

        @staticmethod
        def backward(ctx, upstream):
            *inputs, y = ctx.saved_tensors
            return upstream * slope(*inputs, y), *(None for _ in inputs[1:])

    class ElementwiseWithForwardMode(Elementwise):
        @staticmethod
        def jvp(ctx, tangent, *_):
            return slope(*ctx.saved_tensors) * tangent

    def slope(*inputs_and_y):
        if torch.compiler.is_compiling():
            # torch.compile cannot trace nested custom functions or second derivatives.
            return getattr(derivative, "function", derivative)(*inputs_and_y)
        *inputs, y = inputs_and_y
        # Detach y, since torch would otherwise pass it a gradient of 0, which becomes NaN when
        # multiplied by an infinite derivative.
        return derivative(*inputs, y.detach())

    def differentiable(*inputs):
        if torch.compiler.is_compiling():  # torch.compile cannot trace forward mode
            return Elementwise.apply(*inputs)
        return ElementwiseWithForwardMode.apply(*inputs)

    differentiable.function = function
    return differentiable


class _Compiler:
    works = True  # until a compilation fails


def _fused(function):
    """Return the function as one kernel for large eager tensors, compiled by torch.compile."""
    # Inputs are flattened first, so that one compilation serves any number of elements.
    compiled = torch.compile(function, dynamic=True, fullgraph=True)

    def fused(*inputs):
        if not _may_compile(inputs[0]):
            return function(*inputs)
        try:
            _ignore_deprecations()
            y = compiled(*(x.detach().reshape(-1) for x in inputs))
        except Exception as error:  # the parts of the compiler raise errors of any type
            _Compiler.works = False
            _logger.info("Kernels run operation by operation: %s", error)
            return function(*inputs)
        return y.reshape(inputs[0].shape)

    return fused


def _ignore_deprecations():
    """Ignore the deprecations even if warnings are errors, which would end the compilation.

    The filter is permanent. `warnings.catch_warnings` would remove it again. However, if several
    threads use that context at once, a thread may restore the filters of another one, which
    then ignore all later warnings of the process.
    """
    if _DEPRECATIONS not in warnings.filters:
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch\.")


def _may_compile(x):
    return (
        _Compiler.works
        and is_kernel_compilation_enabled()
        # Do not compile while another compiler, an exporter or a transformation traces.
        and type(x) in (torch.Tensor, torch.nn.Parameter)
        and x.device.type in ("cpu", "cuda")
        and x.numel() >= _FEWEST_ELEMENTS
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and not torch._C._are_functorch_transforms_active()
    )


def input_gradient(function, x):
    """Return the gradient of `function(x)[0]` at x, and `function(x)[1]`."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        y, auxiliary = function(x)
        (gradient,) = torch.autograd.grad(y, x, materialize_grads=True)
    return gradient, keras.tree.map_structure(torch.Tensor.detach, auxiliary)


def kept_random_state():
    """Return a context that restores torch's global random numbers of the CPU."""
    return torch.random.fork_rng(devices=[])
