"""Convolution, batch normalization, bias and ReLU of many tasks as one function, with two derivatives by hand.

    c = C(x, w),   z = (c - mean) / std per channel,   y = max(0, z + b)

With the notation of ``convolution`` (C, G, F: a convolution and its two transposed derivatives) and of ``normalize``
(B), a cotangent g of y, counted where y > 0, sends

    d = B(g) to c,   hence   G(d, w) to x,   F(d, x) to w,   sum(g) to b.

That is linear in g. Cotangents (p, q, r) of its three results send, with v = C(p, w) + C(x, q) and, from the curvature
of B along v, s to c:

    B(v) + r, where y > 0, to g,   G(s, w) + G(d, q) to x,   F(s, x) + F(d, p) to w.

One function for each of the three lines, of all tasks at once: nothing between them is copied, or added up in passes of
its own.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mamlbench.nn import kernels
from mamlbench.nn.batch_norm import BatchNorm
from mamlbench.nn.conv2d import Convolution
from mamlbench.nn.kernels import Geometry
from mamlbench.nn.precision import bf16_is_on
from mamlbench.nn.vmap_context import current_vmap_context
from mamlbench.nn.vmap_internals import inside_one_vmap, outside_vmap, unwrap_batch, unwrap_batch_expanded, wrap_batch

_LEAST_OUTPUTS = 8
"""Channels below which the kernels' vectors would be mostly empty."""


class BatchNormReLU(BatchNorm):
    """Batch norm by this batch's statistics, a bias, then ReLU; there is no scale. The shape stays.

    Args:
        features: size of the second dimension.
        eps: added to the variance.
    """

    def __init__(self, features: int, *, eps: float = 1e-5) -> None:
        super().__init__(features, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize and rectify ``[n, features]`` or ``[n, features, H, W]``."""
        return F.relu(super().forward(x))


class ConvBlocks(nn.Sequential):
    """Layers in a row. A ``Convolution`` and the ``BatchNormReLU`` behind it are computed as one where that is faster:

    where the engine computes many tasks at once on a CPU (``vmap_context``), with a C compiler at hand. The numbers
    are the same.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Through all layers: ``[n, C, H, W]`` to whatever the last one returns."""
        layers = list(self)
        while layers:
            layer, *layers = layers
            if layers and _is_block(layer, layers[0]) and _should_fuse(x):
                norm, *layers = layers
                x = conv_block(x, layer, norm)  # type: ignore[arg-type]
            else:
                x = layer(x)
        return x


def conv_block(x: Tensor, convolution: Convolution, norm: BatchNormReLU) -> Tensor:
    """``[n, C, H, W]`` of each task under ``torch.func.vmap`` to ``[n, O, h, w]``."""
    assert not isinstance(convolution.padding, str)
    at = Geometry(tuple(x.shape[-2:]), convolution.kernel_size, convolution.stride, convolution.padding)
    maps = unwrap_batch_expanded(x, into=1)  # [n, T, C, H, W]
    w, b = (
        unwrap_batch(each, into=0) for each in (convolution.weight, norm.bias)
    )  # with T first where they are tasks' own
    with outside_vmap():
        y, _, mean, scale = _Block.apply(maps, w, b, at, norm.eps)
    norm.record(wrap_batch(mean), wrap_batch(scale))
    return wrap_batch(y, dim=1)


def _is_block(convolution: nn.Module, norm: nn.Module) -> bool:
    return (
        isinstance(convolution, Convolution)
        and isinstance(norm, BatchNormReLU)
        and convolution.bias is None
        and convolution.groups == 1
        and set(convolution.dilation) == {1}
        and convolution.out_channels >= _LEAST_OUTPUTS
        and norm.large < float("inf")
    )


def _should_fuse(x: Tensor) -> bool:
    if torch.compiler.is_compiling() or current_vmap_context().tasks == 1 or x.ndim != 4 or BatchNorm.replaying():
        return False
    # the compiled kernels know float32 and float64
    return kernels.available(x.device, x.dtype) and not bf16_is_on(x.device) and inside_one_vmap()


class _Block(torch.autograd.Function):
    """x ``[n, T, C, H, W]``, w ``[T, O, C, kh, kw]`` and b ``[T, O]``, or without T where tasks share them, to y and c
    ``[n, T, O, h, w]``, mean and 1 / std ``[T, O]``.
    """

    @staticmethod
    def forward(x: Tensor, w: Tensor, b: Tensor, at: Geometry, eps: float) -> tuple[Tensor, ...]:
        c = kernels.convolve(x, w, at)
        y, mean, scale = kernels.batch_norm_relu(c, b.expand(c.shape[1], -1), eps)
        return y, c, mean, scale

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, w, b, ctx.at, _ = inputs
        y, *statistics = output
        ctx.shared = w.ndim == 4, b.ndim == 1
        ctx.mark_non_differentiable(*statistics)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, w, y, *statistics)

    @staticmethod
    def backward(ctx: Any, g: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        if g is None:
            return (None,) * 5
        by_x, *_ = ctx.needs_input_grad
        to_x, to_w, to_b, *_ = _Backward.apply(g, *ctx.saved_tensors, ctx.at, ctx.shared, by_x)
        return to_x if by_x else None, to_w, to_b, None, None


class _Backward(torch.autograd.Function):
    """G(d, w), F(d, x) and sum(g), then d, sum(g z) and sum(g) once more, of each task."""

    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor | None, ...]:
        g, x, w, y, c, mean, scale, at, (shared_w, shared_b), by_x = inputs
        d, gz, g_sum = kernels.batch_norm_relu_backward(g, c, y, mean, scale)
        to_x = kernels.input_grad(d, w, at) if by_x else None
        to_w = kernels.weight_grad(d, x, at, shared=shared_w)
        return to_x, to_w, g_sum.sum(0) if shared_b else g_sum.clone(), d, gz, g_sum

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        *tensors, ctx.at, _, _ = inputs
        ctx.mark_non_differentiable(*output[3:])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, *output[3:])

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> tuple[Tensor | None, ...]:
        p, q, r, *_ = cotangents
        if p is None and q is None and r is None:
            return (None,) * 10
        to_g, to_x, to_w = _DoubleBackward.apply(p, q, r, *ctx.saved_tensors, ctx.at, ctx.needs_input_grad[1])
        return to_g, to_x, to_w, *(None for _ in range(7))


class _DoubleBackward(torch.autograd.Function):
    """What cotangents p, q, r of the slope's first three results send to g, x and w."""

    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor | None, ...]:
        p, q, r, g, x, w, y, c, mean, scale, d, gz, g_sum, at, by_x = inputs
        v = None if p is None else kernels.convolve(p, w, at)
        v = v if q is None else kernels.convolve(x, q, at, into=v)
        v = torch.zeros_like(c) if v is None else v
        r = torch.zeros_like(mean) if r is None else r.expand_as(mean)
        to_g, s = kernels.batch_norm_relu_double_backward(v, r, g, c, y, mean, scale, gz, g_sum)
        to_x = kernels.input_grad(s, w, at) if by_x else None
        if by_x and q is not None:
            kernels.input_grad(d, q, at, into=to_x)
        to_w = kernels.weight_grad(s, x, at, shared=w.ndim == 4)
        if p is not None:
            kernels.weight_grad(d, p, at, shared=w.ndim == 4, into=to_w)
        return to_g, to_x, to_w

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        raise NotImplementedError("third derivatives of convolution and batch normalization in one")
