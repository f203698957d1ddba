"""Convolution, batch norm and ReLU of many tasks as one function, with hand-written first and second derivatives.

    c = C(x, w),   z = (c - mean) / std per channel,   y = max(0, a z + b)

With the notation of ``conv2d`` (C, G, F: a convolution and its two transposed derivatives) and of ``batch_norm_grad``
(B), a cotangent g of y, set to 0 unless y > 0, is pulled back

    to c: d = a B(g),   hence   to x: G(d, w),   to w: F(d, x),   to a: sum(g z),   to b: sum(g).

That is linear in g. Cotangents (p, q, t, r) of the last four are pulled back, with v = C(p, w) + C(x, q), and s the
derivative by c of a B(g) along v plus that of sum(g z) along t,

    to g: a B(v) + t z + r if y > 0, else 0,   to x: G(s, w) + G(d, q),   to w: F(s, x) + F(d, p),   to a: sum(v B(g)).

One function computes each of the three lines for all tasks, without copies or passes over the maps between its terms.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mamlbench.nn import kernels
from mamlbench.nn.kernels import Geometry
from mamlbench.nn.vmap_internals import outside_vmap, unwrap_batch, unwrap_batch_expanded, wrap_batch


def conv_block(
    x: Tensor,
    w: Tensor,
    affine: tuple[Tensor | None, Tensor],
    geometry: Geometry,
    eps: float,
    *,
    rows: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the block of each task, inside one ``torch.func.vmap``.

    Args:
        x: ``[n, C, H, W]``.
        w: filters ``[O, C, kh, kw]``.
        affine: weight of batch norm (None: 1) and its bias, each ``[O]``.
        geometry: strides and padding of the convolution, without dilation and groups.
        eps: added to the variance.
        rows: int64 ``[T]`` of all tasks, how many of its n examples each has, the first ones; None: all.

    Returns:
        y ``[n, O, h, w]``; mean and 1 / std of the convolution, each ``[O]``, without a derivative.
    """
    maps = unwrap_batch_expanded(x, into=1)  # [n, T, C, H, W]
    # [T, ...] if each task has its own
    filters, weight, bias = (None if tensor is None else unwrap_batch(tensor) for tensor in (w, *affine))
    with outside_vmap():
        y, _, mean, inverse_std = _Block.apply(maps, filters, weight, bias, geometry, eps, rows)
    return wrap_batch(y, dim=1), wrap_batch(mean), wrap_batch(inverse_std)


class _Block(torch.autograd.Function):
    """The block of all tasks.

    Takes x ``[n, T, C, H, W]``, w ``[T, O, C, kh, kw]``, a and b ``[T, O]``, the last three without T if tasks share
    them. Returns y and c ``[n, T, O, h, w]``, mean and 1 / std ``[T, O]``.
    """

    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor, ...]:
        x, w, a, b, geometry, eps, rows = inputs
        c = kernels.convolve(x, w, geometry, rows=rows)
        tasks = c.shape[1]
        y, mean, scale = kernels.batch_norm_relu(c, _per_task(a, tasks), b.expand(tasks, -1), eps, rows)
        return y, c, mean, scale

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, w, a, b, ctx.geometry, _, ctx.rows = inputs
        y, *statistics = output
        ctx.bias_shared = b.ndim == 1
        ctx.mark_non_differentiable(*statistics)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, w, a, y, *statistics)

    @staticmethod
    def backward(ctx: Any, g: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        if g is None:
            return (None,) * 7
        needs_x, *_ = ctx.needs_input_grad
        grad_x, grad_w, grad_a, grad_b, *_ = _BlockBackward.apply(
            g, *ctx.saved_tensors, ctx.geometry, ctx.rows, ctx.bias_shared, needs_x
        )
        return grad_x, grad_w, grad_a, grad_b, None, None, None


class _BlockBackward(torch.autograd.Function):
    """G(d, w), F(d, x), sum(g z) and sum(g) for x, w, a and b, then d and both sums of each task."""

    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor | None, ...]:
        g, x, w, a, y, c, mean, scale, geometry, rows, bias_shared, needs_x = inputs
        d, gz, g_sum = kernels.batch_norm_relu_backward(g, c, y, _per_task(a, c.shape[1]), (mean, scale), rows=rows)
        grad_x = kernels.input_grad(d, w, geometry, rows=rows) if needs_x else None
        grad_w = kernels.weight_grad(d, x, geometry, shared=w.ndim == 4, rows=rows)
        grad_a = None if a is None else gz.sum(0) if a.ndim == 1 else gz.clone()
        return grad_x, grad_w, grad_a, g_sum.sum(0) if bias_shared else g_sum.clone(), d, gz, g_sum

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        *tensors, ctx.geometry, ctx.rows, _, _ = inputs
        ctx.mark_non_differentiable(*output[4:])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, *output[4:])

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> tuple[Tensor | None, ...]:
        p, q, t, r, *_ = cotangents
        if p is None and q is None and t is None and r is None:
            return (None,) * 12
        needs_x = ctx.needs_input_grad[1]
        grad_g, grad_x, grad_w, grad_a = _BlockDoubleBackward.apply(
            p, q, t, r, *ctx.saved_tensors, ctx.geometry, ctx.rows, needs_x
        )
        return grad_g, grad_x, grad_w, grad_a, *(None for _ in range(8))


class _BlockDoubleBackward(torch.autograd.Function):
    """Pulls cotangents p, q, t, r of the backward function's first four results back to g, x, w and a."""

    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor | None, ...]:
        p, q, t, r, g, x, w, a, y, c, mean, scale, d, gz, g_sum, geometry, rows, needs_x = inputs
        shared = w.ndim == 4
        v = None if p is None else kernels.convolve(p, w, geometry, rows=rows)
        v = v if q is None else kernels.convolve(x, q, geometry, into=v, rows=rows)
        v = torch.zeros_like(c) if v is None else v
        t, r = (torch.zeros_like(mean) if sums is None else sums.expand_as(mean) for sums in (t, r))
        backward = (g, c, y, _per_task(a, c.shape[1]), mean, scale, gz, g_sum)
        grad_g, s, grad_a = kernels.batch_norm_relu_double_backward(v, t, r, *backward, rows=rows)
        grad_x = kernels.input_grad(s, w, geometry, rows=rows) if needs_x else None
        if needs_x and q is not None:
            kernels.input_grad(d, q, geometry, into=grad_x, rows=rows)
        grad_w = kernels.weight_grad(s, x, geometry, shared=shared, rows=rows)
        if p is not None:
            kernels.weight_grad(d, p, geometry, shared=shared, into=grad_w, rows=rows)
        return grad_g, grad_x, grad_w, grad_a.sum(0) if grad_a is not None and a.ndim == 1 else grad_a

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        raise NotImplementedError("third derivatives of convolution and batch normalization in one")


def _per_task(values: Tensor | None, tasks: int) -> Tensor | None:
    """Expand ``[O]`` or ``[T, O]`` to ``[T, O]``."""
    return None if values is None else values.expand(tasks, -1)
