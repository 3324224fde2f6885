"""Custom derivatives on PyTorch."""

import torch


def with_derivative(function, derivative):
    """Give an elementwise function its derivative, forward and reverse mode.

    `setup_context` and `generate_vmap_rule` make it work under `torch.func`,
    where `keras.ops.custom_gradient` fails.
    """

    class Elementwise(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x):
            return function(x)

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx, upstream):
            (x,) = ctx.saved_tensors
            return upstream * derivative(x)

        @staticmethod
        def jvp(ctx, tangent):
            (x,) = ctx.saved_tensors
            return derivative(x) * tangent

    return Elementwise.apply
