"""Custom derivatives and fused kernels on PyTorch."""

import logging
import re
import warnings

import keras
import torch

from keras_slashed.config import is_kernel_compilation_enabled

# Fewer elements are not worth the seconds that a first compilation takes.
_FEWEST_ELEMENTS = 2**14
# What torch.compile warns of at its first use: deprecations within torch.
_DEPRECATIONS = ("ignore", None, DeprecationWarning, re.compile(r"torch\."), 0)
_logger = logging.getLogger(__name__)


def with_derivative(function, derivative):
    """Give an elementwise function its derivative, forward and reverse mode.

    `setup_context` and `generate_vmap_rule` make it work under `torch.func`,
    where `keras.ops.custom_gradient` fails.
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
            # It traces no custom function within another, nor second derivatives.
            return getattr(derivative, "function", derivative)(*inputs_and_y)
        *inputs, y = inputs_and_y
        # Detached: torch would send y a gradient of 0, which times an infinite
        # derivative is NaN.
        return derivative(*inputs, y.detach())

    def differentiable(*inputs):
        if torch.compiler.is_compiling():  # it traces no forward mode
            return Elementwise.apply(*inputs)
        return ElementwiseWithForwardMode.apply(*inputs)

    differentiable.function = function
    return differentiable


class _Compiler:
    works = True  # until it is seen to fail


def _fused(function):
    """Return the function as one kernel, by torch.compile, for large eager tensors."""
    # For any number of elements: shapes are flattened before.
    compiled = torch.compile(function, dynamic=True, fullgraph=True)

    def fused(*inputs):
        if not _may_compile(inputs[0]):
            return function(*inputs)
        try:
            _ignore_deprecations()
            y = compiled(*(x.detach().reshape(-1) for x in inputs))
        except Exception as error:  # of whatever kind, of the compiler's many parts
            _Compiler.works = False
            _logger.info("Kernels run operation by operation: %s", error)
            return function(*inputs)
        return y.reshape(inputs[0].shape)

    return fused


def _ignore_deprecations():
    """Have them ignored where warnings are errors, too: as an error, they end the compilation.

    The filter stays. `warnings.catch_warnings` takes its filters away again, but where several
    threads are in it at once, one of them puts back the filters of another, which then ignore
    every later warning of the process.
    """
    if _DEPRECATIONS not in warnings.filters:
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch\.")


def _may_compile(x):
    return (
        _Compiler.works
        and is_kernel_compilation_enabled()
        # Not where another compiler, an exporter or a transformation traces.
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
