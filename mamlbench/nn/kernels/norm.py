"""Batch norm, bias and ReLU in one, with two derivatives, on a CPU, by ``norm.c``."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from mamlbench.nn.kernels.compiler import address, library

SOURCE = "norm.c"


class _Shape(ctypes.Structure):
    """``Shape`` of the C file."""

    _fields_ = (*((name, ctypes.c_int64) for name in ("n", "channels", "pixels", "threads")), ("eps", ctypes.c_double))


def batch_norm_relu(x: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Maps ``[n, T, C, H, W]`` and bias ``[T, C]`` to max(0, z + bias), mean and 1 / std ``[T, C]``."""
    x = x.contiguous()
    y, mean, scale = torch.empty_like(x), torch.empty_like(bias), torch.empty_like(bias)
    _call("batch_norm_relu", (x, bias.contiguous(), y, mean, scale), x, eps)
    return y, mean, scale


def batch_norm_relu_backward(
    g: Tensor, x: Tensor, y: Tensor, mean: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """What a cotangent g of y sends to x, then sum(g z) and sum(g) where y > 0; the last goes to the bias."""
    g, x, y = (each.contiguous() for each in (g, x, y))
    to_x, gz, g_sum = torch.empty_like(x), torch.empty_like(mean), torch.empty_like(mean)
    _call("batch_norm_relu_backward", (g, x, y, mean, scale, to_x, gz, g_sum), x)
    return to_x, gz, g_sum


def batch_norm_relu_double_backward(v: Tensor, u: Tensor, *slope: Tensor) -> tuple[Tensor, Tensor]:
    """What cotangents v of the slope's first result and u of its last send to g and to x.

    Args:
        v: overwritten by the second result.
        u: ``[T, C]``.
        slope: what the slope took and its two sums: g, x, y, mean, 1 / std, sum(g z), sum(g).
    """
    u, g, x, y, mean, scale, gz, g_sum = (each.contiguous() for each in (u, *slope))
    to_g = torch.empty_like(x)
    _call("batch_norm_relu_double_backward", (v, u, g, x, y, mean, scale, gz, g_sum, to_g, v), x)
    return to_g, v


def _call(name: str, tensors: tuple[Tensor, ...], x: Tensor, eps: float = 0.0) -> None:
    n, tasks, channels, height, width = x.shape
    shape = _Shape(n, tasks * channels, height * width, torch.get_num_threads(), eps)
    getattr(library(SOURCE, x.dtype), name)(*map(address, tensors), ctypes.byref(shape))
