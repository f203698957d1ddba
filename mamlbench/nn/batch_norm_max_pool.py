"""Batch normalization followed by max-pooling, without the normalized map between them.

Normalizing keeps the order of values, so that the maxima of z = (x - mean) / std are at those of x, and only they need
to be normalized, by the mean and std of all values. The derivatives are hand-written, in the notation of ``normalize``:
B(g) = (g - mean(g) - z mean(g z)) / std. Here g is zero except at the maxima, so that both means are sums over the
maxima, and the only operation on the whole map is one addition.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import forward_ad

from mamlbench.nn.batch_norm_grad import Channelwise, LastDerivative, batch_norm_sums, per_channel

WINDOW = 2


def pooled_normalize(x: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Normalize ``[n, C, H, W]`` in each channel and take the maxima of 2x2 squares.

    Differentiable twice, in reverse mode, in forward mode over reverse mode, and under vmap; other second derivatives
    and a third one raise an error.

    Args:
        x: ``[n, C, H, W]``, best with the channels last in memory.
        eps: added to the minus_scale_squared.

    Returns:
        The normalized maxima ``[n, C, H // 2, W // 2]``, mean and 1 / std of all values ``[C]``.
    """
    if not torch.is_grad_enabled() and not _forward_mode():
        return _PooledValues.apply(x, eps)  # type: ignore[no-any-return]
    maxima, mean, scale, _ = _PooledNormalize.apply(x, eps)
    return maxima, mean, scale


def _forward_mode() -> bool:
    """Whether derivatives in forward mode may be computed, which no_grad does not switch off."""
    return forward_ad._current_level >= 0


def _save(ctx: Any, eps: float, outputs: tuple[Tensor, ...], *tensors: Tensor) -> None:
    """Save ``tensors`` for the derivatives, which only the first of ``outputs`` has."""
    ctx.eps = eps
    ctx.mark_non_differentiable(*outputs[1:])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*tensors)
    ctx.save_for_forward(*tensors)


class _PooledValues(LastDerivative):
    """What ``_PooledNormalize`` computes, without the indices, which only a derivative needs."""

    @staticmethod
    def forward(x: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        mean, variance = torch.batch_norm_update_stats(x, None, None, 0.0)
        scale = (variance + eps).rsqrt()
        return _maxima(x).sub_(per_channel(mean)).mul_(per_channel(scale)), mean, scale


def _maxima(x: Tensor) -> Tensor:
    """``F.max_pool2d(x, 2)``, which is slow if the channels do not come last, as those of a convolution in groups."""
    if x.is_contiguous(memory_format=torch.channels_last):
        return F.max_pool2d(x, WINDOW)
    height, width = (size - size % WINDOW for size in x.shape[-2:])
    upper, lower = (
        torch.maximum(x[..., row:height:WINDOW, 0:width:WINDOW], x[..., row:height:WINDOW, 1:width:WINDOW])
        for row in range(WINDOW)
    )
    return torch.maximum(upper, lower, out=upper)


class _PooledNormalize(Channelwise):
    """x to z at its maxima, mean, 1 / std, and the maxima's indices as ``F.max_pool2d`` returns them."""

    @staticmethod
    def forward(x: Tensor, eps: float) -> tuple[Tensor, ...]:
        mean, variance = torch.batch_norm_update_stats(x, None, None, 0.0)
        scale = (variance + eps).rsqrt()
        maxima, indices = F.max_pool2d(x, WINDOW, return_indices=True)
        return maxima.sub_(per_channel(mean)).mul_(per_channel(scale)), mean, scale, indices

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, eps = inputs
        _save(ctx, eps, output, x, *output)

    @staticmethod
    def backward(ctx: Any, g: Tensor | None, *_: None) -> tuple[Tensor | None, None]:
        return (None if g is None else _PooledBackward.apply(g, *ctx.saved_tensors, ctx.eps)[0]), None

    @staticmethod
    def jvp(ctx: Any, v: Tensor, _: None) -> tuple[Tensor, None, None, None]:
        return _PooledForwardMode.apply(v, *ctx.saved_tensors, ctx.eps)[0], None, None, None


class _PooledForwardMode(LastDerivative):
    """B(v) at the maxima: the derivative of z along v, in forward mode."""

    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor, ...]:
        v, x, z, mean, scale, indices, eps = inputs
        _, *sums = batch_norm_sums(v, x, (mean, scale), eps)
        return _at_maxima(v, z, scale, indices, sums), *sums

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        raise NotImplementedError("reverse over forward mode through pooled batch normalization")


