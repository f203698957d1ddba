"""Two-dimensional convolution whose derivatives of every order consist of three kernels.

A convolution y = C(x, w) is linear in the input x and in the filters w. Let G(g, w) be the transpose of its derivative
by x, and F(g, x) that by w. All three are linear in both arguments, and pulling a cotangent back through one of them
takes the other two:

    C(x, w)   a cotangent g of y becomes G(g, w) of x and F(g, x) of w
    G(g, w)   a cotangent v of x becomes C(v, w) of g and F(g, v) of w
    F(g, x)   a cotangent u of w becomes C(x, u) of g and G(g, u) of x

torch's second derivatives differ: that by w is a dilated convolution with examples and channels exchanged, which is
slow on a CPU, and that by the first layer's images is computed although nothing needs it.

Under vmap, tasks with weights of their own become groups, and tasks that share their weights become examples; both
ways tensors are ``[n, T, C, H, W]`` in memory, so that none is copied to another layout between layers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mamlbench.nn.kernels import Geometry


def convolve(x: Tensor, w: Tensor, geometry: Geometry) -> Tensor:
    """Convolve ``[n, C, H, W]`` with filters ``[O, C / groups, kh, kw]`` to ``[n, O, h, w]``.

    Differentiable any number of times in reverse mode, and under vmap.
    """
    return _Convolve.apply(x, w, geometry)  # type: ignore[no-any-return]


class _Bilinear(torch.autograd.Function):
    """A function of two tensors and a geometry, linear in each of the tensors."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        first, second, ctx.geometry = inputs
        ctx.save_for_backward(first, second)


class _Convolve(_Bilinear):
    """C: x ``[n, C, H, W]`` and w ``[O, C / groups, kh, kw]`` to y ``[n, O, h, w]``."""

    @staticmethod
    def forward(x: Tensor, w: Tensor, geometry: Geometry) -> Tensor:
        return torch.conv2d(x, w, None, geometry.stride, geometry.padding, geometry.dilation, geometry.groups)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, w = ctx.saved_tensors
        needs_x, needs_w, _ = ctx.needs_input_grad
        grad_x = _InputGrad.apply(g, w, ctx.geometry) if needs_x else None
        return grad_x, _WeightGrad.apply(g, x, ctx.geometry) if needs_w else None, None

    @staticmethod
    def vmap(info: Any, dims: tuple[Any, ...], x: Tensor, w: Tensor, geometry: Geometry) -> tuple[Tensor, int]:
        return _over_maps(_Convolve, info.batch_size, dims, (x, w), geometry)


class _InputGrad(_Bilinear):
    """G: g ``[n, O, h, w]`` and w ``[O, C / groups, kh, kw]`` to ``[n, C, H, W]``."""

    @staticmethod
    def forward(g: Tensor, w: Tensor, geometry: Geometry) -> Tensor:
        x = g.new_empty((g.shape[0], w.shape[1] * geometry.groups, *geometry.size))
        return _backward(g, x, w, geometry, [True, False, False])[0]

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        g, w = ctx.saved_tensors
        needs_g, needs_w, _ = ctx.needs_input_grad
        grad_g = _Convolve.apply(v, w, ctx.geometry) if needs_g else None
        return grad_g, _WeightGrad.apply(g, v, ctx.geometry) if needs_w else None, None

    @staticmethod
    def vmap(info: Any, dims: tuple[Any, ...], g: Tensor, w: Tensor, geometry: Geometry) -> tuple[Tensor, int]:
        return _over_maps(_InputGrad, info.batch_size, dims, (g, w), geometry)


class _WeightGrad(_Bilinear):
    """F: g ``[n, O, h, w]`` and x ``[n, C, H, W]`` to ``[O, C / groups, kh, kw]``."""

    @staticmethod
    def forward(g: Tensor, x: Tensor, geometry: Geometry) -> Tensor:
        w = g.new_empty((g.shape[1], x.shape[1] // geometry.groups, *geometry.kernel))
        return _backward(g, x, w, geometry, [False, True, False])[1]

    @staticmethod
    def backward(ctx: Any, u: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        g, x = ctx.saved_tensors
        needs_g, needs_x, _ = ctx.needs_input_grad
        grad_g = _Convolve.apply(x, u, ctx.geometry) if needs_g else None
        return grad_g, _InputGrad.apply(g, u, ctx.geometry) if needs_x else None, None

    @staticmethod
    def vmap(info: Any, dims: tuple[Any, ...], g: Tensor, x: Tensor, geometry: Geometry) -> tuple[Tensor, int]:
        tasks = info.batch_size
        folded = [_channels(maps, dim, tasks) for maps, dim in zip((g, x), dims, strict=False)]
        filters = _WeightGrad.apply(*folded, replace(geometry, groups=geometry.groups * tasks))
        return filters.unflatten(0, (tasks, -1)), 0


def _over_maps(
    function: type[_Bilinear], tasks: int, dims: tuple[Any, ...], tensors: tuple[Tensor, Tensor], geometry: Geometry
) -> tuple[Tensor, int]:
    """Apply ``function`` to the maps and filters of many tasks; the result has the tasks in its second dimension."""
    maps, filters = tensors
    if dims[1] is None:  # shared by all tasks: one convolution of all their examples
        examples = maps.movedim(dims[0], 1).flatten(0, 1)  # [n*T, C, H, W]
        return function.apply(examples, filters, geometry).unflatten(0, (-1, tasks)), 1
    own = filters.movedim(dims[1], 0).flatten(0, 1)  # [T*O, ...]
    result = function.apply(_channels(maps, dims[0], tasks), own, replace(geometry, groups=geometry.groups * tasks))
    return result.unflatten(1, (tasks, -1)), 1


def _channels(maps: Tensor, dim: int | None, tasks: int) -> Tensor:
    """Turn tasks into channels: ``[n, T*C, H, W]``."""
    if dim is None:
        return maps.unsqueeze(1).expand(-1, tasks, -1, -1, -1).flatten(1, 2)
    return maps.movedim(dim, 1).flatten(1, 2)


def _backward(g: Tensor, x: Tensor, w: Tensor, geometry: Geometry, mask: list[bool]) -> tuple[Tensor, ...]:
    """torch's kernels of the first derivatives by input and filters; ``mask`` selects which are computed."""
    return torch.ops.aten.convolution_backward(  # type: ignore[no-any-return]
        g, x, w, None, geometry.stride, geometry.padding, geometry.dilation, False, (0, 0), geometry.groups, mask
    )
