"""Batch norm, weight, bias and ReLU in one function, with first and second derivatives, on a CPU, by ``norm.c``.

Maps are ``[n, T, C, H, W]``; weights, biases and statistics ``[T, C]``; float32 or float64. A weight of None means 1.
``rows`` int64 ``[T]`` says how many of its n examples each task has, the first ones; the others are left out of every
sum, and their results are zero. None: all n.
"""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from mamlbench.nn.kernels.compiler import address, library

SOURCE = "norm.c"


class _Shape(ctypes.Structure):
    """``Shape`` of the C file."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("n", "channels", "pixels", "threads")),
        ("eps", ctypes.c_double),
        ("rows", ctypes.c_void_p),
        ("per_task", ctypes.c_int64),
    )


def batch_norm_relu(
    x: Tensor, weight: Tensor | None, bias: Tensor, eps: float, rows: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute max(0, weight z + bias) of maps x ``[n, T, C, H, W]``, then mean and 1 / std, each ``[T, C]``."""
    x, bias = x.contiguous(), bias.contiguous()  # first: what is like a transposed bias would be transposed, too
    y, mean, scale = _maps_like(x, rows), torch.empty_like(bias), torch.empty_like(bias)
    _call("batch_norm_relu", (x, _contiguous(weight), bias, y, mean, scale), x, rows, eps)
    return y, mean, scale


def batch_norm_relu_backward(
    g: Tensor,
    x: Tensor,
    y: Tensor,
    weight: Tensor | None,
    statistics: tuple[Tensor, Tensor],
    *,
    rows: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Pull a cotangent g of y back to x ``[n, T, C, H, W]``, to the weight and to the bias, each ``[T, C]``."""
    mean, scale = statistics
    g, x, y = (maps.contiguous() for maps in (g, x, y))
    grad_x, gz, g_sum = _maps_like(x, rows), torch.empty_like(mean), torch.empty_like(mean)
    _call("batch_norm_relu_backward", (g, x, _contiguous(weight), y, mean, scale, grad_x, gz, g_sum), x, rows)
    return grad_x, gz, g_sum


def batch_norm_relu_double_backward(
    v: Tensor, t: Tensor | None, u: Tensor, *backward: Tensor | None, rows: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Pull cotangents of the results of ``batch_norm_relu_backward`` back to its g, its x and its weight.

    Args:
        v: of the first result, ``[n, T, C, H, W]``; overwritten by the second result unless ``rows`` are given.
        t: of the second, ``[T, C]``; not used if the weight is None.
        u: of the third, ``[T, C]``.
        backward: what ``batch_norm_relu_backward`` took (g, x, y, weight, mean, 1 / std) and returned (gz, g_sum).
        rows: examples of each task.
    """
    g, x, y, weight, mean, scale, gz, g_sum = (_contiguous(tensor) for tensor in backward)
    assert x is not None and mean is not None
    grad_g, grad_weight = _maps_like(x, rows), None if weight is None else torch.empty_like(mean)
    grad_x = v if rows is None else torch.zeros_like(x)
    tensors = (v, _contiguous(t), u.contiguous(), g, x, weight, y, mean, scale, gz, g_sum, grad_g, grad_x, grad_weight)
    _call("batch_norm_relu_double_backward", tensors, x, rows)
    return grad_g, grad_x, grad_weight


def _maps_like(x: Tensor, rows: Tensor | None) -> Tensor:
    """Memory for a result like x, with zeros for the examples that no task has."""
    return torch.empty_like(x) if rows is None else torch.zeros_like(x)


def _contiguous(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.contiguous()


def _call(
    name: str, tensors: tuple[Tensor | None, ...], x: Tensor, rows: Tensor | None = None, eps: float = 0.0
) -> None:
    n, tasks, channels, height, width = x.shape
    of_task = None if rows is None else address(rows)
    shape = _Shape(n, tasks * channels, height * width, torch.get_num_threads(), eps, of_task, channels)
    addresses = (None if tensor is None else address(tensor) for tensor in tensors)
    getattr(library(SOURCE, x.dtype), name)(*addresses, ctypes.byref(shape))
