"""Two-dimensional convolution, whose derivatives of every order are made of three kernels.

A convolution y = C(x, w) is linear in the input x and in the filters w. With G(g, w) its derivative's transpose along
x and F(g, x) that along w, each is linear in both of its arguments, and their derivatives lead back to the three:

    C(x, w)   a cotangent g of y sends G(g, w) to x and F(g, x) to w
    G(g, w)   a cotangent v of x sends C(v, w) to g and F(g, v) to w
    F(g, x)   a cotangent u of w sends C(x, u) to g and G(g, u) to x

torch computes a second derivative otherwise: that by w as a dilated convolution in which examples and channels change
places, which is slow on a CPU, and that by the first layer's images, which is not asked for.

Under vmap, tasks with weights of their own become groups, and tasks that share their weights become examples; either
way the memory holds ``[n, T, C, H, W]``, so that no tensor is copied from one layout to another between layers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mamlbench.nn.kernels import Geometry


def convolve(x: Tensor, w: Tensor, at: Geometry) -> Tensor:
    """``[n, C, H, W]`` and filters ``[O, C / groups, kh, kw]`` to ``[n, O, h, w]``.

    Differentiable any number of times in reverse mode, and under vmap.
    """
    return _Convolve.apply(x, w, at)  # type: ignore[no-any-return]


class _Bilinear(torch.autograd.Function):
    """A function of two tensors and a geometry, linear in each of the tensors."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        first, second, ctx.geometry = inputs
        ctx.save_for_backward(first, second)


class _Convolve(_Bilinear):
    """C: x ``[n, C, H, W]`` and w ``[O, C / groups, kh, kw]`` to y ``[n, O, h, w]``."""

    @staticmethod
    def forward(x: Tensor, w: Tensor, at: Geometry) -> Tensor:
        return torch.conv2d(x, w, None, at.stride, at.padding, at.dilation, at.groups)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, w = ctx.saved_tensors
        by_x, by_w, _ = ctx.needs_input_grad
        to_x = _InputGrad.apply(g, w, ctx.geometry) if by_x else None
        return to_x, _WeightGrad.apply(g, x, ctx.geometry) if by_w else None, None

    @staticmethod
    def vmap(info: Any, dims: tuple[Any, ...], x: Tensor, w: Tensor, at: Geometry) -> tuple[Tensor, int]:
        return _over_maps(_Convolve, info.batch_size, dims, (x, w), at)


class _InputGrad(_Bilinear):
    """G: g ``[n, O, h, w]`` and w ``[O, C / groups, kh, kw]`` to ``[n, C, H, W]``."""

    @staticmethod
    def forward(g: Tensor, w: Tensor, at: Geometry) -> Tensor:
        x = g.new_empty((g.shape[0], w.shape[1] * at.groups, *at.size))
        return _backward(g, x, w, at, [True, False, False])[0]

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        g, w = ctx.saved_tensors
        by_g, by_w, _ = ctx.needs_input_grad
        to_g = _Convolve.apply(v, w, ctx.geometry) if by_g else None
        return to_g, _WeightGrad.apply(g, v, ctx.geometry) if by_w else None, None

    @staticmethod
    def vmap(info: Any, dims: tuple[Any, ...], g: Tensor, w: Tensor, at: Geometry) -> tuple[Tensor, int]:
        return _over_maps(_InputGrad, info.batch_size, dims, (g, w), at)


class _WeightGrad(_Bilinear):
    """F: g ``[n, O, h, w]`` and x ``[n, C, H, W]`` to ``[O, C / groups, kh, kw]``."""

    @staticmethod
    def forward(g: Tensor, x: Tensor, at: Geometry) -> Tensor:
        w = g.new_empty((g.shape[1], x.shape[1] // at.groups, *at.kernel))
        return _backward(g, x, w, at, [False, True, False])[1]

    @staticmethod
    def backward(ctx: Any, u: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        g, x = ctx.saved_tensors
        by_g, by_x, _ = ctx.needs_input_grad
        to_g = _Convolve.apply(x, u, ctx.geometry) if by_g else None
        return to_g, _InputGrad.apply(g, u, ctx.geometry) if by_x else None, None

    @staticmethod
    def vmap(info: Any, dims: tuple[Any, ...], g: Tensor, x: Tensor, at: Geometry) -> tuple[Tensor, int]:
        tasks = info.batch_size
        folded = [_channels(maps, dim, tasks) for maps, dim in zip((g, x), dims, strict=False)]
        filters = _WeightGrad.apply(*folded, replace(at, groups=at.groups * tasks))
        return filters.unflatten(0, (tasks, -1)), 0


def _over_maps(
    function: type[_Bilinear], tasks: int, dims: tuple[Any, ...], tensors: tuple[Tensor, Tensor], at: Geometry
) -> tuple[Tensor, int]:
    """Of maps ``[n, C, H, W]`` and filters, for many tasks; the result has the tasks in its second dimension."""
    maps, filters = tensors
    if dims[1] is None:  # shared by all tasks: one convolution of all their examples
        examples = maps.movedim(dims[0], 1).flatten(0, 1)  # [n*T, C, H, W]
        return function.apply(examples, filters, at).unflatten(0, (-1, tasks)), 1
    own = filters.movedim(dims[1], 0).flatten(0, 1)  # [T*O, ...]
    result = function.apply(_channels(maps, dims[0], tasks), own, replace(at, groups=at.groups * tasks))
    return result.unflatten(1, (tasks, -1)), 1


def _channels(maps: Tensor, dim: int | None, tasks: int) -> Tensor:
    """Tasks beside each other as channels: ``[n, T*C, H, W]``."""
    if dim is None:
        return maps.unsqueeze(1).expand(-1, tasks, -1, -1, -1).flatten(1, 2)
    return maps.movedim(dim, 1).flatten(1, 2)


def _backward(g: Tensor, x: Tensor, w: Tensor, at: Geometry, mask: list[bool]) -> tuple[Tensor, ...]:
    """torch's kernels of the first derivative."""
    return torch.ops.aten.convolution_backward(  # type: ignore[no-any-return]
        g, x, w, None, at.stride, at.padding, at.dilation, False, (0, 0), at.groups, mask
    )
