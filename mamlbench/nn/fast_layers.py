"""The functions that fusion replaces plain layers with: the same values, with the fastest derivatives.

Each function decides in every call whether its kernels or hand-written derivatives apply, and uses torch's own
functions otherwise. It depends on

- the number of tasks that vmap vectorizes, read from vmap itself: the kernels compute many tasks together, and the
  threshold of a large feature map counts all tasks;
- ``second_order``: whether the result is differentiated twice through a stored graph. Hand-written derivatives save
  time there; in a first-order pass, or with remat, they were measured to cost up to 10 %;
- device and dtype: the kernels are for float32 and float64 on a CPU. Everything else (bfloat16, autocast,
  torch.compile, a transform of ``torch.func`` other than one vmap) goes to torch's functions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mamlbench.nn import kernels
from mamlbench.nn.batch_norm import batch_norm as plain_batch_norm
from mamlbench.nn.batch_norm import next_replayed, normalize_with, record, replaying, scale_and_shift, widen_bfloat16
from mamlbench.nn.batch_norm_grad import normalize
from mamlbench.nn.batch_norm_max_pool import WINDOW, pooled_normalize
from mamlbench.nn.conv2d import convolve
from mamlbench.nn.conv_block import conv_block
from mamlbench.nn.kernels import Geometry
from mamlbench.nn.padding import existing_examples
from mamlbench.nn.precision import bf16_is_on
from mamlbench.nn.vmap_internals import vmap_size

LARGE = 2**18
"""Least number of values in a feature map (of all tasks, if differentiated twice) for hand-written derivatives of batch
norm. On smaller maps torch's own take less time, on larger ones more."""

_TYPES = {torch.float32, torch.float64}

MIN_OUTPUTS = 8
"""Output channels below which the vectors of the convolution kernels would be mostly empty."""


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    *,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
    second_order: bool,
) -> Tensor:
    """``torch.nn.functional.conv2d`` of ``[n, C, H, W]``; second derivatives of many tasks by ``convolve``."""
    if not second_order or vmap_size() == 1 or not _in_full_precision(x, weight):
        return F.conv2d(x, weight, bias, stride, padding, dilation, groups)
    geometry = Geometry(tuple(x.shape[-2:]), tuple(weight.shape[-2:]), stride, padding, dilation, groups)
    y = convolve(x, weight, geometry)
    return y if bias is None else y + bias.view(-1, 1, 1)


def batch_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, *, second_order: bool) -> Tensor:
    """``BatchNorm`` of ``[n, C]`` or ``[n, C, H, W]``; large maps with hand-written derivatives."""
    x = widen_bfloat16(x)
    if replaying() or existing_examples() is not None or not _large(x, second_order):
        return plain_batch_norm(x, weight, bias, eps)
    normalized, mean, scale = normalize(x, eps)
    record(mean, scale.pow(-2) - eps)
    return scale_and_shift(normalized, weight, bias)


def batch_norm_max_pool(x: Tensor, bias: Tensor | None, eps: float, *, second_order: bool) -> Tensor:
    """``BatchNorm`` without a scale, then 2x2 max-pooling: ``[n, C, H, W]`` to ``[n, C, H // 2, W // 2]``.

    The maxima are taken first: normalizing by positive factors and adding a bias moves no maximum (a scale could be
    negative), and later operations have a quarter of the values.
    """
    x, statistics = widen_bfloat16(x), next_replayed()
    if statistics is not None:
        return scale_and_shift(normalize_with(F.max_pool2d(x, WINDOW), *statistics, eps), None, bias)
    if existing_examples() is None and _large(x, second_order):
        maxima, mean, scale = pooled_normalize(x, eps)
        record(mean, scale.pow(-2) - eps)
        return scale_and_shift(maxima, None, bias)
    return scale_and_shift(F.max_pool2d(plain_batch_norm(x, None, None, eps), WINDOW), None, bias)


def conv_norm_relu(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    *,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    norm_weight: Tensor | None,
    norm_bias: Tensor | None,
    eps: float,
    second_order: bool,
) -> Tensor:
    """Convolution, ``BatchNorm`` and ReLU of ``[n, C, H, W]``; one compiled function for many tasks on a CPU."""
    existing = existing_examples()
    scattered = existing is not None and existing.rows is None  # padding that is not at the end
    if replaying() or scattered or not _kernels_apply(x, weight):
        settings = {"stride": stride, "padding": padding, "dilation": (1, 1), "groups": 1}
        y = conv2d(x, weight, bias, **settings, second_order=second_order)  # type: ignore[arg-type]
        return F.relu(batch_norm(y, norm_weight, norm_bias, eps, second_order=second_order))
    geometry = Geometry(tuple(x.shape[-2:]), tuple(weight.shape[-2:]), stride, padding)
    if norm_bias is None:
        norm_bias = weight.new_zeros(weight.shape[0])
    y, mean, scale = conv_block(
        x, weight, (norm_weight, norm_bias), geometry, eps, rows=None if existing is None else existing.rows
    )
    # batch norm subtracts the convolution's bias with the mean: it changes the statistics and not the output
    record(mean if bias is None else mean + bias, scale.pow(-2) - eps)
    return y


def channels_last(x: Tensor) -> Tensor:
    """Copy ``[n, C, H, W]`` to memory format channels last, which max-pooling reads fastest."""
    return x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


def _large(x: Tensor, second_order: bool) -> bool:
    if x.ndim != 4 or x.device.type != "cpu" or x.dtype not in _TYPES or torch.compiler.is_compiling():
        return False
    return x.numel() * (vmap_size() if second_order else 1) >= LARGE


def _kernels_apply(x: Tensor, weight: Tensor) -> bool:
    return (
        x.ndim == 4
        and vmap_size() > 1
        and x.dtype == weight.dtype
        and _in_full_precision(x, weight)
        and kernels.available(x.device, x.dtype)
    )


def _in_full_precision(x: Tensor, weight: Tensor) -> bool:
    """Whether to convolve these tensors in float32 or float64.

    Autocast casts the arguments of torch's own convolution; of the three kernels here it would cast only one.
    """
    return x.dtype in _TYPES and weight.dtype in _TYPES and not bf16_is_on(x.device)
