"""Convolutions of many tasks and their derivatives on a CPU, by ``convolution.c``.

torch computes those with filters of their own one task after another, with kernels made for single large convolutions;
many tasks are many small ones.

Maps are ``[n, T, C, H, W]``. Filters are ``[O, C, kh, kw]`` if all tasks share them, ``[T, O, C, kh, kw]`` if each has
its own. float32 or float64.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import torch
from torch import Tensor

from mamlbench.nn.kernels.compiler import address, library

SOURCE = "convolution.c"


@dataclass(frozen=True)
class Geometry:
    """What a convolution is besides its tensors: height and width each.

    Attributes:
        size: of its input.
        kernel, stride, padding, dilation: as torch has them.
        groups: as torch has it. The kernels here know neither dilation nor groups.
    """

    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...] = (1, 1)
    groups: int = 1

    def result(self) -> list[int]:
        """Height and width of the output."""
        spans = zip(self.size, self.padding, self.kernel, self.stride, strict=True)
        return [(size + 2 * padding - kernel) // stride + 1 for size, padding, kernel, stride in spans]


class _CGeometry(ctypes.Structure):
    """``Geometry`` of the C file."""

    _fields_ = tuple(
        (name, ctypes.c_int64)
        for name in (
            "n",
            "tasks",
            "channels",
            "outputs",
            "in_height",
            "in_width",
            "out_height",
            "out_width",
            "tap_height",
            "tap_width",
            "stride_height",
            "stride_width",
            "pad_height",
            "pad_width",
            "repeated",
            "more",
            "threads",
        )
    )


def convolve(x: Tensor, w: Tensor, at: Geometry, into: Tensor | None = None) -> Tensor:
    """Convolve maps x with filters w to ``[n, T, O, h, w]``, which is added to ``into`` if that is given."""
    y = x.new_empty((*x.shape[:2], w.shape[-4], *at.result())) if into is None else into
    return _call("convolve", (x, _once(w)), y, _geometry(x, y, w, at, into))


def input_grad(g: Tensor, w: Tensor, at: Geometry, into: Tensor | None = None) -> Tensor:
    """Derivative by the input, from a cotangent g ``[n, T, O, h, w]`` of the result; added to ``into`` if given."""
    x = g.new_empty((*g.shape[:2], w.shape[-3], *at.size)) if into is None else into
    return _call("input_grad", (g, _once(w)), x, _geometry(x, g, w, at, into))


def weight_grad(g: Tensor, x: Tensor, at: Geometry, *, shared: bool, into: Tensor | None = None) -> Tensor:
    """Derivative by the filters, from a cotangent g ``[n, T, O, h, w]`` of the result; added to ``into`` if given."""
    if shared:  # tasks are examples of one large convolution, which torch's kernel is made for
        w = g.new_empty((g.shape[2], x.shape[2], *at.kernel))
        g, x = g.flatten(0, 1), x.flatten(0, 1)
        options = (None, at.stride, at.padding, (1, 1), False, (0, 0), 1, [False, True, False])
        w = torch.ops.aten.convolution_backward(g, x, w, *options)[1]
        return w if into is None else into.add_(w)
    w = g.new_empty((g.shape[1], g.shape[2], x.shape[2], *at.kernel)) if into is None else into
    return _call("weight_grad", (g, x), w, _geometry(x, g, w, at, into))


def _once(w: Tensor) -> Tensor:
    """One copy of filters that are expanded over tasks: the kernels read it for all of them."""
    return w[0] if _repeated(w) else w


def _repeated(w: Tensor) -> bool:
    return w.ndim == 5 and w.stride(0) == 0


def _geometry(x: Tensor, y: Tensor, w: Tensor, at: Geometry, into: Tensor | None) -> _CGeometry:
    n, tasks = (x.shape[0] * x.shape[1], 1) if w.ndim == 4 else x.shape[:2]  # with shared filters, tasks are examples
    sizes = (x.shape[2], y.shape[2], *at.size, *y.shape[3:], *at.kernel, *at.stride, *at.padding)
    return _CGeometry(n, tasks, *sizes, _repeated(w), into is not None, torch.get_num_threads())


def _call(name: str, inputs: tuple[Tensor, Tensor], result: Tensor, geometry: _CGeometry) -> Tensor:
    first, second = (tensor.contiguous() for tensor in inputs)
    getattr(library(SOURCE, result.dtype), name)(*map(address, (first, second, result)), ctypes.byref(geometry))
    return result