class _PooledBackward(Channelwise):
    """B(g), sum(g z) and sum(g), where g is zero except at the maxima."""

    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor, ...]:
        g, x, z, mean, scale, indices, _ = inputs
        n = x.numel() // x.shape[1]
        gz, g_sum = (g * z).sum((0, 2, 3)), g.sum((0, 2, 3))
        x_factor = -scale.square() * gz / n
        constant = -scale * g_sum / n - x_factor * mean
        base = torch.addcmul(per_channel(constant), x, per_channel(x_factor))
        return add_at(base, indices, g * per_channel(scale)), gz, g_sum

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        *tensors, eps = inputs
        _save(ctx, eps, output, *tensors, *output[1:])

    @staticmethod
    def backward(ctx: Any, v: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        grad_g, grad_x = (None, None) if v is None else _PooledDoubleBackward.apply(v, *ctx.saved_tensors, ctx.eps)
        return grad_g, grad_x, *(None for _ in range(5))

    @staticmethod
    def jvp(ctx: Any, dg: Tensor | None, dx: Tensor | None, *_: None) -> tuple[Tensor | None, None, None]:
        _, *rest, _, _ = ctx.saved_tensors
        result = None if dg is None else _PooledBackward.apply(dg, *rest, ctx.eps)[0]
        if dx is not None:
            by_x = _PooledDoubleBackward.apply(dx, *ctx.saved_tensors, ctx.eps)[1]
            result = by_x if result is None else result + by_x
        return result, None, None


class _PooledDoubleBackward(LastDerivative):
    """Pulls a cotangent v of B(g) back to g, where it is B(v) at the maxima, and to x."""

    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor, Tensor]:
        v, g, x, z, mean, scale, indices, gz, g_sum, eps = inputs
        n = x.numel() // x.shape[1]
        _, *sums = batch_norm_sums(v, x, (mean, scale), eps)
        vz, v_sum = sums
        vg = (gather_at(v, indices) * g).sum((0, 2, 3))
        s, t = gz / n, vz / n
        minus_scale_squared = -scale.square()
        x_factor = minus_scale_squared * scale * (vg / n - v_sum * g_sum / n**2 - 3 * s * t)
        constant = -minus_scale_squared * (t * g_sum + s * v_sum) / n - x_factor * mean
        grad_x = torch.addcmul(per_channel(constant), x, per_channel(x_factor)).addcmul_(
            v, per_channel(minus_scale_squared * s)
        )
        return _at_maxima(v, z, scale, indices, sums), add_at(grad_x, indices, g * per_channel(minus_scale_squared * t))


def _at_maxima(v: Tensor, z: Tensor, scale: Tensor, indices: Tensor, sums: list[Tensor]) -> Tensor:
    """B(v) at the maxima, from sum(v z) and sum(v): ``[n, C, H, W]`` to ``[n, C, h, w]``."""
    n, (vz, v_sum) = v.numel() // v.shape[1], sums
    centered = gather_at(v, indices) - per_channel(v_sum / n)
    return centered.addcmul_(z, per_channel(-vz / n)).mul_(per_channel(scale))


def gather_at(values: Tensor, indices: Tensor) -> Tensor:
    """Gather ``[n, C, H, W]`` at the indices ``[n, C, h, w]`` of max-pooling."""
    maxima = _pixels(values).gather(1, _pixels(indices))  # [n, h*w, C]
    return maxima.unflatten(1, indices.shape[2:]).permute(0, 3, 1, 2)  # type: ignore[no-any-return, no-untyped-call]


def add_at(values: Tensor, indices: Tensor, addend: Tensor) -> Tensor:
    """Add ``addend`` ``[n, C, h, w]`` to ``[n, C, H, W]`` at the indices, in place if the channels come last."""
    sums = _pixels(values).scatter_add_(1, _pixels(indices), _pixels(addend))  # [n, H*W, C]
    return sums.unflatten(1, values.shape[2:]).permute(0, 3, 1, 2)  # type: ignore[no-any-return, no-untyped-call]


def _pixels(x: Tensor) -> Tensor:
    """``[n, C, H, W]`` to ``[n, H*W, C]``: the same memory if the channels come last."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)
