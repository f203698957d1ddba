"""Convolutions of many tasks and their derivatives on a CPU, by ``convolution.c``.

If each task has its own filters, torch computes one task after another, with kernels for single large convolutions;
those of tasks are many and small.

Maps are ``[n, T, C, H, W]``. Filters are ``[O, C, kh, kw]`` if all tasks share them, ``[T, O, C, kh, kw]`` if each has
its own. float32 or float64. ``rows`` int64 ``[T]`` says how many of its n images each task has, the first ones; for the
others nothing is computed, and their results are zero. None: all n.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mamlbench.nn.kernels.compiler import address, library

SOURCE = "convolution.c"


@dataclass(frozen=True)
class Geometry:
    """Sizes and settings of a convolution, as pairs of height and width.

    Attributes:
        size: of the input.
        kernel, stride, padding, dilation: as torch defines them.
        groups: as torch defines it. The C kernels support neither dilation nor groups.
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

    _fields_ = (
        *(
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
                "add",
                "threads",
            )
        ),
        ("rows", ctypes.c_void_p),
    )


def convolve(
    x: Tensor, w: Tensor, geometry: Geometry, into: Tensor | None = None, *, rows: Tensor | None = None
) -> Tensor:
    """Convolve maps x with filters w to ``[n, T, O, h, w]``; add the result to ``into`` if it is not None."""
    w = _of_each_task(w, x, rows)
    y = _maps(x, w.shape[-4], geometry.result(), rows) if into is None else into
    return _call("convolve", (x, _single_copy(w)), y, _c_geometry(x, y, w, geometry, add=into is not None, rows=rows))


def input_grad(
    g: Tensor, w: Tensor, geometry: Geometry, into: Tensor | None = None, *, rows: Tensor | None = None
) -> Tensor:
    """Pull a cotangent g ``[n, T, O, h, w]`` back to the input; add the result to ``into`` if it is not None."""
    w = _of_each_task(w, g, rows)
    x = _maps(g, w.shape[-3], geometry.size, rows) if into is None else into
    return _call("input_grad", (g, _single_copy(w)), x, _c_geometry(x, g, w, geometry, add=into is not None, rows=rows))


def weight_grad(
    g: Tensor,
    x: Tensor,
    geometry: Geometry,
    *,
    shared: bool,
    into: Tensor | None = None,
    rows: Tensor | None = None,
) -> Tensor:
    """Pull a cotangent g ``[n, T, O, h, w]`` back to the filters; add the result to ``into`` if it is not None."""
    if shared:  # one large convolution of all tasks' examples: torch's kernel is faster
        w = g.new_empty((g.shape[2], x.shape[2], *geometry.kernel))
        g, x = (maps.flatten(0, 1) if rows is None else _existing(maps, rows) for maps in (g, x))
        options = (None, geometry.stride, geometry.padding, (1, 1), False, (0, 0), 1, [False, True, False])
        w = torch.ops.aten.convolution_backward(g, x, w, *options)[1]
        return w if into is None else into.add_(w)
    w = g.new_empty((g.shape[1], g.shape[2], x.shape[2], *geometry.kernel)) if into is None else into
    return _call("weight_grad", (g, x), w, _c_geometry(x, g, w, geometry, add=into is not None, rows=rows))


def _maps(like: Tensor, channels: int, size: Sequence[int], rows: Tensor | None) -> Tensor:
    """Memory for maps ``[n, T, channels, *size]``, with zeros for the images that no task has."""
    make = like.new_empty if rows is None else like.new_zeros
    return make((*like.shape[:2], channels, *size))


def _existing(maps: Tensor, rows: Tensor) -> Tensor:
    """The images that tasks have, ``[sum of rows, ...]``."""
    of_tasks = torch.arange(len(maps))[:, None] < rows  # [n, T]
    # index_select copies whole images, which indexing by two dimensions does value by value
    return maps.flatten(0, 1).index_select(0, of_tasks.flatten().nonzero()[:, 0])


def _of_each_task(w: Tensor, maps: Tensor, rows: Tensor | None) -> Tensor:
    """Filters for maps ``[n, T, ...]`` in which tasks have their own numbers of images, though they share filters."""
    return w.expand(maps.shape[1], *w.shape) if rows is not None and w.ndim == 4 else w


def _single_copy(w: Tensor) -> Tensor:
    """One copy of filters that are expanded over tasks, which the kernels read for every task."""
    return w[0] if _repeated(w) else w


def _repeated(w: Tensor) -> bool:
    return w.ndim == 5 and w.stride(0) == 0


def _c_geometry(x: Tensor, y: Tensor, w: Tensor, geometry: Geometry, *, add: bool, rows: Tensor | None) -> _CGeometry:
    n, tasks = (x.shape[0] * x.shape[1], 1) if w.ndim == 4 else x.shape[:2]  # with shared filters, tasks are examples
    channels, outputs = x.shape[2], y.shape[2]
    sizes = (*geometry.size, *y.shape[3:], *geometry.kernel, *geometry.stride, *geometry.padding)
    flags = (_repeated(w), add, torch.get_num_threads(), None if rows is None else address(rows))
    return _CGeometry(n, tasks, channels, outputs, *sizes, *flags)


def _call(name: str, inputs: tuple[Tensor, Tensor], result: Tensor, geometry: _CGeometry) -> Tensor:
    first, second = (tensor.contiguous() for tensor in inputs)
    getattr(library(SOURCE, result.dtype), name)(*map(address, (first, second, result)), ctypes.byref(geometry))
    return result
