"""Convolution, batch normalization, weight, bias and ReLU of many tasks as one function, with two derivatives by hand.

    c = C(x, w),   z = (c - mean) / std per channel,   y = max(0, a z + b)

With the notation of ``conv2d`` (C, G, F: a convolution and its two transposed derivatives) and of ``batch_norm_grad``
(B), a cotangent g of y, counted where y > 0, sends

    d = a B(g) to c,   hence   G(d, w) to x,   F(d, x) to w,   sum(g z) to a,   sum(g) to b.

That is linear in g. Cotangents (p, q, t, r) of its four results send, with v = C(p, w) + C(x, q) and, from the
curvature of a B(g) and of sum(g z) along v and t, s to c:

    a B(v) + t z + r, where y > 0, to g,   G(s, w) + G(d, q) to x,   F(s, x) + F(d, p) to w,   sum(v B(g)) to a.

One function for each of the three lines, of all tasks at once: nothing between them is copied, or added up in passes of
its own.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mamlbench.nn import kernels
from mamlbench.nn.kernels import Geometry
from mamlbench.nn.vmap_internals import outside_vmap, unwrap_batch, unwrap_batch_expanded, wrap_batch


def conv_block(
    x: Tensor, w: Tensor, affine: tuple[Tensor | None, Tensor], at: Geometry, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The block of each task, inside one ``torch.func.vmap``.

    Args:
        x: ``[n, C, H, W]``.
        w: filters ``[O, C, kh, kw]``.
        affine: weight of batch norm (None: 1) and its bias, each ``[O]``.
        at: the rest of the convolution, without dilation and groups.
        eps: added to the variance.

    Returns:
        y ``[n, O, h, w]``; mean and 1 / std of the convolution, each ``[O]``, without a derivative.
    """
    maps = unwrap_batch_expanded(x, into=1)  # [n, T, C, H, W]
    # with T first if they are tasks' own
    filters, weight, bias = (None if tensor is None else unwrap_batch(tensor) for tensor in (w, *affine))
    with outside_vmap():
        y, _, mean, inverse_std = _Block.apply(maps, filters, weight, bias, at, eps)
    return wrap_batch(y, dim=1), wrap_batch(mean), wrap_batch(inverse_std)


class _Block(torch.autograd.Function):
    """x ``[n, T, C, H, W]``, w ``[T, O, C, kh, kw]``, a and b ``[T, O]``, or without T if tasks share them.

    To y and c ``[n, T, O, h, w]``, mean and 1 / std ``[T, O]``.
    """

    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor, ...]:
        x, w, a, b, at, eps = inputs
        c = kernels.convolve(x, w, at)
        tasks = c.shape[1]
        y, mean, scale = kernels.batch_norm_relu(c, _of_tasks(a, tasks), b.expand(tasks, -1), eps)
        return y, c, mean, scale

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, w, a, b, ctx.at, _ = inputs
        y, *statistics = output
        ctx.bias_shared = b.ndim == 1
        ctx.mark_non_differentiable(*statistics)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, w, a, y, *statistics)

    @staticmethod
    def backward(ctx: Any, g: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        if g is None:
            return (None,) * 6
        by_x, *_ = ctx.needs_input_grad
        to_x, to_w, to_a, to_b, *_ = _BlockBackward.apply(g, *ctx.saved_tensors, ctx.at, ctx.bias_shared, by_x)
        return to_x, to_w, to_a, to_b, None, None


class _BlockBackward(torch.autograd.Function):
    """G(d, w), F(d, x), sum(g z) and sum(g), then d and both sums once more, of each task."""

    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor | None, ...]:
        g, x, w, a, y, c, mean, scale, at, bias_shared, by_x = inputs
        d, gz, g_sum = kernels.batch_norm_relu_backward(g, c, y, _of_tasks(a, c.shape[1]), (mean, scale))
        to_x = kernels.input_grad(d, w, at) if by_x else None
        to_w = kernels.weight_grad(d, x, at, shared=w.ndim == 4)
        to_a = None if a is None else gz.sum(0) if a.ndim == 1 else gz.clone()
        return to_x, to_w, to_a, g_sum.sum(0) if bias_shared else g_sum.clone(), d, gz, g_sum

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        *tensors, ctx.at, _, _ = inputs
        ctx.mark_non_differentiable(*output[4:])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, *output[4:])

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> tuple[Tensor | None, ...]:
        p, q, t, r, *_ = cotangents
        if p is None and q is None and t is None and r is None:
            return (None,) * 11
        by_x = ctx.needs_input_grad[1]
        to_g, to_x, to_w, to_a = _BlockDoubleBackward.apply(p, q, t, r, *ctx.saved_tensors, ctx.at, by_x)
        return to_g, to_x, to_w, to_a, *(None for _ in range(7))


class _BlockDoubleBackward(torch.autograd.Function):
    """What cotangents p, q, t, r of the backward function's first four results send to g, x, w and a."""

    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor | None, ...]:
        p, q, t, r, g, x, w, a, y, c, mean, scale, d, gz, g_sum, at, by_x = inputs
        v = None if p is None else kernels.convolve(p, w, at)
        v = v if q is None else kernels.convolve(x, q, at, into=v)
        v = torch.zeros_like(c) if v is None else v
        t, r = (torch.zeros_like(mean) if sums is None else sums.expand_as(mean) for sums in (t, r))
        weight = _of_tasks(a, c.shape[1])
        to_g, s, to_a = kernels.batch_norm_relu_double_backward(v, t, r, g, c, y, weight, mean, scale, gz, g_sum)
        to_x = kernels.input_grad(s, w, at) if by_x else None
        if by_x and q is not None:
            kernels.input_grad(d, q, at, into=to_x)
        to_w = kernels.weight_grad(s, x, at, shared=w.ndim == 4)
        if p is not None:
            kernels.weight_grad(d, p, at, shared=w.ndim == 4, into=to_w)
        return to_g, to_x, to_w, to_a.sum(0) if to_a is not None and a.ndim == 1 else to_a

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        raise NotImplementedError("third derivatives of convolution and batch normalization in one")


def _of_tasks(values: Tensor | None, tasks: int) -> Tensor | None:
    """``[O]`` or ``[T, O]`` as ``[T, O]``."""
    return None if values is None else values.expand(tasks, -1)
