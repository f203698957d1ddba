"""Batch norm, bias and ReLU in one, with two derivatives, on a CPU, by ``norm.c``."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from mamlbench.kernels.compiler import address, library

SOURCE = "norm.c"


class _Shape(ctypes.Structure):
    """``Shape`` of the C file."""

    _fields_ = (*((name, ctypes.c_int64) for name in ("n", "channels", "pixels", "threads")), ("eps", ctypes.c_double))


def rectified_norm(x: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Maps ``[n, T, C, H, W]`` and bias ``[T, C]`` to max(0, z + bias), and mean and 1 / std of the channels ``[T, C]``."""
    x = x.contiguous()
    y, mean, scale = torch.empty_like(x), torch.empty_like(bias), torch.empty_like(bias)
    _call("rectified_norm", (x, bias.contiguous(), y, mean, scale), x, eps)
    return y, mean, scale


def rectified_norm_slope(
    g: Tensor, x: Tensor, y: Tensor, mean: Tensor, scale: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """What a cotangent g of y sends to x, then sum(g z) and sum(g) where y > 0; the last goes to the bias."""
    g, x, y = g.contiguous(), x.contiguous(), y.contiguous()
    to_x, gz, g_sum = torch.empty_like(x), torch.empty_like(mean), torch.empty_like(mean)
    _call("rectified_norm_slope", (g, x, y, mean, scale, to_x, gz, g_sum), x, eps)
    return to_x, gz, g_sum


def rectified_norm_curvature(
    v: Tensor, u: Tensor, g: Tensor, x: Tensor, y: Tensor, mean: Tensor, scale: Tensor, gz: Tensor, g_sum: Tensor,
    eps: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """What cotangents v of the slope's first result and u of its last send to g and to x; the latter takes v's place."""
    u, g, x, y = (each.contiguous() for each in (u, g, x, y))
    to_g = torch.empty_like(x)
    _call("rectified_norm_curvature", (v, u, g, x, y, mean, scale, gz, g_sum, to_g, v), x, eps)
    return to_g, v


def _call(name: str, tensors: tuple[Tensor, ...], x: Tensor, eps: float) -> None:
    n, tasks, channels, height, width = x.shape
    shape = _Shape(n, tasks * channels, height * width, torch.get_num_threads(), eps)
    getattr(library(SOURCE, x.dtype), name)(*map(address, tensors), ctypes.byref(shape))
